"""The graph as DOT and as SVG: every box, edge, figure and colour against the analysis."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import context_nets
import pytest
import read_nets as nets
from read_back import page_of, says, spelled, svg_of, texts

from archlens.pipeline import analyze
from archlens.render.graph.dot import GraphStyle, graph_dot, graph_svg
from archlens.report import Report

pygraphviz = pytest.importorskip("pygraphviz")


@dataclass(frozen=True)
class Box:
    """A node as it is drawn."""

    rows: tuple[tuple[str, str], ...]
    fill: str
    look: dict[str, str]
    tooltip: tuple[str, ...]

    @property
    def field(self) -> str:
        """What it says of the field."""
        return self.rows[2][0].removeprefix("RF ").split(" ⊘")[0]

    @property
    def share(self) -> str:
        """What it says of the cost."""
        return self.rows[2][1]


@dataclass(frozen=True)
class Picture:
    """A graph as it is drawn; boxes by the name in their tooltip."""

    boxes: dict[str, Box]
    edges: dict[tuple[str, str], dict[str, str]]
    head: Any
    legend: dict[str, str]


def picture(report: Report, **asked: Any) -> Picture:
    """Read the DOT text with Graphviz' own parser."""
    graph = pygraphviz.AGraph(string=graph_dot(report, GraphStyle(**asked)))
    names, boxes = {"input": "input"}, {}
    for node in graph.nodes():
        if node == "input":
            continue
        label = page_of(node.attr["label"])
        cells = [tag.text().strip() for tag in label.all("td") if "align" in tag.attributes]
        tooltip = tuple(node.attr["tooltip"].split("\n"))
        names[node] = tooltip[0].split(":")[0].split(" … ")[0]
        again = sum(name.split(":")[0] == names[node] for name in boxes)
        names[node] += f":{again + 1}" if again else ""
        pairs = tuple(zip(cells[::2], cells[1::2], strict=True))
        look = {key: node.attr[key] for key in ("style", "color", "class", "id")}
        boxes[names[node]] = Box(pairs, node.attr["fillcolor"], look, tooltip)
    edges = {}
    for edge in graph.edges():
        a, b = names[edge[0]], names[edge[1]]
        edges[(b, a) if edge.attr["dir"] == "back" else (a, b)] = {"style": edge.attr["style"] or ""}
    head = page_of(graph.graph_attr["label"])
    legend = {
        tag.attributes["bgcolor"]: tag.text().strip() for tag in head.all("td") if "bgcolor" in tag.attributes
    }
    graph.close()
    return Picture(boxes, edges, head, legend)


@pytest.fixture(scope="module")
def uneven() -> Report:
    return nets.uneven()


@pytest.fixture(scope="module")
def branched() -> Report:
    return nets.branched()


@pytest.fixture(scope="module")
def pspnet() -> Report:
    return analyze("pspnet", use_cache=True)


# ------------------------------------------------------------------ what boxes say


def test_boxes_of_a_chain(uneven: Report) -> None:
    found = picture(uneven)
    titles = dict(zip(nets.LAYERS, ("conv 3x5 s2x1", "conv 3x3 s2", "conv 3x3 d2", "conv 1x1"), strict=True))
    assert list(found.boxes) == list(nets.LAYERS)
    assert list(found.edges) == [("input", "stem"), ("stem", "down"), ("down", "wide"), ("wide", "score")]
    for name, box in found.boxes.items():
        rows, columns = nets.FIELDS[name]
        field = f"{rows}x{columns}" if rows != columns else str(rows)
        shape = "x".join(map(str, nets.SHAPES[name]))
        down, right = nets.JUMPS[name]
        stride = f"{down}x{right}" if down != right else str(down)
        assert box.rows[0][0] == titles[name]
        assert box.rows[1] == (name, f"{shape} /{stride}")
        assert box.field == field
        assert says(box.share, nets.MACS[name] / nets.TOTAL_MACS)
        top, left, bottom, right = nets.SEEN[name]
        sees = f"{top}..{bottom} x {left}..{right}"
        assert box.tooltip[1:4] == (
            f"output {shape}",
            f"receptive field {field} px",
            f"its centre unit sees {sees}",
        )
        macs, share = re.fullmatch(r"(.*) MACs \((.*)\)", box.tooltip[4]).groups()  # type: ignore[union-attr]
        assert says(macs, nets.MACS[name])
        assert says(share, nets.MACS[name] / nets.TOTAL_MACS)
        assert says(box.tooltip[5].removesuffix(" parameters"), nets.PARAMS[name])
    params, macs = re.search(r"(\S+) parameters · (.*) MACs", found.head.all("tr")[0].text()).groups()  # type: ignore[union-attr]
    assert says(params, nets.TOTAL_PARAMS)
    assert says(macs, nets.TOTAL_MACS)
    assert found.boxes["score"].rows[3][0] == "class scores · output out"


