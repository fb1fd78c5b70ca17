"""The graph as DOT text: boxes, modules as clusters, a legend. `archlens.render.graph.layout` lays it out.

Sizes of boxes are our own, from a table of letter widths, so that the picture does not depend on the fonts of
the machine. Everything that a user's model brings (names) goes through `html.escape`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import graphviz

from archlens.render.colours import COLOUR_BY, CONTEXT, INK, NONE, PAPER, SKIP, SOFT, STEPS, TEXT
from archlens.render.graph.cards import Card, card, values
from archlens.render.graph.drawing import Block, Drawing, Frame, Line, Shown, drawing
from archlens.render.graph.layout import lay_out
from archlens.render.svg import finish
from archlens.report import Report
from archlens.words import by, number, percent, si

FONT = "Helvetica,Arial,sans-serif"
BIG, SMALL = 12, 10
MARGIN = 16.0
"""Points to the left and right of the text of a box, together."""

GAP = 12.0
NARROWEST = 108.0
_PLAIN = 'BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"'

STRIDES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FIELD_SHARES = (0.125, 0.25, 0.5, 1.0)
COST_SHARES = (0.01, 0.03, 0.1, 0.3)

_NARROW, _WIDE = frozenset("iljftrI.,:;|!'()[] /-·"), frozenset("mwMWGO@%→×…+")


@dataclass(frozen=True)
class GraphStyle:
    """What may be asked of the picture.

    Attributes:
        depth: Levels of modules shown; default: as many as fit a page.
        fold: Join small layers and fold repeats; otherwise every layer is a box.
        colour_by: stride | rf | erf | macs | params | memory.
        idle: Mark the layers that can add no context at this input size.
        erf: Layer -> side of the square with half the gradient energy, px; for `colour_by="erf"`.
    """

    depth: int | None = None
    fold: bool = True
    colour_by: str = "stride"
    idle: bool = True
    erf: Mapping[str, float] | None = None


def graph_dot(report: Report, style: GraphStyle | None = None) -> str:
    """The DOT text; the same report gives the same bytes.

    Raises:
        ValueError: An unknown quantity to colour by.
    """
    style = style or GraphStyle()
    if style.colour_by not in COLOUR_BY:
        raise ValueError(f"colour_by is one of {', '.join(COLOUR_BY)}, not {style.colour_by!r}")
    return _Writer(report, drawing(report, style.depth, style.fold), style).text()


def graph_svg(report: Report, style: GraphStyle | None = None) -> str:
    """The SVG text.

    Raises:
        MissingPackageError: Nothing is installed that lays graphs out.
    """
    style = style or GraphStyle()
    drawn = lay_out(graph_dot(report, style), "svg").decode("utf-8")
    return finish(drawn, f"Graph of {report.name}")


def graph_element(report: Report, prefix: str) -> tuple[str, dict[str, str]]:
    """An SVG element for a page, whose colours it takes, and layer -> id of the box that shows it.

    Raises:
        MissingPackageError: Nothing is installed that lays graphs out.
    """
    style = GraphStyle()
    shown = drawing(report, style.depth, style.fold)
    drawn = lay_out(_Writer(report, shown, style).text(), "svg").decode("utf-8")
    ids = {report.layers[row].name: prefix + _box_id(report, box) for box in shown.boxes for row in box.rows}
    return finish(drawn, f"Graph of {report.name}", prefix), ids


def graph_image(report: Report, form: str, style: GraphStyle | None = None) -> bytes:
    """PNG or PDF.

    Raises:
        MissingPackageError: Nothing is installed that lays graphs out.
    """
    return lay_out(graph_dot(report, style), form)


def _box_id(report: Report, box: Block) -> str:
    """Stable from run to run and unique: the name of the first layer inside. No spaces: ids may have none."""
    return "box-" + "_".join(report.layers[box.repeats[0][0]].name.split())


class _Writer:
    """One picture."""

    def __init__(self, report: Report, shown: Drawing, style: GraphStyle) -> None:
        self.report, self.shown, self.style = report, shown, style
        self.values = {b.index: values(report, b, style.colour_by, style.erf) for b in shown.boxes}
        self.frame_of_context = _smallest_frame(shown)
        self.seen_marks: set[str] = set()

    def text(self) -> str:
        dot = graphviz.Digraph("archlens")
        dot.attr(
            rankdir="TB", nodesep="0.16", ranksep="0.24", margin="0.05", pad="0.1", bgcolor="transparent",
            fontname=FONT, fontsize=str(SMALL), fontcolor=INK, color=INK, labelloc="t", labeljust="c",
            newrank="true", tooltip=self.report.name,
        )  # fmt: skip
        dot.attr(
            "node", shape="box", style="filled,rounded", fixedsize="true", fontname=FONT, fontsize=str(SMALL),
            color=SOFT, fontcolor=TEXT, penwidth="0.9", margin="0",
        )  # fmt: skip
        dot.attr("edge", color=INK, penwidth="1.1", arrowsize="0.6", fontname=FONT, fontsize=str(SMALL))
        self.input(dot)
        self.place(dot, self.shown.content, "")
        for line in self.shown.lines:
            self.line(dot, line)
        for level in self.shown.levels:
            with dot.subgraph() as same:
                same.attr(rank="same")
                for index in level:
                    same.node(_node(index))
        dot.attr(label=self.head())
        return str(dot.source)

    def line(self, dot: Any, line: Line) -> None:
        """An edge. Those of a decoder are written backwards: dot ranks it upwards, beside the encoder."""
        ends = (_node(line.source), _node(line.target))
        look: dict[str, str] = {}
        if line.skip is not None:
            self.seen_marks.add("skip")
            look = {"color": SKIP, "penwidth": "2.4", "style": "dashed", "class": "skip"}
        elif line.target in self.shown.rising:
            ends, look = (ends[1], ends[0]), {"dir": "back"}
        dot.edge(*ends, **look)

    def input(self, dot: Any) -> None:
        shape = by(self.report.input_shape[1:])
        title = f"input {shape}"
        width = (_width(title, BIG, True) + MARGIN) / 72
        dot.node(
            _node(-1), label=f"<<B>{title}</B>>", width=f"{width:.2f}", height="0.34", fillcolor=PAPER,
            id="box-input", tooltip=title, fontsize=str(BIG), **{"class": "input"},
        )  # fmt: skip

    def place(self, dot: Any, content: Sequence[Shown], around: str) -> None:
        for item in content:
            if isinstance(item, Block):
                self.box(dot, item, around)
                continue
            first = next(item.boxes)
            with dot.subgraph(name=f"cluster_{first.index}_{item.name.count('.')}_{item.count}") as inner:
                self.frame(inner, item, around)
                self.place(inner, item.content, item.name)

    def frame(self, dot: Any, frame: Frame, around: str) -> None:
        name = escape(_clean(frame.name.removeprefix(around + ".") if around else frame.name))
        if frame.count > 1:
            name = f"{name} … {escape(_clean(frame.last.split('.')[-1]))} &#160; × {frame.count}"
        look = {"color": INK, "fontcolor": INK, "penwidth": "0.8", "style": "rounded"}
        if frame is self.frame_of_context and self.shown.branches:
            self.seen_marks.add("context")
            name = f"{name} &#160; context module, {self.shown.branches} branches"
            look |= {
                "color": CONTEXT,
                "fontcolor": CONTEXT,
                "penwidth": "2.6",
                "class": "context",
            }
        elif frame.count > 1:
            look |= {"style": "rounded,dashed", "penwidth": "1.4"}
        dot.attr(
            label=f"<<B>{name}</B>>", labeljust="l", fontsize=str(BIG), margin="9", tooltip=frame.name, **look
        )

    def box(self, dot: Any, box: Block, around: str) -> None:
        value, words = self.values[box.index]
        extra = [words] if words and self.style.colour_by not in ("stride", "rf", "macs") else []
        made = card(self.report, self.shown, box, around, extra)
        stride = words if self.style.colour_by == "stride" else ""
        label, width, height = self.label(made, stride)
        look: dict[str, str] = {"fillcolor": self.fill(value), "class": "box"}
        if made.idle and self.style.idle:
            self.seen_marks.add("idle")
            look |= {"style": "filled,rounded,dashed", "penwidth": "1.3", "class": "box idle"}
        if self.shown.context_rows & set(box.rows):
            look |= {"color": CONTEXT, "penwidth": "2.2", "class": look["class"] + " context"}
        elif self.shown.skip_rows & set(box.rows):
            look |= {"color": SKIP, "penwidth": "2.2", "class": look["class"] + " skip"}
        dot.node(
            _node(box.index), label=label, width=f"{width / 72:.2f}", height=f"{height / 72:.2f}",
            id=_box_id(self.report, box), tooltip=graphviz.escape(_clean(made.tooltip, "\n")), **look,
        )  # fmt: skip

    def label(self, made: Card, stride: str) -> tuple[str, float, float]:
        """The HTML-like label, and the box's width and height in points."""
        idle = ""
        if made.idle and self.style.idle:
            idle = " ⊘" if made.count == "" or made.idle == 1 else f" ⊘{made.idle}"
        rows: list[tuple[tuple[str, int, bool], tuple[str, int, bool]]] = [
            ((made.title, BIG, True), (made.count, BIG, True)),
            ((made.name, SMALL, False), (f"{made.shape} {stride}".strip(), SMALL, False)),
            ((f"RF {made.field}{idle}", SMALL, True), (made.cost, SMALL, False)),
            *(((line, SMALL, False), ("", SMALL, False)) for line in made.extra),
        ]
        if made.tail:
            rows[0] = (
                rows[0][0],
                (f"{made.tail}  {made.count}".strip(), SMALL if not made.count else BIG, False),
            )
        widths = [_width(*a) + _width(*b) + (GAP if b[0] else 0) for a, b in rows]
        width = max(NARROWEST, 12 * math.ceil((max(widths) + MARGIN) / 12))
        # A table a line: with one for all, the longest left and the longest right would add up.
        table = "".join(
            f"<TR><TD><TABLE {_PLAIN}><TR>"
            f'<TD ALIGN="LEFT" WIDTH="{width - MARGIN - _width(*b):.0f}">{_font(*a)}</TD>'
            f'<TD ALIGN="RIGHT" WIDTH="{_width(*b):.0f}">{_font(*b)}</TD></TR></TABLE></TD></TR>'
            for a, b in rows
        )
        table = f"<TABLE {_PLAIN}>{table}</TABLE>"
        return f"<{table}>", width, 8 + 15 * len(rows)

    # -------------------------------------------------------------- colours

    def fill(self, value: float | None) -> str:
        return NONE if (step := self.step(value)) is None else STEPS[step]

    def step(self, value: float | None) -> int | None:
        if value is None:
            return None
        edges = _edges(self.style.colour_by)
        if self.style.colour_by == "stride":
            return min(sum(value > e for e in edges), len(STEPS) - 1)
        return len(edges) + 1 if math.isinf(value) else sum(value >= e for e in edges)

    def head(self) -> str:
        """Title, legend of colours and of the marks that occur."""
        r = self.report
        title = f"<B>{escape(_clean(r.name))}</B>"
        facts = f"{si(r.totals.get('params', 0))} parameters · {si(r.totals.get('macs', 0))} MACs"
        used = {self.step(v) for v, _ in self.values.values()}
        swatches = [
            f'<TD BGCOLOR="{fill}"><FONT COLOR="{TEXT}" POINT-SIZE="{SMALL}"> {escape(text)} </FONT></TD>'
            for step, fill, text in _legend(self.style.colour_by)
            if step in used
        ]
        named = {
            "stride": "stride in input pixels", "rf": "receptive field / image side", "macs": "share of MACs",
            "erf": "effective field (50 % square) / longer image side", "params": "share of parameters",
            "memory": "share of activation bytes",
        }[self.style.colour_by]  # fmt: skip
        marks = {
            "context": f'<FONT COLOR="{CONTEXT}"><B>▬ context module</B></FONT>',
            "skip": f'<FONT COLOR="{SKIP}"><B>╍ decoder skip</B></FONT>',
            "idle": "⊘ (dashed) adds no context: its input already spans the image",
        }
        rows = [
            f'<TR><TD><FONT POINT-SIZE="16">{title}</FONT> &#160; {escape(facts)}</TD></TR>',
            '<TR><TD><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="3" CELLPADDING="3"><TR>'
            f"<TD>colour: {named}</TD>{''.join(swatches)}</TR></TABLE></TD></TR>",
            "<TR><TD>RF: theoretical receptive field, px · % of all MACs · ×N: N alike in a row</TD></TR>",
        ]
        found = [text for key, text in marks.items() if key in self.seen_marks]
        if found:
            rows.append(f"<TR><TD>{' &#160; '.join(found)}</TD></TR>")
        return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="1" CELLPADDING="1">{"".join(rows)}</TABLE>>'


