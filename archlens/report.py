"""The serialisable result in the middle: everything before it measures, everything after it draws.

A `Report` is one network at one input size, one `LayerReport` a row. Its JSON form is a published contract
(docs/json.md, schema_version 1): changes are additive.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from archlens.errors import ReportError
from archlens.graph import Graph
from archlens.graph.serialise import decode, encode
from archlens.version import __version__

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

    def to_json(self) -> dict[str, Any]:
        """Contract form."""
        return {"unit": list(self.unit), "lo": list(self.lo), "hi": list(self.hi)}


@dataclass(frozen=True)
class FieldReport:
    """The receptive field of a layer, one entry a spatial axis.

    Attributes:
        kind: local | varies | global | unknown.
        size: Largest theoretical size over the phases, px; None where it does not exist.
        sizes: The distinct sizes over the phases.
        jump: Pixels of the input between neighbouring units.
        start: First pixel of unit 0's field; negative with padding.
        aligned: Whether branches merged here agree on jump and centre.
        local: The finite local path, where the kind is not local and there is one.
        source: Layer that made the field global, varying or unknown.
        reason: Operator that is not understood.
        visible: What the asked unit sees; None for a unit that sees nothing, or unknown.
        status: exact | bound | assumed | unknown, and why.
    """

    kind: str
    size: PerAxis | None
    sizes: PerAxis | None
    jump: PerAxis | None
    start: PerAxis | None
    aligned: bool = True
    local: FieldReport | None = None
    source: str | None = None
    reason: str | None = None
    visible: Visible | None = None
    status: str = "exact"
    status_reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Contract form."""
        return {
            "kind": self.kind,
            "size": _listed(self.size),
            "sizes": _listed(self.sizes),
            "jump": _listed(self.jump),
            "start": _listed(self.start),
            "aligned": self.aligned,
            "local": None if self.local is None else self.local.to_json(),
            "source": self.source,
            "reason": self.reason,
            "visible": None if self.visible is None else self.visible.to_json(),
            "status": self.status,
            "status_reason": self.status_reason,
        }


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
        """Contract form."""
        return {
            "name": self.name,
            "op": self.op,
            "inputs": list(self.inputs),
            "shape": list(self.shape),
            "params": self.params,
            "macs": self.macs,
            "elementwise": self.elementwise,
            "activation_bytes": self.activation_bytes,
            "cost_status": self.cost_status,
            "cost_reason": self.cost_reason,
            "rf": None if self.rf is None else self.rf.to_json(),
            **self.extra,
        }


@dataclass(frozen=True)
class Report:
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

    def layer(self, name: str) -> LayerReport:
        """The row of that name.

        Raises:
            LayerError: There is none; the hint names the nearest.
        """
        from archlens.errors import LayerError, did_you_mean

        for row in self.layers:
            if row.name == name:
                return row
        names = [r.name for r in self.layers]
        raise LayerError(f"{self.name} has no layer {name!r}", did_you_mean(name, names) if names else "")

    @property
    def cell(self) -> LayerReport:
        """The row of the class-score cell."""
        return self.layer(self.class_score)

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

    def _repr_html_(self) -> str:
        """The network and its class-score cell at a glance, for notebooks."""
        seen = self.cell.rf if self.class_score != "input" else None
        facts = {
            "input": "x".join(map(str, self.input_shape[1:])),
            "parameters": f"{self.totals['params']:,}",
            "MACs": f"{self.totals['macs']:,}",
            "peak activation memory": f"{self.totals['peak_activation_bytes'] / 2**20:,.1f} MiB",
            "layers": f"{len(self.layers):,}",
            "class-score cell": self.class_score,
            "its field": "-" if seen is None else f"{seen.kind} {list(seen.size or ())}",
        }
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(k)}</th><td>{escape(v)}</td></tr>"
            for k, v in facts.items()
        )
        return f"<table><caption>{escape(self.name)}</caption><tbody>{rows}</tbody></table>"

    def to_pandas(self) -> Any:
        """The layer table as a pandas DataFrame.

        Raises:
            MissingPackageError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            from archlens.errors import MissingPackageError

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
            f"{where} has schema_version {data['schema_version']}; this archlens reads {SCHEMA_VERSION}",
            "Upgrade archlens.",
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
        return Report(
            spec=data["model"]["spec"],
            name=data["model"]["name"],
            input_shape=tuple(data["model"]["input_shape"]),
            outputs=dict(data["outputs"]),
            class_score=data["class_score"],
            layers=tuple(_read_layer(row) for row in data["layers"]),
            totals=dict(data["totals"]),
            graph=decode(data["graph"]),
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


def _read_layer(row: Mapping[str, Any]) -> LayerReport:
    known = {"name", "op", "inputs", "shape", "params", "macs", "elementwise", "activation_bytes", "rf",
             "cost_status", "cost_reason"}  # fmt: skip
    return LayerReport(
        name=row["name"],
        op=row["op"],
        inputs=tuple(row["inputs"]),
        shape=tuple(row["shape"]),
        params=row["params"],
        macs=row["macs"],
        elementwise=row["elementwise"],
        activation_bytes=row["activation_bytes"],
        rf=None if row["rf"] is None else _read_field(row["rf"]),
        cost_status=row.get("cost_status", "exact"),
        cost_reason=row.get("cost_reason"),
        extra={k: v for k, v in row.items() if k not in known},
    )


def _read_field(data: Mapping[str, Any]) -> FieldReport:
    visible = data.get("visible")
    return FieldReport(
        kind=data["kind"],
        size=_tupled(data["size"]),
        sizes=_tupled(data["sizes"]),
        jump=_tupled(data["jump"]),
        start=_tupled(data["start"]),
        aligned=data["aligned"],
        local=None if data["local"] is None else _read_field(data["local"]),
        source=data["source"],
        reason=data["reason"],
        visible=visible and Visible(tuple(visible["unit"]), tuple(visible["lo"]), tuple(visible["hi"])),
        status=data.get("status", "exact"),
        status_reason=data.get("status_reason"),
    )


def _listed(value: Sequence[Any] | None) -> list[Any] | None:
    return None if value is None else [list(v) if isinstance(v, tuple) else v for v in value]


def _tupled(value: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if value is None else tuple(tuple(v) if isinstance(v, list) else v for v in value)
