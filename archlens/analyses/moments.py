"""Forward mean-field: what the activations of a freshly initialised network look like, per node.

With independent zero-mean weights of variance `gain / fan_in` (He: gain 2) a node is described by few
numbers, the same for all of its channels: the mean, and the covariance of a channel's values at two
positions as a function of their distance. Random weights keep distances apart: a convolution adds up
products of equal taps, so a covariance at some lag stays at that lag (Poole et al., NeurIPS 2016; Xiao
et al., ICML 2018). Only pooling and resizing mix lags.

`cov` is a table over distances: entry 0 for two different images, then for the lags `Walk.lags` in px of the
input, the first of which is 0 (the variance).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0, ndtr

from archlens.analyses.activations import NODES, WEIGHTS, Activation, pair, single
from archlens.analyses.gates import RANKS, Chain, rectified_normal
from archlens.analyses.taps import matrix
from archlens.analyses.transfer import Stage, function, role, stages, weights
from archlens.graph import Along, Edge, Full, Graph, Grouped, Node, Pad, TransposedWindow, Window

Floats = NDArray[np.float64]
Images = Literal["white", "natural"]
EPS = 1e-5  # batch norm's, in torch and in the zoo
_LADDER = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
           3072, 4096, 6144, 8192)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What the expectation is taken over.

    Attributes:
        statistics: "batch": batch norm divides by its input's own deviation, as in training. "calibrated":
            the same with the statistics held constant, as in evaluation; with many images there is no
            difference. "frozen": by one, as a fresh network in evaluation mode.
        images: "white" noise of unit variance, or "natural": noise with the 1/f amplitude spectrum of
            photographs.
        batch: Images that batch statistics are taken over; None for many.
        gain: Variance of a weight times its fan-in; 2 is He's.
    """

    statistics: Literal["batch", "calibrated", "frozen"] = "batch"
    images: Images = "white"
    batch: int | None = None
    gain: float = 2.0


@dataclass(frozen=True)
class Moments:
    """A node's law.

    Attributes:
        mean, cov: See the module.
        jump: px between neighbouring positions, per input axis.
        profile: Second moment along each input axis, relative to its mean: zero padding makes borders weak.
        lean: How much a position shares in the channel's constant, per axis, relative to the mean; known
            behind a convolution, for the batch norm that takes the constant away.
        before: The Gaussian law under an activation (function, mean, cov), for a max pool behind it.
        values: Quantiles of what a ReLU lets through, where known.
        chain: How a residual sum is made up, where one of its terms has known quantiles.
    """

    mean: float
    cov: Floats
    jump: tuple[float, ...]
    profile: tuple[Floats, ...]
    lean: tuple[Floats, ...] | None = None
    before: tuple[Activation, float, Floats] | None = None
    values: Floats | None = None
    chain: Chain | None = None

    @property
    def variance(self) -> float:
        """Of one value over positions, images and weights."""
        return float(self.cov[1])

    @property
    def second(self) -> float:
        """E x^2."""
        return float(self.cov[1]) + self.mean**2

    @property
    def common(self) -> float:
        """The part of the variance that is the same for all positions and images: a channel's constant."""
        return float(self.cov[0])


@dataclass(frozen=True)
class Forward:
    """The moments of every node; None behind an operation without a rule (its id is in `missing`)."""

    graph: Graph
    setting: Setting
    lags: Floats
    nodes: list[Moments | None] = field(default_factory=list)
    missing: dict[int, str] = field(default_factory=dict)

    def at(self, node: int) -> Moments:
        """The moments of a node that has some."""
        found = self.nodes[node]
        assert found is not None
        return found

    def covariance(self, law: Moments, distance: Any) -> Any:
        """Covariance of a channel's values at a distance in px, between the table's lags."""
        return np.interp(distance, self.lags, law.cov[1:])


def forward(graph: Graph, setting: Setting) -> Forward:
    """Moments of all nodes, from the image to the outputs."""
    image = graph.nodes[graph.inputs[0]]
    extent = [image.shape[d] for d in image.positions]
    reach = 1.5 * max(extent, default=1)
    lags = np.array([v for v in _LADDER if v <= reach], float)
    walk = Forward(graph, setting, lags)
    for node in graph.nodes:
        law = None
        if role(node) == "unknown":
            walk.missing[node.id] = node.unknown or node.op
        elif not any(e.source in walk.missing or walk.nodes[e.source] is None for e in node.edges):
            law = _RULES[role(node)](walk, node)
        elif any(e.source in walk.missing for e in node.edges):
            law = None
        walk.nodes.append(law)
    return walk


