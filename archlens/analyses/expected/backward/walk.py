"""The backward walk of gradient energy: one map a node, no sampling.

Averaged over independent zero-mean weights all cross terms vanish, and the second moment of the gradient
propagates linearly. A node's state is a `Band`: for each lag vector a map C with C[p] = E g(p) g(p + lag),
mean over the channels. Lag 0 is the energy. Other lags are kept only where a fixed linear operation (resize,
average pool, ...) made neighbours agree and another one further down will add them up again: squaring taps
one operation at a time would forget that.
See `lags` for their form and for single steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.backward.lags import Band, collected, step, times, total, zero_lag
from archlens.analyses.expected.backward.max_pools import max_pool, winner_slope
from archlens.analyses.expected.backward.transposed import broadcast, summed
from archlens.analyses.expected.forward import dividing, flattening, gates, norms, walk
from archlens.analyses.expected.forward.activations import pair_at, single
from archlens.analyses.expected.forward.state import Forward, Moments
from archlens.analyses.expected.forward.transfer import (
    ShapedStep,
    carrying,
    fan_in,
    fan_out,
    function,
    renames,
    role,
    scales,
    shaped_steps,
)
from archlens.graph import Along, Edge, Full, Graph, Node, Window

__all__ = ["Band", "reaches", "statistics_factors", "walk_back", "winner_slope", "zero_lag"]

Floats = NDArray[np.float64]
Arrival = tuple[Band, "Floats | None"]  # with a weight for each quantile of the node's value, see `gates`
NEGLIGIBLE = 3e-3  # share of a band's energy below which a lag is dropped


class Arrived(dict[int, Floats]):
    """Energy maps by node, in units of exp(`log_unit`): a deep network without normalisation multiplies
    energies beyond what numbers hold, and only their ratios matter."""

    log_unit: float = 0.0


def walk_back(
    fwd: Forward,
    seeds: Mapping[int, Band],
    origin: int,
    only: Mapping[int, frozenset[int]] | None = None,
    keep: frozenset[int] = frozenset(),
) -> Arrived:
    """Carry gradient energy back to `origin`.

    Args:
        fwd: Moments of the same graph.
        seeds: Node id -> its band; a delta for one unit.
        origin: Node to arrive at.
        only: Node id -> indices of its edges that are followed (all, where absent).
        keep: Further nodes whose energy maps are returned.

    Returns:
        Energy maps of `origin` and of the nodes in `keep`, shaped like them with size 1 along channels.
        A node that no gradient reaches is absent.
    """
    graph, only = fwd.graph, only or {}
    if origin not in fwd.ways:
        dependent = reaches(graph, origin)
        fwd.ways[origin] = dependent, _mixes_below(graph, dependent)
    dependent, mixing = fwd.ways[origin]
    arriving: dict[int, list[Arrival]] = {n: [(dict(b), None)] for n, b in seeds.items()}
    out = Arrived()
    for node in reversed(graph.nodes[origin : max(seeds) + 1]):
        arrivals = arriving.pop(node.id, None)
        if arrivals is None:
            continue
        arrivals = _in_range(arrivals, arriving, out)
        band = total([b for b, _ in arrivals])
        if node.id == origin or node.id in keep:
            out[node.id] = band[zero_lag(node)]
        if node.id == origin or role(node) == "constant":
            continue
        if not mixing[node.id]:
            arrivals = [({zero_lag(node): b[zero_lag(node)]}, w) for b, w in arrivals]
        band = _pruned(total([b for b, _ in arrivals]), node)
        beside = dividing.ways(fwd, node, only, {origin, *keep})
        for way in beside:
            merge = graph.nodes[way.concat]
            if dependent[way.source]:
                part = _norm(fwd, node, band, way.variance)
                part = _through(fwd, merge, way.index, merge.edges[way.index], part)
                _join(arriving.setdefault(way.source, []), [(part, None)])
        for index in () if beside else carrying(node):
            edge = node.edges[index]
            if not dependent[edge.source] or (node.id in only and index not in only[node.id]):
                continue
            queue = arriving.setdefault(edge.source, [])
            law = fwd.at(edge.source)
            own = fwd.at(node.id)
            if _passes(fwd, node) or (own.chain is not None and index == own.chain.skip):
                _join(queue, arrivals)
            elif role(node) == "activation" and (law.chain or any(w is not None for _, w in arrivals)):
                _join(queue, [_conditional(fwd, node, law, own, a) for a in arrivals])
            else:
                _join(queue, [(_through(fwd, node, index, edge, band), None)])
    return out


def _in_range(arrivals: list[Arrival], arriving: dict[int, list[Arrival]], out: Arrived) -> list[Arrival]:
    """The arrivals of a node; where their numbers become too large or too small, all that is under way is
    put in another unit."""
    if _SMALLEST < _peak([b for b, _ in arrivals]) < _LARGEST:
        return arrivals
    under_way = [b for parts in arriving.values() for b, _ in parts] + [b for b, _ in arrivals]
    peak = _peak(under_way)
    if _SMALLEST < peak < _LARGEST or not 0 < peak < np.inf:
        return arrivals
    for key, parts in arriving.items():
        arriving[key] = [(times(b, 1 / peak), w) for b, w in parts]
    for key, values in out.items():
        out[key] = values * (1 / peak)
    out.log_unit += float(np.log(peak))
    return [(times(b, 1 / peak), w) for b, w in arrivals]


_SMALLEST, _LARGEST = 1e-60, 1e60


def _peak(bands: list[Band]) -> float:
    """The largest energy of some bands."""
    zeros = (np.asarray(v) for b in bands for lag, v in b.items() if not any(lag))
    return max((float(v.max(initial=0.0)) for v in zeros), default=0.0)


def _passes(fwd: Forward, node: Node) -> bool:
    """Whether a node hands on what it is given: another name, or batch norm that divides by 1."""
    return renames(node) or (role(node) == "batch_norm" and fwd.premises.statistics == "frozen")


def _join(queue: list[Arrival], new: list[Arrival]) -> None:
    """Add arrivals to those of a node: those without a weight together, those with one together."""
    parts = queue + new
    queue.clear()
    free = [b for b, w in parts if w is None]
    tied = [(b, w) for b, w in parts if w is not None]
    if free:
        queue.append((total(free), None))
    if tied:
        energies = [float(np.asarray(b[next(g for g in b if not any(g))]).sum()) for b, _ in tied]
        weight = gates.combined([(e, w) for e, (_, w) in zip(energies, tied, strict=True)])
        queue.append((total([b for b, _ in tied]), weight))


def _conditional(fwd: Forward, node: Node, law: Moments, own: Moments, arrival: Arrival) -> Arrival:
    """A gradient through the activation of a residual sum, or of what such a chain starts from."""
    band, weight = arrival
    f = function(node)
    if f is None or own.values is None:
        return _gated(fwd, node, law, band), None
    usual = single(f, law.mean, law.variance)[2]
    if law.chain is not None:
        factor, before = law.chain.weigh(f, weight)
    elif weight is not None:
        factor, before = gates.first_weighed(f, law.mean, law.variance, weight), None
    else:
        factor, before = usual, None
    ratio = factor / max(usual, 1e-12)
    gated = _gated(fwd, node, law, band)
    return {lag: v * (ratio if not any(lag) else ratio**2) for lag, v in gated.items()}, before


def reaches(graph: Graph, origin: int) -> list[bool]:
    """Whether each node depends on `origin`."""
    out = [False] * len(graph.nodes)
    for node in graph.nodes:
        out[node.id] = node.id == origin or any(out[e.source] for e in node.edges)
    return out


def _pruned(band: Band, node: Node) -> Band:
    floor = NEGLIGIBLE * float(np.asarray(band[zero_lag(node)]).sum())
    return {lag: v for lag, v in band.items() if not any(lag) or float(np.abs(np.asarray(v)).sum()) > floor}


def _mixes_below(graph: Graph, dependent: list[bool]) -> list[bool]:
    """For each node: does an operation on the way to the origin add up neighbouring gradients?"""
    out = [False] * len(graph.nodes)
    for node in graph.nodes:
        if not dependent[node.id]:
            continue
        own = role(node) in ("linear", "max_pool", "product") and any(
            _overlaps(s) for e in node.edges if dependent[e.source] for s in shaped_steps(graph, e)
        )
        out[node.id] = own or any(out[e.source] for e in node.edges)
    return out


def _overlaps(taken: ShapedStep) -> bool:
    """Whether two outputs of a step read the same input."""
    step = taken.step
    if not isinstance(step, Along) or not taken.positional:
        return False
    g = step.geometry
    if isinstance(g, Full):
        return step.size > 1
    if isinstance(g, Window):
        return g.kernel > g.stride
    return type(g).__name__ in ("Resize", "AdaptivePool", "TransposedWindow")


def _through(fwd: Forward, node: Node, index: int, edge: Edge, band: Band) -> Band:
    """The band that one edge hands to its source."""
    source = fwd.graph.nodes[edge.source]
    kind = role(node)
    if kind == "max_pool":
        return max_pool(fwd, node, edge, band)
    band = _scaled(fwd, node, index, band)
    for taken in reversed(shaped_steps(fwd.graph, edge)):
        band = step(node, kind == "random", taken, band)
    return collected(band, source)


def _scaled(fwd: Forward, node: Node, index: int, band: Band) -> Band:
    """Derivatives of pointwise operations, per lag."""
    kind = role(node)
    law = fwd.nodes[node.edges[index].source]
    assert law is not None
    if kind == "random":
        variance = fwd.premises.gain / fan_in(node)
        return times(band, variance * fan_out(node))
    if kind in ("batch_norm", "layer_norm"):
        return _norm(fwd, node, band, dividing.deviation(fwd, node))
    if kind == "activation":
        return _gated(fwd, node, law, band)
    if kind in ("product", "divide") and len(node.edges) == 1:
        c = node.attrs.get("constant")
        c = 1.0 if c is None else float(c)
        return times(band, c**2 if kind == "product" else c**-2)
    if kind == "product":
        if node.edges[0].source == node.edges[1].source and node.edges[0].steps == node.edges[1].steps:
            return times(band, 2 * law.second)  # d(x*x) = 2x dx, once for each of the two edges
        return _modulated(fwd, node, node.edges[1 - index], band)
    if kind == "divide":
        top, bottom = (fwd.at(e.source) for e in node.edges)
        return times(band, 1 / bottom.mean**2 if index == 0 else top.second / bottom.mean**4)
    if node.op in ("add", "sub"):
        factor = scales(node)[index]
        return band if abs(factor) == 1 else times(band, factor**2)
    if kind == "power":
        return times(band, walk.slope_of_power(law.mean, float(node.attrs["constant"])) ** 2)
    return band


def _distance(fwd: Forward, node: Node, lag: tuple[int, ...]) -> float:
    """A lag vector's length in px of the input."""
    law = fwd.at(node.id)
    squared = 0.0
    for axis in range(len(law.jump)):
        dim = node.axis_dim(axis)
        if dim is not None:
            squared += (lag[dim] * law.jump[axis]) ** 2
    return float(np.sqrt(squared))