def test_branches_are_joined_as_they_run(branched: Report) -> None:
    found = picture(branched)
    branches = ("head.image", "head.one", "head.near", "head.far")
    ends = ("head.interpolate", *branches[1:])
    edges = {("input", "trunk"), ("head.image", "head.interpolate"), ("head.cat", "score")}
    edges |= {("trunk", name) for name in branches} | {(name, "head.cat") for name in ends}
    assert set(found.edges) == edges | {("score", "interpolate")}
    fields = {
        "head.one": "3",
        "head.near": "19",
        "head.far": "35",
        "head.image": "global",
        "head.cat": "global",
    }
    assert {name: found.boxes[name].field for name in fields} == fields
    macs = {"trunk": 51_840, "head.one": 11_520, "head.near": 103_680, "head.far": 103_680, "head.image": 48}
    for name, value in {**macs, "score": 28_800}.items():
        assert says(found.boxes[name].share, value / 299_568)
    assert [name for name, box in found.boxes.items() if not box.share] == [
        "head.interpolate",
        "head.cat",
        "interpolate",
    ]
    assert found.boxes["head.cat"].rows[0][0] == "concat of 4"
    framed = {name for name, box in found.boxes.items() if box.look["color"] == "#d55e00"}
    assert framed == {*branches, "head.interpolate", "head.cat"}


def test_a_run_says_how_often_and_from_where_to_where() -> None:
    """Four of five alike: 24 x 36 x 6 x 54 MACs and 330 parameters each."""
    found = picture(nets.repeated())
    box = found.boxes["blocks.1"]
    assert box.rows[0] == ("conv 3x3", "× 4")
    assert box.rows[1][0] == "1 … 4"
    assert box.field == "5→11"
    total = 139_968 + 4 * 279_936
    assert says(box.share, 4 * 279_936 / total)
    assert says(found.boxes["blocks.0"].share, 139_968 / total)
    macs, parameters = box.tooltip[4].split(" MACs")[0], box.tooltip[5].removesuffix(" parameters")
    assert says(macs, 4 * 279_936)
    assert says(parameters, 4 * 330)


def test_skips_are_dashed_and_end_where_they_are_added() -> None:
    report = context_nets.report(context_nets.Skips(), "skips")
    found = picture(report)
    dashed = {ends for ends, look in found.edges.items() if look["style"] == "dashed"}
    assert dashed == {("stage1", "score1"), ("score1", "add:2"), ("stage2", "score2"), ("score2", "add")}
    plain = set(found.edges) - dashed
    up = {
        ("score3", "interpolate"),
        ("interpolate", "add"),
        ("add", "interpolate:2"),
        ("interpolate:2", "add:2"),
    }
    assert plain == up | {
        ("input", "stage1"), ("stage1", "stage2"), ("stage2", "stage3"), ("stage3", "score3"),
        ("add:2", "interpolate:3"),
    }  # fmt: skip


def test_every_layer_is_a_box_without_folding(pspnet: Report) -> None:
    found = picture(pspnet, fold=False)
    assert len(found.boxes) == len(pspnet.layers)
    names = {row.name for row in pspnet.layers}
    wanted = {(s if s in names else "input", row.name) for row in pspnet.layers for s in row.inputs}
    assert len(found.edges) == len(wanted)
    shown = dict(zip(found.boxes, (row.name for row in pspnet.layers), strict=True)) | {"input": "input"}
    assert {(shown[a], shown[b]) for a, b in found.edges} == wanted
    for box, row in zip(found.boxes.values(), pspnet.layers, strict=True):
        shape = "x".join(map(str, row.shape[1:]))
        assert box.rows[1][1].split(" ")[0] == shape
        assert row.rf is not None
        assert box.field == (row.rf.kind if row.rf.kind != "local" else str(row.rf.size[0]))  # type: ignore[index]
        assert says(box.share, row.macs / pspnet.totals["macs"]) if row.macs else not box.share
    idle = {pspnet.study.name(u.node) for u in pspnet.study.unproductive}
    assert {shown[n] for n, box in found.boxes.items() if "dashed" in box.look["style"]} == idle
    assert idle


def test_folded_shares_add_up(pspnet: Report) -> None:
    said = [spelled(box.share.lstrip("<")) for box in picture(pspnet).boxes.values() if box.share]
    assert sum(value for value, _ in said) == pytest.approx(1, abs=sum(half for _, half in said))


# ------------------------------------------------------------------ colours


def within(words: str) -> tuple[float, float]:
    """From and to, of a swatch's words on its own: `≥ 3.0 %`, `< 1.0 %`, `4`, `32 or more`."""
    if words.startswith(("<", "≥")):
        value = spelled(words[1:])[0]
        return (float("-inf"), value) if words[0] == "<" else (value, float("inf"))
    value = float(words.split(" ")[0])
    return (value, float("inf")) if "more" in words else (value, value)


def brightness(colour: str) -> int:
    return sum(int(colour[i : i + 2], 16) * w for i, w in ((1, 3), (3, 6), (5, 1)))