# ------------------------------------------------------------------ images


def _image(walk: Forward, node: Node) -> Moments:
    spread = [node.shape[d] for d in node.positions]
    if walk.setting.images == "white" or not spread:
        correlation = (walk.lags == 0).astype(float)
    else:
        correlation = natural_correlation(walk.lags, max(spread))
    flat = tuple(np.ones(n) for n in spread)
    return Moments(0.0, np.concatenate([[0.0], correlation]), (1.0,) * len(spread), flat)


def natural_correlation(lags: Floats, size: int) -> Floats:
    """Correlation of pixels of 1/f noise (power 1/f^2 in the plane) from a field twice the image's size.

    R(l) is the integral of J0(2 pi f l) / f over f from 1 / (2 size) to 0.5, divided by its value at 0.
    """
    f = np.exp(np.linspace(np.log(0.5 / size), np.log(0.5), 4000))
    out: Floats = j0(2 * np.pi * f[None] * lags[:, None]).mean(1)
    out /= out[0]
    return out


def _constant(walk: Forward, _: Node) -> Moments:
    axes = len(walk.at(walk.graph.inputs[0]).jump)
    return Moments(0.0, np.zeros(len(walk.lags) + 1), (1.0,) * axes, (np.ones(1),) * axes)


# ------------------------------------------------------------------ random weights


def _random(walk: Forward, node: Node) -> Moments:
    edge = node.edges[0]
    law = walk.at(edge.source)
    own, cross = 1.0, 1.0  # how many taps are inside the map: at one position, at two independent ones
    same = 1.0  # chance that two outputs use the same taps: phases of a transposed window do not
    jump, profile = list(law.jump), list(law.profile)
    lean = [np.ones_like(p) for p in profile]
    for stage in stages(walk.graph, edge):
        step = stage.step
        if not (isinstance(step, Along) and stage.positional):
            continue
        n_in, g = stage.before[step.dim], step.geometry
        if isinstance(g, (Window, TransposedWindow)):
            phases = g.stride if isinstance(g, TransposedWindow) else 1
            taps, same = g.kernel / phases, same / phases
            here = profile[stage.axis] if stage.axis >= 0 else np.ones(n_in)
            read = matrix(g, n_in, step.size) @ here / taps
            own *= read.mean()
            means = _tap_means(g, np.sqrt(here), step.size)
            cross *= (means**2).sum() / taps
            if stage.axis >= 0:
                lean[stage.axis] = _lean(g, np.sqrt(here), means, step.size)
                profile[stage.axis] = read / read.mean()
                jump[stage.axis] *= g.stride if isinstance(g, Window) else 1 / g.stride
        elif stage.axis >= 0:
            profile[stage.axis] = lean[stage.axis] = np.ones(step.size)
    cross = min(cross, own)
    gain = walk.setting.gain
    base = law.common + law.mean**2
    cov = gain * (base * cross + (law.cov - law.common) * own * same)
    cov[1] = gain * law.second * own
    return Moments(0.0, cov, tuple(jump), tuple(profile), tuple(lean))


def _tap_means(g: Window | TransposedWindow, values: Floats, n_out: int) -> Floats:
    """For each tap, the mean over outputs of the value that it reads; 0 where it reads nothing."""
    n_in = len(values)
    if isinstance(g, TransposedWindow):
        o = np.arange(n_in)[:, None] * g.stride - g.padding + np.arange(g.kernel) * g.dilation
        sums = (((o >= 0) & (o < n_out)) * values[:, None]).sum(0)
        return np.asarray(sums / n_out)
    i = np.arange(n_out)[:, None] * g.stride - g.padding + np.arange(g.kernel) * g.dilation
    inside = (i >= 0) & (i < n_in)
    return np.asarray(np.where(inside, values[np.clip(i, 0, n_in - 1)], 0.0).mean(0))


