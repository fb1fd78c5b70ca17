"""What a box of the graph says: its operation, name, shape, field and share of the cost. Text only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from archlens.render.graph.drawing import Block, Drawing
from archlens.render.graph.fold import MERGES, MOVES_FIELD, head
from archlens.render.operations import operation
from archlens.render.text.table import shared
from archlens.report import FieldReport, LayerReport, Report
from archlens.words import axes, by, count, memory, percent, px, si

LONGEST_TEXT = 36
LONGEST_PATH = 6
"""Operations of a closed module that are listed one by one; of more, only how many there are."""

_SPOKEN = {"batch_norm": "bn", "layer_norm": "ln", "group_norm": "gn", "dropout": "drop", "cat": "concat"}


@dataclass(frozen=True)
class Card:
    """The lines of one box.

    Attributes:
        title: The operation, with its kernel, dilation and stride.
        tail: What follows it in the same box: `bn relu`.
        count: `× 22`, or nothing.
        name: Where it is, relative to the frame around it.
        shape: Of its result, channels first.
        field: Theoretical receptive field; first -> last of a run.
        cost: Share of the network's MACs, over all repeats.
        extra: Further lines: the value it is coloured by, marks.
        idle: Layers in it that can add no context.
        tooltip: All of it in words, with what a unit sees at this size.
    """

    title: str
    tail: str
    count: str
    name: str
    shape: str
    field: str
    cost: str
    extra: tuple[str, ...]
    idle: int
    tooltip: str


def card(report: Report, shown: Drawing, box: Block, around: str = "", extra: Sequence[str] = ()) -> Card:
    """The card of one box.

    Args:
        around: Name of the frame around it: left out of the box's own.
        extra: Lines to add.
    """
    rows = report.layers
    first = [rows[r] for r in box.repeats[0]]
    result, last = first[-1], rows[box.repeats[-1][-1]]
    main = head(first)
    tail = [
        _SPOKEN.get(r.op, r.op) for r in first if r is not main and r.op not in (*MERGES, "copy", "identity")
    ]
    cost = sum(rows[r].macs for r in box.rows)
    total = report.totals.get("macs", 0)
    marks = [
        f"output {key}" for key, name in report.outputs.items() if any(rows[r].name == name for r in box.rows)
    ]
    if any(rows[r].name == report.class_score for r in box.rows):
        marks.insert(0, "class scores")
    idle = sum(r in shown.idle for r in box.rows)
    share = percent(cost / total) if total and cost else ""
    title = summary(report, box.repeats[0]) if box.opens else leaf_title(report, box.repeats[0])
    made = Card(
        title=title,
        tail="" if box.opens else " ".join(dict.fromkeys(tail)),
        count=f"× {box.count}" if box.count > 1 else "",
        name=relative(box, around),
        shape=by(last.shape[1:]),
        field=field_words(result.rf, last.rf),
        cost=share,
        extra=(*extra, *([" · ".join(marks)] if marks else [])),
        idle=idle,
        tooltip="",
    )
    return _with_tooltip(made, report, box, last, cost, share)


def _with_tooltip(made: Card, report: Report, box: Block, last: LayerReport, cost: int, share: str) -> Card:
    where = f"{box.name} … {box.last}" if box.count > 1 else box.name
    field = field_words(report.layers[box.repeats[0][-1]].rf, last.rf, full=True)
    seen = None if last.rf is None else last.rf.visible
    sees = seen.words(report.input_shape[2:]) if seen else "nothing"
    lines = [
        f"{where}: {made.title} {made.tail} {made.count}".strip(),
        f"output {made.shape}",
        f"receptive field {field} px",
        *([f"its centre unit sees {sees}"] if last.rf is not None else []),
        f"{si(cost)} MACs{f' ({share})' if share else ''}",
        f"{si(sum(report.layers[r].params for r in box.rows))} parameters",
        *([f"{count(made.idle, 'layer')} whose input already spans the image"] if made.idle else []),
    ]
    return replace(made, tooltip="\n".join(lines))


def relative(box: Block, around: str) -> str:
    """The box's name inside the frame, `1 … 22` for a run."""
    name = _less(box.name, around)
    if box.count == 1:
        return name
    return f"{name} … {box.last.removeprefix(shared(box.last, box.name))}"


def _less(name: str, around: str) -> str:
    return name[len(around) + 1 :] if around and name.startswith(around + ".") else name


def field_words(first: FieldReport | None, last: FieldReport | None, full: bool = False) -> str:
    """`811`, `139→811` over a run, `global`, `436|468`."""
    ends = [_field(f, full) for f in (first, last)]
    return ends[0] if ends[0] == ends[1] else "→".join(ends)


def _field(field: FieldReport | None, full: bool) -> str:
    if field is None:
        return "none"
    return field.words if full or field.kind == "local" else field.kind


def strides_of(field: FieldReport | None) -> tuple[float, ...] | None:
    """Input pixels between neighbouring units, per axis; of the finite path where the field is global."""
    at = field if field is None or field.jump else field.local
    if at is None or not at.jump or any(j is None for j in at.jump):
        return None
    return tuple(map(float, at.jump))