VALUES: dict[str, Callable[[str], float]] = {
    "macs": lambda name: nets.MACS[name] / nets.TOTAL_MACS,
    "params": lambda name: nets.PARAMS[name] / nets.TOTAL_PARAMS,
    "memory": lambda name: nets.BYTES[name] / sum(nets.BYTES.values()),
    "rf": lambda name: max(nets.FIELDS[name][0] / 40, nets.FIELDS[name][1] / 64),
    "stride": lambda name: nets.JUMPS[name][0],
    "erf": lambda name: ERF[name] / 64,  # of the longer side
}
ERF = {"stem": 3.0, "down": 5.5, "wide": 13.0, "score": 33.0}


@pytest.mark.parametrize("what", VALUES)
def test_colours_mean_what_the_legend_says(uneven: Report, what: str) -> None:
    """A box's value lies in its swatch's range, and not in the next one's; more is darker."""
    found = picture(uneven, colour_by=what, erf=ERF if what == "erf" else None)
    assert set(found.legend) == {box.fill for box in found.boxes.values()}
    ranges = {fill: within(words) for fill, words in found.legend.items()}
    for name, box in found.boxes.items():
        value = VALUES[what](name)
        low, high = ranges[box.fill]
        assert low <= value <= high, (name, value, found.legend[box.fill])
        others = [a for fill, (a, b) in ranges.items() if a > low and b == float("inf")]
        assert all(value < a for a in others), (name, value)
    order = sorted(found.boxes, key=VALUES[what])
    shades = [brightness(found.boxes[name].fill) for name in order]
    assert shades == sorted(shades, reverse=True)


@pytest.mark.parametrize(("what", "figures"), [("params", nets.PARAMS), ("memory", nets.BYTES)])
def test_a_figure_stands_beside_the_colour(uneven: Report, what: str, figures: dict[str, int]) -> None:
    for name, box in picture(uneven, colour_by=what).boxes.items():
        amount, share = box.rows[3][0].removeprefix(f"{what} ").split(" · ")[:2]
        assert says(amount, figures[name])
        assert says(share, figures[name] / sum(figures.values()))


def test_colours_of_a_global_field(branched: Report) -> None:
    found = picture(branched, colour_by="rf")
    assert found.legend[found.boxes["score"].fill] == "global"
    assert found.legend[found.boxes["head.far"].fill].startswith("≥ 50")  # 35 of 48 px
    assert found.legend[found.boxes["trunk"].fill].startswith("<")


# ------------------------------------------------------------------ the SVG


@dataclass(frozen=True)
class Area:
    """A rectangle on the paper; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, x: float, y: float, room: float = 1.5) -> bool:
        """Whether a point lies in it."""
        return self.left - room <= x <= self.right + room and self.top - room <= y <= self.bottom + room


def coordinates(path: str) -> Iterator[tuple[float, float]]:
    values = [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?", path)]
    return zip(values[::2], values[1::2], strict=True)


def areas(root: Any) -> dict[str, Area]:
    """Title -> the box of a node."""
    out = {}
    for group in root.iter("g"):
        if "node" in group.get("class", "").split():
            xs, ys = zip(*coordinates(next(iter(group.iter("path"))).attrib["d"]), strict=True)
            out[next(iter(group.iter("title"))).text] = Area(min(xs), min(ys), max(xs), max(ys))
    return out


@pytest.mark.parametrize("make", [nets.uneven, nets.branched, nets.repeated])
def test_the_svg_says_in_each_box_what_the_dot_says(make: Callable[[], Report]) -> None:
    report = make()
    root = svg_of(graph_svg(report))
    graph = pygraphviz.AGraph(string=graph_dot(report))
    where = areas(root)
    groups = {g.find("title").text: g for g in root.iter("g") if "node" in g.get("class", "").split()}
    assert set(groups) == set(graph.nodes())
    for node in graph.nodes():
        label = page_of(node.attr["label"])
        cells = [t.text().strip() for t in label.all("font") or [label]]
        drawn = [t.strip() for t in texts(groups[node]) if t.strip()]
        assert drawn == [c for c in cells if c]
        for text in groups[node].iter("text"):
            assert where[node].holds(float(text.attrib["x"]), float(text.attrib["y"]))
        assert next(iter(groups[node].iter("path"))).attrib["fill"] == node.attr["fillcolor"]
    graph.close()


def test_lines_run_from_box_to_box(branched: Report) -> None:
    root = svg_of(graph_svg(branched))
    where = areas(root)
    lines = [g for g in root.iter("g") if "edge" in g.get("class", "").split()]
    assert len(lines) == 12
    for line in lines:
        source, target = line.find("title").text.split("->")
        ends = list(coordinates(next(iter(line.iter("path"))).attrib["d"]))
        tip = next(iter(line.iter("polygon"))).attrib["points"]
        assert where[source].holds(*ends[0])
        assert any(where[target].holds(x, y, 4) for x, y in coordinates(tip))
