"""Rows of the page's layer tables. Every layer is there; the page hides what a reader does not want."""

from __future__ import annotations

from dataclasses import dataclass

from archlens.render.operations import operation
from archlens.render.text.layers import field_cells, work
from archlens.report import LayerReport, Report
from archlens.words import by, duration, memory, si


@dataclass(frozen=True)
class LayerRow:
    """One layer as text.

    Attributes:
        name: Its name; `cells` the other columns, in the order of COLUMNS.
        changes: Whether its field or its map differs from all that it reads.
        cell: Whether it is the class-score cell.
    """

    name: str
    cells: tuple[str, ...]
    changes: bool
    cell: bool


COLUMNS = (
    ("layer", "Layer", False),
    ("operation", "Operation", False),
    ("map", "Result", True),
    ("field", "Field, px", True),
    ("jump", "Jump", True),
    ("sees", "Centre sees", True),
    ("share", "Of image", True),
    ("params", "Parameters", True),
    ("macs", "MACs", True),
    ("memory", "Memory", True),
)
"""Key for sorting, heading, whether it is set to the right as numbers are."""


TIME = ("time", "Time", True)
"""One more, where a network was run."""


def layer_rows(report: Report, timed: bool = False) -> tuple[LayerRow, ...]:
    """The rows of a report, in execution order; `timed`: with a cell for the measured time."""
    return tuple(
        LayerRow(
            row.name,
            (*_cells(report, row), *([_time(row)] if timed else [])),
            report.changes(row),
            row.name == report.class_score,
        )
        for row in report.layers
    )


def _time(row: LayerReport) -> str:
    found = row.extra.get("measured")
    return duration(found["seconds"]) if found else ""


def _cells(report: Report, row: LayerReport) -> tuple[str, ...]:
    size, jump, _, sees, share = field_cells(row.rf, report.input_shape[2:])
    return (
        operation(report, row),
        by(row.shape[1:]),
        size,
        jump,
        sees,
        share,
        si(row.params) if row.params else "",
        work(row, row.macs),
        memory(row.activation_bytes) if row.activation_bytes else "",
    )
