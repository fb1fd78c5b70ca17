"""Summaries of an energy map that can be compared across networks and input sizes.

A map has any number of axes. Squares (segments, cubes) are centred on the unit's own centre in the origin.
A pixel covers [i - 1/2, i + 1/2] and counts by the part of it that lies inside: sides are continuous, in px.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archlens.graph import Along, Full, Graph, Window

Floats = NDArray[np.float64]
PERCENT = (25, 50, 75, 95)
"""Of the energy, that centred squares are asked to hold."""


@dataclass(frozen=True)
class Summary:
    """What a map says in few numbers.

    Attributes:
        sides: Percent of the energy -> side in px of the smallest centred square that holds it. A square may
            reach beyond the map, where there is no energy.
        relative: The same as a share of the map's side (of its longest axis).
        far: Energy outside the centred square of half the map's side.
        sigma: Standard deviation of the map per axis, px: the Gaussian of the same second moment.
        centre: Of the squares, px per axis.
        border: Energy on the outermost 2 % of the map (one pixel at least): above a few per cent the field
            is cut off by the border, and the sides are too small.
        area_ratio: RepLKNet's figure: (side of the smallest centred square that holds half of
            log10(x / max * 1e6 + 1), over the map's side) ** 2. Not scale-free: kept for comparison only.
    """

    sides: dict[int, float]
    relative: dict[int, float]
    far: float
    sigma: tuple[float, ...]
    centre: tuple[float, ...]
    border: float
    area_ratio: float

    @property
    def hits_border(self) -> bool:
        """Whether the border cuts a noticeable part of the field off."""
        return self.border > 0.05


def summarise(energy: Floats, centre: Sequence[float] | None = None) -> Summary:
    """Summary of an energy map; `centre` in px, default the map's middle."""
    energy = np.asarray(energy, float)
    energy = energy / energy.sum()
    at = tuple((n - 1) / 2 for n in energy.shape) if centre is None else tuple(centre)
    side = max(energy.shape, default=1)
    sides = dict(zip(PERCENT, centred_sides(energy, at, [p / 100 for p in PERCENT]), strict=True))
    scores = energy / energy.max()
    scores *= 1e6  # in place: maps of large images are large
    np.log10(np.add(scores, 1, out=scores), out=scores)  # RepLKNet takes log10(x + 1) of its raw scores
    (half,) = centred_sides(scores, at, (0.5,))
    return Summary(
        sides=sides,
        relative={share: value / side for share, value in sides.items()},
        far=far_share(energy, at),
        sigma=spread(energy),
        centre=at,
        border=border_share(energy),
        area_ratio=(half / side) ** 2,
    )


def centred_sides(energy: Floats, centre: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Sides of the smallest centred squares that hold given shares of the energy, px."""
    table = _integral(energy)
    total = float(table[(-1,) * table.ndim]) or 1.0
    last = max((max(c, n - 1 - c) for c, n in zip(centre, energy.shape, strict=True)), default=0.0)
    out = []
    for share in shares:
        low, high = 0.0, last + 0.5  # half sides
        for _ in range(40):
            half = (low + high) / 2
            if _inside(table, centre, [half] * energy.ndim) < share * total:
                low = half
            else:
                high = half
        out.append(low + high)
    return out


def far_share(energy: Floats, centre: Sequence[float]) -> float:
    """Share of the energy outside the centred square (box) of half the map's side along each axis."""
    total = float(energy.sum())
    if total <= 0 or not energy.ndim:
        return 0.0
    near = _inside(_integral(energy), centre, [n / 4 for n in energy.shape])
    return max(0.0, 1.0 - near / total)


def far_region(shape: Sequence[int], centre: Sequence[float]) -> NDArray[np.bool_]:
    """The pixels whose middle lies outside the centred box of half the map's side."""
    out = np.zeros(tuple(shape), bool)
    for axis, (n, c) in enumerate(zip(shape, centre, strict=True)):
        beyond = np.abs(np.arange(n) - c) > n / 4
        out |= beyond.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return out


def _integral(energy: Floats) -> Floats:
    """Summed-area table with a leading zero along each axis."""
    table = np.pad(np.asarray(energy, float), [(1, 0)] * energy.ndim)
    for axis in range(energy.ndim):
        np.cumsum(table, axis=axis, out=table)
    return table


def _inside(table: Floats, centre: Sequence[float], halves: Sequence[float]) -> float:
    """Energy in the box centre +- halves, borders of pixels taken in part."""
    part = table
    for c, half in zip(centre, halves, strict=True):
        part = _edge(part, c + 0.5 + half) - _edge(part, c + 0.5 - half)
    return float(part)


def _edge(table: Floats, position: float) -> Floats:
    """The table at a position along its first axis, between its entries."""
    position = min(max(position, 0.0), table.shape[0] - 1.0)
    low = min(int(position), table.shape[0] - 2)
    share = position - low
    out: Floats = table[low] * (1 - share) + table[low + 1] * share
    return out


def spread(energy: Floats) -> tuple[float, ...]:
    """Standard deviation along each axis, px, about the map's own mean."""
    out = []
    for axis in range(energy.ndim):
        line = energy.sum(axis=tuple(a for a in range(energy.ndim) if a != axis))
        line = line / line.sum()
        x = np.arange(len(line))
        mean = float((line * x).sum())
        out.append(float(np.sqrt((line * (x - mean) ** 2).sum())))
    return tuple(out)


def border_share(energy: Floats) -> float:
    """Energy within 2 % of the side (at least one pixel) of the border."""
    inner = tuple(slice(w, n - w) for n in energy.shape if (w := max(1, round(0.02 * n))) or True)
    return float(1 - energy[inner].sum() / energy.sum())


def luo_sigma(graph: Graph, node: int, axis: int = 0) -> float | None:
    """Luo et al.'s standard deviation of a chain with uniform kernels: sqrt(sum d^2 j^2 (k^2 - 1) / 12), px.

    None where the node has no single chain of windows before it (branches, resizes, global pooling).
    """
    total, jump = 0.0, 1
    chain = []
    at = graph.nodes[node]
    while at.edges:
        if len(at.edges) > 1:
            return None
        chain.append(at)
        at = graph.nodes[at.edges[0].source]
    for link in reversed(chain):
        source = graph.nodes[link.edges[0].source]
        dim = source.axis_dim(axis)
        for step in link.edges[0].steps:
            if not isinstance(step, Along) or step.dim != dim:
                continue
            g = step.geometry
            if isinstance(g, Window):
                total += g.dilation**2 * jump**2 * (g.kernel**2 - 1) / 12
                jump *= g.stride
            elif isinstance(g, Full) or type(g).__name__ not in ("Pad", "Slice"):
                return None
    return float(np.sqrt(total))
