"""Numbers read back out of what was drawn: spelled figures, tables, SVG coordinates, colours. Nothing of
archlens is imported here, so that a drawing is never read by what drew it."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Element = ElementTree.Element
Grid = list[list[str]]

# ------------------------------------------------------------------ spelled numbers

UNITS = {
    **{"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12},
    **{"%": 0.01, "points": 0.01, "px": 1.0},
    **{"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
    **{"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
}
_SPELLED = re.compile(r"^([+−-]?)(\d[\d,]*)(?:\.(\d+))?\s*([^\d\s]\S*)?$")


def spelled(text: str) -> tuple[float, float]:
    """The value of a spelled number, and half of its last digit."""
    found = _SPELLED.match(text.replace("\u00a0", " ").strip())
    assert found is not None, f"{text!r} is no number"
    sign, whole, decimals, unit = found.groups()
    scale = UNITS[re.sub(r"(FLOP|B)/s$", "", unit or "")]
    value = float(whole.replace(",", "") + "." + (decimals or "0")) * scale
    half = 0.5 * 10.0 ** -len(decimals or "") * scale
    return (-value if sign in ("−", "-") and sign else value), half


def says(text: str, value: float) -> bool:
    """Whether a spelled number is this value, within its last digit."""
    text = text.strip()
    if text[:1] in "<>≥":
        bound, _ = spelled(text[1:])
        return {"<": 0 < value < bound, ">": bound < value < 1, "≥": True}[text[0]]
    said, half = spelled(text)
    return abs(said - value) <= half * (1 + 1e-9) + 1e-9 * abs(value)


def numbers_in(text: str) -> list[float]:
    """All plain numbers of a text."""
    return [float(n.replace(",", "")) for n in re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)]


# ------------------------------------------------------------------ tables of text


def plain_table(text: str) -> tuple[list[str], Grid]:
    """Headings and cells of an aligned table; columns stand where two blanks run through all lines."""
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not line.startswith("#") and set(line) - {"─", " "}
    ]
    width = max(map(len, lines))
    blank = [all(line.ljust(width)[i] == " " for line in lines) for i in range(width)]
    edges = [i for i in range(1, width) if not blank[i] and blank[i - 1] and (i == 1 or blank[i - 2])]
    starts = [0, *edges]
    cells = [
        [line.ljust(width)[a:b].strip() for a, b in zip(starts, [*edges, width], strict=True)]
        for line in lines
    ]
    return cells[0], cells[1:]


def markdown_table(text: str) -> tuple[list[str], Grid]:
    """Headings and cells of a pipe table, without emphasis and escapes."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[_unmarked(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return rows[0], rows[2:]


def _unmarked(cell: str) -> str:
    cell = cell.strip()
    if cell.startswith("**") and cell.endswith("**"):
        cell = cell[2:-2]
    return re.sub(r"\\(.)", r"\1", cell).replace("&lt;", "<").strip()


def by_first(headings: Sequence[str], cells: Grid) -> dict[str, dict[str, str]]:
    """First cell -> heading -> cell."""
    return {row[0]: dict(zip(headings, row, strict=True)) for row in cells}


# ------------------------------------------------------------------ HTML

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
_CLOSES = {
    "td": {"td", "th"},
    "th": {"td", "th"},
    "tr": {"td", "th", "tr"},
    "tbody": {"td", "th", "tr", "thead"},
    "thead": {"caption"},
}