def stride_words(strides: tuple[float, ...] | None) -> str:
    """`/8`, or `/2x1` where the axes differ; `×2` where the map is finer than the image."""
    if strides is None:
        return ""
    return f"/{axes(strides)}" if max(strides) >= 1 else f"×{axes([1 / s for s in strides])}"


# ------------------------------------------------------------------ operations


def leaf_title(report: Report, rows: Sequence[int]) -> str:
    """The operation of joined rows."""
    layers = [report.layers[r] for r in rows]
    main = head(layers)
    if main.op in MERGES:
        own = {r.name for r in layers}
        inputs = sum(name not in own for r in layers for name in r.inputs if r.op == main.op)
        word = {"cat": "concat", "add": "sum" if len(layers) > 1 else "add"}.get(main.op, main.op)
        return f"{word} of {inputs}" if inputs > 2 else word
    return operation(report, main)


def summary(report: Report, rows: Sequence[int]) -> str:
    """The operations of a closed module: `1x1 · 3x3 d2 · 1x1 + skip`, or how many there are of each."""
    inside = set(rows)
    index = {report.layers[r].name: r for r in rows}
    main = [r for r in rows if _counts(report.layers[r])]
    merges = [r for r in main if report.layers[r].op in MERGES]
    if len(main) - len(merges) > LONGEST_PATH or len(merges) > 1 or not main:
        return _counted(report, main or rows)
    paths: list[list[str]] = []
    on: dict[int, int] = {}  # row -> path
    for row in rows:
        sources = [index[name] for name in report.layers[row].inputs if name in index]
        if row in merges:
            on[row] = -1
            continue
        on[row] = on[sources[0]] if sources and on[sources[0]] >= 0 else len(paths)
        if on[row] == len(paths):
            paths.append([])
        if row in main:
            paths[on[row]].append(operation(report, report.layers[row]).removeprefix("conv "))
    texts = [_repeated(p) for p in paths if p]
    if merges:
        if len(texts) > 2 or report.layers[merges[0]].op == "cat":
            text = " | ".join(texts)
            return text if len(text) <= LONGEST_TEXT else _counted(report, main)
        direct = any(index.get(name) not in inside for name in report.layers[merges[0]].inputs)
        texts += ["skip"] if direct else []
    text = " + ".join(texts) if merges else " · ".join(texts)
    return text if len(text) <= LONGEST_TEXT else _counted(report, main)


def _counts(row: LayerReport) -> bool:
    return bool(row.macs) or row.op in MERGES or row.op.startswith(MOVES_FIELD)


def _counted(report: Report, rows: Sequence[int]) -> str:
    """`3 dwconv 3x3 · 4 conv 1x1 · s2`: the most frequent three, and the strides and dilations among them."""
    names: dict[str, int] = {}
    marks: dict[str, None] = {}
    for row in rows:
        words = operation(report, report.layers[row]).split() or [report.layers[row].op]
        marks.update((w, None) for w in words[1:] if w[0] in "sd" and w[1:].isdigit())
        name = " ".join(w for w in words if w not in marks)
        names[name] = names.get(name, 0) + 1
    best = sorted(names.items(), key=lambda item: -item[1])[:3]
    return " · ".join([*(f"{n} {name}" for name, n in best), *list(marks)[:3]])


def _repeated(path: Sequence[str]) -> str:
    """`3 × (dwconv 3x3 · 1x1)` where a path repeats itself."""
    for period in range(1, len(path) // 2 + 1):
        unit = path[:period]
        count, rest = divmod(len(path), period)
        if not rest and list(path) == list(unit) * count and len(path) > 2:
            inner = " · ".join(unit)
            return f"{count} × ({inner})" if period > 1 else f"{count} × {inner}"
    return " · ".join(path)


# ------------------------------------------------------------------ values to colour by


def values(
    report: Report, box: Block, by_what: str, erf: Mapping[str, float] | None = None
) -> tuple[float | None, str]:
    """(number, words) of the value that a box is coloured by; None where it has none.

    Strides are plain; fields are shares of the image's side, infinite for the whole input; costs are shares
    of the network's.
    """
    rows = [report.layers[r] for r in box.rows]
    last = rows[-1]
    image = report.input_shape[2:]
    if by_what == "stride":
        strides = strides_of(last.rf)
        return max(strides, default=None) if strides else None, stride_words(strides)
    if by_what == "rf":
        if last.rf is None or not image:
            return None, ""
        if last.rf.kind != "local" or not last.rf.size:
            return (math.inf if last.rf.kind == "global" else None), last.rf.kind
        return max(float(s) / n for s, n in zip(last.rf.size, image, strict=True) if s is not None), ""
    if by_what == "erf":
        side = (erf or {}).get(last.name)
        return (None, "") if side is None else (side / max(image), f"ERF 50 %: {px(side)} px")
    key = {"macs": "macs", "params": "params", "memory": "activation_bytes"}[by_what]
    total = sum(getattr(r, key) for r in report.layers)
    own = sum(getattr(r, key) for r in rows)
    word = memory(own) if by_what == "memory" else si(own)
    return (
        own / total if total else None
    ), "" if by_what == "macs" else f"{by_what} {word} · {percent(own / max(total, 1))}"
