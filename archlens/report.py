"""The serialisable result in the middle: everything before it measures, everything after it draws.

A `Report` is one network at one input size, one `LayerReport` a row. Its JSON form is a published contract
(docs/json.md, schema_version 1): changes are additive.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from archlens.analyses.structure.class_score import has_places, main_output
from archlens.errors import LayerError, MissingPackageError, ReportError, did_you_mean
from archlens.graph import Graph, Layer, Node
from archlens.graph.serialise import decode, encode
from archlens.progress import Say, silent
from archlens.showing import Shown
from archlens.study import Study
from archlens.version import __version__
from archlens.words import NONE, between, phases

SCHEMA_VERSION = 1
GENERATOR = f"archlens {__version__}"

Number = int | float
PerAxis = tuple[Any, ...]


def json_value(value: Any) -> Any:
    """Lists, dictionaries with text keys, numbers of Python's own. NaN and infinity, which JSON has
    not, become null.
    """
    if isinstance(value, Mapping):
        return {str(k): json_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(v) for v in value]
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Visible:
    """What one unit sees at this input size: inclusive pixel bounds per axis of the input."""

    unit: tuple[int, ...]
    lo: tuple[int, ...]
    hi: tuple[int, ...]

    @property
    def size(self) -> tuple[int, ...]:
        """Sides of the box in pixels."""
        return tuple(h - low + 1 for low, h in zip(self.lo, self.hi, strict=True))

    def share(self, image: Sequence[int]) -> float | None:
        """Share of the image's area inside the box; None where it has other axes."""
        if len(self.lo) != len(image):
            return None
        return math.prod(self.size) / math.prod(image)

    def words(self, image: Sequence[int]) -> str:
        """Rows and columns, `253..259`; a bracket at the image's edge: `[0..300`."""
        if len(self.lo) != len(image):
            return "-"
        if self.size == tuple(image):
            return "whole image"
        sides = [
            f"{'[' if low == 0 else ''}{low}..{high}{']' if high == side - 1 else ''}"
            for low, high, side in zip(self.lo, self.hi, image, strict=True)
        ]
        return sides[0] if len(set(sides)) == 1 else " x ".join(sides)


@dataclass(frozen=True)
class FieldReport:
    """The receptive field of a layer, one entry a spatial axis.

    Attributes:
        kind: local | varies | global | unknown.
        size: Largest theoretical size over the phases, or where it varies over the positions of this map, px;
            None where it does not exist.
        sizes: The distinct sizes over the phases.
        jump: Pixels of the input between neighbouring units.
        start: First pixel of unit 0's field; negative with padding.
        aligned: Whether branches merged here agree on jump and centre.
        local: The finite local path, where the kind is not local and there is one.
        source: Layer that made the field global, varying or unknown.
        reason: Operator that is not understood.
        visible: What the asked unit sees; None for a unit that sees nothing, or unknown.
        status: exact | bound | assumed | unknown, and why.
        range: Where it varies: the smallest and the largest size over the positions of this map, px.
    """

    kind: str
    size: PerAxis | None
    sizes: tuple[tuple[int, ...] | None, ...] | None
    jump: PerAxis | None
    start: PerAxis | None
    aligned: bool = True
    local: FieldReport | None = None
    source: str | None = None
    reason: str | None = None
    visible: Visible | None = None
    status: str = "exact"
    status_reason: str | None = None
    range: tuple[tuple[int, int] | None, ...] | None = None

    @property
    def path(self) -> FieldReport:
        """The field itself where it is local, else its finite local path where there is one."""
        return self if self.local is None else self.local

    @property
    def words(self) -> str:
        """The theoretical size: `1411`, `436|468`, `global (local 495)`, `varies 31-95`, `unknown: op`."""
        if self.kind == "local":
            return phases(self.sizes)
        if self.kind == "varies" and self.range is not None:
            ends = dict.fromkeys(NONE if r is None else between(*r) for r in self.range)
            return f"varies {'x'.join(ends)}"
        if self.kind == "unknown":
            return f"unknown: {self.reason}" if self.reason else "unknown"
        if self.local is not None:
            own = self.local.words
            return f"{self.kind} ({own if self.local.kind == 'varies' else f'local {own}'})"
        return self.kind


