"""The tables of `summary` and `rf`: which layers, which columns, which words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archlens.render.operations import operation
from archlens.render.text.table import Column, Table
from archlens.report import LayerReport, Report
from archlens.words import axes, box, box_share, by, memory, percent, si, size_words

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
    view = _View(report)
    rows = _chosen(view, everything, layer, _costs_or_reshapes)
    total = report.totals
    cells = [
        (
            row.name,
            view.operation(row),
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
        f"{len(report.layers)} layers",
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
    view = _View(report)
    rows = _chosen(view, everything, layer, _changes)
    image = report.input_shape[2:] if report.origin is None else view.map(report.layer(report.origin))
    cells = []
    used = any("erf" in row.extra for row in rows)
    for row in rows:
        field = row.rf
        path = field.local if field is not None and field.local is not None else field
        share = box_share(field.visible, image) if field is not None else None
        cells.append(
            (
                row.name,
                view.operation(row),
                by(view.map(row)),
                size_words(field),
                axes(path.jump) if path is not None else "-",
                axes(path.start) if path is not None else "-",
                box(field.visible, image) if field is not None and field.kind != "unknown" else "-",
                percent(share) if share is not None else "",
                *(_effective(row) if used else ()),
                ", ".join(_remarks(view, row)),
            )
        )
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
    return Table(
        title=_title(report),
        columns=tuple(columns),
        rows=tuple(cells),
        notes=(
            *_left_out(report, rows, everything or layer is not None),
            *([ERF_NOTE] if used else []),
            FIELD_NOTE
            if report.origin is None
            else FIELD_NOTE.replace(" in px", f" in cells of {report.origin}"),
            EDGE_NOTE,
            *([f"In bold: the class-score cell, {report.class_score}."] if len(rows) > 1 else []),
            *_notes(report),
        ),
        strong=_strong(report, rows),
        paths=True,
    )


ERF_NOTE = (
    "ERF: side of the centred square that holds so much of the expected energy, for random weights and white "
    "noise; unknown where an operation has no rule."
)


def rf_rows(report: Report, everything: bool = False, layer: str | None = None) -> list[str]:
    """Names of the layers that `rf_table` shows."""
    return [row.name for row in _chosen(_View(report), everything, layer, _changes)]


def _effective(row: LayerReport) -> tuple[str, str]:
    """Both sides, or that they are not known."""
    erf = row.extra.get("erf")
    if erf is None:
        return "-", "-"
    sides = (erf["erf_50"], erf["erf_95"])
    return tuple("unknown" if s is None else f"{s:.1f}" for s in sides)  # type: ignore[return-value]


def operation_of(report: Report, row: LayerReport) -> str:
    """The operation in short, from the graph."""
    return _View(report).operation(row)


class _View:
    """A report with its graph's layers by name."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.layers = {layer.name: layer for layer in report.graph.layers}

    def operation(self, row: LayerReport) -> str:
        """In short."""
        layer = self.layers.get(row.name)
        return row.op if layer is None else operation(self.report.graph, layer)

    def positions(self, row: LayerReport) -> tuple[int, ...]:
        """The dimensions that run along the image, as a map's do and a sequence of tokens'."""
        layer = self.layers.get(row.name)
        return () if layer is None else self.report.graph.nodes[layer.output].positions

    def map(self, row: LayerReport) -> tuple[int, ...]:
        """The sizes of those; of a layer that has none, all but the batch."""
        return tuple(row.shape[d] for d in self.positions(row)) or row.shape[1:]

    def centre(self, row: LayerReport) -> tuple[int, ...]:
        """The centre unit."""
        return tuple(row.shape[d] // 2 for d in self.positions(row))


def _chosen(
    view: _View,
    everything: bool,
    layer: str | None,
    wanted: Callable[[_View, LayerReport, Sequence[LayerReport]], bool],
) -> list[LayerReport]:
    report = view.report
    if layer is not None:
        return [report.layer(layer)]
    if everything:
        return list(report.layers)
    known = {row.name: row for row in report.layers}
    always = {report.class_score, *report.outputs.values()}
    return [
        row
        for row in report.layers
        if row.name in always or wanted(view, row, [known[name] for name in row.inputs if name in known])
    ]


def _costs_or_reshapes(_: _View, row: LayerReport, inputs: Sequence[LayerReport]) -> bool:
    return (
        bool(row.macs)
        or row.cost_status != "exact"
        or not any(row.shape == source.shape for source in inputs)
    )


def changes(
    row: LayerReport,
    inputs: Sequence[LayerReport],
    size: Callable[[LayerReport], tuple[int, ...]] = lambda row: row.shape[2:] or row.shape[1:],
) -> bool:
    """Whether no input has both this layer's field and its map. What reads the image itself always counts."""

    def key(layer: LayerReport) -> object:
        field = layer.rf
        return None if field is None else (field.kind, field.sizes, field.jump, field.start, field.local)

    return not any(key(row) == key(source) and size(row) == size(source) for source in inputs)


def _changes(view: _View, row: LayerReport, inputs: Sequence[LayerReport]) -> bool:
    return changes(row, inputs, view.map)


def _remarks(view: _View, row: LayerReport) -> list[str]:
    field = row.rf
    if field is None:
        return ["does not depend on " + (view.report.origin or "the input")]
    remarks = []
    if field.visible is not None and field.visible.unit != view.centre(row):
        remarks.append(f"unit {','.join(map(str, field.visible.unit))}")
    if field.source is not None and field.source != row.name:
        remarks.append(f"{field.kind} since {field.source}")
    if not field.aligned:
        remarks.append("branches not aligned")
    if field.status != "exact" and field.kind != "unknown":
        remarks.append(field.status + (f": {field.status_reason}" if field.status_reason else ""))
    return remarks


def _strong(report: Report, rows: Sequence[LayerReport]) -> frozenset[int]:
    return frozenset(i for i, row in enumerate(rows) if row.name == report.class_score)


def _left_out(report: Report, rows: Sequence[LayerReport], asked: bool) -> tuple[str, ...]:
    left = len(report.layers) - len(rows)
    if asked or not left:
        return ()
    return (f"{left} of {len(report.layers)} layers are not shown; --all shows them.",)


def _title(report: Report) -> str:
    name = report.name if report.name == report.spec else f"{report.spec} ({report.name})"
    start = f", fields from {report.origin}" if report.origin else ""
    return f"{name} at {by(report.input_shape[1:])}{start}"


def _notes(report: Report) -> tuple[str, ...]:
    uncalled = [f"{name} ({si(params)})" for name, params in report.uncalled.items()]
    never = (f"Never called, with their parameters in the total: {', '.join(uncalled)}.",) if uncalled else ()
    return (*never, *(f"Note: {note}" for note in report.notes))
