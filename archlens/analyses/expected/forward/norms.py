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
from archlens.graph import Along, Grouped, Node

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
            elif isinstance(step.geometry, Grouped):
                channels *= node.shape[step.dim] // step.geometry.groups
            elif step.size == 1:
                channels *= node.shape[step.dim]
    return Over(channels, tuple(dims), prod(node.shape[d] for d in dims))


def removed(walk: Forward, node: Node, law: Moments) -> float:
    """The covariance that subtracting the mean takes away, at all distances alike."""
    statistics = over(node)
    whole = image_mean(walk, law, node, statistics.dims) if statistics.dims else 0.0
    return whole / statistics.channels


def deviation(walk: Forward, node: Node, law: Moments) -> float:
    """The variance that channels of a law are divided by."""
    statistics = over(node)
    if not statistics.dims:
        return law.variance * (1 - 1 / max(statistics.channels, 2)) + EPS
    return max(law.variance - removed(walk, node, law), 0.0) + EPS


def local(walk: Forward, node: Node) -> Floats:
    """What the variance that a norm divides by is at each place, relative to its mean: over channels alone
    it is that of the place, and small at borders where a convolution found zeros."""
    law, out = walk.at(node.edges[0].source), np.ones((1,) * len(node.shape))
    if over(node).dims:
        return out
    for axis, line in enumerate(law.profile):
        dim = node.axis_dim(axis)
        if dim is not None and len(line) == node.shape[dim]:
            out = out * np.maximum(line, 1e-3).reshape(
                [-1 if d == dim else 1 for d in range(len(node.shape))]
            )
    return out


def factors(walk: Forward, node: Node) -> tuple[float, float]:
    """What the statistics do to a gradient's energy beside dividing it by the deviation: at its own place,
    and at any other that they are taken over.

    Of n values, 2 / n of the energy go through the mean and the deviation: in place 1 - 2 / n is left of the
    gradient, and what it loses there others get. The deviation varies, and E 1/s^2 is larger than 1/E s^2:
    over channels as for n normal values, over places since a group has few channels, each with a constant.
    """
    statistics = over(node)
    n, k = statistics.count, statistics.channels
    kept = max(1 - 2 / n, 0.1)
    if not statistics.dims:
        return kept * (n - 1) / (n - 3) if n > 4 else 1.0, 0.0
    law = walk.at(node.edges[0].source)
    between = removed(walk, node, law) * k
    within = max(law.variance - between, 1e-9 * law.variance)
    few = _inverse(between / k, within, k - 1) if k > 3 and between > 0 else 1.0
    like = np.clip((law.cov - between) / within, -1.0, 1.0) ** 2
    few *= 1 + 2 * image_mean(walk, replace(law, cov=like), node, statistics.dims) / k
    return few * kept**2, few * kept * 2 / n / statistics.places


def _inverse(part: float, rest: float, count: int) -> float:
    """E 1 / (part * chi^2 + rest) relative to 1 over its mean; chi^2 of `count` degrees of freedom. The
    integral over t > 0 of E exp(-t (part * chi^2 + rest))."""
    mean = part * count + rest
    x = np.linspace(-25, 25, 2001)
    t = np.exp(x)
    log = -0.5 * count * np.log1p(2 * t * part / mean) - t * rest / mean
    return float(np.exp(log + x).sum() * (x[1] - x[0]))


def layer_norm(walk: Forward, node: Node, law: Moments) -> Moments:
    """The law behind any of them, of channels of one law."""
    statistics = over(node)
    scale = deviation(walk, node, law)
    if not statistics.dims:  # over channels, at each place by itself: all covariances shrink alike
        cov = law.cov * (1 - 1 / max(statistics.channels, 2)) / scale
        return Moments(0.0, cov, law.jump, tuple(np.ones_like(p) for p in law.profile))
    taken = removed(walk, node, law)
    cov = law.cov - taken
    cov[0] = law.cov[0] * (1 - 1 / statistics.channels)
    mean = law.mean**2 + taken
    lines = (np.maximum(law.second * p - mean * (2 * np.sqrt(p) - 1), 1e-3 * law.second) for p in law.profile)
    profile = tuple(np.asarray(line / line.mean()) for line in lines)
    return Moments(0.0, cov / scale, law.jump, profile)