def _lean(g: Window | TransposedWindow, values: Floats, means: Floats, n_out: int) -> Floats:
    """What each output shares with an output anywhere, tap by tap, relative to the mean."""
    if isinstance(g, TransposedWindow):
        return np.ones(n_out)
    i = np.arange(n_out)[:, None] * g.stride - g.padding + np.arange(g.kernel) * g.dilation
    inside = (i >= 0) & (i < len(values))
    read = np.where(inside, values[np.clip(i, 0, len(values) - 1)], 0.0) @ means
    return np.asarray(read / (read.mean() or 1.0))


# ------------------------------------------------------------------ normalisation and activations


def _batch_norm(walk: Forward, node: Node) -> Moments:
    source = node.edges[0].source
    law = walk.at(source)
    if walk.setting.statistics == "frozen":
        return law
    common = _removed(walk, law, walk.graph.nodes[source])
    cov = (law.cov - common) / deviation(walk, node)
    lean = law.lean or tuple(np.ones_like(p) for p in law.profile)
    profile = []
    for own, share in zip(law.profile, lean, strict=True):
        line = np.maximum(law.second * own - common * (2 * share - 1), 1e-3 * law.second)
        profile.append(line / line.mean())
    return Moments(0.0, cov, law.jump, tuple(profile))


def _removed(walk: Forward, law: Moments, node: Node) -> float:
    """What batch statistics take away: the variance common to all images of the batch."""
    if walk.setting.batch is None:
        return law.common
    return law.common + (image_mean(walk, law, node) - law.common) / walk.setting.batch


def deviation(walk: Forward, node: Node) -> float:
    """The variance that a batch norm divides by."""
    source = node.edges[0].source
    law = walk.at(source)
    if walk.setting.statistics == "frozen":
        return 1.0
    return law.variance - _removed(walk, law, walk.graph.nodes[source]) + EPS


def image_mean(walk: Forward, law: Moments, node: Node) -> float:
    """Covariance averaged over all pairs of positions of one map: the variance of its mean."""
    sizes, jumps = _grid(node, law)
    if not sizes:
        return law.variance
    profiles = []
    for n in sizes:
        lag = np.arange(-n + 1, n)
        profiles.append((n - np.abs(lag)) / n**2)
    return _mix(walk, law.cov[1:], profiles, jumps)


def _grid(node: Node, law: Moments) -> tuple[list[int], list[float]]:
    """Map sizes and jumps of the axes that a node still has."""
    dims = [(a, d) for a in range(len(law.jump)) if (d := node.axis_dim(a)) is not None]
    return [node.shape[d] for _, d in dims], [law.jump[a] for a, _ in dims]


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


def _layer_norm(walk: Forward, node: Node) -> Moments:
    law = walk.at(node.edges[0].source)
    return _scaled(law, 0.0, law.cov / (law.variance + EPS))


def _activation(walk: Forward, node: Node) -> Moments:
    law = walk.at(node.edges[0].source)
    f = function(node)
    assert f is not None
    mean, second, _ = single(f, law.mean, law.variance)
    cov = pair(f, law.mean, law.variance, law.cov) - mean**2
    cov[1] = second - mean**2
    values = None
    if f.name == "relu" and law.chain is not None:
        mean, second, _, values = law.chain.rectified()
        cov *= (second - mean**2) / cov[1]
    elif f.name == "relu":
        values = rectified_normal(law.mean, law.variance)
    return Moments(mean, cov, law.jump, law.profile, before=(f, law.mean, law.cov), values=values)


# ------------------------------------------------------------------ fixed linear operations


def _linear(walk: Forward, node: Node) -> Moments:
    parts = [carried(walk, node, e) for e in node.edges]
    if node.op in ("add", "sub"):
        sign = -1.0 if node.op == "sub" else 1.0
        mean = parts[0].mean + sign * sum(p.mean for p in parts[1:])
        constant = node.attrs.get("constant")
        if len(parts) == 1 and constant is not None:
            mean = mean + constant if node.op == "add" else _minus(node, mean, constant)
        cov = np.sum([p.cov for p in parts], axis=0)
        if len({e.source for e in node.edges}) < len(node.edges):  # x + x
            cov = cov * len(parts)
        return Moments(mean, cov, _finest(parts), _blended(parts), chain=_chain(node, parts))
    # Parts that lie side by side along the channels (a concat): moments add up by their shares.
    shares = [_channel_share(walk.graph, e) for e in node.edges]
    if len(parts) == 1 and shares[0] == 1:
        return parts[0]
    mean = sum(s * p.mean for p, s in zip(parts, shares, strict=True))
    raw = np.sum([s * (p.cov + p.mean**2) for p, s in zip(parts, shares, strict=True)], axis=0)
    return Moments(mean, raw - mean**2, _finest(parts), _blended(parts, shares))


