"""Resolution: the deepest stride, the stride of the cell, and what a decoder brings back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from archlens.analyses.fields.theoretical import Field
from archlens.analyses.structure.context import MERGES
from archlens.graph import Graph


@dataclass(frozen=True)
class Skip:
    """A finer map that joins on the way from the deepest stride to the cell."""

    merge: int
    source: int
    stride: float


@dataclass(frozen=True)
class Resolution:
    """Strides in pixels of the input.

    Attributes:
        deepest: The largest stride on the way to the cell (whole-map branches aside).
        deepest_node: The first node at that stride.
        cell: The cell's own stride.
        output: The output's stride.
        skips: Finer maps that join after the deepest one, in order.
    """

    deepest: float
    deepest_node: int
    cell: float | None
    output: float | None
    skips: tuple[Skip, ...]


def resolution(
    graph: Graph,
    fields: list[Field | None],
    cell: int,
    output: int,
    beside: Collection[int] = (),
    axis: int = 0,
) -> Resolution | None:
    """Strides on the way to the cell; None where no node has a lattice.

    Args:
        beside: Nodes whose own strides don't count: a context module's branches pool the map for a moment
            and bring it back, which makes them no deeper stage and the module no decoder.
    """
    needed = sorted(graph.ancestors(cell))
    coarsest: dict[int, tuple[float, int]] = {}  # node -> (largest stride on any way to it, where first)
    for node in graph.nodes:
        own = _jump(fields[node.id], axis)
        before = [coarsest[e.source] for e in node.edges if e.source in coarsest and not e.gate]
        best = max(before, key=lambda c: c[0], default=None)
        if own is not None and node.id not in beside and (best is None or own > best[0]):
            best = (own, node.id)
        if best is not None:
            coarsest[node.id] = best
    if cell not in coarsest:
        return None
    deepest, where = max((coarsest[n] for n in needed if n in coarsest), key=lambda c: c[0])
    skips = []
    for n in needed:
        node = graph.nodes[n]
        ways = [(e.source, coarsest[e.source][0]) for e in node.edges if e.source in coarsest and not e.gate]
        if node.op in MERGES and len(ways) > 1 and max(w[1] for w in ways) == deepest:
            skips += [Skip(n, source, stride) for source, stride in ways if stride < deepest]
    return Resolution(deepest, where, _jump(fields[cell], axis), _jump(fields[output], axis), tuple(skips))


def _jump(field: Field | None, axis: int) -> float | None:
    path = field[axis].path if field else None
    return None if path is None else float(path.jump)
