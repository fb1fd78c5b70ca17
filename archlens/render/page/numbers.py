"""The numbers of the page side by side: a figure a row, a network a column, each set against the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archlens.analyses.expected.summaries import Summary
from archlens.findings.evidence.measured import Measured
from archlens.findings.evidence.records import Evidence
from archlens.findings.figures import Figures
from archlens.findings.language import milliseconds
from archlens.words import axes, by, memory, number, percent, phases, si

Value = int | float | None
Subject = tuple[Figures, Summary | None, Evidence | None]


@dataclass(frozen=True)
class Row:
    """One figure: its label, what it means, and a (text, difference) pair a network."""

    label: str
    note: str
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Figure:
    label: str
    note: str
    words: Callable[[Figures], str]
    value: Callable[[Figures], Value] | None = None
    share: bool = False


_COST = (
    _Figure("Parameters", "shared ones once", lambda f: si(f.params), lambda f: f.params),
    _Figure("MACs", "of convolutions, linear layers, matrix products",
            lambda f: si(f.macs), lambda f: f.macs),
    _Figure("Elementwise work", "apart from the MACs", lambda f: si(f.elementwise), lambda f: f.elementwise),
    _Figure("Peak activation memory", "with the input, without the weights",
            lambda f: memory(f.peak_activation_bytes), lambda f: f.peak_activation_bytes),
    _Figure("Layers", "rows of the table below", lambda f: str(f.layers), lambda f: f.layers),
)  # fmt: skip
_RESOLUTION = (
    _Figure("Class-score cell", "the layer that scores the classes", lambda f: f.class_score),
    _Figure("Score map", "", lambda f: by(f.score_map)),
    _Figure("Deepest stride", "", lambda f: axes(f.deepest_stride),
            lambda f: max(f.deepest_stride, default=None)),
    _Figure("Output stride", "at the class-score cell", lambda f: axes(f.output_stride),
            lambda f: max(f.output_stride, default=None)),
)  # fmt: skip
_REACH = (
    _Figure("Theoretical field, px", "without borders", lambda f: _field(f), lambda f: _side(f)),
    _Figure("Finite local path, px", "beside a global field",
            lambda f: axes(f.local_field) if f.local_field else "–"),
    _Figure("Visible at the centre, px", "at this input size",
            lambda f: by(f.visible_field) if f.visible_field else "–"),
    _Figure("Reach", "share of the image in that box", lambda f: _share(f.reach),
            lambda f: f.reach, share=True),
    _Figure("Global from", "first layer that reads the whole input at any size",
            lambda f: f.global_from or "never"),
    _Figure("Whole image from", "first layer that reaches every pixel at this size",
            lambda f: f.whole_from or "never"),
    _Figure("MACs until then", "", lambda f: _share(f.whole_at)),
)  # fmt: skip


def number_rows(subjects: Sequence[Subject]) -> list[tuple[str, list[Row]]]:
    """Groups of rows with their headings. Rows that no network has anything to say in are left out."""
    every = [figures for figures, _, _ in subjects]
    groups = [
        ("Cost", [_row(spec, every) for spec in _COST]),
        (_measured_title(subjects), _measured(subjects)),
        ("Resolution", [_row(spec, every) for spec in _RESOLUTION]),
        ("Reach: what the centre class-score cell can see", [_row(spec, every) for spec in _REACH]),
        ("Use: expected effective field of that cell, under random weights", _use(subjects)),
    ]
    kept = [(title, [r for r in rows if any(text != "–" for text, _ in r.cells)]) for title, rows in groups]
    return [(title, rows) for title, rows in kept if rows]


def _row(spec: _Figure, every: Sequence[Figures]) -> Row:
    values = [spec.value(f) if spec.value is not None else None for f in every]
    against = points if spec.share else difference
    return Row(
        spec.label,
        spec.note,
        tuple(
            (spec.words(f), against(values[0], value, i))
            for i, (f, value) in enumerate(zip(every, values, strict=True))
        ),
    )


def _use(subjects: Sequence[Subject]) -> list[Row]:
    every = [use for _, use, _ in subjects]
    rows = []
    for share in (0.5, 0.95):
        sides = [None if s is None else s.sides[share] for s in every]
        rows.append(_plain(f"Square with {100 * share:.0f} % of it, px", "centred on the cell", sides, _px))
    far = [None if s is None else s.far for s in every]
    rows.append(_plain("Far share", "outside the square of half the image's side", far, _share))
    streams = [None if e is None or e.deep is None else e.deep.far for _, _, e in subjects]
    rows.append(_plain("Far share of the deepest stream", "where a decoder adds finer ones", streams, _share))
    heads = [None if e is None or e.head is None else e.head.coherent_far for _, _, e in subjects]
    rows.append(
        _plain("Far share, coherent", "of the head's response to a change of a whole region", heads, _share)
    )
    return rows


def _measured_title(subjects: Sequence[Subject]) -> str:
    """Where and how; of several that differ, only that it was measured."""
    ways = {e.time.how for _, _, e in subjects if e is not None and e.time is not None}
    return f"Measured {ways.pop()}" if len(ways) == 1 else "Measured, each as its report says"


def _measured(subjects: Sequence[Subject]) -> list[Row]:
    def of(value: Callable[[Measured], Value]) -> list[Value]:
        times = [None if e is None else e.time for _, _, e in subjects]
        return [None if t is None else value(t) for t in times]

    return [
        _plain("Latency", "median of the whole pass", of(lambda t: t.latency), _ms),
        _plain("Images a second", "", of(lambda t: t.images_per_second), _decimal),
        _plain("Peak memory", "with the input, without the weights", of(lambda t: t.peak_bytes), _bytes),
        _plain("Context module", "its branches and their merge", of(lambda t: t.module_seconds), _ms),
        _plain("Its share of the layers' time", "", of(lambda t: t.share(t.module_seconds)), _share),
        _plain("Fusing convolution", "", of(lambda t: t.fusion_seconds), _ms),
    ]


def _plain(label: str, note: str, values: Sequence[Value], words: Callable[[Value], str]) -> Row:
    against = points if words is _share else difference
    return Row(label, note, tuple((words(v), against(values[0], v, i)) for i, v in enumerate(values)))


def points(first: Value, value: Value, index: int) -> str:
    """How a share stands to the first network's, in percentage points."""
    if index == 0 or first is None or value is None:
        return ""
    gap = 100 * (value - first)
    return "same" if abs(gap) < 0.05 else f"{gap:+.1f} points".replace("-", "−")


def difference(first: Value, value: Value, index: int) -> str:
    """How a value stands to the first network's: `+12 %`, `× 3.4`, `÷ 5`, `same`; nothing for the first."""
    if index == 0 or first is None or value is None:
        return ""
    if value == first:
        return "same"
    if not first or not value:
        return ""
    ratio = value / first
    if 0.5 < ratio < 2:
        return f"{100 * (ratio - 1):+.1f} %".replace("-", "−")
    return f"× {_short(ratio)}" if ratio > 1 else f"÷ {_short(1 / ratio)}"


def _short(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 99.95 else f"{ratio:.0f}"


def _ms(value: Value) -> str:
    return "–" if value is None else milliseconds(value)


def _decimal(value: Value) -> str:
    return "–" if value is None else f"{value:.2f}"


def _bytes(value: Value) -> str:
    return "–" if value is None else memory(int(value))


def _px(value: Value) -> str:
    return "–" if value is None else number(round(value))


def _share(value: Value) -> str:
    return "–" if value is None else percent(value)


def _field(f: Figures) -> str:
    return phases(f.fields) if f.field_kind == "local" else f.field_kind


def _side(f: Figures) -> Value:
    sides = [s for s in f.field or () if s is not None]
    return max(sides) if sides else None
