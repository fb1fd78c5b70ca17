"""The graph picture: what it says, that it folds right, and that it is the same twice."""

from __future__ import annotations

import re
import sys
from html import unescape

import pytest

from archlens.errors import MissingPackageError
from archlens.pipeline import analyze
from archlens.render.colours import COLOUR_BY
from archlens.render.graph.dot import GraphStyle, graph_dot, graph_element, graph_image, graph_svg
from archlens.render.graph.drawing import PAGE, Frame, drawing
from archlens.render.svg import finish
from archlens.report import Report


@pytest.fixture(scope="module")
def deeplab() -> Report:
    return analyze("deeplabv3", (3, 129, 129))


@pytest.fixture(scope="module")
def fcn() -> Report:
    return analyze("fcn", (3, 129, 129))


@pytest.fixture(scope="module")
def hostile() -> Report:
    """A network whose modules have names that mean something in DOT, HTML and XML."""
    import torch
    from torch import nn

    net = nn.Sequential()
    for name in ('"quoted"', "</script><b>", "a&amp;b\\n", "back\\slash", "tab\there", "{x|y}"):
        net.add_module(name, nn.Conv2d(3, 3, 3))
    with torch.no_grad():
        return analyze(net, (3, 32, 32))


def words(dot: str) -> str:
    return unescape(re.sub(r"<[^>]*>", " ", dot))


def test_every_layer_is_in_a_box(deeplab: Report, fcn: Report) -> None:
    for report in (deeplab, fcn):
        for fold in (True, False):
            shown = drawing(report, fold=fold)
            assert sorted(row for box in shown.boxes for row in box.rows) == list(range(len(report.layers)))


def test_without_folding_every_layer_says_its_op_shape_and_field(fcn: Report) -> None:
    dot = words(graph_dot(fcn, GraphStyle(fold=False)))
    shown = drawing(fcn, fold=False)
    assert len(shown.boxes) == len(fcn.layers)
    for row in fcn.layers:
        assert row.name.split(".")[-1] in dot
        assert "x".join(map(str, row.shape[1:])) in dot
        assert row.rf is not None
        assert row.rf.size is None or f"RF {'|'.join(map(str, row.rf.sizes[0]))}" in dot  # type: ignore[index]
    assert "conv 7x7" in dot
    assert "max 2x2 s2" in dot


def test_resnet_blocks_fold(deeplab: Report) -> None:
    shown = drawing(deeplab)
    counts = {box.name: box.count for box in shown.boxes if box.count > 1}
    assert counts == {"backbone.layer1.1": 2, "backbone.layer2.1": 3, "backbone.layer3.1": 22}
    dot = words(graph_dot(deeplab))
    assert "× 22" in dot
    assert "RF 139→811" in dot
    assert "1x1 · 3x3 · 1x1 + skip" in dot


def test_blocks_that_differ_do_not_fold(deeplab: Report) -> None:
    """layer4 has rates 2, 4, 8: three boxes."""
    names = [box.name for box in drawing(deeplab).boxes if box.name.startswith("backbone.layer4")]
    assert names == ["backbone.layer4.0", "backbone.layer4.1", "backbone.layer4.2"]


def test_plain_layers_fold(fcn: Report) -> None:
    counts = {box.name: box.count for box in drawing(fcn).boxes if box.count > 1}
    assert counts == {"backbone.conv3_2": 2, "backbone.conv4_2": 2, "backbone.conv5_1": 3}


def test_context_module_is_opened_and_framed(deeplab: Report) -> None:
    shown = drawing(deeplab)
    names = [box.name for box in shown.boxes if box.name.startswith("aspp.")]
    assert names[:5] == ["aspp.conv1x1", "aspp.rate6", "aspp.rate12", "aspp.rate18", "aspp.image_pooling"]
    dot = words(graph_dot(deeplab))
    assert "context module, 5 branches" in dot
    assert all(f"conv 3x3 d{rate}" in dot for rate in (6, 12, 18))
    assert "concat of 5" in dot


def test_skips_stand_out_and_lie_on_a_level(fcn: Report) -> None:
    shown = drawing(fcn)
    names = {box.index: box.name for box in shown.boxes}
    found = {(names[line.source], names[line.target]): line.skip for line in shown.lines if line.skip}
    assert found == {
        ("backbone.pool4", "score_pool4"): 16,
        ("score_pool4", "add"): 16,
        ("backbone.pool3", "score_pool3"): 8,
        ("score_pool3", "add:2"): 8,
    }
    assert ["backbone.pool4", "score_pool4", "add"] in [[names[i] for i in level] for level in shown.levels]
    assert "class=skip" in graph_dot(fcn)


def test_lines_never_run_backwards(deeplab: Report, fcn: Report) -> None:
    for report in (deeplab, fcn):
        for fold in (True, False):
            assert all(line.source < line.target for line in drawing(report, fold=fold).lines)


@pytest.mark.parametrize("name", ["deeplabv2", "pspnet", "deeplabv3plus", "dilatednet"])
def test_default_depth_fits_a_page(name: str) -> None:
    shown = drawing(analyze(name))
    assert 8 < len(shown.boxes) <= PAGE


def test_depth_opens_modules(deeplab: Report) -> None:
    assert [box.name for box in drawing(deeplab, depth=1).boxes] == [
        "backbone", "aspp", "classifier", "interpolate",
    ]  # fmt: skip
    deep = drawing(deeplab, depth=4)
    runs = [f for f in _frames(deep.content) if f.count > 1]
    assert {(f.name, f.count) for f in runs} >= {("backbone.layer3.1", 22)}
    assert sorted(row for box in deep.boxes for row in box.rows) == list(range(len(deeplab.layers)))


