"""Layers that can add no context at this input size, because their input already sees all of it.

Richter, Schöning, Wiedenroth & Krumnack, Should You Go Deeper? (arXiv 2106.12307, 2021): once the receptive
field of a layer's input exceeds the image, the layer has no new context to integrate, and in trained
classifiers such layers hardly add to the accuracy. Where ways of different length merge, the shortest and the
longest one say different things; both are given.
"""

from __future__ import annotations

from dataclasses import dataclass

from archlens.analyses.fields.coverage import coverage
from archlens.analyses.fields.theoretical import Field
from archlens.analyses.fields.visible import Box
from archlens.analyses.structure.edit import windows
from archlens.graph import Along, Graph, TransposedWindow, Window


@dataclass(frozen=True)
class Unproductive:
    """A layer with a window whose input's theoretical field is at least as large as the image on every axis.

    Attributes:
        node: The layer's node.
        before: Theoretical field of its input along the widest way, pixels; None: the whole image.
        shortest: The same along the shortest way.
        everywhere: Whether every unit of its input sees all of the image at this size, borders included:
            then it adds no pixel to any unit.
    """

    node: int
    before: int | None
    shortest: int
    everywhere: bool


def unproductive(
    graph: Graph, fields: list[Field | None], seen: list[Box | None], cell: int
) -> list[Unproductive]:
    """Those among the layers that the cell depends on, in order."""
    sides = graph.nodes[graph.inputs[0]].map_size
    short = shortest_fields(graph)
    needed = graph.ancestors(cell)
    out = []
    for node in graph.nodes:
        if node.id not in needed or not any(w.kernel > 1 for w in windows(node)):
            continue
        source = node.edges[0].source
        field = fields[source]
        if not field:
            continue
        covers = [
            part.kind == "global" or (part.path is not None and part.path.size >= side)
            for part, side in zip(field, sides, strict=True)
        ]
        if not all(covers):
            continue
        share = coverage(graph, source, seen[source])
        path = field[0].path
        out.append(
            Unproductive(
                node.id,
                path.size if path is not None and field[0].finite else None,
                round(short[source][0]) if source in short else 1,
                share is not None and share.whole == 1,
            )
        )
    return out


def shortest_fields(graph: Graph) -> dict[int, tuple[float, float]]:
    """Node -> (field along the shortest way, jump there), first axis; merges take the least."""
    out: dict[int, tuple[float, float]] = {graph.inputs[0]: (1.0, 1.0)}
    for node in graph.nodes:
        ways = []
        for edge in node.edges:
            if edge.source not in out or edge.gate:
                continue
            size, jump = out[edge.source]
            for step in edge.steps:
                if not isinstance(step, Along) or step.dim not in node.positions[:1]:
                    continue
                match step.geometry:
                    case Window(kernel, stride, _, dilation):
                        size, jump = size + (kernel - 1) * dilation * jump, jump * stride
                    case TransposedWindow(_, stride):
                        jump /= stride
            ways.append((size, jump))
        if ways and node.id not in out:
            out[node.id] = min(ways)
    return out
