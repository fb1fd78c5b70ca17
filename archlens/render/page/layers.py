"""Rows of the page's layer tables. Every layer is there; the page hides what a reader does not want."""

from __future__ import annotations

from dataclasses import dataclass

from archlens.findings.language import milliseconds
from archlens.render.operations import operation
from archlens.render.text.layers import changes, work
from archlens.report import LayerReport, Report
from archlens.words import axes, box, box_share, by, memory, percent, si, size_words


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
    known = {row.name: row for row in report.layers}
    return tuple(
        LayerRow(
            row.name,
            (*_cells(report, row, operation(report.graph, layer)), *([_time(row)] if timed else [])),
            changes(row, [known[name] for name in row.inputs if name in known]),
            row.name == report.class_score,
        )
        for row, layer in zip(report.layers, report.graph.layers, strict=True)
    )


def _time(row: LayerReport) -> str:
    found = row.extra.get("measured")
    return milliseconds(found["seconds"]) if found else ""


def _cells(report: Report, row: LayerReport, operation: str) -> tuple[str, ...]:
    image = report.input_shape[2:]
    field = row.rf
    path = field.local if field is not None and field.local is not None else field
    share = box_share(field.visible, image) if field is not None else None
    return (
        operation,
        by(row.shape[1:]),
        size_words(field),
        axes(path.jump) if path is not None else "",
        box(field.visible, image) if field is not None and field.kind != "unknown" else "",
        percent(share) if share is not None else "",
        si(row.params) if row.params else "",
        work(row, row.macs),
        memory(row.activation_bytes) if row.activation_bytes else "",
    )
