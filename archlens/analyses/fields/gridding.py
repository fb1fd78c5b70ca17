"""Gridding: how dense a field is inside its box, and whether dilated convolutions leave holes.

Seen between feature maps (`origin` = the map before a run of dilated convolutions), a field may touch only
every second line of its box, so that neighbouring units look at disjoint positions (Wang et al.,
*Understanding Convolution for Semantic Segmentation*, WACV 2018). Behind strided layers every pixel is
touched and the same holes remain hidden in the weights: measure between maps of one resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.fields.support import support
from archlens.graph import Along, Graph, Window

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Gridding:
    """How a support fills its own bounding box.

    Attributes:
        span: Size of the box per axis, in positions of the origin; 0 for a unit that sees nothing.
        lines: Positions per axis at which the support touches anything.
        largest_gap: Longest run of untouched lines per axis.
        density: Touched positions as a share of the box.
    """

    span: tuple[int, ...]
    lines: tuple[int, ...]
    largest_gap: tuple[int, ...]
    density: float

    @property
    def holes(self) -> bool:
        """Whether whole lines inside the box are never touched."""
        return any(g > 0 for g in self.largest_gap)


@dataclass(frozen=True)
class Verdict:
    """One unit's field seen from a map, and what the rule says of the run of convolutions between them.

    Attributes:
        field: Of the unit's support.
        rates: Dilations of the run, in order; empty where the way is no single chain.
        kernel: Their common kernel size, or None.
        distance: Wang et al.'s M_2, the largest distance between two touched positions; None without a run.
        passes: What the rule says (see `hybrid`); None without a run.
    """

    field: Gridding
    rates: tuple[int, ...]
    kernel: int | None
    distance: int | None
    passes: bool | None


def gridding(lit: Bools) -> Gridding:
    """Measure a support.

    Args:
        lit: Over the origin's positions, as `support` gives it.
    """
    if not lit.any():
        none = (0,) * lit.ndim
        return Gridding(none, none, none, 0.0)
    span, lines, gap = [], [], []
    box = []
    for axis in range(lit.ndim):
        touched = np.nonzero(lit.any(axis=tuple(a for a in range(lit.ndim) if a != axis)))[0]
        box.append(slice(int(touched[0]), int(touched[-1]) + 1))
        span.append(int(touched[-1] - touched[0]) + 1)
        lines.append(len(touched))
        gap.append(int(np.diff(touched).max(initial=1)) - 1)
    return Gridding(tuple(span), tuple(lines), tuple(gap), float(lit[tuple(box)].mean()))


def distances(rates: Sequence[int]) -> tuple[int, ...]:
    """Wang et al.'s M_1 .. M_n: the largest distance between two non-zero positions at each layer.

    M_n = r_n,  M_i = max(M_{i+1} - 2 r_i, M_{i+1} - 2 (M_{i+1} - r_i), r_i).
    """
    out = [rates[-1]]
    for r in reversed(rates[:-1]):
        after = out[-1]
        out.append(max(after - 2 * r, 2 * r - after, r))
    return tuple(reversed(out))


def hybrid(rates: Sequence[int], kernel: int = 3) -> bool:
    """Whether a run of dilated convolutions of one kernel size passes Wang et al.'s rule: M_2 <= kernel, and
    the rates have no common factor. It is a rule for runs that begin with a small rate; whether a field does
    have holes is for `Gridding` to say."""
    return largest_distance(rates) <= kernel and gcd(*rates) == 1


def largest_distance(rates: Sequence[int]) -> int:
    """M_2, or M_1 for a single convolution."""
    return distances(rates)[min(1, len(rates) - 1)]


def verdict(graph: Graph, node: int, unit: Sequence[int], origin: int | None = None) -> Verdict | None:
    """The verdict on one unit; None where an operation that is not understood lies on the way.

    Args:
        graph: The captured network.
        node: The unit's node.
        unit: One index for each of its positions.
        origin: The map to look from; default the first input.
    """
    lit = support(graph, node, unit, origin)
    if lit is None:
        return None
    start = graph.inputs[0] if origin is None else origin
    run = dilated_run(graph, node, start)
    rates = tuple(r for _, r in run)
    kernels = {k for k, _ in run}
    if not rates or len(kernels) != 1:
        return Verdict(gridding(lit), rates, None, None, None)
    kernel = kernels.pop()
    return Verdict(gridding(lit), rates, kernel, largest_distance(rates), hybrid(rates, kernel))


def dilated_run(graph: Graph, node: int, origin: int) -> tuple[tuple[int, int], ...]:
    """(kernel, dilation) of the convolutions on the single chain from `origin` to `node`, in order.

    Empty where the chain forks, or changes the resolution, or has windows that differ between the axes.
    """
    out: list[tuple[int, int]] = []
    at = graph.nodes[node]
    while at.id != origin:
        sources = {e.source for e in at.edges}
        if len(sources) != 1:
            return ()
        windows = {
            s.geometry for s in at.edges[0].steps if isinstance(s, Along) and isinstance(s.geometry, Window)
        }
        shapes = {(w.kernel, w.dilation, w.stride) for w in windows}
        if len(shapes) > 1 or any(stride != 1 for _, _, stride in shapes):
            return ()
        out += [(kernel, rate) for kernel, rate, _ in shapes if kernel > 1]
        at = graph.nodes[sources.pop()]
    return tuple(reversed(out))