@dataclass
class Tag:
    """An element of a page."""

    name: str
    attributes: dict[str, str]
    content: list[Tag | str] = field(default_factory=list)

    def walk(self) -> Iterator[Tag]:
        """Itself and all inside."""
        yield self
        for child in self.content:
            if isinstance(child, Tag):
                yield from child.walk()

    def all(self, name: str, **attributes: str) -> list[Tag]:
        """All elements of a name with these attributes; `class_` holds if it is among the classes."""
        classes = attributes.pop("class_", None)
        return [
            tag
            for tag in self.walk()
            if tag.name == name
            and all(tag.attributes.get(k.replace("_", "-")) == v for k, v in attributes.items())
            and (classes is None or classes in tag.attributes.get("class", "").split())
        ]

    def one(self, name: str, **attributes: str) -> Tag:
        """The only one."""
        (found,) = self.all(name, **attributes)
        return found

    def text(self, without: Sequence[str] = ()) -> str:
        """All text inside but that of some elements."""
        parts = []
        for child in self.content:
            if isinstance(child, str):
                parts.append(child)
            elif child.name not in without:
                parts.append(child.text(without))
        return "".join(parts).replace("\u00a0", " ")


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Tag("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        while self.open[-1].name in _CLOSES.get(tag, ()):
            self.open.pop()
        made = Tag(tag, {k: v or "" for k, v in attrs})
        self.open[-1].content.append(made)
        if tag not in _VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].content.append(Tag(tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if any(t.name == tag for t in self.open):
            while self.open.pop().name != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.open[-1].content.append(data)


def page_of(text: str) -> Tag:
    """The tree of a page."""
    builder = _Builder()
    builder.feed(text)
    builder.close()
    return builder.root


# ------------------------------------------------------------------ SVG


def svg_of(data: bytes | str) -> Element:
    """The tree of an SVG, without namespaces."""
    root = ElementTree.fromstring(data)
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
        element.attrib = {k.split("}")[-1]: v for k, v in element.attrib.items()}
    return root


def by_id(root: Element, name: str) -> Element:
    """The element of an id."""
    return next(e for e in root.iter() if e.get("id") == name)


def words(text: Element) -> str:
    """What a piece of text says; of a formula, with `^` before its small parts."""
    parts = list(text.iter("tspan"))
    if not parts:
        return "".join(text.itertext())
    sizes = [re.findall(r"([\d.]+)px", part.get("style", "")) for part in parts]
    largest = max(float(size[0]) for size in sizes)
    out = ""
    for part, size in zip(parts, sizes, strict=True):
        small = float(size[0]) < largest and "^" not in out
        out += ("^" if small else "") + (part.text or "")
    return out


def texts(root: Element) -> list[str]:
    """What is written, in order."""
    return [words(e) for e in root.iter("text")]


def place_of(text: Element) -> tuple[float, float]:
    """Where a piece of text stands."""
    moved = re.match(r"translate\((\S+) (\S+)\)", text.get("transform", ""))
    if moved is not None:
        return float(moved[1]), float(moved[2])
    return float(text.attrib["x"]), float(text.attrib["y"])


def points(path: str) -> list[tuple[float, float]]:
    """The vertices of a path of straight lines."""
    assert set(re.findall("[A-Za-z]", path)) <= set("MLzZ"), path
    values = [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path)]
    return list(zip(values[::2], values[1::2], strict=True))


def extent(path: str) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a path."""
    xs, ys = zip(*points(path), strict=True)
    return min(xs), min(ys), max(xs), max(ys)


@dataclass(frozen=True)
class Scale:
    """From places on the paper to values, fitted to the ticks of an axis."""

    slope: float
    offset: float
    back: Callable[[float], float]

    @staticmethod
    def of(ticks: Sequence[tuple[float, float]], powers: bool = False) -> Scale:
        """Straight, logarithmic or by the square root, as the ticks stand; two do not tell `powers`."""
        assert len(ticks) >= 2
        ways: list[tuple[Callable[[float], float], Callable[[float], float]]] = []
        if not powers:
            ways.append((lambda v: v, lambda v: v))
        if all(v > 0 for _, v in ticks):
            ways.append((math.log, math.exp))
        if all(v >= 0 for _, v in ticks):
            ways.append((math.sqrt, lambda v: v * v))
        x = np.array([p for p, _ in ticks])
        for there, back in ways:
            y = np.array([there(v) for _, v in ticks])
            slope, offset = np.polyfit(x, y, 1)
            if np.abs(slope * x + offset - y).max() < 1e-3 * np.ptp(y):
                return Scale(float(slope), float(offset), back)
        raise AssertionError(f"the ticks fit no scale: {ticks}")

    def __call__(self, place: float) -> float:
        return self.back(self.slope * place + self.offset)


def tick_value(text: str) -> float:
    """`0.25`, `−3`, `2×10^−1`."""
    text = text.replace("−", "-").replace(",", "")
    power = re.fullmatch(r"(?:(\d+)×)?10\^(-?\d+)", text)
    return float(text) if power is None else float(power[1] or 1) * 10.0 ** int(power[2])


@dataclass(frozen=True)
class Panel:
    """One pair of axes of a figure of matplotlib; `powers` names an axis that is known to be logarithmic."""

    group: Element
    powers: str = ""

    def ticks(self, which: str) -> list[tuple[float, str]]:
        """(place, words) of the labelled ticks of `x` or `y`."""
        out = []
        for tick in self.group.iter("g"):
            if not tick.get("id", "").startswith(f"{which}tick_") or tick.find(".//text") is None:
                continue
            use = next(iter(tick.iter("use")))
            out.append((float(use.attrib[which]), words(next(iter(tick.iter("text"))))))
        return out

    def scale(self, which: str) -> Scale:
        """From places to values."""
        return Scale.of([(p, tick_value(w)) for p, w in self.ticks(which)], which == self.powers)

    def label(self, which: str) -> str:
        """The words at an axis."""
        axes = [g for g in self.group.iter("g") if g.get("id", "").startswith("matplotlib.axis_")]
        axis = next(g for g in axes if self._is(g, which))
        own = [t for g in axis if g.get("id", "").startswith("text_") for t in g.iter("text")]
        return "\n".join(map(words, own))

    def _is(self, axis: Element, which: str) -> bool:
        return any(g.get("id", "").startswith(f"{which}tick_") for g in axis)

    def paths(self, prefix: str) -> list[tuple[Element, Element]]:
        """(group, path) of own groups whose id begins so."""
        return [
            (g, p)
            for g in self.group
            if g.get("id", "").startswith(prefix)
            for p in g.iter("path")
            if p.get("d") and "clip-path" in p.attrib
        ]

    def line(self, name: str) -> list[tuple[float, float]]:
        """The vertices of a line in values."""
        x, y = self.scale("x"), self.scale("y")
        path = next(p for p in by_id(self.group, name).iter("path") if "clip-path" in p.attrib)
        return [(x(a), y(b)) for a, b in points(path.attrib["d"])]

    def markers(self, name: str) -> list[tuple[float, float]]:
        """The places of a line's markers in values."""
        x, y = self.scale("x"), self.scale("y")
        return [
            (x(float(u.attrib["x"])), y(float(u.attrib["y"]))) for u in by_id(self.group, name).iter("use")
        ]

    def rectangle(self, path: Element) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of a path in values."""
        x, y = self.scale("x"), self.scale("y")
        left, top, right, bottom = extent(path.attrib["d"])
        return x(left), y(top), x(right), y(bottom)

    def rectangle_across(self, path: Element) -> tuple[float, float, float]:
        """Left and right of a bar in values, and the place of its middle on the axis of names."""
        x = self.scale("x")
        left, top, right, bottom = extent(path.attrib["d"])
        return x(left), x(right), (top + bottom) / 2

    def picture(self) -> Raster:
        """The image that is drawn in it."""
        return Raster.of(next(iter(self.group.iter("image"))))


@dataclass(frozen=True)
class Raster:
    """An image on the paper: its colours, where its first row and column begin, and its cells' sides."""

    cells: NDArray[np.int64]
    left: float
    top: float
    across: float
    down: float

    @staticmethod
    def of(image: Element) -> Raster:
        """As an SVG viewer lays it."""
        data = base64.b64decode(image.attrib["href"].split("base64,")[1])
        with Image.open(io.BytesIO(data)) as opened:
            cells = np.asarray(opened.convert("RGBA")).astype(np.int64)
        x, y, wide, high = (float(image.attrib[k]) for k in ("x", "y", "width", "height"))
        sx, sy, tx, ty = 1.0, 1.0, 0.0, 0.0
        if image.get("transform"):
            shape = re.fullmatch(r"scale\(1 -1\) translate\(0 (\S+)\)", image.attrib["transform"])
            assert shape is not None, image.attrib["transform"]
            sy, ty = -1.0, float(shape[1])
        return Raster(
            cells, sx * (x + tx), sy * (y + ty), sx * wide / cells.shape[1], sy * high / cells.shape[0]
        )

    def at(self, x: float, y: float) -> NDArray[np.int64]:
        """The colour at a place of the paper."""
        row, column = math.floor((y - self.top) / self.down), math.floor((x - self.left) / self.across)
        row, column = min(max(row, 0), len(self.cells) - 1), min(max(column, 0), self.cells.shape[1] - 1)
        return np.asarray(self.cells[row, column, :3])


def places(scale: Scale, count: int) -> list[float]:
    """Where 0, 1, ... stand on a straight axis."""
    return [(value - scale.offset) / scale.slope for value in range(count)]


def colours(panel: Panel, rows: int, columns: int) -> NDArray[np.int64]:
    """The colour of each cell of a map, found by the ticks of its axes."""
    picture = panel.picture()
    xs, ys = places(panel.scale("x"), columns), places(panel.scale("y"), rows)
    return np.array([[picture.at(x, y) for x in xs] for y in ys])


def values(panel: Panel, bar: Panel, rows: int, columns: int) -> NDArray[np.float64]:
    """The value of each cell of a map, by the colours and the ticks of the bar beside it."""
    strip, scale = bar.picture(), bar.scale("y")
    said = [scale(strip.top + (i + 0.5) * strip.down) for i in range(len(strip.cells))]
    shades = shade(strip.cells[:, strip.cells.shape[1] // 2, :3])
    known = np.unique(shades)  # the bar shows each shade at several places
    middle = [np.mean(np.array(said)[shades == one]) for one in known]
    return np.interp(shade(colours(panel, rows, columns)), known, middle)


def shade(found: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where colours stand in the map of colours, 0 to 255; in its middle where it has one several times."""
    known = matplotlib.colormaps["cividis"](np.arange(256), bytes=True)[:, :3].astype(np.int64)
    apart = np.abs(found[..., None, :] - known).sum(-1)
    best = apart == apart.min(-1, keepdims=True)
    assert apart.min(-1).max() <= 3, "a colour of another map"
    return np.asarray((np.arange(256) * best).sum(-1) / best.sum(-1))


def panels(root: Element) -> list[Panel]:
    """The axes of a figure, in order."""
    return [Panel(g) for g in root.iter("g") if re.fullmatch(r"axes_\d+", g.get("id", ""))]


def style(element: Element) -> dict[str, str]:
    """The style of an element."""
    pairs = (part.split(":", 1) for part in element.get("style", "").split(";") if ":" in part)
    return {k.strip(): v.strip() for k, v in pairs}
