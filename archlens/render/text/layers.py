"""The tables of `summary` and `rf`: which layers, which columns, which words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archlens.render.operations import operation
from archlens.render.text.table import Column, Table
from archlens.report import FieldReport, LayerReport, Report
from archlens.words import NONE, axes, by, memory, number, percent, px, si
from archlens.words import count as counted

MACS_NOTE = "MACs: multiply-accumulates of convolutions, linear layers and matrix products; FLOPs = 2 MACs."
BYTES_NOTE = (
    "Memory: new storage of a layer's result; the peak counts the input and what is alive, no weights."
)
FIELD_NOTE = (
    "size, jump, start: the theoretical field in px, without borders. "
    "sees: what the centre unit sees at this size."
)
EDGE_NOTE = "[ and ]: the image's edge. A|B: by the unit's phase."


def summary_table(report: Report, everything: bool = False, layer: str | None = None) -> Table:
    """Layers with their cost. By default those with MACs, or that change the shape."""
    rows = _chosen(report, everything, layer, report.costs_or_reshapes)
    total = report.totals
    cells = [
        (
            row.name,
            operation(report, row),
            by(row.shape[1:]),
            si(row.params) if row.params else "",
            work(row, row.macs),
            percent(row.macs / total["macs"]) if row.macs and total["macs"] else "",
            memory(row.activation_bytes) if row.activation_bytes else "",
            work(row, row.elementwise),
            row.op,
        )
        for row in rows
    ]
    totals = (
        "total",
        counted(len(report.layers), "layer"),
        "",
        si(total["params"]),
        ("" if report.totals_status == "exact" else "≥ ") + si(total["macs"]),
        "100 %" if total["macs"] else "",
        memory(total["peak_activation_bytes"]),
        si(total["elementwise"]),
        "peak memory",
    )
    return Table(
        title=_title(report),
        columns=(
            Column("layer"),
            Column("operation", narrow=13),
            Column("shape"),
            Column("params", right=True),
            Column("MACs", right=True),
            Column("share", right=True, drop=1),
            Column("memory", right=True),
            Column("elementwise", right=True, drop=2),
            Column("op", drop=3),
        ),
        rows=tuple(cells),
        totals=None if layer else totals,
        notes=(
            *_left_out(report, rows, everything or layer is not None),
            *([f"MACs and elementwise work {report.totals_reason}."] if report.totals_reason else []),
            MACS_NOTE,
            BYTES_NOTE,
            *_notes(report),
        ),
        strong=_strong(report, rows),
        paths=True,
    )


def work(row: LayerReport, count: int) -> str:
    """A count of a layer's work, empty for none."""
    if count:
        return si(count)
    return "" if row.cost_status == "exact" else row.cost_status


def rf_table(report: Report, everything: bool = False, layer: str | None = None) -> Table:
    """Layers with their receptive field. By default those that change the field or the size of the map."""
    rows = _chosen(report, everything, layer, report.changes)
    image = report.input_shape[2:] if report.origin is None else report.map_of(report.layer(report.origin))
    used = any("erf" in row.extra for row in rows)
    cells = [
        (
            row.name,
            operation(report, row),
            by(report.map_of(row)),
            *field_cells(row.rf, image),
            *(_effective(row) if used else ()),
            "; ".join(_remarks(report, row)),
        )
        for row in rows
    ]
    columns = [
        Column("layer"),
        Column("operation", narrow=13),
        Column("map"),
        Column("size", right=True, narrow=11),
        Column("jump", right=True),
        Column("start", right=True, drop=1),
        Column("sees", narrow=11),
        Column("of image" if report.origin is None else "of map", right=True, drop=2),
        *([Column("ERF 50 %", right=True), Column("ERF 95 %", right=True)] if used else []),
        Column("note", drop=3, narrow=28),
    ]
    unit = " in px" if report.origin is None else f" in cells of {report.origin}"
    return Table(
        title=_title(report),
        columns=tuple(columns),
        rows=tuple(cells),
        notes=(
            *_left_out(report, rows, everything or layer is not None),
            *([ERF_NOTE] if used else []),
            FIELD_NOTE.replace(" in px", unit),
            EDGE_NOTE,
            *([_in_bold(report)] if len(rows) > 1 else []),
            *_notes(report),
        ),
        strong=_strong(report, rows),
        paths=True,
    )


