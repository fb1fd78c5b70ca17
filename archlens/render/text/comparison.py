"""The table of `compare` and `explain`: a figure a row, a network a column."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from archlens.findings.comparison import Comparison
from archlens.findings.evidence.records import Evidence
from archlens.findings.figures import Figures
from archlens.findings.language import milliseconds
from archlens.render.text.table import Column, Table
from archlens.words import axes, by, memory, number, percent, phases, si


class _Network(NamedTuple):
    f: Figures
    e: Evidence


_Row = tuple[str, Callable[[_Network], str]]

_ESSENTIAL: tuple[_Row, ...] = (
    ("parameters", lambda n: si(n.f.params)),
    ("MACs", lambda n: _at_least(n.f) + si(n.f.macs)),
    ("peak memory", lambda n: memory(n.f.peak_activation_bytes)),
    ("latency, measured", lambda n: "-" if n.e.time is None else milliseconds(n.e.time.latency)),
    ("peak memory, measured", lambda n: "-" if n.e.time is None else memory(n.e.time.peak_bytes)),
    ("context module's time", lambda n: _module_time(n.e)),
    ("stride, deepest / score", lambda n: _strides(n)),
    ("score map", lambda n: by(n.f.score_map)),
    ("field, px", lambda n: _field(n.f)),
    ("sees, px", lambda n: _sees(n.f)),
    ("reach of image", lambda n: "-" if n.f.reach is None else percent(n.f.reach)),
    ("global from", lambda n: n.f.global_from or "never"),
    ("95 % of energy within, px", lambda n: "-" if n.e.use.sides is None else f"{n.e.use.sides[95]:.0f}"),
    ("far energy", lambda n: "-" if n.e.use.far is None else percent(n.e.use.far)),
    ("far, deepest stream alone", lambda n: "-" if n.e.deep is None else percent(n.e.deep.far)),
    ("far coherent, at the head", lambda n: _coherent(n.e)),
    ("context module", lambda n: _module(n.e)),
)

_REST: tuple[_Row, ...] = (
    ("elementwise", lambda n: _at_least(n.f) + si(n.f.elementwise)),
    ("layers", lambda n: str(n.f.layers)),
    ("output map", lambda n: by(n.f.output_map)),
    ("class score", lambda n: n.f.class_score),
    ("head reads", lambda n: n.e.head_input or "-"),
    ("whole image from", lambda n: n.f.whole_from or "never"),
    ("module's MACs", lambda n: "-" if n.e.cost.module_macs is None else si(n.e.cost.module_macs)),
    ("fusion's MACs", lambda n: "-" if n.e.cost.fusion is None else si(n.e.cost.fusion_macs)),
)


_MEASURED = ("latency, measured", "peak memory, measured", "context module's time")


def _module_time(e: Evidence) -> str:
    seconds = None if e.time is None else e.time.module_seconds
    share = None if e.time is None else e.time.share(seconds)
    return "-" if seconds is None or share is None else f"{milliseconds(seconds)} ({percent(share)})"


def _taken(comparison: Comparison) -> list[str]:
    """How the latencies were taken, once where all alike."""
    said = [
        f"Measured {t.how}, median of {t.runs} passes."
        for e in comparison.evidence
        if (t := e.time) is not None
    ]
    warned = [f"{e.label}: {note}." for e in comparison.evidence if e.time for note in e.time.notes]
    return list(dict.fromkeys([*said, *warned]))


def _at_least(figures: Figures) -> str:
    return "" if figures.cost_status == "exact" else "≥ "


def comparison_tables(comparison: Comparison, room: int | None = None, full: bool = False) -> list[Table]:
    """The figures side by side; in several tables where a terminal of `room` characters is too narrow."""
    rows = (*_ESSENTIAL, *_REST) if full else _ESSENTIAL
    if not any(e.deep for e in comparison.evidence):
        rows = tuple(row for row in rows if not row[0].startswith("far, deepest"))
    if not any(e.time for e in comparison.evidence):
        rows = tuple(row for row in rows if row[0] not in _MEASURED)
    heads = [label for label, _ in rows]
    columns = [
        [name, *(words(_Network(figures, evidence)) for _, words in rows)]
        for name, figures, evidence in zip(
            comparison.names, comparison.summaries, comparison.evidence, strict=True
        )
    ]
    parts = _parts([max(map(len, column)) for column in columns], max(map(len, heads)), room)
    tables = []
    for index, part in enumerate(parts):
        title = f"{' | '.join(comparison.names)} at {by(comparison.input_shape[1:])}" if index == 0 else ""
        last = index == len(parts) - 1
        tables.append(
            Table(
                title=title,
                columns=(Column(""), *(Column(columns[i][0], right=True, narrow=24) for i in part)),
                rows=tuple((label, *(columns[i][row + 1] for i in part)) for row, label in enumerate(heads)),
                notes=(*_MEANING, *_taken(comparison), *(_CONVENTIONS if full else ())) if last else (),
            )
        )
    return tables


def comparison_table(comparison: Comparison, full: bool = True) -> Table:
    """All of it in one table, for files and pipes."""
    return comparison_tables(comparison, full=full)[0]


_MEANING = (
    "Of the centre class-score cell. far: outside the middle square of half the side. field is theoretical;",
    "energy (squared gradient) and coherent (a region that changes as one) are expected for random weights.",
)
_CONVENTIONS = (
    "MACs: convolutions, linear layers and matrix products; FLOPs = 2 MACs; elementwise work apart.",
    "Peak memory: the input and the activations that are alive, not the weights.",
    "The map behind the energy: archlens erf MODEL.",
)


def _strides(n: _Network) -> str:
    found = n.e.resolution
    if found is None or found.cell is None:
        return f"{axes(n.f.deepest_stride)} / {axes(n.f.output_stride)}"
    return f"{number(found.deepest)} / {number(found.cell)}"


def _coherent(e: Evidence) -> str:
    return "-" if e.head is None or e.head.coherent_far is None else percent(e.head.coherent_far)


def _module(e: Evidence) -> str:
    return "none" if e.paths is None else f"{e.paths.module}, {len(e.paths.branches)} branches"


def _parts(widths: list[int], label: int, room: int | None) -> list[list[int]]:
    """Indices of the networks, as many a table as stand side by side."""
    if room is None:
        return [list(range(len(widths)))]
    parts: list[list[int]] = []
    used = room
    for index, width in enumerate(min(w, 24) for w in widths):
        if used + 2 + width > room:
            parts.append([])
            used = label
        parts[-1].append(index)
        used += 2 + width
    return parts


def _field(f: Figures) -> str:
    if f.field_kind == "local":
        return phases(f.fields)
    return f"{f.field_kind} (local {axes(f.local_field)})" if f.local_field else f.field_kind


def _sees(f: Figures) -> str:
    return "-" if f.visible_field is None else by(f.visible_field)
