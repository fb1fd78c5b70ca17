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
from dataclasses import dataclass
from typing import Any

import numpy as np

from archlens.analyses.expected.backward.walk import walk_back
from archlens.analyses.expected.coherent import respond
from archlens.analyses.expected.field import (
    BranchShare,
    ancestors,
    assumptions,
    branch_shares,
    cut,
    delta,
    middle,
    normalised,
    without_rule,
)
from archlens.analyses.expected.forward.walk import Forward, Setting, forward
from archlens.analyses.expected.summaries import centre_of, far_region, summarise
from archlens.graph import Along, Full, Graph

SETTING = Setting(images="white")
"""What every expected figure of a comparison is taken over; `Use.assumptions` says it in sentences."""

_POOLED = (
    "Coherent responses of branches that pool the whole map came out up to a third above those of sampled "
    "networks over white noise; over photographs, whose neighbours agree, they are smaller "
    "(docs/expected_erf.md)."
)

Edges = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Use:
    """What the centre unit uses of a map (the image, or the map that the head reads).

    Attributes:
        sides: Percent of the energy -> side of the smallest centred square that holds it, in cells of that
            map (pixels of the image).
        relative: The same as a share of the map's side.
        far: Share of the pixel energy that is far.
        coherent_far: The far region's share of the coherent responses to a near and a far change.
        gathering: Coherent response of the far region over its pixel energy; 1: nothing is gathered.
        border: Energy on the outermost 2 % of the map.
        assumptions: What the expectation is taken over.
        missing: Operations without a rule; then the figures are None.
    """

    sides: dict[int, float] | None
    relative: dict[int, float] | None
    far: float | None
    coherent_far: float | None
    gathering: float | None
    border: float | None
    assumptions: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there are figures."""
        return self.far is not None


class Lens:
    """A graph with its moments, which all expected figures share."""

    def __init__(self, graph: Graph, setting: Setting = SETTING) -> None:
        self.graph = graph
        self.moments: Forward = forward(graph, setting)
        self._centres: dict[tuple[int, int, tuple[int, ...]], tuple[float, ...]] = {}

    def centre(
        self, node: int, unit: Sequence[int] | None = None, origin: int | None = None
    ) -> tuple[float, ...]:
        """A unit's own centre in the image, or in another node; the middle unit by default."""
        origin = self.graph.inputs[0] if origin is None else origin
        unit = middle(self.graph.nodes[node]) if unit is None else tuple(unit)
        key = (node, origin, unit)
        if key not in self._centres:
            self._centres[key] = centre_of(self.graph, node, unit, origin)
        return self._centres[key]

    def use(
        self, node: int, unit: Sequence[int] | None = None, origin: int | None = None, coherent: bool = True
    ) -> Use:
        """What one unit of a node uses of the image, or of another node."""
        graph = self.graph
        origin = graph.inputs[0] if origin is None else origin
        unit = middle(graph.nodes[node]) if unit is None else tuple(unit)
        said = (*assumptions(self.moments, node), *self._caveat(node))
        missing = without_rule(self.moments, node, origin)
        if missing or not graph.nodes[origin].positions:
            return Use(None, None, None, None, None, None, said, missing)
        arrived = walk_back(self.moments, {node: delta(graph.nodes[node], unit)}, origin).get(origin)
        energy, gain = (None, 0.0) if arrived is None else normalised(graph.nodes[origin], arrived)
        if energy is None:
            return Use(None, None, None, None, None, None, said)
        found = summarise(energy, self.centre(node, unit, origin))
        share = ratio = None
        if coherent:
            share, ratio = self._coherent(node, unit, origin, energy * gain)
        return Use(
            {round(100 * k): v for k, v in found.sides.items()},
            {round(100 * k): v for k, v in found.relative.items()},
            found.far,
            share,
            ratio,
            found.border,
            said,
        )

    def _caveat(self, node: int) -> tuple[str, ...]:
        """What sampled networks say of the coherent response behind a pooling of the whole map."""
        seen = ancestors(self.graph, node)
        pooled = any(
            isinstance(s, Along)
            and isinstance(s.geometry, Full)
            and s.dim in self.graph.nodes[e.source].positions
            for n in seen
            for e in self.graph.nodes[n].edges
            for s in e.steps
        )
        return (_POOLED,) if pooled else ()

    def _coherent(
        self, node: int, unit: Sequence[int], origin: int, energy: Any
    ) -> tuple[float, float | None]:
        far, near = self.responses(node, origin, unit)
        region = far_region(energy.shape, self.centre(node, unit, origin))
        inside = float(np.asarray(energy)[region].sum())
        total = far + near
        return (far / total if total else 0.0), (far / inside if inside > 1e-9 * energy.sum() else None)

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
        graph, start = self.graph, self.graph.nodes[origin]
        unit = middle(graph.nodes[node]) if unit is None else tuple(unit)
        sizes = [start.shape[d] for d in start.positions]
        far = far_region(sizes, self.centre(node, unit, origin))
        only = {} if through is None else cut(graph, through, edges, node)
        answers = [respond(self.moments, node, unit, region, origin, only) for region in (far, ~far)]
        return answers[0], answers[1]

    def shares(
        self, edges: Edges, node: int, origin: int | None = None, unit: Sequence[int] | None = None
    ) -> list[BranchShare]:
        """How the unit's energy divides among branches; empty where an operation has no rule."""
        return branch_shares(self.graph, edges, node, unit, origin, moments=self.moments)
