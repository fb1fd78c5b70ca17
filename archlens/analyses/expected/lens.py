"""Two lenses on "far": what a unit uses, against what it may see.

* Pixel energy: the expected squared gradient. It asks how much independent changes of single pixels matter.
* Coherent response: the expected square of the gradient's sum over a region. It asks how much a change of the
  whole region at once matters. A globally pooled branch hands the same small gradient to every position: in
  pixel energy that hardly counts, in the coherent response it does.

"Far" is everything outside the centred square of half the map's side. Both lenses are taken twice: from the
image, through the whole network, and from the map that the head reads, through the head alone. Random weights
decorrelate neighbouring gradients on their way through a deep trunk, so from the image both lenses may agree
where at the head they do not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archlens.analyses.expected.backward.walk import walk_back
from archlens.analyses.expected.coherent import respond
from archlens.analyses.expected.field import (
    BranchShare,
    ExpectedField,
    assumptions,
    branch_shares,
    cut,
    delta,
    expected_erf,
    without_rule,
)
from archlens.analyses.expected.forward import norms
from archlens.analyses.expected.forward.state import WHITE, Premises
from archlens.analyses.expected.forward.transfer import role
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.summaries import far_region, summarise
from archlens.analyses.expected.use import Use, far_part
from archlens.analyses.fields.walks import Walks
from archlens.graph import Along, Full

_POOLED = (
    "Coherent responses of branches that pool the whole map came out up to a third above those of sampled "
    "networks over white noise; over photographs, whose neighbours agree, they are smaller "
    "(docs/expected_erf.md)."
)

_NORMED = (
    "Group and instance norm let a coherent change of a far region through to every place; over photographs "
    "by up to half less than over the white noise that is taken here (docs/expected_erf.md)."
)

Edges = Sequence[tuple[int, int]]


class Lens:
    """The moments of a graph, and the expected figures that stand on them."""

    def __init__(self, walks: Walks, premises: Premises = WHITE) -> None:
        self.walks, self.graph = walks, walks.graph
        self.moments = forward(walks, premises)
        self._uses: dict[tuple[int, int | None], Use] = {}

    def field(self, node: int, unit: Sequence[int] | None = None, origin: int | None = None) -> ExpectedField:
        """One unit's expected field, with its map."""
        return expected_erf(self.moments, node, unit, origin)

    def use(self, node: int, origin: int | None = None) -> Use:
        """What the centre unit of a node uses of the image, or of another node, by pixel energy."""
        if (node, origin) not in self._uses:
            self._uses[node, origin] = self.used(self.field(node, None, origin))
        return self._uses[node, origin]

    def used(self, found: ExpectedField, coherent: bool = False) -> Use:
        """The figures of a field; with `coherent` also the response to whole regions."""
        graph, node, origin, unit = self.graph, found.node, found.origin, found.unit
        said = (*assumptions(self.moments, node), *self._caveat(node))
        if found.missing or not graph.nodes[origin].positions:
            return Use(assumptions=said, missing=found.missing)
        if found.energy is None:
            return Use(assumptions=said)
        summary = summarise(found.energy, found.centre)
        share = ratio = None
        if coherent:
            far, near = self.responses(node, origin, unit)
            share = far_part(far, near)
            inside = float(found.energy[far_region(found.energy.shape, found.centre)].sum())
            known = share is not None and 0 < found.gain < np.inf
            ratio = far / found.gain / inside if known and inside > 1e-9 else None
        return Use(
            summary.sides, summary.relative, summary.far, share, ratio, summary.border, said
        )  # fmt: skip

    def _caveat(self, node: int) -> tuple[str, ...]:
        """What sampled networks say of the coherent response behind a pooling of the whole map, and behind
        statistics over the places of one."""
        pooled = any(
            isinstance(s, Along)
            and isinstance(s.geometry, Full)
            and s.dim in self.graph.nodes[e.source].positions
            for n in self.graph.ancestors(node)
            if role(self.graph.nodes[n]) != "layer_norm"
            for e in self.graph.nodes[n].edges
            for s in e.steps
        )
        graph = self.graph
        nodes = [graph.nodes[n] for n in graph.ancestors(node)]
        normed = any(role(n) == "layer_norm" and norms.over(n).dims for n in nodes)
        return (*((_POOLED,) if pooled else ()), *((_NORMED,) if normed else ()))

    def responses(
        self,
        node: int,
        origin: int,
        unit: Sequence[int] | None = None,
        through: tuple[int, int] | None = None,
        edges: Edges = (),
    ) -> tuple[float, float]:
        """The cell's responses to a coherent change of the far and of the near part of a map.

        Args:
            through: Only along this one of the `edges`, (node, edge index).
        """
        graph = self.graph
        at = graph.nodes[node].middle if unit is None else tuple(unit)
        far = far_region(graph.nodes[origin].map_size, self.walks.centre(node, at, origin))
        only = {} if through is None else cut(graph, through, edges, node)
        first, second = respond(self.moments, node, at, (far, ~far), origin, only)
        return first, second

    def shares(self, edges: Edges, node: int, origin: int | None = None) -> list[BranchShare]:
        """How the unit's energy divides among branches; empty where an operation has no rule."""
        return branch_shares(self.moments, edges, node, None, origin)

    def cells_read(self, node: int, origin: int) -> int | None:
        """Cells of the origin's map that a node's centre unit reads; None where an operation has no rule, or
        nothing reaches the unit."""
        end = self.graph.nodes[node]
        if without_rule(self.moments, node, origin):
            return None
        found = walk_back(self.moments, {node: delta(end, end.middle)}, origin).get(origin)
        return None if found is None else int(np.count_nonzero(found))
