"""The summary figures of one network: what the comparison sets side by side and the findings argue from.

All are at one input size and, where they are about a unit, at the centre of the class-score map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from archlens.report import FieldReport, LayerReport, Report, json_value

Number = int | float


@dataclass(frozen=True)
class Figures:
    """One network in numbers. Tuples have one entry a spatial axis; None: does not exist, or is unknown.

    Attributes:
        params: Parameters, shared ones once.
        macs: Multiply-accumulates of convolutions, linear layers and matrix products.
        elementwise: Elementwise operations, apart from the MACs.
        peak_activation_bytes: Input and live activations at the worst moment, without the weights.
        param_bytes: The weights.
        layers: Rows of the report.
        class_score: Layer of the class-score cell.
        score_map: Size of its map.
        output_map: Size of the main output's map.
        deepest_stride: Largest jump of any layer, in input pixels; `deepest_layer` is the first that has it.
        output_stride: Jump at the class-score cell; where it has none, input size over score-map size.
        field_kind: Kind of the cell's theoretical field.
        field: Its size, px; of a cell that sees everything: None.
        fields: Its distinct sizes over the phases.
        local_field: The size along the finite local path, beside a global one.
        visible: (lo, hi) of the centre cell's visible box, inclusive.
        visible_field: Sides of that box, px.
        reach: Share of the image's area inside that box, 0 to 1.
        global_from: First layer on the way to the cell whose field is the whole input, whatever its size.
        whole_from: First layer on the way to the cell whose centre unit's box is this whole image.
        whole_at: Share of the MACs spent before and in that layer, 0 to 1.
        cost_status: exact, or bound where some operation's arithmetic is not counted (`cost_reason`).
        field_status: How sure the cell's fields are: exact, bound or unknown (`field_reason`).
    """

    params: int
    macs: int
    elementwise: int
    peak_activation_bytes: int
    param_bytes: int
    layers: int
    class_score: str
    score_map: tuple[int, ...]
    output_map: tuple[int, ...]
    deepest_stride: tuple[Number, ...]
    deepest_layer: str | None
    output_stride: tuple[Number, ...]
    field_kind: str
    field: tuple[Number | None, ...] | None
    fields: tuple[tuple[Number, ...] | None, ...] | None
    local_field: tuple[Number | None, ...] | None
    visible: tuple[tuple[int, ...], tuple[int, ...]] | None
    visible_field: tuple[int, ...] | None
    reach: float | None
    global_from: str | None
    whole_from: str | None
    whole_at: float | None
    cost_status: str = "exact"
    cost_reason: str | None = None
    field_status: str = "exact"
    field_reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        plain: dict[str, Any] = json_value(asdict(self))
        return plain


def figures(report: Report) -> Figures:
    """The summary figures of a report."""
    image = report.input_shape[2:]
    cell = report.cell
    field = cell.rf
    way = list(on_the_way(report, cell.name))
    deepest, deepest_layer = _deepest(way, len(image))
    whole = next((row for row in way if sees_all(row, image)), None)
    box = field.visible if field is not None else None
    return Figures(
        params=report.totals["params"],
        macs=report.totals["macs"],
        elementwise=report.totals["elementwise"],
        peak_activation_bytes=report.totals["peak_activation_bytes"],
        param_bytes=report.totals.get("param_bytes", 0),
        layers=len(report.layers),
        class_score=cell.name,
        score_map=cell.shape[2:],
        output_map=_output_map(report),
        deepest_stride=deepest,
        deepest_layer=deepest_layer,
        output_stride=_output_stride(cell, image),
        field_kind=field.kind if field is not None else "unknown",
        field=field.size if field is not None and field.kind == "local" else None,
        fields=field.sizes if field is not None and field.kind == "local" else None,
        local_field=field.local.size if field is not None and field.local is not None else None,
        visible=(box.lo, box.hi) if box is not None else None,
        visible_field=box.size if box is not None else None,
        reach=reach(field, image),
        global_from=next((row.name for row in way if row.rf is not None and row.rf.kind == "global"), None),
        whole_from=whole.name if whole is not None else None,
        whole_at=_spent(way, whole),
        cost_status=report.totals_status,
        cost_reason=report.totals_reason,
        field_status=field.status if field is not None else "unknown",
        field_reason=field.status_reason if field is not None else "it does not depend on the input",
    )


def on_the_way(report: Report, name: str) -> Iterator[LayerReport]:
    """The layers that the named one depends on, and itself, in execution order."""
    wanted = {name}
    for row in reversed(report.layers):
        if row.name in wanted:
            wanted.update(row.inputs)
    return (row for row in report.layers if row.name in wanted)


def reach(field: FieldReport | None, image: Sequence[int]) -> float | None:
    """Share of the image's area inside the visible box."""
    if field is None or field.visible is None or len(field.visible.size) != len(image):
        return None
    return math.prod(field.visible.size) / math.prod(image)


def sees_all(row: LayerReport, image: Sequence[int]) -> bool:
    """Whether the layer's reported unit sees the whole image."""
    return reach(row.rf, image) == 1.0


def _deepest(way: Sequence[LayerReport], axes: int) -> tuple[tuple[Number, ...], str | None]:
    """The largest jump per axis, and the first layer with the largest of them. The image itself has 1."""
    best: list[Number] = [1] * axes
    name: str | None = None
    for row in way:
        jump = path(row.rf).jump if row.rf is not None else None
        for axis, value in enumerate(jump or ()):
            if value is not None and value > best[axis]:
                best[axis], name = value, row.name
    return tuple(best), name


def path(field: FieldReport) -> FieldReport:
    """The field itself where it is local, else its finite local path where there is one."""
    return field if field.local is None else field.local


def _output_stride(cell: LayerReport, image: Sequence[int]) -> tuple[Number, ...]:
    jump = path(cell.rf).jump if cell.rf is not None else None
    if jump and all(j is not None for j in jump):
        return tuple(jump)
    cells = cell.shape[2:]
    if len(cells) != len(image):
        return tuple(image)
    return tuple(round(side / n, 2) for side, n in zip(image, cells, strict=True))


def _output_map(report: Report) -> tuple[int, ...]:
    name = report.outputs.get("out") or next(iter(report.outputs.values()), None)
    if name is None or name == "input":
        return report.input_shape[2:]
    return report.layer(name).shape[2:]


def _spent(way: Sequence[LayerReport], until: LayerReport | None) -> float | None:
    total = sum(row.macs for row in way)
    if until is None or not total:
        return None
    spent = 0
    for row in way:
        spent += row.macs
        if row.name == until.name:
            break
    return spent / total