@dataclass(frozen=True)
class LayerReport:
    """One row: what a layer is, costs and sees. `rf` is None where it does not depend on the origin.
    `cost_status` is `unknown` where the arithmetic of an operation could not be counted."""

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    params: int
    macs: int
    elementwise: int
    activation_bytes: int
    rf: FieldReport | None
    module: str = ""
    kind: str = ""
    cost_status: str = "exact"
    cost_reason: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Contract form. The module and its class stand in the graph."""
        known = {name: getattr(self, name) for name in _LAYER_KEYS if name != "rf"}
        return {**json_value(known), "rf": json_value(self.rf and asdict(self.rf)), **self.extra}


_LAYER_KEYS = tuple(f.name for f in fields(LayerReport) if f.name not in ("module", "kind", "extra"))


@dataclass(frozen=True)
class Report(Shown):
    """One network at one input size.

    Attributes:
        spec: What was asked for; `name` what it is.
        input_shape: With the batch, (N, C, H, W).
        outputs: Output name -> layer name.
        class_score: Layer of the class-score cell.
        layers: Rows in execution order.
        totals: params, macs, flops, elementwise, peak_activation_bytes, param_bytes.
        totals_status: exact, or bound: MACs and elementwise work are at least so many (`totals_reason`).
        uncalled: Modules with parameters that the run never used.
        notes: What a reader must know (fallbacks, assumptions).
        graph: The captured graph, for further analyses.
        origin: Layer that fields are measured from (None: the input).
        versions: Of what it was made with.
        extra: What was added to it, such as measurements; further keys of its JSON.
        walked: The study that it was made from; not part of its value.
    """

    spec: str
    name: str
    input_shape: tuple[int, ...]
    outputs: Mapping[str, str]
    class_score: str
    layers: tuple[LayerReport, ...]
    totals: Mapping[str, int]
    graph: Graph
    uncalled: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    origin: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    totals_status: str = "exact"
    totals_reason: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    walked: Study | None = field(default=None, compare=False, repr=False)

    @property
    def study(self) -> Study:
        """The network with every walk over it: the one that the report was made from, or a new one."""
        if self.walked is None:
            cell = self.graph.node_of(self.class_score).id
            found = Study(self.graph, cell, self.graph.node_of(self.main_output).id)
            object.__setattr__(self, "walked", found)
        assert self.walked is not None
        return self.walked

    @property
    def main_output(self) -> str:
        """Layer of the output that is meant by default: the one called `out`, else the first that has a map,
        else the first."""
        return self.graph.name_of(main_output(self.graph)) if self.graph.outputs else self.class_score

    @cached_property
    def _rows(self) -> Mapping[str, LayerReport]:
        return {row.name: row for row in self.layers}

    def layer(self, name: str) -> LayerReport:
        """The row of that name.

        Raises:
            LayerError: There is none; the hint names the nearest.
        """
        if name not in self._rows:
            raise LayerError(f"{self.name} has no layer {name!r}", did_you_mean(name, self._rows))
        return self._rows[name]

    def inputs_of(self, row: LayerReport) -> list[LayerReport]:
        """The rows that a row reads; inputs of the network are none."""
        return [self._rows[name] for name in row.inputs if name in self._rows]

    def before(self, name: str) -> list[LayerReport]:
        """The rows that the named one depends on, and itself, in execution order."""
        wanted = {name}
        for row in reversed(self.layers):
            if row.name in wanted:
                wanted.update(row.inputs)
        return [row for row in self.layers if row.name in wanted]

    def node(self, row: LayerReport) -> Node:
        """The graph's node that is a row's result."""
        return self.graph.node_of(row.name)

    def map_of(self, row: LayerReport) -> tuple[int, ...]:
        """Sizes of a row's map; of one without positions, all but the batch."""
        return self.node(row).map_size or row.shape[1:]

    def changes(self, row: LayerReport) -> bool:
        """Whether no input has both this row's field and its map. What reads the image itself counts."""

        def key(layer: LayerReport) -> object:
            field = layer.rf
            own = field and (field.kind, field.sizes, field.jump, field.start, field.local)
            return own, self.map_of(layer)

        return not any(key(row) == key(source) for source in self.inputs_of(row))

    def costs_or_reshapes(self, row: LayerReport) -> bool:
        """Whether a row has MACs (or such as cannot be counted), or another shape than all that it reads."""
        if row.macs or row.cost_status != "exact":
            return True
        return not any(row.shape == source.shape for source in self.inputs_of(row))

    def with_erf(self, names: Iterable[str], progress: Say = silent) -> Report:
        """The report with `erf` in the rows asked for: {"erf_50", "erf_95" (px), "status", "reason"}.

        A row with an operation that has no rule before it says `unknown` and which; no figure is made up.
        """
        origin = None if self.origin is None else self.graph.node_of(self.origin).id
        wanted = set(names)
        rows = []
        for row in self.layers:
            if row.name in wanted and row.rf is not None:
                progress(f"effective field of {row.name}")
                used = self.study.lens.use(self.node(row).id, origin)
                known = {"status": "assumed", "reason": "random weights"}
                if used.sides is None:
                    known = {"status": "unknown", "reason": used.reason}
                sides = used.sides or {}
                erf = {"erf_50": sides.get(50), "erf_95": sides.get(95), **known}
                row = replace(row, extra={**row.extra, "erf": erf})
            rows.append(row)
        return replace(self, layers=tuple(rows))

    @property
    def cell(self) -> LayerReport:
        """The row of the class-score cell."""
        return self.layer(self.class_score)

    @property
    def scores_a_map(self) -> bool:
        """Whether the class-score cell lies somewhere in the image: a class, or a list of boxes, does not."""
        return self.class_score == "input" or has_places(self.node(self.cell))

    def to_dict(self, graph: bool = True) -> dict[str, Any]:
        """Contract form; `graph=False` leaves the captured graph out."""
        out: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "generator": GENERATOR,
            "model": {"spec": self.spec, "name": self.name, "input_shape": list(self.input_shape)},
            "outputs": dict(self.outputs),
            "class_score": self.class_score,
            "layers": [row.to_json() for row in self.layers],
            "totals": dict(self.totals),
            "totals_status": self.totals_status,
            "totals_reason": self.totals_reason,
            "uncalled": dict(self.uncalled),
            "notes": list(self.notes),
            "origin": self.origin,
            "versions": dict(self.versions),
            **self.extra,
        }
        if graph:
            out["graph"] = encode(self.graph)
        return out

    def to_json(self, indent: int | None = None, graph: bool = True) -> str:
        """The report as text; the same input gives the same bytes."""
        return json.dumps(self.to_dict(graph), indent=indent, ensure_ascii=False)

    def to_pandas(self) -> Any:
        """The layer table as a pandas DataFrame.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingPackageError("pandas is not installed", "pip install pandas") from error
        rows = []
        for row in self.layers:
            flat = row.to_json()
            rf = flat.pop("rf") or {}
            rows.append({**flat, **{f"rf_{k}": v for k, v in rf.items()}})
        return pandas.DataFrame(rows)


_REPORT_KEYS = frozenset(
    ("schema_version", "generator", "model", "outputs", "class_score", "layers", "totals", "uncalled",
     "totals_status", "totals_reason", "notes", "origin", "versions", "graph")
)  # fmt: skip


def read_report_data(text: str, where: str) -> dict[str, Any]:
    """Parse and check a saved report's JSON.

    Raises:
        ReportError: Not JSON, not ours, or of a later schema.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ReportError(f"{where} is not JSON: {error}", "Give a file written by archlens.") from error
    if not isinstance(data, dict) or "schema_version" not in data or "generator" not in data:
        raise ReportError(f"{where} is JSON, but no archlens report", "Give a file written by archlens.")
    if not isinstance(data["schema_version"], int) or data["schema_version"] > SCHEMA_VERSION:
        raise ReportError(
            f"{where} has schema_version {json.dumps(data['schema_version'])}; "
            f"this archlens reads numbers up to {SCHEMA_VERSION}",
            "Upgrade archlens, or write the report again.",
        )
    return data


