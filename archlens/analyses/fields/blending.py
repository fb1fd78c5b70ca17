"""Where channels are taken for one another, and so a field may be said too large.

Pixel (un)shuffles and (un)folds are lowered along the axes and along the channels separately: every channel
of a block is taken to read the whole block. The hull over a unit's channels is right all the same, and it
stays right as long as all channels go the same way. It is an upper bound only where some of them are picked
later, or are spread over positions.
"""

from __future__ import annotations

from archlens.graph import Along, Full, Graph, Grouped, Node, Slice, Step

REASON = "channels are told apart that a pixel shuffle or a fold has put together"
GATHERING = {"pixel_unshuffle", "unfold"}  # positions become channels
SPREADING = {"pixel_shuffle", "fold"}  # channels become positions


def picked_apart(graph: Graph) -> list[bool]:
    """Per node: whether its own step makes the field an upper bound."""
    blended = [False] * len(graph.nodes)  # single channels may be said to see what their neighbours see
    differ = [False] * len(graph.nodes)  # channels of one unit may have different fields
    out = [False] * len(graph.nodes)
    for node in graph.nodes:
        for edge in node.edges:
            source = graph.nodes[edge.source]
            mixes, picks, groups = _channels(source, edge.steps)
            out[node.id] |= blended[source.id] and (picks or _crosses(node))
            out[node.id] |= differ[source.id] and node.op in SPREADING
            blended[node.id] |= blended[source.id] and not mixes
            differ[node.id] |= (differ[source.id] and not mixes) or (groups and differ[source.id])
        if node.op in GATHERING:
            blended[node.id] = differ[node.id] = True
        differ[node.id] |= node.op in ("cat", "stack", "copy") and len(node.edges) > 1
    return out


def _channels(source: Node, steps: tuple[Step, ...]) -> tuple[bool, bool, bool]:
    """Whether an edge mixes all channels, picks some of them, reads them in blocks."""
    channels = {d for d, n in enumerate(source.shape) if d > 0 and n > 1 and d not in source.positions}
    full: set[int] = set()
    picks = groups = False
    for step in steps:
        if not isinstance(step, Along):
            break  # dimensions have other numbers from here on: nothing is claimed of them
        if step.dim in channels:
            match step.geometry:
                case Full():
                    full.add(step.dim)
                case Grouped():
                    groups = True
                case Slice(start, 1) if start <= 0 and step.size >= source.shape[step.dim] - start:
                    pass  # a concat puts all of them at an offset
                case _:
                    picks = True
    else:
        return bool(channels) and full == channels, picks, groups
    rest = any(isinstance(s, Along) and s.size != 1 for s in steps)
    return bool(channels) and full == channels, picks or rest, groups


def _crosses(node: Node) -> bool:
    """Whether channels have been joined into a dimension of positions."""
    return any(
        any(a.axis >= 0 for a in dim) and any(a.axis < 0 and a.size > 1 for a in dim) for dim in node.layout
    )
