"""How sure a value is. Every figure of a report carries one of these words.

* `exact`   - follows from the network's geometry alone;
* `bound`   - nothing lies outside what is said, but less may be true (channels taken apart, partial writes);
* `assumed` - follows from stated assumptions (random weights, image statistics);
* `unknown` - an operation that is not understood lies on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archlens.analyses.fields.blending import REASON, picked_apart
from archlens.graph import Graph

Word = Literal["exact", "bound", "assumed", "unknown"]


@dataclass(frozen=True)
class Status:
    """A word and, unless exact, the reason."""

    word: Word
    reason: str | None = None


EXACT = Status("exact")


def statuses(graph: Graph, origin: int | None = None) -> list[Status | None]:
    """The status of every node's field, seen from the input or another node; None where it depends on
    neither. Unknown outweighs bound, bound outweighs exact; the first reason on the way is kept."""
    origin = graph.inputs[0] if origin is None else origin
    out: list[Status | None] = [None] * len(graph.nodes)
    blended = picked_apart(graph)
    for node in graph.nodes:
        if node.id == origin:
            out[node.id] = EXACT
            continue
        before = [s for e in node.edges if (s := out[e.source]) is not None]
        if not before:
            continue
        lost = next((s for s in before if s.word == "unknown"), None)
        loose = next((s for s in before if s.word == "bound"), None)
        if lost is None and node.unknown is not None:
            lost = Status("unknown", node.unknown)
        if loose is None and node.bound is not None:
            loose = Status("bound", node.bound)
        if loose is None and blended[node.id]:
            loose = Status("bound", REASON)
        out[node.id] = lost or loose or EXACT
    return out
