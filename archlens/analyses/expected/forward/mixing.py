"""Operations that mix positions: means and resizes, and the largest of a window, as laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from archlens.analyses.expected.forward.activations import NODES, WEIGHTS, Activation
from archlens.analyses.expected.forward.gates import RANKS
from archlens.analyses.expected.forward.state import Forward, Moments, averaged, jump_factor
from archlens.analyses.expected.forward.transfer import ShapedStep, once, shaped_steps, weights
from archlens.analyses.fields.taps import Taps, matrix
from archlens.graph import Along, Node, Window

Floats = NDArray[np.float64]


def image_mean(walk: Forward, law: Moments, node: Node, dims: Sequence[int] | None = None) -> float:
    """Covariance averaged over all pairs of positions of one map: the variance of its mean. `dims`: of the
    positions along these dimensions only."""
    sizes, jumps = _grid(node, law, dims)
    if not sizes:
        return law.variance
    profiles = []
    for n in sizes:
        lag = np.arange(-n + 1, n)
        profiles.append((n - np.abs(lag)) / n**2)
    return _mix(walk, law.cov[1:], profiles, jumps)


def _grid(node: Node, law: Moments, dims: Sequence[int] | None = None) -> tuple[list[int], list[float]]:
    """Map sizes and jumps of the axes that a node still has, and of tokens, those that they are made of."""
    wanted = node.positions if dims is None else dims
    whole = [(a, d) for a in range(len(law.jump)) if (d := node.axis_dim(a)) in wanted and d is not None]
    return [node.shape[d] for _, d in whole], [law.jump[a] for a, _ in whole]


def _mix(
    walk: Forward, table: Floats, profiles: Sequence[Floats], jumps: Sequence[float], beside: float = 0.0
) -> float:
    """Sum over lag vectors of the product of the axes' profiles times the covariance at that distance.

    A profile has odd length; its middle is lag 0. `beside`: px added along the last axis.
    """
    thinned = [_thin(p) for p in profiles]
    squared: Any = np.zeros(())
    for k, ((lag, _), jump) in enumerate(zip(thinned, jumps, strict=True)):
        shift = beside if k == len(thinned) - 1 else 0.0
        shape = [-1 if a == k else 1 for a in range(len(thinned))]
        squared = squared + ((lag * jump + shift) ** 2).reshape(shape)
    value = np.interp(np.sqrt(squared), walk.lags, table)
    for _, weight in reversed(thinned):
        value = value @ weight
    return float(value)


def _thin(profile: Floats, most: int = 400) -> tuple[Floats, Floats]:
    """Lags and weights of a profile; long ones are put into bins, all but the nearest lags."""
    half = len(profile) // 2
    lag = np.arange(-half, half + 1, dtype=float)
    if len(profile) <= most:
        return lag, profile
    near = 8
    width = -(-2 * half // most)
    bins = np.where(np.abs(lag) <= near, lag, np.sign(lag) * (near + 1 + (np.abs(lag) - near - 1) // width))
    _, index = np.unique(bins, return_inverse=True)
    count = np.bincount(index)
    return np.asarray(np.bincount(index, lag) / count), np.asarray(np.bincount(index, profile))


def resamples(taken: ShapedStep) -> bool:
    return type(getattr(taken.step, "geometry", None)).__name__ in (
        "Window", "TransposedWindow", "AdaptivePool", "Resize", "Full",
    )  # fmt: skip


def resampled(walk: Forward, node: Node, law: Moments, carried: Moments, steps: list[ShapedStep]) -> Moments:
    """Covariances of weighted means: lags are mixed by the autocorrelation of the weights."""
    if node.op in ("pixel_shuffle", "pixel_unshuffle", "unfold", "fold"):
        return carried
    matrices = [weights(node, s.step, s.before[s.step.dim]) for s in steps if isinstance(s.step, Along)]
    if any(s.axis < 0 for s in steps):
        return replace(carried, cov=np.full_like(carried.cov, law.common))
    jumps = [law.jump[s.axis] for s in steps]
    after = [carried.jump[s.axis] for s in steps]
    still = [_autocorrelation(m, 0) for m in matrices]
    total = float(np.prod([m.sum() / m.shape[0] for m in matrices]))
    cov = carried.cov.copy()
    cov[0] = law.cov[0] * total**2
    white = bool(np.ptp(law.cov[2:]) < 1e-12) if len(law.cov) > 2 else True
    for q, lag in enumerate(walk.lags):
        cells = round(lag / after[-1])
        n_out = matrices[-1].shape[0]
        if lag > 0 and cells == 0:
            cells = 1
        if cells >= n_out:
            cov[1 + q] = cov[q] if lag > 0 and cov[q] != cov[1] else cov[1]
            continue
        moved = _autocorrelation(matrices[-1], cells)
        if white:  # all lags but 0 look alike
            middle = float(np.prod([p[len(p) // 2] for p in (*still[:-1], moved)]))
            whole = float(np.prod([p.sum() for p in (*still[:-1], moved)]))
            far = law.cov[2] if len(law.cov) > 2 else law.cov[0]
            cov[1 + q] = far * whole + (law.variance - far) * middle
        else:
            cov[1 + q] = _mix(walk, law.cov[1:], [*still[:-1], moved], jumps)
    return Moments(law.mean * total, cov, carried.jump, carried.profile)


@once
def _autocorrelation(m: Taps, lag: int) -> Floats:
    """Mean over outputs o of sum_i m[o, i] m[o + lag, i + d], for d = -(n-1) .. n-1."""
    n_out, n_in = m.shape
    index, weight = m.by_row
    apart = index[lag:, :, None] - index[: n_out - lag, None, :] + n_in - 1
    product = weight[lag:, :, None] * weight[: n_out - lag, None, :]
    return np.bincount(apart.ravel(), product.ravel(), minlength=2 * n_in - 1) / (n_out - lag)


_SCORE = np.linspace(-6.0, 7.0, 521)


@dataclass(frozen=True)
class Winner:
    """The largest of a window's values under an activation: pre-activations u on a grid of (what the window
    has in common, the winner's own rank) with the density of the rank.

    Attributes:
        function: The activation; None where there is none.
        mean, cov: Law of the values before it.
        u: (NODES, ranks) pre-activation of the winner.
        density: Chance of each rank.
        common: Variance that the window's values share.
        own: Deviation of what they don't.
    """

    function: Activation | None
    mean: float
    cov: Floats
    u: Floats
    density: Floats
    common: float
    own: float

    def value(self, u: Floats) -> Floats:
        """Behind the activation."""
        return u if self.function is None else self.function(u)

    def expect(self, values: Floats) -> float:
        """The mean of values on the grid."""
        return float((WEIGHTS * (values * self.density).sum(1)).sum())


def winner(law: Moments, walk: Forward, kernel: Sequence[int]) -> Winner:
    """The winner of a window: values that are equally correlated, by the mean of their covariances."""
    f, mean, cov = law.before if law.before is not None else (None, law.mean, law.cov)
    count = int(np.prod(kernel))
    profiles = [(k - np.abs(np.arange(-k + 1, k))) / k**2 for k in kernel]
    jumps = law.jump[-len(kernel) :] if law.jump else (1.0,)
    whole = _mix(walk, cov[1:], profiles, jumps)
    common = (whole - cov[1] / count) / max(1 - 1 / count, 1e-12)
    common = float(np.clip(common, 1e-9 * cov[1], cov[1] * (1 - 1e-6)))
    density = count * np.exp(-(_SCORE**2) / 2) * ndtr(_SCORE) ** (count - 1)
    density /= density.sum()
    own = float(np.sqrt(cov[1] - common))
    u = mean + np.sqrt(common) * NODES[:, None] + own * _SCORE[None]
    return Winner(f, mean, cov, u, density, common, own)


def max_pool(walk: Forward, node: Node) -> Moments:
    source = node.edges[0].source
    law = walk.at(source)
    steps = [s for s in shaped_steps(walk.graph, node.edges[0]) if isinstance(s.step, Along) and s.positional]
    kernel = [window_size(s) for s in steps]
    jump, profile = list(law.jump), list(law.profile)
    for s in steps:
        if s.axis >= 0 and isinstance(s.step, Along):
            n_in = s.before[s.step.dim]
            jump[s.axis] *= jump_factor(s.step, n_in)
            profile[s.axis] = averaged(profile[s.axis], matrix(s.step.geometry, n_in, s.step.size))
    if len(kernel) != len(law.jump) or int(np.prod(kernel)) == 1:
        return replace(law, jump=tuple(jump), profile=tuple(profile), chain=None)
    best = winner(law, walk, kernel)
    first, second = best.expect(best.value(best.u)), best.expect(best.value(best.u) ** 2)
    root = np.sqrt(best.common)
    grid = best.mean + root * np.linspace(-10, 10, 401)
    smooth = (best.value(grid[:, None] + best.own * _SCORE[None]) * best.density).sum(1)

    def covariance(c: float) -> float:
        r = min(abs(c) / best.common, 1.0)
        x = best.mean + root * (np.sqrt(r) * NODES[:, None] + np.sqrt(1 - r) * NODES[None])
        given = (np.interp(x, grid, smooth) * WEIGHTS[None]).sum(1)
        return float((WEIGHTS * given * (given if c >= 0 else given[::-1])).sum()) - first**2

    side = kernel[-1] * law.jump[-1]
    out = np.empty_like(law.cov)
    out[0] = covariance(float(best.cov[0]))
    shared = covariance(best.common)
    cached: dict[float, float] = {}
    for q, lag in enumerate(walk.lags):
        c = best.common if lag < side else float(best.cov[1 + q])
        if c not in cached:
            cached[c] = covariance(c)
        overlap = max(0.0, 1 - lag / side)
        out[1 + q] = cached[c] + overlap * (second - first**2 - shared)
    out[1] = second - first**2
    values = None
    if best.function is not None:
        y = best.value(best.u)
        # ReLU's zeros are told apart by what is below them: so are its quantiles.
        ranked = np.argsort(best.u if best.function.name == "relu" else y, axis=None)
        mass = np.cumsum((WEIGHTS[:, None] * best.density[None]).ravel()[ranked])
        values = np.interp(RANKS, mass, y.ravel()[ranked])
    return Moments(first, out, tuple(jump), tuple(profile), values=values)


def window_size(taken: ShapedStep) -> int:
    """Positions that a pooling window reads along one axis."""
    step = taken.step
    assert isinstance(step, Along)
    if isinstance(step.geometry, Window):
        return step.geometry.kernel
    return -(-taken.before[step.dim] // step.size)
