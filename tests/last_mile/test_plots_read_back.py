"""Figures of `--plot`: every coordinate, colour and word of the SVG against the analysis."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import read_nets as nets
from numpy.typing import NDArray
from read_back import (
    Panel,
    Scale,
    by_id,
    colours,
    extent,
    panels,
    place_of,
    says,
    style,
    svg_of,
    texts,
    values,
    words,
)

from archlens.findings.comparison import Comparison, compared
from archlens.pipeline import analyze
from archlens.render.plots.heat import field_picture
from archlens.render.plots.kinds import figure_of, figure_of_several
from archlens.report import Report
from archlens.unit_field.call import field_map
from archlens.unit_field.result import FieldMap


@pytest.fixture(scope="module")
def uneven() -> Report:
    return nets.uneven()


@pytest.fixture(scope="module")
def branched() -> Report:
    return nets.branched()


@pytest.fixture(scope="module")
def fcn() -> Report:
    return analyze("fcn", use_cache=True)


@pytest.fixture(scope="module")
def both(fcn: Report) -> Comparison:
    return compared([fcn, analyze("pspnet", use_cache=True)])


def drawn(report: Report, name: str) -> Any:
    return svg_of(figure_of(report, name, "svg"))


def steps(panel: Panel, name: str) -> list[float]:
    """The height of a stepped line at each depth."""
    line = panel.line(name)
    depths = round(line[-1][0]) + 1
    return [[y for x, y in line if abs(x - depth) < 1e-3][-1] for depth in range(depths)]


# ------------------------------------------------------------------ growth


def test_growth_of_a_chain(uneven: Report) -> None:
    root = drawn(uneven, "growth")
    (panel,) = panels(root)
    fields = [nets.FIELDS[name][0] for name in nets.LAYERS]
    assert steps(panel, "theoretical-0") == pytest.approx(fields, rel=1e-4)
    assert steps(panel, "visible-0") == pytest.approx([3, 7, 23, 23], rel=1e-4)
    assert "input 40 px" in texts(root)
    scale = panel.scale("y")
    flat = [extent(p.attrib["d"]) for _, p in panel.paths("line2d_") if "stroke-dasharray" in style(p)]
    assert any(scale(top) == pytest.approx(40, rel=1e-4) == scale(bottom) for _, top, _, bottom in flat)


def test_growth_shows_the_sides_that_hold_the_energy(uneven: Report) -> None:
    (panel,) = panels(drawn(uneven, "growth"))
    rows = uneven.with_erf(nets.LAYERS).layers
    for percent in (50, 95):
        sides = [(i, max(row.extra["erf"][f"erf_{percent}"], 1.0)) for i, row in enumerate(rows)]
        found = panel.markers(f"erf{percent}-0")
        assert np.array(found) == pytest.approx(np.array(sides), rel=1e-3, abs=1e-3)
        assert np.array(panel.line(f"erf{percent}-0")) == pytest.approx(np.array(sides), rel=1e-3, abs=1e-3)


def test_growth_marks_the_stages(uneven: Report) -> None:
    (panel,) = panels(drawn(uneven, "growth"))
    x = panel.scale("x")
    bands = [extent(p.attrib["d"]) for _, p in panel.paths("patch_") if style(p).get("opacity") == "0.07"]
    ends = [(x(left), x(right)) for left, _, right, _ in bands]
    assert np.array(ends) == pytest.approx(np.array([(-0.5, 0.5), (1.5, 2.5)]), abs=1e-3)
    names = {words(t): x(place_of(t)[0]) for t in panel.group.iter("text")}
    assert [round(names[name]) for name in nets.LAYERS] == [0, 1, 2, 3]


def test_growth_of_a_global_field(branched: Report) -> None:
    """The theoretical line follows the finite path; what is seen is cut at the border."""
    root = drawn(branched, "growth")
    (panel,) = panels(root)
    assert steps(panel, "theoretical-0") == pytest.approx([3, 35, 35], rel=1e-4)
    assert steps(panel, "visible-0") == pytest.approx([3, 35, 46], rel=1e-4)
    mark = next(t for t in panel.group.iter("text") if words(t) == "global")
    assert panel.scale("x")(place_of(mark)[0]) == pytest.approx(2, abs=0.02)


def test_growth_of_several_lays_each_network_on_its_own_line(both: Comparison) -> None:
    root = svg_of(figure_of_several(both, "growth", "svg"))
    (panel,) = panels(root)
    named = {words(t): style(t)["fill"] for t in panel.group.iter("text") if style(t)["fill"][0] == "#"}
    for index, (name, report) in enumerate(zip(both.names, both.reports, strict=True)):
        way = [g for g in report.study.way if g.added or report.layer(report.study.name(g.node)).macs]
        rows = [report.layer(report.study.name(g.node)).rf for g in way]
        sizes = [row.path.size[0] for row in rows if row and row.path.size]
        seen = [row.visible.size[0] for row in rows if row and row.visible]
        assert steps(panel, f"theoretical-{index}") == pytest.approx(sizes, rel=1e-4)
        assert steps(panel, f"visible-{index}") == pytest.approx(seen, rel=1e-4)
        path = next(p for p in by_id(root, f"theoretical-{index}").iter("path") if "clip-path" in p.attrib)
        assert named[name] == style(path)["stroke"]


# ------------------------------------------------------------------ boxes


def test_boxes_lie_where_the_units_see(uneven: Report) -> None:
    root = drawn(uneven, "boxes")
    (panel,) = panels(root)
    said = legend(root)
    shown = [("stem", "3x5"), ("down", "7"), ("wide … class scores", "23x15")]
    for index, (name, field) in enumerate(shown):
        path = list(by_id(root, f"box-{index}").iter("path"))[-1]
        top, left, bottom, right = nets.SEEN[name.split(" ")[0]]
        inside = (left - 0.5, top - 0.5, right + 0.5, bottom + 0.5)
        assert panel.rectangle(path) == pytest.approx(inside, abs=1e-3)
        sizes = f"sees {bottom - top + 1}x{right - left + 1}, field {field} px"
        assert said[style(path)["stroke"]] == f"{index + 1}  {name}: {sizes}"
        digit = next(p for _, p in panel.paths("text_") if style(p) == {"fill": style(path)["stroke"]})
        column, row = map(float, digit.attrib["d"].split()[1:3])
        assert left + 2 <= panel.scale("x")(column) <= left + 7
        assert top + 2 <= panel.scale("y")(row) <= top + 7


def test_boxes_cover_the_image_that_they_are_drawn_on(uneven: Report) -> None:
    (panel,) = panels(drawn(uneven, "boxes"))
    picture = panel.picture()
    high, wide = picture.cells.shape[:2]
    x, y = panel.scale("x"), panel.scale("y")
    # An image on paper begins and ends at whole pixels of the canvas.
    assert x(picture.left) == pytest.approx(-0.5, abs=0.3)
    assert x(picture.left + wide * picture.across) == pytest.approx(63.5, abs=0.3)
    assert {round(y(picture.top), 0), round(y(picture.top + high * picture.down), 0)} <= {
        -1.0,
        -0.0,
        39.0,
        40.0,
    }
    sky, road = picture.at(at(x, 32), at(y, 1)), picture.at(at(x, 32), at(y, 38))
    assert sky[2] > sky[0] > road.max()


def test_boxes_of_a_shipped_network(fcn: Report) -> None:
    root = drawn(fcn, "boxes")
    (panel,) = panels(root)
    seen = {row.rf.visible.size + row.rf.visible.lo for row in fcn.layers if row.rf and row.rf.visible}
    for group in root.iter("g"):
        if group.get("id", "").startswith("box-"):
            left, top, right, bottom = (round(v, 3) for v in panel.rectangle(list(group.iter("path"))[-1]))
            assert (bottom - top, right - left, top + 0.5, left + 0.5) in seen


def legend(root: Any) -> dict[str, str]:
    """Colour of a line or fill -> words."""
    box = next(g for g in root.iter("g") if g.get("id", "").startswith("legend_"))
    paths = [e for e in box if e.get("id", "").startswith(("patch_", "line2d_"))]
    said = [words(t) for e in box if e.get("id", "").startswith("text_") for t in e.iter("text")]
    marks = [style(list(e.iter("path"))[-1]) for e in paths][-len(said) :]
    return {
        m["stroke"] if m.get("stroke", "#ffffff") != "#ffffff" else m["fill"]: w
        for m, w in zip(marks, said, strict=True)
    }


def at(scale: Scale, value: float) -> float:
    return (value - scale.offset) / scale.slope


# ------------------------------------------------------------------ branches


def test_branches_read_the_cells_of_their_windows(branched: Report) -> None:
    root = drawn(branched, "branches")
    shares = branched.study.branch_shares
    fields = ("3 px", "19 px", "35 px", "global")
    for panel, (name, read), field, share in zip(
        panels(root), nets.READ.items(), fields, shares, strict=True
    ):
        found = colours(panel, 12, 20)
        light = found.sum(-1) > 600
        assert {(int(r), int(c)) for r, c in np.argwhere(~light)} == read
        ring = next(u for u in panel.group.iter("use") if "clip-path" not in u.attrib and is_ring(root, u))
        x, y = panel.scale("x"), panel.scale("y")
        assert (y(float(ring.attrib["y"])), x(float(ring.attrib["x"]))) == pytest.approx((6, 10), abs=1e-3)
        lines = panel.label("x").splitlines()
        assert lines[:2] == [f"{len(read)} of 240 cells", f"field {field}"]
        energy, far = re.match(r"energy (.*), far (.*)$", lines[2]).groups()  # type: ignore[union-attr]
        assert says(energy, share.share)
        assert says(far, share.far)
        assert texts(panel.group)[-1].startswith(name)
    assert sum(s.share for s in shares) == pytest.approx(1)


def is_ring(root: Any, use: Any) -> bool:
    marker = by_id(root, use.attrib["href"][1:])
    return "C" in marker.attrib["d"]


# ------------------------------------------------------------------ coverage


def test_coverage_is_what_each_cell_sees(uneven: Report) -> None:
    root = drawn(uneven, "coverage")
    panel, bar = panels(root)
    share = np.array([[area(nets.seen_of(r, c)) for c in range(32)] for r in range(10)]) / (40 * 64)
    assert values(panel, bar, 10, 32) == pytest.approx(share, abs=0.012)
    said = dict(text.split(" ", 1) for text in texts(panel.group) if text.split(" ")[0] in PLACES)
    x, y = panel.scale("x"), panel.scale("y")
    for name, place in PLACES.items():
        assert says(said[name], share[place])
        mark = next(t for t in panel.group.iter("text") if words(t).startswith(name))
        assert x(place_of(mark)[0]) == pytest.approx(place[1], abs=0.6)  # at the cell, just below its middle
        assert place[0] + 0.4 <= y(place_of(mark)[1]) <= place[0] + 2.5
    mean, whole = re.match(
        r"column; mean (.*), all of the image: (.*) of the cells", panel.label("x")
    ).groups()  # type: ignore[union-attr]
    assert says(mean, share.mean())
    assert says(whole, 0)


def test_coverage_has_its_lines_and_its_figures_where_they_belong() -> None:
    root = drawn(nets.broad(), "coverage")
    panel, bar = panels(root)
    share = np.array([[nets.broad_share(r, c) for c in range(16)] for r in range(10)])
    assert values(panel, bar, 10, 16) == pytest.approx(share, abs=0.012)
    x, y = panel.scale("x"), panel.scale("y")
    contours = [
        p
        for g in panel.group
        if g.get("id", "").startswith(("PathCollection", "QuadContourSet", "LineCollection"))
        for p in g.iter("path")
        if p.get("d")
    ]
    ends = [float(v) for p in contours for v in re.findall(r"-?\d+\.\d+|-?\d+", p.attrib["d"])]
    assert len(ends) > 20
    for a, b in zip(ends[::2], ends[1::2], strict=True):
        assert between(share, y(b), x(a)) == pytest.approx(0.25, abs=0.01)


PLACES = {"corner": (0, 0), "edge": (0, 16), "centre": (5, 16)}


def area(box: tuple[int, int, int, int]) -> int:
    top, left, bottom, right = box
    return (bottom - top + 1) * (right - left + 1)


def between(cells: NDArray[np.float64], row: float, column: float) -> float:
    """A map between its cells."""
    r, c = min(max(row, 0), cells.shape[0] - 1.001), min(max(column, 0), cells.shape[1] - 1.001)
    i, j = int(r), int(c)
    u, v = r - i, c - j
    part = cells[i : i + 2, j : j + 2]
    return float(np.array([1 - u, u]) @ part @ np.array([1 - v, v]))


# ------------------------------------------------------------------ cost by stage


def test_stage_bars_are_shares_of_each_total(branched: Report) -> None:
    root = drawn(branched, "stages")
    (panel,) = panels(root)
    rows = {
        "trunk": (51_840, 224, 7_680),
        "head": (218_880, 930, 46_080),
        "score": (28_800, 125, 4_800),
        "other": (48, 54, 76_856),
    }
    totals = [sum(column) for column in zip(*rows.values(), strict=True)]
    assert totals[:2] == [299_568, 1_333]
    bars = [panel.rectangle_across(p) for _, p in bar_paths(panel)]
    names = [word for _, word in sorted(panel.ticks("y"))]
    assert names == list(rows)
    for (name, figures), place in zip(rows.items(), sorted(p for p, _ in panel.ticks("y")), strict=True):
        own = sorted((b for b in bars if abs(b[2] - place) < nearest(panel)), key=lambda b: b[2])
        assert len(own) == 3
        for (left, right, _), value, total in zip(own, figures, totals, strict=True):
            assert left == pytest.approx(0, abs=1e-3)
            assert right == pytest.approx(100 * value / total, abs=0.01), name
    said = [t for t in texts(panel.group) if re.fullmatch(r"\S+ %", t)]
    shares = [row[k] / totals[k] for k in range(3) for row in rows.values()]
    assert len(said) == 12
    assert all(says(word, share) for word, share in zip(said, shares, strict=True))
    assert list(legend(root).values()) == ["MACs", "parameters", "activation bytes"]


def bar_paths(panel: Panel) -> list[Any]:
    return [
        (g, p)
        for g, p in panel.paths("patch_")
        if style(p).get("fill", "none") not in ("none", "currentColor")
    ]


def nearest(panel: Panel) -> float:
    """Half of the distance between rows."""
    ticks = sorted(p for p, _ in panel.ticks("y"))
    return (ticks[1] - ticks[0]) / 2


def test_stage_bars_of_several_add_up_to_the_macs(both: Comparison) -> None:
    root = svg_of(figure_of_several(both, "stages", "svg"))
    (panel,) = panels(root)
    bars = [panel.rectangle_across(p) for _, p in bar_paths(panel)]
    assert [word for _, word in sorted(panel.ticks("y"))] == list(both.names)
    for (place, _), report in zip(sorted(panel.ticks("y")), both.reports, strict=True):
        own = sorted(b for b in bars if abs(b[2] - place) < nearest(panel))
        sums = macs_by_module(report)
        total = report.totals["macs"] / 1e9
        assert own[0][0] == pytest.approx(0, abs=1e-3)
        assert own[-1][1] == pytest.approx(total, rel=1e-3)
        assert all(a[1] == pytest.approx(b[0], abs=0.01) for a, b in itertools.pairwise(own))
        known = [m for m in sums if m >= 0.015 * sum(sums)]
        rest = [sum(sums) - sum(known)] if len(sums) - len(known) > 1 else []
        widths = [right - left for left, right, _ in own]
        assert widths[: len(known)] == pytest.approx([m / 1e9 for m in known], abs=0.02)
        assert sum(widths[len(known) :]) == pytest.approx(sum(rest) / 1e9, abs=0.02)
        assert f"{round(total):d}" in texts(panel.group)


def macs_by_module(report: Report) -> list[int]:
    """By the first two parts of names of three or more, else by the first."""
    sums: dict[str, int] = {}
    for row in report.layers:
        parts = row.name.split(":")[0].split(".")
        key = ".".join(parts[:2]) if len(parts) > 2 else parts[0]
        sums[key] = sums.get(key, 0) + row.macs
    return list(sums.values())


# ------------------------------------------------------------------ cost against context


@pytest.mark.parametrize("name", ["cost", "miou"])
def test_cost_points_stand_at_their_figures(both: Comparison, name: str) -> None:
    found = panels(svg_of(figure_of_several(both, name, "svg")))
    sides = [r.study.energy_use.sides[50] for r in both.reports]  # type: ignore[index]
    far = [100 * r.study.energy_use.far for r in both.reports]  # type: ignore[operator]
    assert len(found) == (2 if name == "cost" else 3)
    for panel, kind, heights in zip(found, ("erf", "far"), (sides, far), strict=False):
        _points(replace(panel, powers="x"), kind, both, heights)
    assert [t for t in texts(found[-1].group) if t in both.names] == (
        [] if name == "miou" else list(both.names)
    )


def test_cost_points_stand_at_the_printed_figures() -> None:
    both = compared([analyze(spec, "3x321x321", use_cache=True) for spec in ("deeplabv2", "deeplabv3")])
    panel = panels(svg_of(figure_of_several(both, "miou", "svg")))[2]
    _points(replace(panel, powers="x"), "miou", both, [76.35, 78.51])


def _points(panel: Panel, name: str, both: Comparison, heights: list[float]) -> None:
    """Each network's marker, and its name above or below."""
    for index, (report, height) in enumerate(zip(both.reports, heights, strict=True)):
        macs = sum(row.macs for row in report.layers) / 1e9
        assert panel.markers(f"{name}-{index}") == [pytest.approx((macs, height), rel=2e-3)]
        mark = next(iter(by_id(panel.group, f"{name}-{index}").iter("use")))
        word = next(t for t in panel.group.iter("text") if words(t) == both.names[index])
        assert place_of(word)[0] == pytest.approx(float(mark.attrib["x"]), abs=0.1)