def _chain(node: Node, parts: Sequence[Moments]) -> Chain | None:
    """A sum of what a ReLU let through and one other term."""
    if len(parts) != 2 or node.op != "add":
        return None
    for k, (own, other) in enumerate(zip(parts, parts[::-1], strict=True)):
        if own.values is not None and other.values is None and not node.edges[k].steps:
            return Chain(k, own.values, other.mean, float(np.sqrt(max(other.variance, 1e-12))))
    return None


def _minus(node: Node, mean: float, constant: float) -> float:
    return constant - mean if node.attrs.get("name") == "rsub" else mean - constant


def _finest(parts: Sequence[Moments]) -> tuple[float, ...]:
    return tuple(min(p.jump[a] for p in parts) for a in range(len(parts[0].jump)))


def _blended(parts: Sequence[Moments], shares: Sequence[float] = ()) -> tuple[Floats, ...]:
    """The profile of a sum or a concat: the parts' own, weighed by their second moments."""
    weights_ = [p.second * s + 1e-300 for p, s in zip(parts, shares or [1.0] * len(parts), strict=True)]
    total = sum(weights_)
    out = []
    for axis in range(len(parts[0].profile)):
        n = max(len(p.profile[axis]) for p in parts)
        lines = [p.profile[axis] if len(p.profile[axis]) == n else np.ones(n) for p in parts]
        out.append(np.asarray(sum(w * line for w, line in zip(weights_, lines, strict=True)) / total))
    return tuple(out)


def _averaged(profile: Floats, a: Any) -> Floats:
    """A profile behind a weighted mean."""
    if a.shape[1] != len(profile):
        return np.ones(a.shape[0])
    read = a @ profile / np.maximum(np.asarray(a.sum(axis=1)).ravel(), 1e-12)
    return np.asarray(read / (read.mean() or 1.0))


def _channel_share(graph: Graph, edge: Edge) -> float:
    """Share of a result's channels that an edge fills (concat, stack)."""
    share = 1.0
    for stage in stages(graph, edge):
        if isinstance(stage.step, Along) and not stage.positional and not _mixing(stage.step):
            taps = matrix(stage.step.geometry, stage.before[stage.step.dim], stage.step.size)
            share *= taps.nnz / stage.step.size
    return min(share, 1.0)


def _mixing(step: Along) -> bool:
    """Whether a step along channels averages them instead of moving them."""
    return isinstance(step.geometry, (Window, Full, Grouped, Pad))


def carried(walk: Forward, node: Node, edge: Edge) -> Moments:
    """The moments behind the steps of an edge."""
    law = walk.at(edge.source)
    for stage in stages(walk.graph, edge):
        if isinstance(stage.step, Along):
            law = _along(node, law, stage)
    positional = [s for s in stages(walk.graph, edge) if isinstance(s.step, Along) and s.positional]
    if any(_resamples(s) for s in positional):
        return _resampled(walk, node, walk.at(edge.source), law, positional)
    return law


def _along(node: Node, law: Moments, stage: Stage) -> Moments:
    """Channel steps, borders and jumps; resampling is done for all axes at once."""
    step = stage.step
    assert isinstance(step, Along)
    n_in = stage.before[step.dim]
    if stage.positional:
        if isinstance(step.geometry, Pad) and step.geometry.mode == "constant":
            inside = min(1.0, n_in / step.size)
            cov = inside**2 * (law.cov + law.mean**2) - (inside * law.mean) ** 2
            cov[1] = inside * law.second - (inside * law.mean) ** 2
            return replace(law, mean=inside * law.mean, cov=cov, before=None)
        if stage.axis < 0:
            return law
        jump, profile = list(law.jump), list(law.profile)
        jump[stage.axis] *= _jump_factor(step, n_in)
        profile[stage.axis] = _averaged(profile[stage.axis], weights(node, step, n_in))
        return replace(law, jump=tuple(jump), profile=tuple(profile))
    if isinstance(step.geometry, Window) or (isinstance(step.geometry, Full) and n_in > 1):
        a = weights(node, step, n_in)  # an average over channels: their variances shrink
        squares = float(a.multiply(a).sum()) / step.size
        return replace(law, mean=law.mean * float(a.sum()) / step.size, cov=law.cov * squares, before=None)
    return law  # moved channels keep their law


