"""Layer rows with their work, their traffic, their times, and what the roofline says of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from archlens.graph import Graph, Layer
from archlens.probes.profile.roofline import Bound, Ceilings


@dataclass(frozen=True)
class Latency:
    """Seconds over repeated runs: the median, and the quartiles as its spread."""

    median: float
    low: float
    high: float
    runs: int

    @staticmethod
    def of(seconds: Sequence[float]) -> Latency:
        """From single times."""
        if len(seconds) < 2:
            only = seconds[0] if seconds else float("nan")
            return Latency(only, only, only, len(seconds))
        low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
        return Latency(median, low, high, len(seconds))


@dataclass(frozen=True)
class LayerProfile:
    """One layer row.

    Attributes:
        name, op, kind: Of the row.
        latency: None where the row did not come up in a call of its own.
        share: Of the sum of all layers' medians.
        params: Counted at the row (shared ones once).
        macs, elementwise: For the whole batch.
        moved: Bytes read and written at the least; 0 for views.
        intensity: FLOP per byte moved; None where nothing is moved.
        flops_per_second: Achieved; None without work or time.
        bytes_per_second: Achieved; None without traffic or time.
        bound: The ceiling in the way; None where there is no work.
        roof_seconds: The least time that the roofline allows.
        roof_share: roof_seconds / median.
        held: Most bytes held while the row ran, the weights not counted.
    """

    name: str
    op: str
    kind: str
    latency: Latency | None
    share: float
    params: int
    macs: int
    elementwise: int
    moved: int
    intensity: float | None
    flops_per_second: float | None
    bytes_per_second: float | None
    bound: Bound | None
    roof_seconds: float
    roof_share: float | None
    held: int | None

    @property
    def flops(self) -> int:
        """2 FLOP a MAC, one an elementwise operation."""
        return 2 * self.macs + self.elementwise


def layer_profiles(
    graph: Graph,
    seconds: dict[int, list[float]],
    held: dict[int, int],
    roof: Ceilings,
    batch: int,
    itemsize: int,
) -> list[LayerProfile]:
    """Rows with their work, their traffic and their times."""
    times = {i: Latency.of(s) for i, s in seconds.items()}
    total = sum(t.median for t in times.values())
    out = []
    for i, layer in enumerate(graph.layers):
        nodes = [graph.nodes[n] for n in layer.nodes]
        macs = batch * sum(n.macs for n in nodes)
        elementwise = batch * sum(n.elementwise for n in nodes)
        flops = 2 * macs + elementwise
        moved = traffic(graph, layer, batch) * itemsize
        time = times.get(i)
        median = time.median if time is not None and time.median > 0 else None
        least = roof.seconds(flops, moved)
        out.append(
            LayerProfile(
                name=layer.name,
                op=layer.op,
                kind=layer.kind,
                latency=time,
                share=time.median / total if time is not None and total > 0 else 0.0,
                params=layer.params,
                macs=macs,
                elementwise=elementwise,
                moved=moved,
                intensity=flops / moved if moved else None,
                flops_per_second=flops / median if median and flops else None,
                bytes_per_second=moved / median if median and moved else None,
                bound=roof.bound(flops, moved) if flops or moved else None,
                roof_seconds=least,
                roof_share=least / median if median and least > 0 else None,
                held=held.get(i),
            )
        )
    return out


def traffic(graph: Graph, layer: Layer, batch: int) -> int:
    """The fewest elements that a row reads and writes: operands once, weights once, its result once."""
    own = set(layer.nodes)
    nodes = [graph.nodes[n] for n in layer.nodes]
    if not any(n.bytes or n.macs or n.elementwise for n in nodes):
        return 0  # views, dropout in evaluation mode: nothing moves
    sources = {e.source for n in nodes for e in n.edges if e.source not in own}
    read = sum(math.prod(graph.nodes[s].shape) for s in sources)
    written = math.prod(graph.nodes[layer.output].shape)
    # A second call of a shared layer reads its weights again, though the row counts no parameters.
    weights = sum(math.prod(n.attrs["weight"]) for n in nodes if n.attrs.get("weight"))
    return int(batch * (read + written) + max(weights, layer.params))
