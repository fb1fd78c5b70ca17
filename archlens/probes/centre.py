"""Where a unit's field is centred on the map that it is measured from."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.analyses.receptive_field import receptive_fields
from archlens.graph import Graph, Node


def unit_centre(graph: Graph, node: Node, unit: Sequence[int], origin: Node) -> tuple[float, ...]:
    """The middle of the theoretical field (of its finite local path where it is global), in px per axis.

    Where there is none (the path to the unit is not periodic, or global throughout), the unit's place in
    proportion: (u + 1/2) * N / n - 1/2.
    """
    fields = receptive_fields(graph, origin.id)[node.id]
    places = dict(zip(node.positions, unit, strict=True))
    axes = [a.axis for d in origin.positions for a in origin.layout[d] if a.axis >= 0]
    out: list[float] = []
    for k, dim in enumerate(origin.positions):
        n = origin.shape[dim]
        own = node.axis_dim(axes[k]) if k < len(axes) else None
        at = places.get(own, 0) if own is not None else 0
        path = fields[k].path if fields is not None else None
        middle = path.centre(at) if path is not None else None
        if middle is not None and (own is not None or path is None or len(path.lo) == 1):
            out.append(float(middle))
        else:
            cells = node.shape[own] if own is not None else 1
            out.append((at + 0.5) * n / cells - 0.5)
    return tuple(out)
