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
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.forward import dividing, flattening
from archlens.analyses.expected.forward.activations import Activation, of_slopes, pair, single
from archlens.analyses.expected.forward.gates import Chain, of_normal
from archlens.analyses.expected.forward.mixing import max_pool, resampled, resamples
from archlens.analyses.expected.forward.rewriting import rewritten
from archlens.analyses.expected.forward.state import (
    LADDER,
    WHITE,
    Forward,
    Moments,
    NoRule,
    Premises,
    averaged,
    blended,
    finest,
    jump_factor,
    natural_correlation,
    scaled,
)
from archlens.analyses.expected.forward.transfer import (
    ShapedStep,
    function,
    named,
    offset,
    renames,
    role,
    scales,
    shaped_steps,
    weights,
)
from archlens.analyses.fields.taps import matrix
from archlens.analyses.fields.walks import Walks
from archlens.graph import Along, Edge, Full, Graph, Grouped, Node, Pad, TransposedWindow, Window

Floats = NDArray[np.float64]


def forward(walks: Walks, premises: Premises = WHITE) -> Forward:
    """Moments of all nodes, from the image to the outputs."""
    graph = rewritten(walks.graph)
    image = graph.nodes[graph.inputs[0]]
    extent = image.map_size
    reach = 1.5 * max(extent, default=1)
    lags = np.array([v for v in LADDER if v <= reach], float)
    walk = Forward(walks, premises, lags, rewritten=graph)
    for node in graph.nodes:
        law = None
        if role(node) == "unknown":
            walk.missing[node.id] = named(node)
        elif all(walk.nodes[e.source] is not None for e in node.edges):
            try:
                law = _followed(walk, node)
            except NoRule as why:
                walk.missing[node.id] = f"{node.op}: {why}"
        walk.nodes.append(law)
    return walk


def _followed(walk: Forward, node: Node) -> Moments:
    """The law by the node's rule; no rule holds where values overflow, as those of the network do."""
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            law = flattening.follow(walk, node, _RULES[role(node)](walk, node))
    except OverflowError:
        raise NoRule("its values grow beyond numbers") from None
    if np.isnan(law.cov).any() or np.isnan(law.mean):
        raise NoRule("it has no value for some inputs")
    if not law.second < _LARGEST or not np.isfinite(law.cov).all():
        raise NoRule("its values grow beyond numbers")
    return law


_LARGEST = 1e300  # of a second moment


def _image(walk: Forward, node: Node) -> Moments:
    spread = node.map_size
    if walk.premises.images == "white" or not spread:
        correlation = (walk.lags == 0).astype(float)
    else:
        correlation = natural_correlation(walk.lags, max(spread))
    flat = tuple(np.ones(n) for n in spread)
    return Moments(0.0, np.concatenate([[0.0], correlation]), (1.0,) * len(spread), flat)


def _constant(walk: Forward, _: Node) -> Moments:
    axes = len(walk.at(walk.graph.inputs[0]).jump)
    return Moments(0.0, np.zeros(len(walk.lags) + 1), (1.0,) * axes, (np.ones(1),) * axes)


def _random(walk: Forward, node: Node) -> Moments:
    edge = node.edges[0]
    law = walk.at(edge.source)
    own, cross = 1.0, 1.0  # how many taps are inside the map: at one position, at two independent ones
    same = 1.0  # chance that two outputs use the same taps: phases of a transposed window do not
    jump, profile = list(law.jump), list(law.profile)
    lean = [np.ones_like(p) for p in profile]
    for taken in shaped_steps(walk.graph, edge):
        step = taken.step
        if not (isinstance(step, Along) and taken.positional):
            continue
        n_in, g = taken.before[step.dim], step.geometry
        if isinstance(g, (Window, TransposedWindow)):
            phases = g.stride if isinstance(g, TransposedWindow) else 1
            taps, same = g.kernel / phases, same / phases
            here = _profile_over(profile, taken)
            read = matrix(g, n_in, step.size).apply(here, 0) / taps
            own *= read.mean()
            means = _tap_means(g, np.sqrt(here), step.size)
            cross *= (means**2).sum() / taps
            if taken.axis >= 0:
                lean[taken.axis] = _lean(g, np.sqrt(here), means, step.size)
                profile[taken.axis] = read / read.mean()
                jump[taken.axis] *= g.stride if isinstance(g, Window) else 1 / g.stride
        elif taken.axis >= 0:
            profile[taken.axis] = lean[taken.axis] = np.ones(step.size)
    cross = min(cross, own)
    gain = walk.premises.gain
    base = law.common + law.mean**2
    cov = gain * (base * cross + (law.cov - law.common) * own * same)
    cov[1] = gain * law.second * own
    return Moments(0.0, cov, tuple(jump), tuple(profile), tuple(lean))


