"""Totals over the graph: multiply-accumulates, elementwise work, and peak activation memory by liveness."""

from __future__ import annotations

from dataclasses import dataclass

from archlens.graph import Graph, Node


@dataclass(frozen=True)
class Totals:
    """Sums over all nodes. `flops` = 2 * macs; elementwise work is apart from both."""

    params: int
    macs: int
    elementwise: int
    peak_activation_bytes: int
    param_bytes: int

    @property
    def flops(self) -> int:
        """Floating-point operations of convolutions, linear layers and matrix products."""
        return 2 * self.macs

    def to_json(self) -> dict[str, int]:
        """In the order of the reports."""
        names = ("params", "macs", "flops", "elementwise", "peak_activation_bytes", "param_bytes")
        return {name: getattr(self, name) for name in names}


def totals(graph: Graph) -> Totals:
    """The network's costs."""
    return Totals(
        params=graph.params,
        macs=sum(n.macs for n in graph.nodes),
        elementwise=sum(n.elementwise for n in graph.nodes),
        peak_activation_bytes=peak_activation_bytes(graph),
        param_bytes=graph.param_bytes,
    )


def uncounted(node: Node) -> str | None:
    """The operation whose arithmetic is not counted, as torch names it; None for none, as of a view."""
    counted = node.macs or node.elementwise or not node.bytes
    if node.attrs.get("uncounted"):
        return node.op
    return None if node.unknown is None or counted else node.unknown


def peak_activation_bytes(graph: Graph) -> int:
    """The most bytes alive at once: the input and every activation that is still to be read.

    A storage is born with the node that allocates it, lives while any view of it is read later, and the
    network's outputs live to the end. Weights and the workspace of kernels are not counted.
    """
    storage = _storages(graph)
    last: dict[int, int] = {}
    for node in graph.nodes:
        last[storage[node.id]] = max(last.get(storage[node.id], 0), node.id)
        for edge in node.edges:
            last[storage[edge.source]] = node.id
    end = len(graph.nodes)
    for out in graph.outputs.values():
        last[storage[out]] = end
    dying: dict[int, list[int]] = {}
    for s, when in last.items():
        dying.setdefault(when, []).append(s)
    alive: dict[int, int] = {}
    peak = current = 0
    for node in graph.nodes:
        alive[storage[node.id]] = alive.get(storage[node.id], 0) + node.bytes
        current += node.bytes
        peak = max(peak, current)
        for s in dying.get(node.id, ()):
            current -= alive.pop(s, 0)
    return peak


def _storages(graph: Graph) -> list[int]:
    """The storage of each node; nodes that no call made are views of what they read first."""
    out: list[int] = []
    for node in graph.nodes:
        if node.storage >= 0 or not node.edges:
            out.append(node.storage)
        else:
            out.append(out[node.edges[0].source])
    return out
