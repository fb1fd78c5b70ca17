"""One network under examination: its graph and the walks over it that several kinds of evidence share."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from archlens.analyses.expected.field import BranchShare
from archlens.analyses.expected.lens import Edges, Lens
from archlens.analyses.fields.theoretical import Field, receptive_fields
from archlens.analyses.fields.visible import Box, boxes
from archlens.analyses.structure.context import ContextModule, context_module
from archlens.analyses.structure.growth import Growth, Stage, last_growth, stages, widest_way
from archlens.analyses.structure.resolution import Resolution, resolution
from archlens.graph import Graph
from archlens.report import Report


class Subject:
    """A graph, its class-score cell, and what is derived from them on demand."""

    def __init__(self, graph: Graph, cell: int, output: int) -> None:
        self.graph = graph
        self.cell = cell
        self.output = output
        self.of = graph.layer_of()

    @classmethod
    def of_report(cls, report: Report) -> Subject:
        """The network of a report, at the report's own cell."""
        graph = report.graph
        by_name = {layer.name: layer.output for layer in graph.layers}
        output = report.outputs.get("out") or next(iter(report.outputs.values()), report.class_score)
        image = graph.inputs[0]
        return cls(graph, by_name.get(report.class_score, image), by_name.get(output, image))

    def name(self, node: int) -> str:
        """Layer of a node, or `input`."""
        return self.graph.layers[self.of[node]].name if node in self.of else self.graph.input_name(node)

    @property
    def image(self) -> tuple[int, ...]:
        """Sides of the input, pixels."""
        start = self.graph.nodes[self.graph.inputs[0]]
        return tuple(start.shape[d] for d in start.positions)

    @cached_property
    def fields(self) -> list[Field | None]:
        return receptive_fields(self.graph)

    @cached_property
    def boxes(self) -> list[Box | None]:
        return boxes(self.graph)

    @cached_property
    def fork_boxes(self) -> list[Box | None]:
        """What every node sees of the context module's fork."""
        return boxes(self.graph, self.module.fork) if self.module is not None else []

    @cached_property
    def module(self) -> ContextModule | None:
        """The context module that the cell depends on."""
        found = context_module(self.graph)
        return found if found is not None and found.merge in self.needed else None

    @cached_property
    def module_nodes(self) -> frozenset[int]:
        """Nodes of the context module: its branches and where they meet."""
        if self.module is None:
            return frozenset()
        return frozenset(n for b in self.module.branches for n in b.nodes) | {self.module.merge}

    @cached_property
    def needed(self) -> frozenset[int]:
        """Nodes that the cell depends on."""
        needed = {self.cell}
        for n in range(self.cell, -1, -1):
            if n in needed:
                needed.update(e.source for e in self.graph.nodes[n].edges)
        return frozenset(needed)

    @cached_property
    def way(self) -> list[Growth]:
        return widest_way(self.graph, self.fields, self.cell)

    @cached_property
    def stages(self) -> list[Stage]:
        return stages(self.graph, self.way)

    @cached_property
    def last(self) -> Growth | None:
        """The last layer that adds context."""
        return last_growth(self.way)

    @cached_property
    def resolution(self) -> Resolution | None:
        beside = {n for b in self.module.branches for n in b.nodes} if self.module else ()
        return resolution(self.graph, self.fields, self.cell, self.output, beside)

    @cached_property
    def lens(self) -> Lens:
        return Lens(self.graph)

    @cached_property
    def head_input(self) -> int | None:
        """The map that the head reads: the context module's fork, else what the last growing stage reads."""
        if self.module is not None:
            return self.module.fork
        if self.last is None:
            return None
        of = self.of[self.last.node]
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

    @cached_property
    def branch_edges(self) -> Edges:
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

    def costs(self, nodes: Collection[int]) -> tuple[int, int]:
        """(parameters, MACs) of some nodes; a layer's parameters count where all its nodes are among them."""
        macs = sum(self.graph.nodes[n].macs for n in nodes)
        layers = {self.of[n] for n in nodes if n in self.of}
        params = sum(
            self.graph.layers[i].params for i in layers if all(n in nodes for n in self.graph.layers[i].nodes)
        )
        return params, macs