def _jump_factor(step: Along, n_in: int) -> float:
    g = step.geometry
    if isinstance(g, Window):
        return float(g.stride)
    if isinstance(g, TransposedWindow):
        return 1.0 / g.stride
    same = type(g).__name__ in ("Pad", "Roll", "IndexMap")
    if type(g).__name__ == "Slice":
        return float(abs(getattr(g, "step", 1)))
    return 1.0 if same else n_in / step.size


def _resamples(stage: Stage) -> bool:
    return type(getattr(stage.step, "geometry", None)).__name__ in (
        "Window", "TransposedWindow", "AdaptivePool", "Resize", "Full",
    )  # fmt: skip


def _resampled(walk: Forward, node: Node, law: Moments, carried: Moments, steps: list[Stage]) -> Moments:
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


def _autocorrelation(m: Any, lag: int) -> Floats:
    """Mean over outputs o of sum_i m[o, i] m[o + lag, i + d], for d = -(n-1) .. n-1."""
    n_out, n_in = m.shape
    product = (m[: n_out - lag].T @ m[lag:]).tocoo()
    out = np.bincount(product.col - product.row + n_in - 1, product.data, minlength=2 * n_in - 1)
    return np.asarray(out / (n_out - lag), float)


# ------------------------------------------------------------------ max pooling

_SCORE = np.linspace(-6.0, 7.0, 521)


def winner(law: Moments, walk: Forward, kernel: Sequence[int]) -> tuple[Activation | None, float, Any]:
    """The law of the largest of a window's values under an activation: function, mean, and (u, weight): the
    pre-activation of the winner on a grid of (what the window has in common, its own rank)."""
    f, mean, cov = law.before if law.before is not None else (None, law.mean, law.cov)
    count = int(np.prod(kernel))
    profiles = [(k - np.abs(np.arange(-k + 1, k))) / k**2 for k in kernel]
    jumps = law.jump[-len(kernel) :] if law.jump else (1.0,)
    whole = _mix(walk, cov[1:], profiles, jumps)
    common = (whole - cov[1] / count) / max(1 - 1 / count, 1e-12)
    common = float(np.clip(common, 1e-9 * cov[1], cov[1] * (1 - 1e-6)))
    density = count * np.exp(-(_SCORE**2) / 2) * ndtr(_SCORE) ** (count - 1)
    density /= density.sum()
    u = mean + np.sqrt(common) * NODES[:, None] + np.sqrt(cov[1] - common) * _SCORE[None]
    return f, mean, (u, density, common, float(np.sqrt(cov[1] - common)), cov)


