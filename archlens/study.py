"""One network at one size under examination: every walk over it once, on demand, shared by whoever asks.

Reports, evidence, graphs, plots and pages all read here; none of them walks by itself. A saved report makes a
study again from its graph.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.use import Use
from archlens.analyses.fields.coverage import Coverage, coverage, places, seen_shares
from archlens.analyses.fields.degeneration import Degeneration, degeneration
from archlens.analyses.fields.visible import Box, Hull, Ints, over_positions
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import class_score, main_output
from archlens.analyses.structure.context import Branch, ContextModule, context_module
from archlens.analyses.structure.edit import dilated
from archlens.analyses.structure.fov import FieldOfView, field_of_view
from archlens.analyses.structure.growth import Growth, Stage, last_growth, stages, strides, widest_way
from archlens.analyses.structure.resolution import Resolution, resolution
from archlens.analyses.structure.tiling import Tiling, tiling
from archlens.analyses.structure.unproductive import Unproductive, unproductive
from archlens.graph import Graph, Node
from archlens.shades import Shades, shaded

if TYPE_CHECKING:  # they take scipy along, which fields and costs do without
    from archlens.analyses.expected.field import BranchShare, ExpectedField
    from archlens.analyses.expected.lens import Lens

CURVE = (0.02, 0.05, *(n / 20 for n in range(2, 20)), 0.97, 0.99)
"""Shares of the energy that its curve is drawn through."""


class Study(Walks):
    """A graph, its class-score cell, and what is derived from them."""

    def __init__(
        self,
        graph: Graph,
        cell: int | None = None,
        output: int | None = None,
        edited_from: Walks | None = None,
    ) -> None:
        """
        Args:
            cell: Node of the class-score cell; default: found from the output.
            output: Node of the main output; default: the one called `out`, or the first.
            edited_from: As in `Walks`.
        """
        super().__init__(graph, edited_from)
        self.output = main_output(graph) if output is None else output
        self.cell = class_score(graph, self.output) if cell is None else cell

    # -------------------------------------------------------------- names and sizes

    def name(self, node: int) -> str:
        """Layer of a node, or `input`."""
        return self.graph.name_of(node)

    @property
    def image(self) -> tuple[int, ...]:
        """Sides of the input, pixels."""
        return self.graph.nodes[self.graph.inputs[0]].map_size

    @cached_property
    def needed(self) -> frozenset[int]:
        """Nodes that the cell depends on."""
        return self.graph.ancestors(self.cell)

    def costs(self, nodes: Collection[int]) -> tuple[int, int]:
        """(parameters, MACs) of some nodes; a layer's parameters count where all its nodes are among them."""
        of, layers = self.graph.layer_of, self.graph.layers
        own = {of[n] for n in nodes if n in of}
        params = sum(layers[i].params for i in own if all(n in nodes for n in layers[i].nodes))
        return params, sum(self.graph.nodes[n].macs for n in nodes)

    # -------------------------------------------------------------- the context module

    @cached_property
    def any_module(self) -> ContextModule | None:
        """The network's context module, wherever it is."""
        return context_module(self)

    @cached_property
    def module(self) -> ContextModule | None:
        """The context module that the cell depends on."""
        found = self.any_module
        return found if found is not None and found.merge in self.needed else None

    @cached_property
    def module_nodes(self) -> frozenset[int]:
        """Nodes of the context module: its branches and where they meet."""
        return frozenset() if self.module is None else self.module.nodes

    def widest_window(self, branch: Branch) -> Degeneration | None:
        """The convolution of a branch with the largest rate, and what it keeps of itself on its map."""
        found = [d for n in branch.nodes if (d := degeneration(self.graph, n)) is not None]
        found = [d for d in found if self.graph.nodes[d.node].op.startswith("conv")]
        return max(found, key=lambda d: d.rate, default=None)

    @cached_property
    def rates(self) -> list[int]:
        """Dilated windows of the context module, or without one of all that reads the head's map."""
        inside = {n for b in self.module.branches for n in b.nodes} if self.module else set()
        start = self.head_input
        head = set() if start is None else {n for n in self.needed if n > start}
        return dilated(self.graph, inside or head)

    # -------------------------------------------------------------- growth and resolution

    @cached_property
    def way(self) -> list[Growth]:
        """The layers to the cell along the way with the largest finite field."""
        return widest_way(self.graph, self.fields(), self.cell)

    @cached_property
    def stages(self) -> list[Stage]:
        """That way in stages."""
        return stages(self.graph, self.way)

    @cached_property
    def strides(self) -> list[tuple[str, list[Growth]]]:
        """(name, layers on the way) of each stage; a stage that strides counts once a stride."""
        return strides(self.graph, self.stages, self.way)

    @cached_property
    def last(self) -> Growth | None:
        """The last layer that adds context."""
        return last_growth(self.way)

    @cached_property
    def _deepest(self) -> list[Resolution | None]:
        """An axis each."""
        found = self.fields()[self.cell]
        beside = {n for b in self.module.branches for n in b.nodes} if self.module else ()
        return [
            resolution(self.graph, self.fields(), self.cell, self.output, beside, axis)
            for axis in range(len(found or ()))
        ]

    @property
    def resolution(self) -> Resolution | None:
        """Strides on the way to the cell, and what a decoder brings back; along the first axis."""
        return self._deepest[0] if self._deepest else None

    @property
    def deepest_strides(self) -> tuple[float, ...]:
        """The largest stride on the way to the cell, an axis each; that of the image itself is 1."""
        return tuple(1.0 if r is None else r.deepest for r in self._deepest) or (1.0,) * len(self.image)

    @property
    def deepest(self) -> int | None:
        """The first node at the largest of them; None where nothing strides."""
        found = [r for r in self._deepest if r is not None and r.deepest > 1]
        return max(found, key=lambda r: r.deepest).deepest_node if found else None

    @cached_property
    def head_input(self) -> int | None:
        """The map that the head reads: the context module's fork, else what the last growing stage reads."""
        if self.module is not None:
            return self.module.fork
        if self.last is None:
            return None
        of = self.graph.layer_of[self.last.node]
        stage = next((s for s in self.stages if s.first <= of <= s.last and s.added > 0), None)
        if stage is None:
            return None
        first = self.graph.layers[stage.first].nodes[0]
        source = next((e.source for e in self.graph.nodes[first].edges), None)
        # A network that is one stage from the image on has no head of its own.
        return None if source is None or source in self.graph.inputs else source

    @cached_property
    def streams(self) -> list[tuple[int, int]]:
        """Where the deepest map and the finer ones that a decoder adds arrive: (node, edge index), the
        deepest first. Empty without a decoder."""
        found = self.resolution
        if found is None or not found.skips:
            return []
        skips = [
            (s.merge, k)
            for s in found.skips
            for k, e in enumerate(self.graph.nodes[s.merge].edges)
            if e.source == s.source
        ]
        first = min(m for m, _ in skips)
        deep = [(first, k) for k in range(len(self.graph.nodes[first].edges)) if (first, k) not in skips]
        return [*deep[:1], *skips]

    # -------------------------------------------------------------- what is seen

    @cached_property
    def coverage(self) -> Coverage | None:
        """How much of the image the cells see, by position."""
        return coverage(self.graph, self.cell, self.boxes()[self.cell])

    def seen_shares(self, node: int) -> NDArray[np.float64] | None:
        """Share of the image's area in each unit's box, over the node's positions; None where not known."""
        box = self.boxes()[node]
        return None if box is None else seen_shares(self.graph, node, box)

    @property
    def places(self) -> dict[str, tuple[int, ...]]:
        """The cells that are meant by corner, edge and centre."""
        return places(self.graph.nodes[self.cell].map_size)

    def unit_boxes(
        self, origin: int | None = None, most: float = math.inf
    ) -> Iterator[list[tuple[Ints, Ints]] | Literal["many"] | None]:
        """For each layer (lo, hi) per axis over the positions of its result, broadcastable; lo > hi where a
        unit sees nothing; None where that is not known, a word where it takes more than `most` numbers."""
        found = self.boxes(origin)
        for layer in self.graph.layers:
            box, node = found[layer.output], self.graph.nodes[layer.output]
            if box is None:
                yield None
            # A hull that was too large to be worked out is too large to be listed.
            elif most < math.inf and (isinstance(box, Hull) or _units(box, node) > most):
                yield "many"
            else:
                pairs = over_positions(box, node)
                yield pairs if sum(lo.size + hi.size for lo, hi in pairs) <= most else "many"

    @cached_property
    def unproductive(self) -> list[Unproductive]:
        """Layers before the cell that can add no context at this input size."""
        return unproductive(self.graph, self.fields(), self.boxes(), self.cell)

    @cached_property
    def tiling(self) -> Tiling | None:
        """Margins and grid of tiled inference."""
        return tiling(self.fields(), self.output)

    @cached_property
    def fov(self) -> FieldOfView | None:
        """The field of view in DeepLab's published convention, for VGG-16 trunks."""
        return field_of_view(self, self.cell)

    # -------------------------------------------------------------- what is expected to be used

    @cached_property
    def lens(self) -> Lens:
        """Expected figures: batch statistics over white noise."""
        from archlens.analyses.expected.lens import Lens  # scipy: only these figures need it

        return Lens(self)

    @cached_property
    def cell_field(self) -> ExpectedField:
        """The expected field of the centre cell over the image, with its map."""
        return self.lens.field(self.cell)

    @cached_property
    def energy_use(self) -> Use:
        """What the centre cell uses of the image, by pixel energy alone; more where that is known already."""
        return self.__dict__.get("use") or self.lens.used(self.cell_field)

    @cached_property
    def use(self) -> Use:
        """What the centre cell uses of the image."""
        return self.lens.used(self.cell_field, coherent=True)

    @cached_property
    def head_use(self) -> Use | None:
        """What it uses of the map that the head reads."""
        if self.head_input is None:
            return None
        return self.lens.used(self.lens.field(self.cell, None, self.head_input), coherent=True)

    @cached_property
    def curve(self) -> tuple[tuple[float, float], ...]:
        """(share of the image's side, share of the energy) of centred squares around the cell."""
        from archlens.analyses.expected.summaries import centred_sides

        found = self.cell_field
        if found.energy is None or not found.energy.ndim:
            return ()
        ends = centred_sides(found.energy, found.centre, CURVE)
        side = max(found.energy.shape)
        return ((0.0, 0.0), *((min(e / side, 1.0), s) for e, s in zip(ends, CURVE, strict=True)))

    @cached_property
    def shades(self) -> Shades | None:
        """A picture of the centre cell's expected field over the image."""
        return shaded(self.cell_field.energy)

    @cached_property
    def branch_edges(self) -> list[tuple[int, int]]:
        """The context module's branches as edges."""
        return [] if self.module is None else [(b.merge, b.position) for b in self.module.branches]

    @cached_property
    def branch_shares(self) -> list[BranchShare]:
        """How the cell's energy on the image divides among the branches; empty where unknown."""
        return self.lens.shares(self.branch_edges, self.cell) if self.branch_edges else []

    @cached_property
    def branch_responses(self) -> list[tuple[float, float]]:
        """Each branch's responses to a coherent change of the far and the near part of the fork's map."""
        if self.module is None or not self.branch_shares:
            return []
        return [
            self.lens.responses(self.cell, self.module.fork, through=edge, edges=self.branch_edges)
            for edge in self.branch_edges
        ]


def _units(box: Box, node: Node) -> int:
    """Numbers of a box over its node's positions; more where channels differ in being empty."""
    return sum(math.prod(a.shape[d] for d in node.positions) for a in (*box.lo, *box.hi))
