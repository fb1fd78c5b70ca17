"""The table of `compare` and `explain`: a figure a row, a network a column."""

from __future__ import annotations

from archlens.findings.comparison import Comparison
from archlens.findings.figures import FIGURES
from archlens.render.text.table import Column, Table
from archlens.words import NONE, by, number

WIDEST = 24
"""Characters that a network's column is folded to."""

_MEANING = (
    "Of the centre class-score cell. far: outside the middle square of half the side. Theoretical field;",
    "energy (squared gradient) and coherent (a region that changes as one) expected for random weights.",
)
_CONVENTIONS = (
    "MACs: convolutions, linear layers and matrix products; FLOPs = 2 MACs; elementwise work apart.",
    "Peak memory: the input and the activations that are alive, not the weights.",
    "The map behind the energy: archlens erf MODEL.",
)


def comparison_tables(comparison: Comparison, room: int | None = None, full: bool = False) -> list[Table]:
    """The figures side by side; in several tables where a terminal of `room` characters is too narrow. What
    no network has is left out."""
    networks = list(zip(comparison.names, comparison.reports, comparison.evidence, strict=True))
    rows = []
    for figure in FIGURES:
        if figure.shown and (full or figure.essential):
            cells = [figure.words(report, evidence) for _, report, evidence in networks]
            if any(cell != NONE for cell in cells):
                rows.append((figure.label, *cells))
    columns = list(zip(*[("", *comparison.names), *rows], strict=True))
    widths = [max(map(len, column)) for column in columns]
    parts = _parts(widths[1:], widths[0], room)
    tables = []
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        tables.append(
            Table(
                title="" if index else f"{' | '.join(comparison.names)} at {by(comparison.input_shape[1:])}",
                columns=(
                    Column(""),
                    *(Column(comparison.names[i], right=True, narrow=WIDEST) for i in part),
                ),
                rows=tuple((row[0], *(row[i + 1] for i in part)) for row in rows),
                notes=(
                    *_MEANING,
                    *_without_cell(comparison),
                    *_taken(comparison),
                    *(_CONVENTIONS if full else ()),
                )
                if last
                else (),
            )
        )
    return tables


def comparison_table(comparison: Comparison, full: bool = True) -> Table:
    """All of it in one table, for files and pipes."""
    return comparison_tables(comparison, full=full)[0]


def _without_cell(comparison: Comparison) -> list[str]:
    """The networks whose output is no map."""
    names = [n for n, r in zip(comparison.names, comparison.reports, strict=True) if not r.scores_a_map]
    return [
        f"{name} has no class-score cell: its output is no map, and stands in its place." for name in names
    ]


def _taken(comparison: Comparison) -> list[str]:
    """How the latencies were taken, once where all alike."""
    timed = [(e.label, e.time) for e in comparison.evidence if e.time is not None]
    said = [f"Measured {t.how}, median of {number(t.runs)} passes." for _, t in timed]
    warned = [f"{label}: {note}." for label, t in timed for note in t.notes]
    return list(dict.fromkeys([*said, *warned]))


def _parts(widths: list[int], label: int, room: int | None) -> list[list[int]]:
    """Indices of the networks, as many a table as stand side by side."""
    if room is None:
        return [list(range(len(widths)))]
    parts: list[list[int]] = []
    used = room
    for index, width in enumerate(min(w, WIDEST) for w in widths):
        if used + 2 + width > room:
            parts.append([])
            used = label
        parts[-1].append(index)
        used += 2 + width
    return parts
