"""Batch norm holds strong directions down: a correction for images whose neighbouring pixels agree.

Batch norm divides each channel by its own deviation. Where a channel's inputs vary in many directions alike,
all channels have about the same deviation. Photographs vary mostly in few (the brightness of the whole
patch): a channel that answers to those has a large deviation and is divided by it, one that does not is blown
up. With z normal and eigenvalues l_i of the inputs' covariance, direction i keeps E z_i^2 / sum_j l_j z_j^2
instead of 1 / sum_j l_j. The first convolution's covariance is known and done exactly. Behind it only the
strength s of the strongest direction is followed: to second order it keeps 1 - 2 (s - s^2) of itself.

White noise has no such directions, and nothing here applies to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product as combinations

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.forward.activations import pair_at
from archlens.analyses.expected.forward.mixing import image_mean
from archlens.analyses.expected.forward.state import Forward, Moments
from archlens.analyses.expected.forward.transfer import function, role, shaped_steps, weights
from archlens.graph import Along, Node, Window

Floats = NDArray[np.float64]

SMALL_FAN = 64  # inputs of an output up to which the covariance is taken apart
# Spectrum of what residual trunks hand to a global pool: one strong direction, two of a third, many weak
# ones. Measured once on small trunks (width 64); the one empirical figure here.
_POOLED = np.concatenate([[0.45, 0.15, 0.15], np.full(20, 0.0125)])


@dataclass(frozen=True)
class Flattening:
    """What a batch norm does beyond dividing by the mean variance: factors on the energy of independent
    changes and on the square of a coherent one."""

    energy: float = 1.0
    coherent: float = 1.0


NONE = Flattening()


def kept(eigenvalues: Floats) -> Floats:
    """E z_i^2 / sum_j l_j z_j^2 for each eigenvalue, z standard normal.

    The integral over s > 0 of prod_j (1 + 2 s l_j)^(-1/2) / (1 + 2 s l_i).
    """
    lam = np.maximum(eigenvalues, 0)
    x = np.linspace(-25, 25, 2001) - np.log(lam.sum())
    s = np.exp(x)
    log = -0.5 * np.log1p(2 * s[:, None] * lam[None]).sum(1)
    values = np.exp(log[:, None] + x[:, None] - np.log1p(2 * s[:, None] * lam[None]))
    return np.asarray(values.sum(0) * (x[1] - x[0]))


def follow(walk: Forward, node: Node, law: Moments) -> Moments:
    """A node's law with what is known of its strong directions; notes what batch norms do to them."""
    if walk.premises.images == "white" or not node.edges:
        return law
    kind = role(node)
    if kind == "batch_norm":
        return _normalised(walk, node, law)
    before = [walk.at(e.source) for e in node.edges]
    shares = [max(b.variance - b.common, 0.0) for b in before]
    strong = sum(b.strong * w for b, w in zip(before, shares, strict=True)) / (sum(shares) or 1.0)
    if kind == "activation":
        f = function(node)
        assert f is not None
        # The linear part of an activation carries a direction on: (E f')^2 var u / var f.
        slope = pair_at(f, before[0].mean, before[0].variance, 0.0, True)
        strong *= min(1.0, slope * before[0].variance / max(law.variance, 1e-12))
        return replace(law, strong=strong, pooled=0.0)
    pooled = before[0].pooled if kind in ("random", "linear") and len(before) == 1 else 0.0
    if kind == "linear" and len(before) == 1:
        pooled = max(pooled, _pooled_share(walk, node, law))
    return replace(law, strong=strong, pooled=pooled)


def _pooled_share(walk: Forward, node: Node, law: Moments) -> float:
    """Share of a pooled value's variance that is not the shrunken independent part of its inputs."""
    source = walk.at(node.edges[0].source)
    count = 1.0
    for taken in shaped_steps(walk.graph, node.edges[0]):
        if isinstance(taken.step, Along) and taken.positional:
            a = weights(node, taken.step, taken.before[taken.step.dim])
            count /= max(a.squares / a.shape[0], 1e-12)
    variance = law.variance - law.common
    if count < 4 or variance <= 0 or not source.jump:
        return 0.0
    near = source.variance - float(walk.covariance(source, max(source.jump)))
    return float(np.clip(1 - near / count / variance, 0, 1))