def report_from_dict(data: Mapping[str, Any], where: str = "the report") -> Report:
    """Read a report's JSON form back.

    Raises:
        ReportError: The data is damaged or holds no graph.
    """
    if "graph" not in data:
        raise ReportError(f"{where} holds no captured graph", "Save it with --json or -o FILE.json again.")
    try:
        graph = decode(data["graph"])
        return Report(
            spec=data["model"]["spec"],
            name=data["model"]["name"],
            input_shape=tuple(data["model"]["input_shape"]),
            outputs=dict(data["outputs"]),
            class_score=data["class_score"],
            layers=tuple(_read_layer(*pair) for pair in zip(data["layers"], graph.layers, strict=True)),
            totals=dict(data["totals"]),
            graph=graph,
            uncalled=dict(data.get("uncalled", {})),
            notes=tuple(data.get("notes", ())),
            origin=data.get("origin"),
            versions=dict(data.get("versions", {})),
            totals_status=data.get("totals_status", "exact"),
            totals_reason=data.get("totals_reason"),
            extra={k: v for k, v in data.items() if k not in _REPORT_KEYS},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReportError(f"{where} is damaged ({error!r})", "Write the report again.") from error


def _read_layer(row: Mapping[str, Any], layer: Layer) -> LayerReport:
    import msgspec

    known = {key: value for key, value in row.items() if key in _LAYER_KEYS}
    rest = {key: value for key, value in row.items() if key not in _LAYER_KEYS}
    made = msgspec.convert(known, LayerReport)
    return replace(made, module=layer.module, kind=layer.kind, extra=rest)
