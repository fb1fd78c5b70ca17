"""Normalisation by statistics of the same image: layer, group and instance norm.

y = (x - m) / s, with m and s taken over k channels and, of a map, over places. A channel's mean over the
places of an image varies by the mean M of its covariances over all pairs of places; the mean over k
independent channels by M / k. That is taken away from every covariance, and what is left of the variance is
divided by. What is common to the channel's values over all images stays, but for one part in k: unlike batch
norm, these do not take a channel's constant away.

The gradient through m and s (the `gate` edge) is of the order of one part in the number n of values: it takes
2 / n of the energy away and spreads as much evenly: `factors`, and no path of its own is followed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.forward.mixing import image_mean
from archlens.analyses.expected.forward.state import EPS, Forward, Moments
from archlens.analyses.expected.forward.transfer import once, renames, role, shaped_steps, weights
from archlens.analyses.fields.taps import Taps
from archlens.graph import Along, Grouped, Node
from archlens.graph.layouts import CHANNEL

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Over:
    """What a norm's statistics are taken over: so many channels, and these position dimensions."""

    channels: int
    dims: tuple[int, ...]
    places: int

    @property
    def count(self) -> int:
        """Values that share a mean and a deviation."""
        return self.channels * self.places


def over(node: Node) -> Over:
    """Read off the steps of the norm's second edge."""
    channels, dims = 1, []
    for edge in node.edges[1:]:
        for step in edge.steps:
            if not isinstance(step, Along) or step.dim in dims:
                continue
            if step.dim in node.positions:
                dims.append(step.dim)
                # A merge of patches puts places beside channels, in one dimension.
                channels *= prod(a.size for a in node.layout[step.dim] if a.axis == CHANNEL)
            elif isinstance(step.geometry, Grouped):
                channels *= node.shape[step.dim] // step.geometry.groups
            elif step.size == 1:
                channels *= node.shape[step.dim]
    places = prod(a.size for d in dims for a in node.layout[d] if a.axis >= 0)
    return Over(channels, tuple(dims), places)


def removed(walk: Forward, node: Node) -> float:
    """The covariance that subtracting the mean takes away, at all distances alike."""
    law, statistics = walk.at(node.edges[0].source), over(node)
    whole = image_mean(walk, law, node, statistics.dims) if statistics.dims else 0.0
    return whole / statistics.channels


def deviation(walk: Forward, node: Node) -> float:
    """The variance that is divided by."""
    law, statistics = walk.at(node.edges[0].source), over(node)
    if not statistics.dims:
        return law.variance * (1 - 1 / max(statistics.channels, 2)) + EPS
    return max(law.variance - removed(walk, node), 0.0) + EPS


def local(walk: Forward, node: Node) -> Floats:
    """What the variance that a norm divides by is at each place, relative to its mean: over channels alone
    it is that of the place, and small at borders where a convolution found zeros."""
    law, out = walk.at(node.edges[0].source), np.ones((1,) * len(node.shape))
    if over(node).dims:
        return out
    for dim in node.positions:
        atoms = node.layout[dim]  # of several axes where a map has become tokens
        lines = [law.profile[a.axis] for a in atoms if a.axis >= 0]
        if [a.size for a in atoms] == [len(line) for line in lines] and all(a.stride == 1 for a in atoms):
            places = np.ones(1)
            for line in lines:
                places = np.outer(places, np.maximum(line, 1e-3)).reshape(-1)
            out = out * places.reshape([-1 if d == dim else 1 for d in range(len(node.shape))])
    return out