def _frames(content: object) -> list[Frame]:
    found: list[Frame] = []
    for item in content:  # type: ignore[attr-defined]
        if isinstance(item, Frame):
            found += [item, *_frames(item.content)]
    return found


def _pairs(repeats: int, depth: int = 1) -> Report:
    """`repeats` modules that hold nothing but two alike, `depth` times over, between two 1x1s."""
    from torch import nn

    def module(level: int) -> nn.Module:
        return nn.Sequential(*(module(level - 1) if level else nn.Conv2d(8, 8, 3, padding=1) for _ in "ab"))

    middle = nn.Sequential(*(module(depth - 1) for _ in range(repeats)))
    return analyze(nn.Sequential(nn.Conv2d(3, 8, 1), middle, nn.Conv2d(8, 5, 1)), (3, 32, 32))


def test_a_run_of_runs_counts_both() -> None:
    """3 x (2 x conv) is no 6 x conv: a frame that says 3 around a box that says 2."""
    report = _pairs(3)
    shown = drawing(report)
    assert [(f.name, f.last, f.count) for f in _frames(shown.content)] == [("1.0", "1.2", 3)]
    assert [(b.name, b.last, b.count, len(b.rows)) for b in shown.boxes] == [
        ("0", "0", 1, 1), ("1.0.0", "1.0.1", 2, 6), ("2", "2", 1, 1),
    ]  # fmt: skip
    dot = words(graph_dot(report))
    assert re.search(r"1\.0 … 2\s+× 3", dot)
    assert re.search(r"conv 3x3\s+× 2", dot)
    closed = drawing(report, depth=1).boxes[1]
    assert (closed.name, closed.last, closed.count, closed.opens) == ("1.0", "1.2", 3, True)


def test_runs_of_runs_of_runs() -> None:
    report = _pairs(4, depth=2)
    deep = drawing(report)
    assert [f.count for f in _frames(deep.content)] == [4, 2]
    assert [b.count for b in deep.boxes] == [1, 2, 1]
    assert sorted(row for box in deep.boxes for row in box.rows) == list(range(len(report.layers)))
    assert [(b.name, b.count) for b in drawing(report, depth=2).boxes] == [("0", 1), ("1.0.0", 2), ("2", 1)]


def test_unproductive_layers_are_marked_unless_turned_off() -> None:
    report = analyze("deeplabv3", (3, 257, 257))
    assert "⊘" in graph_dot(report)
    assert "⊘" not in graph_dot(report, GraphStyle(idle=False))


@pytest.mark.parametrize("what", COLOUR_BY)
def test_colours_have_a_legend_and_a_number(deeplab: Report, what: str) -> None:
    erf = {row.name: 50.0 for row in deeplab.layers} if what == "erf" else None
    dot = words(graph_dot(deeplab, GraphStyle(colour_by=what, erf=erf)))
    assert "colour:" in dot
    if what == "erf":
        assert "ERF 50 %: 50 px" in dot
    if what == "params":
        assert "params 2.25 M" in dot or "% " in dot


def test_unknown_colour_is_refused(fcn: Report) -> None:
    with pytest.raises(ValueError, match="colour_by is one of"):
        graph_dot(fcn, GraphStyle(colour_by="taste"))


def test_the_same_bytes_twice(fcn: Report) -> None:
    pytest.importorskip("pygraphviz")
    assert graph_dot(fcn) == graph_dot(fcn)
    assert graph_svg(fcn) == graph_svg(fcn)
    assert graph_image(fcn, "png") == graph_image(fcn, "png")
    assert graph_image(fcn, "png").startswith(b"\x89PNG")
    assert graph_image(fcn, "pdf").startswith(b"%PDF")


def test_svg_is_xml_with_ids_of_layers(deeplab: Report) -> None:
    pytest.importorskip("pygraphviz")
    from xml.etree import ElementTree

    text, shown = graph_element(deeplab, "p1-")
    tree = ElementTree.fromstring(text)
    ids = [e.attrib["id"] for e in tree.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))
    assert all(i.startswith("p1-") for i in ids)
    assert shown.keys() == {layer.name for layer in deeplab.layers}
    assert set(shown.values()) <= set(ids)
    assert len(text) < 120_000
    assert "currentColor" in text
    assert "<style" not in text


def test_hostile_names_survive_as_text(hostile: Report) -> None:
    dot = graph_dot(hostile)
    assert "</script>" not in re.sub(r'"[^"]*"', "", dot)
    for fold in (True, False):
        style = GraphStyle(fold=fold)
        pytest.importorskip("pygraphviz")
        from xml.etree import ElementTree

        text = graph_svg(hostile, style)
        tree = ElementTree.fromstring(text)
        assert "</script>" not in text
        said = " ".join(e.text or "" for e in tree.iter() if e.tag.endswith("text"))
        assert '"quoted"' in said
        assert "</script><b>" in said
        assert "back\\slash" in said


def test_prefix_reaches_references() -> None:
    text = finish('<svg id="a"><use xlink:href="#b"/><g id="b"/><a href="#other"/></svg>', "two", "x-")
    assert 'id="x-a"' in text
    assert 'xlink:href="#x-b"' in text
    assert 'href="#other"' in text


def test_without_any_layout_program(fcn: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPackageError) as caught:
        graph_svg(fcn)
    assert "pygraphviz" in caught.value.hint


def test_system_dot_takes_over(fcn: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    if shutil.which("dot") is None:
        pytest.skip("no dot program")
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    assert "<svg" in graph_svg(fcn)