def field_cells(field: FieldReport | None, image: Sequence[int]) -> tuple[str, str, str, str, str]:
    """Size, jump, start, what the unit sees, and its share of the image."""
    if field is None:
        return "none", NONE, NONE, NONE, NONE
    seen = field.visible
    share = None if seen is None else seen.share(image)
    sees = NONE if field.kind == "unknown" else "nothing" if seen is None else seen.words(image)
    return (
        field.words,
        axes(field.path.jump),
        axes(field.path.start),
        sees,
        NONE if share is None else percent(share),
    )


ERF_NOTE = (
    "ERF: side of the centred square that holds so much of the expected energy, for random weights and white "
    "noise; unknown where an operation has no rule."
)


def rf_rows(report: Report, everything: bool = False, layer: str | None = None) -> list[str]:
    """Names of the layers that `rf_table` shows."""
    return [row.name for row in _chosen(report, everything, layer, report.changes)]


def _effective(row: LayerReport) -> tuple[str, ...]:
    """Both sides, or that they are not known."""
    erf = row.extra.get("erf")
    sides = (None, None) if erf is None else (erf["erf_50"], erf["erf_95"])
    return tuple((NONE if erf is None else "unknown") if s is None else px(s) for s in sides)


def _chosen(
    report: Report, everything: bool, layer: str | None, wanted: Callable[[LayerReport], bool]
) -> list[LayerReport]:
    if layer is not None:
        return [report.layer(layer)]
    always = {report.class_score, *report.outputs.values()}
    return [row for row in report.layers if everything or row.name in always or wanted(row)]


def _remarks(report: Report, row: LayerReport) -> list[str]:
    field = row.rf
    if field is None:
        return ["does not depend on " + (report.origin or "the input")]
    remarks = []
    if field.visible is not None and field.visible.unit != report.node(row).middle:
        remarks.append(f"unit {','.join(map(str, field.visible.unit))}")
    if field.source is not None and field.source != row.name:
        remarks.append(f"{field.kind} since {field.source}")
    if not field.aligned:
        remarks.append("branches not aligned")
    if field.status != "exact" and field.kind != "unknown":
        remarks.append(field.status + (f": {field.status_reason}" if field.status_reason else ""))
    return remarks


def _in_bold(report: Report) -> str:
    if report.scores_a_map:
        return f"In bold: the class-score cell, {report.class_score}."
    return f"In bold: the output, {report.class_score}. It is no map: there is no class-score cell."


def _strong(report: Report, rows: Sequence[LayerReport]) -> frozenset[int]:
    return frozenset(i for i, row in enumerate(rows) if row.name == report.class_score)


def _left_out(report: Report, rows: Sequence[LayerReport], asked: bool) -> tuple[str, ...]:
    left = len(report.layers) - len(rows)
    if asked or not left:
        return ()
    return (f"{number(left)} of {counted(len(report.layers), 'layer')} not shown; --all shows them.",)


def _title(report: Report) -> str:
    name = report.name if report.name == report.spec else f"{report.spec} ({report.name})"
    start = f", fields from {report.origin}" if report.origin else ""
    return f"{name} at {by(report.input_shape[1:])}{start}"


def _notes(report: Report) -> tuple[str, ...]:
    uncalled = [f"{name} ({si(params)})" for name, params in report.uncalled.items()]
    never = (f"Never called, with their parameters in the total: {', '.join(uncalled)}.",) if uncalled else ()
    return (*never, *(f"Note: {note}" for note in report.notes))