def _normalised(walk: Forward, node: Node, law: Moments) -> Moments:
    if walk.premises.statistics == "frozen":
        return replace(law, strong=walk.at(node.edges[0].source).strong)
    source = walk.graph.nodes[node.edges[0].source]
    before = walk.at(source.id)
    if _is_small(walk, source):
        return _stem(walk, node, source, law)
    flat, strong = NONE, before.strong
    cov = law.cov
    if strong > 0:
        loss = 2 * (strong - strong**2)
        jump = max(law.jump, default=1.0)
        held = 1 - loss * walk.lags / (walk.lags + 8 * jump)  # far lags are the strong direction's
        cov = cov.copy()
        cov[2:] = cov[2:] * held[1:]
        flat = Flattening(1.0, float(held.mean()))
        strong *= 1 - loss
    if before.pooled > 0:
        q = before.pooled
        lam = np.concatenate([q * _POOLED, (1 - q) * np.full(50, 0.02)])
        lam /= lam.sum()
        means = kept(lam)
        every = _inverse(lam)
        top = q * float(means[0]) / every + (1 - q)
        flat = Flattening(flat.energy * every, flat.coherent * every * top)
    walk.flat[node.id] = flat
    return replace(law, cov=cov, strong=strong, pooled=0.0)


def _inverse(lam: Floats) -> float:
    """E 1 / sum_j l_j z_j^2."""
    x = np.linspace(-25, 25, 2001)
    s = np.exp(x)
    log = -0.5 * np.log1p(2 * s[:, None] * lam[None]).sum(1)
    return float(np.exp(log + x).sum() * (x[1] - x[0]))


def _is_small(walk: Forward, conv: Node) -> bool:
    """Whether a convolution has few inputs, all known: the image's channels (or one channel's patch)."""
    if role(conv) != "random" or conv.op == "linear" or conv.attrs.get("transposed"):
        return False
    weight = conv.attrs["weight"]
    taps = int(np.prod(weight[2:]))
    first = walk.graph.nodes[conv.edges[0].source].op == "input"
    return taps > 1 and (first or weight[1] == 1) and weight[1] * taps <= SMALL_FAN * (4 if first else 1)


def _stem(walk: Forward, node: Node, conv: Node, law: Moments) -> Moments:
    """A convolution of few inputs and its batch norm, together: E w w' / (w' S w) for its patches."""
    source = walk.graph.nodes[conv.edges[0].source]
    x = walk.at(source.id)
    places = []
    for taken in shaped_steps(walk.graph, conv.edges[0]):
        if isinstance(taken.step, Along) and taken.axis >= 0 and isinstance(taken.step.geometry, Window):
            g = taken.step.geometry
            places.append(np.arange(g.kernel) * g.dilation * x.jump[taken.axis])
    offsets = np.array(list(combinations(*places)))  # (taps, axes), px
    apart = offsets[:, None] - offsets[None]
    removed = x.common
    if walk.premises.batch is not None:
        removed += (image_mean(walk, x, source) - x.common) / walk.premises.batch

    def table(vectors: Floats) -> Floats:
        return np.asarray(walk.covariance(x, np.sqrt((vectors**2).sum(-1))) - removed)

    patch = table(apart)
    values, turn = np.linalg.eigh(patch)
    channels = int(conv.attrs["weight"][1])
    values = np.maximum(values, 1e-9 * values.max())
    means = kept(np.repeat(values, channels))[::channels]
    m = (turn * means) @ turn.T
    trace = channels * float(np.trace(patch))
    taps = len(offsets)
    flat = Flattening(float(np.trace(m)) / taps * trace, float(m.sum()) / taps * trace)
    cov = law.cov.copy()
    for q, lag in enumerate(walk.lags):
        along = np.zeros(offsets.shape[1])
        along[-1] = lag
        across = np.full(offsets.shape[1], lag / np.sqrt(offsets.shape[1]))
        both = 0.5 * (table(apart + along) + table(apart + across))
        cov[1 + q] = channels * float((m * both).sum())
    cov /= cov[1]
    cov[0] = law.cov[0]
    walk.flat[node.id] = flat
    strong = float(np.sqrt(channels * ((means * values) ** 2).sum())) if source.op == "input" else x.strong
    return replace(law, cov=cov, strong=strong, pooled=0.0)
