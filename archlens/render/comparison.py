"""The table of `compare`: a figure a row, a network a column."""

from __future__ import annotations

from collections.abc import Callable

from archlens.explain.comparison import Comparison
from archlens.explain.figures import Figures
from archlens.render.table import Column, Table
from archlens.render.words import axes, by, memory, percent, phases, si

_ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("parameters", lambda f: si(f.params)),
    ("MACs", lambda f: si(f.macs)),
    ("elementwise", lambda f: si(f.elementwise)),
    ("peak memory", lambda f: memory(f.peak_activation_bytes)),
    ("layers", lambda f: str(f.layers)),
    ("deepest stride", lambda f: axes(f.deepest_stride)),
    ("output stride", lambda f: axes(f.output_stride)),
    ("score map", lambda f: by(f.score_map)),
    ("output map", lambda f: by(f.output_map)),
    ("class score", lambda f: f.class_score),
    ("field, px", lambda f: _field(f)),
    ("sees, px", lambda f: _sees(f)),
    ("reach of image", lambda f: "-" if f.reach is None else percent(f.reach)),
    ("whole image from", lambda f: f.whole_from or "never"),
    ("global from", lambda f: f.global_from or "never"),
)


def comparison_tables(comparison: Comparison, room: int | None = None) -> list[Table]:
    """The figures side by side; in several tables where a terminal of `room` characters is too narrow."""
    heads = [label for label, _ in _ROWS]
    columns = [
        [name, *(words(figures) for _, words in _ROWS)]
        for name, figures in zip(comparison.names, comparison.summaries, strict=True)
    ]
    parts = _parts([max(map(len, column)) for column in columns], max(map(len, heads)), room)
    tables = []
    for number, part in enumerate(parts):
        title = f"{' | '.join(comparison.names)} at {by(comparison.input_shape[1:])}" if number == 0 else ""
        last = number == len(parts) - 1
        tables.append(
            Table(
                title=title,
                columns=(Column(""), *(Column(columns[i][0], right=True, narrow=24) for i in part)),
                rows=tuple((label, *(columns[i][row + 1] for i in part)) for row, label in enumerate(heads)),
                remarks=comparison.reading if last else (),
                notes=_CONVENTIONS if last else (),
            )
        )
    return tables


def comparison_table(comparison: Comparison) -> Table:
    """All of it in one table, for files and pipes."""
    return comparison_tables(comparison)[0]


_CONVENTIONS = (
    "field, sees, reach: of the centre class-score cell. field is theoretical, sees is at this size.",
    "MACs: convolutions, linear layers and matrix products; FLOPs = 2 MACs; elementwise work apart.",
    "Peak memory: the input and the activations that are alive, not the weights.",
)


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