def _edges(by_what: str) -> tuple[float, ...]:
    return {"stride": STRIDES[:-1], "rf": FIELD_SHARES, "erf": FIELD_SHARES}.get(by_what, COST_SHARES)


def _legend(by_what: str) -> list[tuple[int | None, str, str]]:
    """(step, fill, words) of each colour."""
    edges = _edges(by_what)
    if by_what == "stride":
        out = [(i, STEPS[i], number(e)) for i, e in enumerate(STRIDES)]
        out[-1] = (out[-1][0], out[-1][1], "32 or more")
        return [*out, (None, NONE, "none: whole-image pooling")]
    texts = [f"< {percent(edges[0])}"] + [f"≥ {percent(e)}" for e in edges]
    known = [(i, STEPS[i], t) for i, t in enumerate(texts)]
    if by_what in ("rf", "erf"):
        known.append((len(edges) + 1, STEPS[len(edges) + 1], "global"))
    return [*known, (None, NONE, "varies or unknown")]


def _smallest_frame(shown: Drawing) -> Frame | None:
    """The innermost frame that holds the whole context module."""
    best, inside = None, shown.content if shown.context_rows else ()
    while frame := next((f for f in inside if isinstance(f, Frame) and _holds(f, shown.context_rows)), None):
        best, inside = frame, frame.content
    return best


def _holds(frame: Frame, rows: frozenset[int]) -> bool:
    return rows <= {row for box in frame.boxes for row in box.rows}


def _node(index: int) -> str:
    return "input" if index < 0 else f"n{index}"


def _font(text: str, size: int, bold: bool) -> str:
    inner = escape(_clean(text)).replace("  ", " &#160;") or " "
    inner = f"<B>{inner}</B>" if bold else inner
    if size == SMALL and not bold:
        return f'<FONT COLOR="{SOFT}">{inner}</FONT>'
    return f'<FONT POINT-SIZE="{size}">{inner}</FONT>'


def _width(text: str, size: int, bold: bool = False) -> float:
    """About the width of a text, in points."""
    return sum(map(_em, text)) * size * (1.08 if bold else 1.0)


def _em(c: str) -> float:
    """About the width of a character, in font sizes."""
    if c in _NARROW:
        return 0.33
    if c in _WIDE:
        return 0.88
    return 0.7 if c.isupper() else 0.64 if c.isdigit() else 0.57


def _clean(text: str, keep: str = "") -> str:
    """Without control characters, which XML cannot hold."""
    return "".join(c if c.isprintable() or c in keep else "�" for c in text)