def _max_pool(walk: Forward, node: Node) -> Moments:
    source = node.edges[0].source
    law = walk.at(source)
    steps = [s for s in stages(walk.graph, node.edges[0]) if isinstance(s.step, Along) and s.positional]
    kernel = [window_size(s) for s in steps]
    jump, profile = list(law.jump), list(law.profile)
    for s in steps:
        if s.axis >= 0 and isinstance(s.step, Along):
            n_in = s.before[s.step.dim]
            jump[s.axis] *= _jump_factor(s.step, n_in)
            profile[s.axis] = _averaged(profile[s.axis], matrix(s.step.geometry, n_in, s.step.size))
    if len(kernel) != len(law.jump) or int(np.prod(kernel)) == 1:
        return replace(law, jump=tuple(jump), profile=tuple(profile))
    f, mean, (u, density, common, own, cov) = winner(law, walk, kernel)

    def value(x: Floats) -> Floats:
        return x if f is None else f(x)

    first = float((WEIGHTS * (value(u) * density).sum(1)).sum())
    second = float((WEIGHTS * (value(u) ** 2 * density).sum(1)).sum())
    grid = mean + np.sqrt(common) * np.linspace(-10, 10, 401)
    smooth = (value(grid[:, None] + own * _SCORE[None]) * density).sum(1)

    def covariance(c: float) -> float:
        r = min(abs(c) / common, 1.0)
        x = mean + np.sqrt(common) * (np.sqrt(r) * NODES[:, None] + np.sqrt(1 - r) * NODES[None])
        given = (np.interp(x, grid, smooth) * WEIGHTS[None]).sum(1)
        return float((WEIGHTS * given * (given if c >= 0 else given[::-1])).sum()) - first**2

    side = kernel[-1] * law.jump[-1]
    out = np.empty_like(law.cov)
    out[0] = covariance(float(cov[0]))
    shared = covariance(common)
    cached: dict[float, float] = {}
    for q, lag in enumerate(walk.lags):
        c = common if lag < side else float(cov[1 + q])
        if c not in cached:
            cached[c] = covariance(c)
        overlap = max(0.0, 1 - lag / side)
        out[1 + q] = cached[c] + overlap * (second - first**2 - shared)
    out[1] = second - first**2
    ranked = np.argsort(u, axis=None)
    mass = np.cumsum((WEIGHTS[:, None] * density[None]).ravel()[ranked])
    values = np.interp(RANKS, mass, value(u).ravel()[ranked]) if f is not None and f.name == "relu" else None
    return Moments(first, out, tuple(jump), tuple(profile), values=values)


def window_size(stage: Stage) -> int:
    """Positions that a pooling window reads along one axis."""
    step = stage.step
    assert isinstance(step, Along)
    if isinstance(step.geometry, Window):
        return step.geometry.kernel
    return -(-stage.before[step.dim] // step.size)


# ------------------------------------------------------------------ products, quotients, powers


def _product(walk: Forward, node: Node) -> Moments:
    a = carried(walk, node, node.edges[0])
    if len(node.edges) == 1:
        c = node.attrs.get("constant")
        c = 1.0 if c is None else float(c)
        return _scaled(a, a.mean * c, a.cov * c**2)
    if node.edges[0].source == node.edges[1].source and node.edges[0].steps == node.edges[1].steps:
        return _scaled(a, a.second, 2 * a.cov**2 + 4 * a.mean**2 * a.cov)
    b = carried(walk, node, node.edges[1])
    mean = a.mean * b.mean
    cov = (a.cov + a.mean**2) * (b.cov + b.mean**2) - mean**2
    return Moments(mean, cov, _finest([a, b]), _blended([a, b]))


def _scaled(law: Moments, mean: float, cov: Floats) -> Moments:
    return Moments(mean, cov, law.jump, law.profile)


def _divide(walk: Forward, node: Node) -> Moments:
    a = carried(walk, node, node.edges[0])
    if len(node.edges) == 1:
        c = float(node.attrs.get("constant") or 1.0)
        return _scaled(a, a.mean / c, a.cov / c**2)
    b = carried(walk, node, node.edges[1])  # to first order in the spread of the divisor
    c = b.mean or 1.0
    return _scaled(a, a.mean / c, a.cov / c**2 + a.mean**2 * b.cov / c**4)


def _power(walk: Forward, node: Node) -> Moments:
    law = walk.at(node.edges[0].source)
    p = float(node.attrs["constant"])
    if p == 2:
        return _scaled(law, law.second, 2 * law.cov**2 + 4 * law.mean**2 * law.cov)
    return _scaled(law, law.mean**p, law.cov * slope_of_power(law.mean, p) ** 2)


def slope_of_power(mean: float, p: float) -> float:
    """d/dx x^p at the mean: a power is only met where its base hardly varies (response normalisation)."""
    return p * mean ** (p - 1) if mean > 0 else 0.0


Rule = Callable[[Forward, Node], Moments]
_RULES: dict[str, Rule] = {
    "input": _image,
    "constant": _constant,
    "random": _random,
    "linear": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "activation": _activation,
    "max_pool": _max_pool,
    "product": _product,
    "divide": _divide,
    "power": _power,
}