def _profile_over(profile: Sequence[Floats], taken: ShapedStep) -> Floats:
    """The profile along a step's dimension; flat where the dimension is no whole axis of the input."""
    n = taken.before[taken.step.dim] if isinstance(taken.step, Along) else 0
    known = taken.axis >= 0 and len(profile[taken.axis]) == n
    return profile[taken.axis] if known else np.ones(n)


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


def _activation(walk: Forward, node: Node) -> Moments:
    law = walk.at(node.edges[0].source)
    f = function(node)
    assert f is not None
    mean, second, slope = single(f, law.mean, law.variance)
    if f.name in _STEEP:
        _tame(f, law, slope)
    cov = pair(f, law.mean, law.variance, law.cov) - mean**2
    cov[1] = second - mean**2
    if law.chain is not None:
        passed = law.chain.through(f)
        mean, second, values = passed.first, passed.second, passed.values
        cov *= (second - mean**2) / cov[1]
    else:
        values = of_normal(f, law.mean, law.variance)
    return Moments(mean, cov, law.jump, law.profile, before=(f, law.mean, law.cov), values=values)


_STEEP = ("formula", "square", "exp")
"""Functions whose slopes may have no bounds."""


def _tame(f: Activation, law: Moments, slope: float) -> None:
    """Whether the mean of squared slopes says something: not next to a pole, where it is infinite, nor where
    few large values make it, which no layer has enough of."""
    s = float(np.sqrt(law.variance))
    if not abs(single(f, law.mean + s / 1000, law.variance)[2] - slope) <= 0.1 * slope:
        raise NoRule("it divides by what may be 0")
    if slope > 0 and of_slopes(f, law.mean, law.variance) > _UNEVEN * slope**2:
        raise NoRule("its slopes hang on few large values")


_UNEVEN = 10.0  # E f'^4 over (E f'^2)^2: 3 for x^2, 6 for max(x, 0)^2, 12 for x^3


def _linear(walk: Forward, node: Node) -> Moments:
    parts = [carried(walk, node, e) for e in node.edges]
    if node.op in ("add", "sub"):
        factors = scales(node)
        mean = sum(f * p.mean for f, p in zip(factors, parts, strict=True)) + offset(node)
        cov = np.sum([f**2 * p.cov for f, p in zip(factors, parts, strict=True)], axis=0)
        profile = blended(parts, [f**2 for f in factors])
        return Moments(mean, cov, finest(parts), profile, chain=_chain(node, parts))
    # Parts that lie side by side along the channels (a concat): moments add up by their shares.
    shares = [_channel_share(walk.graph, e) for e in node.edges]
    if len(parts) == 1 and shares[0] == 1:
        return parts[0] if renames(node) else replace(parts[0], chain=None)  # how a sum is made up is its own
    mean = sum(s * p.mean for p, s in zip(parts, shares, strict=True))
    raw = np.sum([s * (p.cov + p.mean**2) for p, s in zip(parts, shares, strict=True)], axis=0)
    return Moments(mean, raw - mean**2, finest(parts), blended(parts, shares))


def _chain(node: Node, parts: Sequence[Moments]) -> Chain | None:
    """A sum of what an activation let through and one other term; of such a sum, and one more."""
    if len(parts) != 2 or scales(node) != (1.0, 1.0):
        return None
    pairs = list(enumerate(zip(parts, parts[::-1], strict=True)))
    for k, (own, other) in pairs:
        if own.values is not None and other.values is None and not node.edges[k].steps:
            return Chain(k, own.values, other.mean, float(np.sqrt(max(other.variance, 1e-12))))
    for k, (own, other) in pairs:
        if own.chain is not None and other.chain is None and other.values is None and not node.edges[k].steps:
            spread = own.chain.deviation**2 + other.variance
            return Chain(k, own.chain.values, own.chain.mean + other.mean, float(np.sqrt(spread)))
    return None


def _channel_share(graph: Graph, edge: Edge) -> float:
    """Share of a result's channels that an edge fills (concat, stack)."""
    share = 1.0
    for taken in shaped_steps(graph, edge):
        if isinstance(taken.step, Along) and not taken.positional and not _mixing(taken.step):
            taps = matrix(taken.step.geometry, taken.before[taken.step.dim], taken.step.size)
            share *= len(taps.data) / taken.step.size
    return min(share, 1.0)


