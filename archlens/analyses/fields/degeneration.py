"""What a dilated window keeps of itself on a map of finite size.

A 3x3 at rate r < H on a zero-padded H x H map reads (1 + 2 (H - r) / H)² of its nine taps on average
(DeepLabv3, section 3.3 and Fig. 4, says where that ends: as the rate nears the map's size, only the centre
is left).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from archlens.analyses.fields.taps import reads
from archlens.graph import Along, Graph, Window


@dataclass(frozen=True)
class Degeneration:
    """Of one window operation on its map, over all positions.

    Attributes:
        node: The operation.
        taps: Taps of the window, k².
        rate: The largest dilation over the axes.
        map: Sides of the map that it reads.
        mean_taps: Mean number of taps inside the map.
        full: Share of positions that keep all taps.
        corner, centre: Taps inside the map at the corner and at the centre.
    """

    node: int
    taps: int
    rate: int
    map: tuple[int, ...]
    mean_taps: float
    full: float
    corner: int
    centre: int

    @property
    def kept(self) -> float:
        """Mean share of the taps that read something."""
        return self.mean_taps / self.taps


def degeneration(graph: Graph, node: int) -> Degeneration | None:
    """What a node's window keeps; None where it has no window of more than one tap."""
    here = graph.nodes[node]
    for edge in here.edges:
        shape = list(graph.nodes[edge.source].shape)
        axes: list[tuple[Window, int, int]] = []
        for step in edge.steps:
            if not isinstance(step, Along) or step.dim >= len(shape):
                break
            if isinstance(step.geometry, Window) and step.dim in here.positions:
                axes.append((step.geometry, shape[step.dim], step.size))
            shape[step.dim] = step.size
        taps = prod(w.kernel for w, _, _ in axes)
        if taps <= 1 or edge.gate:
            continue
        valid = [(reads(w, n_in, n_out) >= 0).sum(axis=1) for w, n_in, n_out in axes]
        return Degeneration(
            node=node,
            taps=taps,
            rate=max(w.dilation for w, _, _ in axes if w.kernel > 1),
            map=tuple(n_in for _, n_in, _ in axes),
            mean_taps=prod(float(v.mean()) for v in valid),
            full=prod(float((v == w.kernel).mean()) for v, (w, _, _) in zip(valid, axes, strict=True)),
            corner=prod(int(v[0]) for v in valid),
            centre=prod(int(v[len(v) // 2]) for v in valid),
        )
    return None
