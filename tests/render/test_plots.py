"""Plots: the data that they draw, and that the bytes are valid and the same twice."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from archlens.errors import UsageError
from archlens.findings.comparison import Comparison, compared
from archlens.pipeline import analyze
from archlens.render.plots.branches import branch_views, branches_picture
from archlens.render.plots.costs import cost_picture, cost_points, stage_costs, stages_picture
from archlens.render.plots.coverage import coverage_map, coverage_picture
from archlens.render.plots.growth import growth_line, growth_picture
from archlens.render.plots.heat import field_picture, heat
from archlens.render.plots.kinds import ONE, SEVERAL, figure_of, figure_of_several
from archlens.render.plots.nested import drawn_boxes, nested_picture, stage_boxes
from archlens.render.plots.scene import background, street
from archlens.report import Report
from archlens.shades import thinned
from archlens.unit_field.call import field_map
from archlens.unit_field.result import FieldMap

SIZE = (3, 129, 129)


@pytest.fixture(scope="module")
def deeplab() -> Report:
    return analyze("deeplabv3_resnet50", SIZE)


@pytest.fixture(scope="module")
def fcn() -> Report:
    return analyze("fcn", SIZE)


@pytest.fixture(scope="module")
def both(fcn: Report, deeplab: Report) -> Comparison:
    return compared([fcn, deeplab])


@pytest.fixture(scope="module")
def expected() -> FieldMap:
    return field_map("deeplabv3_resnet50", input_size=SIZE)


@pytest.fixture(scope="module")
def touched() -> FieldMap:
    return field_map("deeplabv3", "support", layer="aspp.rate12.conv", origin="backbone.layer4.2.relu3")


def svg(data: bytes) -> ElementTree.Element:
    assert b"\n\n\n" not in data[:100]
    return ElementTree.fromstring(data)


# ------------------------------------------------------------------ growth


def test_growth_follows_the_fields_of_the_report(fcn: Report) -> None:
    line = growth_line(fcn, points=4)
    assert line is not None
    for name, size in zip(line.layers, line.theoretical, strict=True):
        field = fcn.layer(name).rf
        assert field is not None
        assert field.size is not None
        assert field.size[0] == size
    for name, seen in zip(line.layers, line.visible, strict=True):
        box = fcn.layer(name).rf.visible  # type: ignore[union-attr]
        assert box is not None
        assert box.size[0] == seen
    assert line.image == 129
    assert line.theoretical[-1] == 468
    assert line.global_from is None


def test_growth_ends_global_with_its_finite_path(deeplab: Report) -> None:
    line = growth_line(deeplab, points=0)
    assert line is not None
    assert line.used == {}
    assert line.global_from is not None
    assert deeplab.layer(line.layers[line.global_from]).rf.kind == "global"  # type: ignore[union-attr]
    assert [name for name, _, _ in line.stages][-2:] == ["aspp", "classifier"]


def test_growth_shows_what_is_used(fcn: Report) -> None:
    line = growth_line(fcn, points=3)
    assert line is not None
    assert set(line.used) == {50, 95}
    assert line.used[50][-1][0] == len(line.layers) - 1
    assert all(half[1] < most[1] for half, most in zip(line.used[50], line.used[95], strict=True))


def test_growth_of_several_is_drawn_alike_twice(fcn: Report, deeplab: Report) -> None:
    lines = [line for r in (fcn, deeplab) if (line := growth_line(r, points=2)) is not None]
    first = growth_picture(lines, "svg")
    assert first == growth_picture(lines, "svg")
    ids = {e.attrib.get("id") for e in svg(first).iter()}
    assert {"theoretical-0", "theoretical-1", "visible-0", "erf50-1", "erf95-1"} <= ids
    text = first.decode()
    assert "input 129 px" in text
    assert "fcn8s_vgg16" in text
    assert len(first) < 60_000


# ------------------------------------------------------------------ one unit's field


def test_heat_holds_the_map_its_box_and_its_squares(expected: FieldMap) -> None:
    data = heat(expected)
    assert expected.map is not None
    assert data.map is expected.map
    assert data.box == (0, 0, 128, 128)
    sides = [data.squares[share] for share in (25, 50, 75, 95)]
    assert sides == sorted(sides)
    assert data.squares[50] == pytest.approx(expected.summary["erf_50"], rel=1e-6)


@pytest.mark.parametrize("log", [False, True])
def test_heat_is_drawn(expected: FieldMap, log: bool) -> None:
    data = field_picture(expected, "svg", log=log)
    svg(data)
    assert data == field_picture(expected, "svg", log=log)
    assert ("logarithmic" in data.decode()) is log
    assert field_picture(expected, "png", log=log).startswith(b"\x89PNG")


def test_support_shows_its_holes(touched: FieldMap) -> None:
    data = heat(touched)
    assert data.squares == {}
    assert int(data.map.sum()) == 9
    text = field_picture(touched, "svg").decode()
    assert "9 touched, 98.6 % holes" in text


def test_no_map_no_picture(expected: FieldMap) -> None:
    with pytest.raises(UsageError, match="no expected map"):
        heat(replace(expected, map=None))
    with pytest.raises(UsageError, match="two axes"):
        heat(replace(expected, map=np.ones(5)))
    with pytest.raises(UsageError, match="cannot draw"):
        field_picture(expected, "gif")


def test_thinning_keeps_the_mean() -> None:
    cells = np.random.default_rng(0).random((420, 400))
    small = thinned(cells)
    assert small.shape == (140, 200)
    assert small.mean() == pytest.approx(cells.mean())
    assert thinned(cells[:50, :50]).shape == (50, 50)


# ------------------------------------------------------------------ boxes, branches, coverage


def test_stage_boxes_are_what_the_report_says(deeplab: Report) -> None:
    shown = stage_boxes(deeplab)
    assert shown[-1].name == "class scores"
    for box in shown:
        seen = deeplab.layer(box.layer).rf.visible  # type: ignore[union-attr]
        assert seen is not None
        assert (box.lo, box.hi) == (seen.lo, seen.hi)
    words = [text for _, text in drawn_boxes(shown)]
    assert len(words) < len(shown)
    assert "class scores: sees 129x129" in words[-1]


def test_boxes_on_the_users_image(deeplab: Report, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from PIL import Image

    path = tmp_path / "x.png"
    Image.fromarray(np.full((20, 30, 3), 200, np.uint8)).save(path)
    assert background((10, 12), str(path)).shape == (10, 12, 3)
    assert nested_picture(deeplab, "png", image=str(path)) != nested_picture(deeplab, "png")
    (tmp_path / "no.png").write_text("no image")
    with pytest.raises(UsageError, match="cannot be read"):
        background((10, 12), str(tmp_path / "no.png"))


@pytest.mark.parametrize("size", [(64, 64), (33, 129), (200, 90), (1, 1)])
def test_street_is_a_picture_at_any_size(size: tuple[int, int]) -> None:
    scene = street(*size)
    assert scene.shape == (*size, 3)
    assert scene.min() >= 0
    assert scene.max() <= 1


def test_branches_read_what_their_geometry_says() -> None:
    report = analyze("deeplabv3")
    name, views = branch_views(report)
    assert name == "aspp"
    counts = {view.name: int(view.cells.sum()) for view in views}
    assert counts == {"conv1x1": 1, "rate6": 9, "rate12": 9, "rate18": 1, "image_pooling": 33 * 33}
    assert sum(view.energy or 0 for view in views) == pytest.approx(1)
    assert sum(view.far or 0 for view in views) == pytest.approx(1)


def test_no_branches_without_a_context_module(fcn: Report) -> None:
    with pytest.raises(UsageError, match="no context module"):
        branches_picture(fcn, "svg")


def test_coverage_agrees_with_the_visible_box(fcn: Report) -> None:
    shares = coverage_map(fcn)
    cell = fcn.cell
    assert shares.shape == cell.shape[2:]
    box = cell.rf.visible  # type: ignore[union-attr]
    assert box is not None
    assert shares[box.unit] == pytest.approx(box.size[0] * box.size[1] / 129**2)
    svg(coverage_picture(fcn, "svg"))


# ------------------------------------------------------------------ costs


def test_stage_costs_add_up(fcn: Report, deeplab: Report) -> None:
    for report in (fcn, deeplab):
        stages = stage_costs(report)
        assert sum(s.macs for s in stages) == report.totals["macs"]
        assert sum(s.params for s in stages) == report.totals["params"]
        assert sum(s.activation_bytes for s in stages) == sum(r.activation_bytes for r in report.layers)


def test_cost_points_are_the_comparisons(both: Comparison) -> None:
    points = cost_points(both)
    assert [p.name for p in points] == list(both.names)
    assert [p.gmacs * 1e9 for p in points] == [r.totals["macs"] for r in both.reports]
    assert points[1].far == both.evidence[1].use.far
    assert points[1].published is not None
    assert points[1].published.with_ == 78.51
    text = cost_picture(points, "svg", miou=True).decode()
    assert "published mIoU" in text
    assert "published mIoU" not in cost_picture(points, "svg").decode()


def test_stages_of_several(both: Comparison) -> None:
    pairs = [(n, stage_costs(r)) for n, r in zip(both.names, both.reports, strict=True)]
    assert stages_picture(pairs, "svg") == stages_picture(pairs, "svg")


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_every_figure_of_one(deeplab: Report, name: str, form: str) -> None:
    data = figure_of(deeplab, name, form)
    assert data.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[form])
    if form == "svg":
        svg(data)


@pytest.mark.parametrize("name", SEVERAL)
def test_every_figure_of_several(both: Comparison, name: str) -> None:
    svg(figure_of_several(both, name, "svg"))


def test_unknown_figures_are_refused(both: Comparison) -> None:
    with pytest.raises(UsageError, match="no figure 'grow'"):
        figure_of(both.reports[0], "grow", "svg")
    with pytest.raises(UsageError, match="no figure"):
        figure_of_several(both, "boxes", "svg")


def test_matplotlib_and_torch_stay_out_until_they_are_needed() -> None:
    code = (
        "import sys, archlens.render.graph.dot, archlens.render.plots.kinds, archlens.render.plots.growth, "
        "archlens.render.plots.heat, archlens.render.plots.costs; "
        "assert not {'matplotlib', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