def _mixing(step: Along) -> bool:
    """Whether a step along channels averages them instead of moving them."""
    return isinstance(step.geometry, (Window, Full, Grouped))


def carried(walk: Forward, node: Node, edge: Edge) -> Moments:
    """The moments behind the steps of an edge."""
    law = walk.at(edge.source)
    for taken in shaped_steps(walk.graph, edge):
        if isinstance(taken.step, Along):
            law = _along(node, law, taken)
    positional = [s for s in shaped_steps(walk.graph, edge) if isinstance(s.step, Along) and s.positional]
    if any(resamples(s) for s in positional):
        return resampled(walk, node, walk.at(edge.source), law, positional)
    return law


def _along(node: Node, law: Moments, taken: ShapedStep) -> Moments:
    """Channel steps, borders and jumps; resampling is done for all axes at once."""
    step = taken.step
    assert isinstance(step, Along)
    n_in = taken.before[step.dim]
    if taken.positional:
        if taken.axis < 0:
            return law
        jump, profile = list(law.jump), list(law.profile)
        if isinstance(step.geometry, Pad) and step.geometry.mode == "constant":
            # The law stays that of the values inside; the profile tells where there are none. A convolution
            # that reads on then finds what it would find with as much padding of its own.
            inside = matrix(step.geometry, n_in, step.size)
            profile[taken.axis] = inside.apply(_profile_over(profile, taken), 0)
            return replace(law, profile=tuple(profile), lean=None)
        jump[taken.axis] *= jump_factor(step, n_in)
        profile[taken.axis] = averaged(profile[taken.axis], weights(node, step, n_in))
        return replace(law, jump=tuple(jump), profile=tuple(profile), lean=None)
    if isinstance(step.geometry, Window) or (isinstance(step.geometry, Full) and n_in > 1):
        a = weights(node, step, n_in)  # an average over channels: their variances shrink
        squares = a.squares / step.size
        return replace(law, mean=law.mean * a.sum() / step.size, cov=law.cov * squares, before=None)
    return law  # moved channels keep their law


def _product(walk: Forward, node: Node) -> Moments:
    a = carried(walk, node, node.edges[0])
    if len(node.edges) == 1:
        c = node.attrs.get("constant")
        c = 1.0 if c is None else float(c)
        return scaled(a, a.mean * c, a.cov * c**2)
    if node.edges[0].source == node.edges[1].source and node.edges[0].steps == node.edges[1].steps:
        return scaled(a, a.second, 2 * a.cov**2 + 4 * a.mean**2 * a.cov)
    b = carried(walk, node, node.edges[1])
    mean = a.mean * b.mean
    cov = (a.cov + a.mean**2) * (b.cov + b.mean**2) - mean**2
    return Moments(mean, cov, finest([a, b]), blended([a, b]))


def _divide(walk: Forward, node: Node) -> Moments:
    a = carried(walk, node, node.edges[0])
    if len(node.edges) == 1:
        c = float(node.attrs.get("constant") or 1.0)
        return scaled(a, a.mean / c, a.cov / c**2)
    b = carried(walk, node, node.edges[1])  # to first order in the spread of the divisor
    c = b.mean
    if b.variance > VARIES * c**2 or c == 0:
        raise NoRule("what it divides by varies")
    return scaled(a, a.mean / c, a.cov / c**2 + a.mean**2 * b.cov / c**4)


def _power(walk: Forward, node: Node) -> Moments:
    law = walk.at(node.edges[0].source)
    p = float(node.attrs["constant"])
    if law.mean <= 0 or law.variance > VARIES * law.mean**2:
        raise NoRule("its base varies")
    return scaled(law, law.mean**p, law.cov * slope_of_power(law.mean, p) ** 2)


VARIES = 0.1
"""Variance over the squared mean up to which quotients and powers are followed to first order."""


def slope_of_power(mean: float, p: float) -> float:
    """d/dx x^p at the mean: a power is only met where its base hardly varies (response normalisation)."""
    return p * mean ** (p - 1) if mean > 0 else 0.0


Rule = Callable[[Forward, Node], Moments]
_RULES: dict[str, Rule] = {
    "input": _image,
    "constant": _constant,
    "random": _random,
    "linear": _linear,
    "batch_norm": dividing.batch_norm,
    "layer_norm": dividing.layer_norm,
    "activation": _activation,
    "max_pool": max_pool,
    "product": _product,
    "divide": _divide,
    "power": _power,
}
