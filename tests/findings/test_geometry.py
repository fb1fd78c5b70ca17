"""Degeneration, coverage, growth, resolution, tiling, unproductive layers, FOV: against numbers by hand."""

from __future__ import annotations

import pytest
from context_nets import Skips, aspp, graph_of, plain, ppm, residual, subject

from archlens.analyses.fields.coverage import coverage
from archlens.analyses.fields.degeneration import degeneration
from archlens.analyses.fields.theoretical import receptive_fields
from archlens.analyses.fields.visible import boxes
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import class_score, main_output
from archlens.analyses.structure.edit import dilated
from archlens.analyses.structure.fov import field_of_view, vgg16_padding
from archlens.analyses.structure.growth import first_covering
from archlens.analyses.structure.tiling import tiling
from archlens.analyses.structure.unproductive import unproductive
from archlens.pipeline import analyze


def closed_form(kernel: int, rate: int, side: int) -> float:
    """Mean number of valid taps of a k x k window at this rate, zero-padded, on a side x side map (DeepLabv3,
    section 3.3): by counting, apart from the package's own walk."""
    half = kernel // 2
    axis = 1 + 2 * sum(max(side - t * rate, 0) for t in range(1, half + 1)) / side
    return axis**2


@pytest.mark.parametrize(
    ("side", "rate", "mean"),
    [(33, 6, 6.95), (33, 12, 5.17), (33, 18, 3.65), (33, 24, 2.39), (65, 6, 7.93), (65, 24, 5.12)],
)
def test_the_closed_form_is_deeplabv3s_figure(side: int, rate: int, mean: float) -> None:
    assert closed_form(3, rate, side) == pytest.approx(mean, abs=0.01)


def test_taps_on_the_map_follow_the_closed_form() -> None:
    graph = graph_of(aspp((2, 6, 12)))
    found = [degeneration(graph, n) for n in dilated(graph)]
    for d in found:
        assert d is not None
        assert d.map == (17, 17)
        assert d.mean_taps == pytest.approx(closed_form(3, d.rate, 17))
        assert d.full == pytest.approx((max(17 - 2 * d.rate, 0) / 17) ** 2)
        assert d.corner == 4
    last = found[-1]
    assert last is not None
    assert (last.rate, last.centre) == (12, 1)  # 8 - 12 < 0: only the middle tap is inside


def test_coverage_by_position() -> None:
    graph = graph_of(plain(2))
    cell = class_score(graph)
    found = coverage(graph, cell, boxes(graph)[cell])
    assert found is not None
    # Field 31 px at stride 4, from -15 on: the corner sees 0..15, the centre 17..47.
    assert found.corner == pytest.approx((16 / 65) ** 2)
    assert found.centre == pytest.approx((31 / 65) ** 2)
    assert found.edge == pytest.approx(16 * 31 / 65**2)
    assert found.whole == 0
    assert found.least <= found.mean <= found.centre


def test_where_growth_stops() -> None:
    s = subject(plain(2))
    assert s.last is not None
    assert s.name(s.last.node) == "head.0"
    assert (s.last.before, s.last.after) == (15, 31)
    assert sum(g.added for g in s.way) == 30
    assert first_covering(s.way, 16) == s.last
    assert first_covering(s.way, 65) is None
    assert [stage.name for stage in s.stages if stage.added][-1] == "head"


@pytest.mark.parametrize(
    ("model", "deepest", "cell", "skips"),
    [(Skips(), 8, 2, [4, 2]), (plain(), 4, 4, []), (ppm(), 4, 4, []), (ppm((1, 2, 17)), 4, 4, [])],
    ids=["skips", "plain", "ppm", "even"],
)
def test_resolution(model, deepest: float, cell: float, skips: list[float]) -> None:  # type: ignore[no-untyped-def]
    found = subject(model).resolution
    assert found is not None
    assert (found.deepest, found.cell) == (deepest, cell)
    assert [s.stride for s in found.skips] == skips


def test_margins_are_what_boxes_need() -> None:
    """A tile's margin, counted pixel by pixel on a large map."""
    graph = graph_of(Skips(), 129)
    output = main_output(graph)
    found = tiling(receptive_fields(graph), output)
    assert found is not None
    assert found.exact
    assert found.multiple == (8, 8)
    box = boxes(graph)[output]
    assert box is not None
    lo, hi = box.lo[0].ravel(), box.hi[0].ravel()
    inner = [y for y in range(129) if lo[y] > 0 and hi[y] < 128]
    assert max(y - int(lo[y]) for y in inner) == found.before[0]
    assert max(int(hi[y]) - y for y in inner) == found.after[0]


def test_no_margin_makes_a_pooled_network_exact() -> None:
    graph = graph_of(ppm())
    found = tiling(receptive_fields(graph), main_output(graph))
    assert found is not None
    assert not found.exact
    assert found.source is not None
    assert graph.nodes[found.source].op == "mean"


def test_unproductive_layers() -> None:
    graph = graph_of(residual(), 33)
    fields, seen = receptive_fields(graph), boxes(graph)
    found = unproductive(graph, fields, seen, class_score(graph))
    # 15 px after the trunk, 8 more a 3x3 at stride 4: the fourth 3x3 is the first to read 33 px or more.
    assert [u.before for u in found] == [39, 47, 55, 63, 71][: len(found)]
    assert len(found) == 5
    assert not any(u.everywhere for u in found[:3])
    assert all(u.shortest < 33 for u in found)  # around the blocks
    wide = unproductive(
        graph_of(residual(), 129), fields, boxes(graph_of(residual(), 129)), class_score(graph)
    )
    assert wide == []


def test_deeplabs_field_of_view_is_derived() -> None:
    assert vgg16_padding() == 90
    for spec, fov, plain_pools, released in (
        ("deeplabv1", 224, 404, 435),
        ("deeplabv1_4x4_vgg16", 128, 308, 308),
        ("deeplabv1_4x4_vgg16?rate=8", 224, 404, 404),
        ("deeplabv1_7x7_vgg16", 224, 404, 404),
    ):
        graph = analyze(spec).graph
        found = field_of_view(Walks(graph), class_score(graph))
        assert found is not None
        assert (found.published, found.plain, found.released) == (fov, plain_pools, released)
    graph = graph_of(plain())
    assert field_of_view(Walks(graph), class_score(graph)) is None