def factors(walk: Forward, node: Node) -> tuple[float, float]:
    """What the statistics do to a gradient's energy beside dividing it by the deviation: at its own place,
    and at any other that they are taken over.

    Neighbours that a resize or an average made alike are no n values, see `alike`.

    Of n values, 2 / n of the energy go through the mean and the deviation: in place 1 - 2 / n is left of the
    gradient, and what it loses there others get. The deviation varies, and E 1/s^2 is larger than 1/E s^2:
    over channels as for n normal values, over places since a group has few channels, each with a constant.
    """
    statistics = over(node)
    k = statistics.channels
    n = statistics.count / alike(walk, node)
    kept = max(1 - 2 / n, 0.1)
    if not statistics.dims:
        return kept * (n - 1) / (n - 3) if n > 4 else 1.0, 0.0
    law = walk.at(node.edges[0].source)
    between = removed(walk, node) * k
    within = max(law.variance - between, 1e-9 * law.variance)
    few = _inverse(between / k, within, k - 1) if k > 3 and between > 0 else 1.0
    like = np.clip((law.cov - between) / within, -1.0, 1.0) ** 2
    few *= 1 + 2 * image_mean(walk, replace(law, cov=like), node, statistics.dims) / k
    return few * kept**2, few * kept * 2 / n / statistics.places


def alike(walk: Forward, node: Node) -> float:
    """How many values count as one where the norm reads what a fixed operation A, such as a resize, made.

    What goes through the mean is the same everywhere, what goes through the deviation is as smooth as the
    values: the way back through A adds both up, and not as independent values. Against those the first gives
    |A' 1|^2 / tr A A', the second n |A' A|^2 / (tr A A')^2, axis by axis.
    """
    source = walk.graph.nodes[node.edges[0].source]
    while renames(source) or (source.op == "reshape" and source.map_size == node.map_size):
        before = walk.graph.nodes[source.edges[0].source]  # torch's instance norm reshapes what it reads
        if before.map_size != node.map_size:
            break
        source = before
    if role(source) != "linear" or len(source.edges) != 1:
        return 1.0
    mean = deviation = 1.0
    for taken in shaped_steps(walk.graph, source.edges[0]):
        step = taken.step
        if not isinstance(step, Along) or not taken.positional or step.dim not in over(node).dims:
            continue
        first, second = _agreement(weights(source, step, taken.before[step.dim]))
        mean, deviation = mean * first, deviation * second
    return max((mean + deviation) / 2, 1.0)


@once
def _agreement(a: Taps) -> tuple[float, float]:
    dense = a.apply(np.eye(a.shape[1]), 0)
    squares = float((dense**2).sum()) or 1.0
    return (
        float((dense.sum(0) ** 2).sum()) / squares,
        a.shape[0] * float(((dense.T @ dense) ** 2).sum()) / squares**2,
    )


def _inverse(part: float, rest: float, count: int) -> float:
    """E 1 / (part * chi^2 + rest) relative to 1 over its mean; chi^2 of `count` degrees of freedom. The
    integral over t > 0 of E exp(-t (part * chi^2 + rest))."""
    mean = part * count + rest
    x = np.linspace(-25, 25, 2001)
    t = np.exp(x)
    log = -0.5 * count * np.log1p(2 * t * part / mean) - t * rest / mean
    return float(np.exp(log + x).sum() * (x[1] - x[0]))


def layer_norm(walk: Forward, node: Node) -> Moments:
    """The law behind any of them."""
    law, statistics = walk.at(node.edges[0].source), over(node)
    scale = deviation(walk, node)
    if not statistics.dims:  # over channels, at each place by itself: all covariances shrink alike
        cov = law.cov * (1 - 1 / max(statistics.channels, 2)) / scale
        return Moments(0.0, cov, law.jump, tuple(np.ones_like(p) for p in law.profile))
    taken = removed(walk, node)
    cov = law.cov - taken
    cov[0] = law.cov[0] * (1 - 1 / statistics.channels)
    mean = law.mean**2 + taken
    lines = (np.maximum(law.second * p - mean * (2 * np.sqrt(p) - 1), 1e-3 * law.second) for p in law.profile)
    profile = tuple(np.asarray(line / line.mean()) for line in lines)
    return Moments(0.0, cov / scale, law.jump, profile)
