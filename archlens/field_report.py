"""One layer's receptive field in the report's form, and the units that it is told for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from archlens.analyses.fields.lattice import Lattice
from archlens.analyses.fields.status import Status
from archlens.analyses.fields.theoretical import Field
from archlens.analyses.fields.visible import Box
from archlens.errors import LayerError
from archlens.graph import Graph, Node
from archlens.report import FieldReport, Visible


def has_unit(node: Node, unit: Sequence[int] | None) -> bool:
    """Whether a node's map has that unit."""
    sizes = [node.shape[d] for d in node.positions]
    return (
        unit is not None and len(unit) == len(sizes) and all(u < n for u, n in zip(unit, sizes, strict=True))
    )


def unit_of(node: Node, unit: Sequence[int] | None, name: str = "the layer") -> tuple[int, ...]:
    """The unit asked for, or the centre `n // 2` per axis.

    Raises:
        LayerError: It lies outside the map; the message names the map.
    """
    sizes = [node.shape[d] for d in node.positions]
    if unit is None:
        return tuple(n // 2 for n in sizes)
    by = " x ".join(map(str, sizes))
    if len(unit) != len(sizes) or any(not 0 <= u < n for u, n in zip(unit, sizes, strict=False)):
        raise LayerError(
            f"unit {','.join(map(str, unit))} lies outside {name}, whose map is {by or 'a single unit'}",
            f"Indices go from 0 to {','.join(str(n - 1) for n in sizes)}." if sizes else "Leave --unit out.",
        )
    return tuple(unit)


def field_report(
    graph: Graph,
    node: Node,
    field: Field,
    box: Box | None,
    status: Status | None,
    unit: Sequence[int] | None,
    named: Callable[[int | None], str | None],
) -> FieldReport:
    order = ("local", "varies", "global", "unknown")
    kind = max((f.kind for f in field), key=order.index, default="local")
    worst = next((f for f in field if f.kind == kind), None)
    layer = named(node.id) or "input"
    at = unit_of(node, unit, layer) if node.positions else ()
    seen = None if box is None else box.unit(node, at)
    paths = [f.path for f in field]
    finite = all(p is not None for p in paths)
    own = _figures(field, kind, bool(node.positions))
    source = worst.source if worst is not None and kind != "local" else None
    return FieldReport(
        kind=kind,
        **own,
        aligned=all(f.aligned for f in field),
        local=_local(field) if kind != "local" and finite and field else None,
        source=named(source),
        reason=graph.nodes[source].unknown if source is not None and kind == "unknown" else None,
        visible=None if seen is None else Visible(at, *seen),
        status=status.word if status is not None else "exact",
        status_reason=status.reason if status is not None else None,
    )


def _figures(field: Field, kind: str, has_axes: bool) -> dict[str, Any]:
    """size, sizes, jump, start per axis; None where they don't exist, empty for a layer without axes."""
    if kind == "local":
        return _lattices([f.path for f in field])
    if not has_axes:
        return {"size": (), "sizes": (), "jump": (), "start": ()}
    local = [f.path if f.kind == "local" else None for f in field]
    if not any(local):
        return {"size": None, "sizes": None, "jump": None, "start": None}
    return _lattices(local)


def _local(field: Field) -> FieldReport:
    return FieldReport(
        "local", **_lattices([f.path for f in field]), aligned=all(f.aligned for f in field), visible=None
    )


def _lattices(paths: Sequence[Lattice | None]) -> dict[str, Any]:
    return {
        "size": tuple(None if p is None else p.size for p in paths),
        "sizes": tuple(None if p is None else p.sizes for p in paths),
        "jump": tuple(None if p is None else plain_number(p.jump) for p in paths),
        "start": tuple(None if p is None else p.start for p in paths),
    }


def plain_number(value: Fraction) -> int | float:
    """Fractions are floats, whole ones integers."""
    return value.numerator if value.denominator == 1 else float(value)