def _gated(fwd: Forward, node: Node, law: Moments, band: Band) -> Band:
    """An activation: energies times E f'^2, lags times E f'(u) f'(u')."""
    f = function(node)
    assert f is not None
    own = single(f, law.mean, law.variance)[2]
    out = {}
    for lag, values in band.items():
        if not any(lag):
            out[lag] = values * own
        else:
            c = float(fwd.covariance(law, _distance(fwd, node, lag)))
            out[lag] = values * pair_at(f, law.mean, law.variance, c, True)
    return out


def _modulated(fwd: Forward, node: Node, other: Edge, band: Band) -> Band:
    """A product: the gradient of one factor is weighted by the other one."""
    law = walk.carried(fwd, node, other)
    out = {}
    for lag, values in band.items():
        second = law.second
        if any(lag):
            second = float(fwd.covariance(law, _distance(fwd, node, lag))) + law.mean**2
        out[lag] = values * second
    return out


def _norm(fwd: Forward, node: Node, band: Band, deviation: float) -> Band:
    """Division by the input's deviation."""
    own, rest = statistics_factors(fwd, node)
    flat = fwd.flat.get(node.id, flattening.NONE).energy
    band = times(band, own * flat / deviation)
    if role(node) == "layer_norm":
        places = norms.local(fwd, node)
        band = {lag: values * (1 / places) for lag, values in band.items()}
    if rest:
        zero = zero_lag(node)
        here = band[zero]
        dims = tuple(range(len(here.shape)))
        if role(node) == "layer_norm":
            dims = norms.over(node).dims
        every = broadcast(summed(here, dims), tuple(here.shape))
        band[zero] = here * (1 - rest / own) + every * (rest / own)
    return band


def statistics_factors(fwd: Forward, node: Node) -> tuple[float, float]:
    """What statistics over few values do to the gradient's energy: at its own place, and at any other.

    The deviation of n values varies, E 1/s^2 = (n - 1) / (n - 3) for Gaussian ones; in training (and with
    statistics of one image always) the gradient also flows through the mean and the deviation, which takes
    energy away and spreads a little over all.
    """
    if role(node) == "layer_norm":
        return norms.factors(fwd, node)
    if fwd.premises.batch is None or fwd.premises.statistics == "frozen":
        return 1.0, 0.0
    n = fwd.premises.batch * float(np.prod(node.map_size, initial=1.0))
    if fwd.premises.statistics == "calibrated" and n > 3:
        return (n - 1) / (n - 3), 0.0
    return _spread(n)


def _spread(n: float) -> tuple[float, float]:
    if n <= 3:
        return 1.0, 0.0
    own = (n - 1) * (n - 2) / ((n + 1) * (n - 3))
    rest = 2 * (n - 2) / ((n - 3) * (n - 1) * (n + 1))
    share = (n - 1) / n
    return own * share, rest * share
