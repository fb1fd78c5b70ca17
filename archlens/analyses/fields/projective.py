"""The projective field: which units of every layer a position of the input can reach.

The same sets as in `support`, walked forwards: the transpose of the question "what does this unit see?".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.fields.support import at_unit, on_positions
from archlens.analyses.fields.taps import pattern, reads
from archlens.analyses.fields.visible import reshape_like
from archlens.graph import Along, Full, Geometry, Graph, Keep, Permute, Reshape, Step
from archlens.graph.masks import unpack

Bools = NDArray[np.bool_]


def projective(
    graph: Graph, origin_unit: Sequence[int], origin: int | None = None, keep: Collection[int] | None = None
) -> dict[int, Bools | None]:
    """Which units depend on one position of the origin, in any of its channels.

    Args:
        graph: The captured network.
        origin_unit: One index for each of the origin's positions: (y, x) of a pixel.
        origin: Node to start from; default the first input.
        keep: Nodes that are asked for; default all. Others are freed as soon as their readers are done.

    Returns:
        Node id -> bool array over the node's positions; None behind an operation that is not understood.
        Nodes that do not depend on the origin are absent.
    """
    origin = graph.inputs[0] if origin is None else origin
    last = {e.source: n.id for n in graph.nodes for e in n.edges}
    sets: dict[int, Bools | None] = {origin: at_unit(graph.nodes[origin], origin_unit)}
    out: dict[int, Bools | None] = {}
    for node in graph.nodes[origin:]:
        parts = [(e, sets[e.source]) for e in node.edges if e.source in sets]
        if node.id != origin:
            if not parts:
                continue
            sets[node.id] = None
            if node.unknown is None and all(lit is not None for _, lit in parts):
                union: Bools | None = None
                for edge, lit in parts:
                    assert lit is not None
                    reached = forward(lit, graph.nodes[edge.source].shape, edge.steps)
                    union = reached if union is None else union | reached
                sets[node.id] = union
        if keep is None or node.id in keep:
            lit = sets[node.id]
            out[node.id] = None if lit is None else on_positions(node, lit)
        for edge, _ in parts:
            if last[edge.source] == node.id:
                sets.pop(edge.source, None)
    return out


def forward(lit: Bools, shape: tuple[int, ...], steps: Sequence[Step]) -> Bools:
    """Which results read any of a set, through the steps of one edge."""
    for step in steps:
        match step:
            case Along(dim, geometry, size):
                lit = _on(lit, dim, geometry, shape[dim], size)
                shape = (*shape[:dim], size, *shape[dim + 1 :])
            case Reshape(new):
                lit, shape = reshape_like(lit, shape, new), new
            case Permute(dims):
                lit, shape = lit.transpose(dims), tuple(shape[d] for d in dims)
            case Keep():
                lit = lit & unpack(step)
    return lit


def _on(lit: Bools, dim: int, geometry: Geometry, n_in: int, n_out: int) -> Bools:
    if isinstance(geometry, Full):
        return np.asarray(lit.any(axis=dim, keepdims=True))
    if n_in == 0 or n_out == 0:
        return np.zeros((*lit.shape[:dim], n_out, *lit.shape[dim + 1 :]), bool)
    if lit.shape[dim] == 1 and n_in != 1:
        some = (reads(geometry, n_in, n_out) >= 0).any(axis=1)
        return lit if some.all() else lit & some.reshape([-1 if d == dim else 1 for d in range(lit.ndim)])
    return pattern(geometry, n_in, n_out).apply(lit.astype(float), dim) > 0