# ------------------------------------------------------------------ one unit's field


@pytest.fixture(scope="module")
def energy() -> FieldMap:
    return field_map(nets.Uneven(), "expected", input_size=(3, *nets.IMAGE))


def test_heat_is_the_energy(energy: FieldMap) -> None:
    root = svg_of(field_picture(energy, "svg"))
    panel, bar = panels(root)
    assert energy.map is not None
    cells = energy.map / energy.map.max()
    assert values(panel, bar, *nets.IMAGE) == pytest.approx(cells, abs=0.012)
    # Nothing lies outside of the box that is worked out by hand; the brightest cell is inside it.
    top, left, bottom, right = nets.SEEN["score"]
    assert cells[top : bottom + 1, left : right + 1].sum() == pytest.approx(cells.sum())


def test_heat_on_a_logarithmic_scale(energy: FieldMap) -> None:
    panel, bar = panels(svg_of(field_picture(energy, "svg", log=True)))
    bar = replace(bar, powers="y")
    assert energy.map is not None
    cells = energy.map / energy.map.max()
    floor = max(1e-6, float(cells[cells > 0].min()))
    assert np.log10(values(panel, bar, *nets.IMAGE)) == pytest.approx(
        np.log10(np.maximum(cells, floor)), abs=0.03
    )


def test_heat_has_its_box_and_squares(energy: FieldMap) -> None:
    root = svg_of(field_picture(energy, "svg"))
    panel, _ = panels(root)
    top, left, bottom, right = nets.SEEN["score"]
    frames = [
        (panel.rectangle(p), style(p)["stroke"]) for _, p in panel.paths("patch_") if "stroke" in style(p)
    ]
    boxes = [corners for corners, colour in frames if colour == "#d55e00"]
    assert boxes == [pytest.approx((left - 0.5, top - 0.5, right + 0.5, bottom + 0.5), abs=1e-3)]
    squares = [corners for corners, colour in frames if colour == "#ffffff"][1:]
    assert energy.map is not None
    words = [t for t in texts(root) if " of the energy: " in t]
    assert len(squares) == len(words) == 4
    for corners, word, share in zip(squares, words, (25, 50, 75, 95), strict=True):
        across, down = corners[2] - corners[0], corners[3] - corners[1]
        assert across == pytest.approx(down)
        assert word.startswith(f"{share} %")
        assert says(word.split(": ")[1], across)
        assert ((corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2) == pytest.approx(
            (32, 20), abs=1e-3
        )
        assert inside(energy.map, corners) == pytest.approx(share / 100, abs=0.01)
    assert "visible box: 23x15" in texts(root)


def inside(cells: NDArray[Any], corners: tuple[float, float, float, float]) -> float:
    """What lies within a rectangle; cells that it cuts count by their part."""
    left, top, right, bottom = corners

    def part(count: int, low: float, high: float) -> NDArray[np.float64]:
        i = np.arange(count)
        return np.clip(np.minimum(i + 0.5, high) - np.maximum(i - 0.5, low), 0, 1)

    return float(part(cells.shape[0], top, bottom) @ cells @ part(cells.shape[1], left, right)) / float(
        cells.sum()
    )


def test_heat_of_a_support_shows_each_pixel() -> None:
    """The dilated window leaves rows 16 and 24 out."""
    found = field_map(nets.Uneven(), "support", input_size=(3, *nets.IMAGE))
    root = svg_of(field_picture(found, "svg"))
    (panel,) = panels(root)
    touched = np.zeros(nets.IMAGE, bool)
    for first in (9, 17, 25):
        touched[first : first + 7, 25:40] = True
    picture, x, y = panel.picture(), panel.scale("x"), panel.scale("y")
    for row, column in itertools.product(range(7, 34), range(23, 42)):
        dark = picture.at(at(x, column), at(y, row)).sum() < 600
        assert dark == touched[row, column], (row, column)
    assert "315 touched, 8.7 % holes" in texts(root)
