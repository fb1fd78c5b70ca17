"""The backward walk of gradient energy: one map a node, no sampling.

Averaged over independent zero-mean weights all cross terms vanish, and the second moment of the gradient
propagates linearly. A node's state is a `Band`: for each lag vector a map C with C[p] = E g(p) g(p + lag),
mean over the channels. Lag 0 is the energy. Other lags are kept only where a fixed linear operation (resize,
average pool, ...) made neighbours agree and another one further down will add them up again: squaring taps
one operation at a time would forget that.

Maps are shaped like the node, with size 1 along channels; lag vectors have one entry a dimension. Of a lag
and its opposite only the one whose first entry other than 0 is positive is kept: C_-d[p] = C_d[p - d].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from archlens.analyses import gates, moments, transfer
from archlens.analyses.activations import WEIGHTS, pair, single
from archlens.analyses.boxes import reshape_like
from archlens.analyses.moments import Forward
from archlens.analyses.taps import matrix
from archlens.analyses.transfer import Stage, fan_in, fan_out, function, role, stages
from archlens.graph import Along, Edge, Full, Graph, Node, Permute, Reshape, Window

Floats = NDArray[np.float64]
Band = dict[tuple[int, ...], Floats]
Arrival = tuple[Band, "Floats | None"]  # with a weight for each quantile of the node's value, see `gates`

FARTHEST = 2  # lags kept, in cells of the map at hand
NEGLIGIBLE = 3e-3  # share of a band's energy below which a lag is dropped


def zero_lag(node: Node) -> tuple[int, ...]:
    """The lag vector of the energy itself."""
    return (0,) * len(node.shape)


def walk_back(
    fwd: Forward,
    seeds: Mapping[int, Band],
    origin: int,
    only: Mapping[int, frozenset[int]] | None = None,
    keep: frozenset[int] = frozenset(),
) -> dict[int, Floats]:
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
    dependent = reaches(graph, origin)
    mixing = _mixes_below(graph, dependent)
    arriving: dict[int, list[Arrival]] = {n: [(dict(b), None)] for n, b in seeds.items()}
    out: dict[int, Floats] = {}
    for node in reversed(graph.nodes[origin : max(seeds) + 1]):
        arrivals = arriving.pop(node.id, None)
        if arrivals is None:
            continue
        band = _total([b for b, _ in arrivals])
        if node.id == origin or node.id in keep:
            out[node.id] = band[zero_lag(node)]
        if node.id == origin or role(node) == "constant":
            continue
        if not mixing[node.id]:
            arrivals = [({zero_lag(node): b[zero_lag(node)]}, w) for b, w in arrivals]
        band = _pruned(_total([b for b, _ in arrivals]), node)
        for index, edge in enumerate(node.edges):
            if not dependent[edge.source] or (node.id in only and index not in only[node.id]):
                continue
            queue = arriving.setdefault(edge.source, [])
            law = fwd.at(edge.source)
            own = fwd.at(node.id)
            if (own.chain is not None and index == own.chain.skip) or _passes(node):
                _join(queue, arrivals)
            elif role(node) == "activation" and (law.chain or any(w is not None for _, w in arrivals)):
                _join(queue, [_conditional(fwd, node, law, own, a) for a in arrivals])
            else:
                _join(queue, [(_through(fwd, node, index, edge, band), None)])
    return out


def _passes(node: Node) -> bool:
    """Whether a node is its source under another name."""
    return node.op in ("identity", "copy", "dropout") and len(node.edges) == 1 and not node.edges[0].steps


def _join(queue: list[Arrival], new: list[Arrival]) -> None:
    """Add arrivals to those of a node: those without a weight together, those with one together."""
    parts = queue + new
    queue.clear()
    free = [b for b, w in parts if w is None]
    tied = [(b, w) for b, w in parts if w is not None]
    if free:
        queue.append((_total(free), None))
    if tied:
        energies = [float(b[next(lag for lag in b if not any(lag))].sum()) for b, _ in tied]
        weight = gates.combined([(e, w) for e, (_, w) in zip(energies, tied, strict=True)])
        queue.append((_total([b for b, _ in tied]), weight))


def _conditional(
    fwd: Forward, node: Node, law: moments.Moments, own: moments.Moments, arrival: Arrival
) -> Arrival:
    """A gradient through the ReLU of a residual sum, or of what such a chain starts from."""
    band, weight = arrival
    f = function(node)
    if f is None or f.name != "relu" or own.values is None:
        return _gated(fwd, node, law, band), None
    usual = single(f, law.mean, law.variance)[2]
    if law.chain is not None:
        factor, before = law.chain.weigh(own.values, weight)
    elif weight is not None:
        factor, before = float((weight * (own.values > 0)).mean()), None
    else:
        factor, before = usual, None
    ratio = factor / max(usual, 1e-12)
    gated = _gated(fwd, node, law, band)
    return {lag: v * (ratio if not any(lag) else ratio**2) for lag, v in gated.items()}, before


def _total(bands: list[Band]) -> Band:
    if len(bands) == 1:
        return bands[0]
    out: Band = {}
    for band in bands:
        _add(out, band)
    return out


def reaches(graph: Graph, origin: int) -> list[bool]:
    """Whether each node depends on `origin`."""
    out = [False] * len(graph.nodes)
    for node in graph.nodes:
        out[node.id] = node.id == origin or any(out[e.source] for e in node.edges)
    return out


def _add(total: Band, part: Band) -> None:
    for lag, values in part.items():
        total[lag] = total[lag] + values if lag in total else values


def _pruned(band: Band, node: Node) -> Band:
    floor = NEGLIGIBLE * float(band[zero_lag(node)].sum())
    return {lag: v for lag, v in band.items() if not any(lag) or float(np.abs(v).sum()) > floor}


def _mixes_below(graph: Graph, dependent: list[bool]) -> list[bool]:
    """For each node: does an operation on the way to the origin add up neighbouring gradients?"""
    out = [False] * len(graph.nodes)
    for node in graph.nodes:
        if not dependent[node.id]:
            continue
        own = role(node) in ("linear", "max_pool", "product") and any(
            _overlaps(s) for e in node.edges if dependent[e.source] for s in stages(graph, e)
        )
        out[node.id] = own or any(out[e.source] for e in node.edges)
    return out


def _overlaps(stage: Stage) -> bool:
    """Whether two outputs of a step read the same input."""
    step = stage.step
    if not isinstance(step, Along) or not stage.positional:
        return False
    g = step.geometry
    if isinstance(g, Full):
        return step.size > 1
    if isinstance(g, Window):
        return g.kernel > g.stride
    return type(g).__name__ in ("Resize", "AdaptivePool", "TransposedWindow")


# ------------------------------------------------------------------ rules


def _through(fwd: Forward, node: Node, index: int, edge: Edge, band: Band) -> Band:
    """The band that one edge hands to its source."""
    source = fwd.graph.nodes[edge.source]
    kind = role(node)
    if kind == "max_pool":
        return _max_pool(fwd, node, edge, band)
    band = _scaled(fwd, node, index, band)
    for stage in reversed(stages(fwd.graph, edge)):
        band = _step(node, kind == "random", stage, band)
    return _collected(band, source)


def _scaled(fwd: Forward, node: Node, index: int, band: Band) -> Band:
    """Derivatives of pointwise operations, per lag."""
    kind = role(node)
    law = fwd.nodes[node.edges[index].source]
    assert law is not None
    if kind == "random":
        variance = fwd.setting.gain / fan_in(node)
        return _times(band, variance * fan_out(node))
    if kind == "batch_norm":
        return _batch_norm(fwd, node, band)
    if kind == "layer_norm":
        return _times(band, 1.0 / (law.variance + moments.EPS))
    if kind == "activation":
        return _gated(fwd, node, law, band)
    if kind in ("product", "divide") and len(node.edges) == 1:
        c = node.attrs.get("constant")
        c = 1.0 if c is None else float(c)
        return _times(band, c**2 if kind == "product" else c**-2)
    if kind == "product":
        if node.edges[0].source == node.edges[1].source and node.edges[0].steps == node.edges[1].steps:
            return _times(band, 2 * law.second)  # d(x*x) = 2x dx, once for each of the two edges
        return _modulated(fwd, node, node.edges[1 - index], band)
    if kind == "divide":
        top, bottom = (fwd.at(e.source) for e in node.edges)
        return _times(band, 1 / bottom.mean**2 if index == 0 else top.second / bottom.mean**4)
    if kind == "power":
        return _times(band, moments.slope_of_power(law.mean, float(node.attrs["constant"])) ** 2)
    return band


def _times(band: Band, factor: float) -> Band:
    return {lag: values * factor for lag, values in band.items()}


def _distance(fwd: Forward, node: Node, lag: tuple[int, ...]) -> float:
    """A lag vector's length in px of the input."""
    law = fwd.at(node.id)
    squared = 0.0
    for axis in range(len(law.jump)):
        dim = node.axis_dim(axis)
        if dim is not None:
            squared += (lag[dim] * law.jump[axis]) ** 2
    return float(np.sqrt(squared))


def _gated(fwd: Forward, node: Node, law: moments.Moments, band: Band) -> Band:
    """An activation: energies times E f'^2, lags times E f'(u) f'(u')."""
    f = function(node)
    assert f is not None
    own = single(f, law.mean, law.variance)[2]
    out = {}
    for lag, values in band.items():
        if not any(lag):
            out[lag] = values * own
        else:
            c = fwd.covariance(law, _distance(fwd, node, lag))
            out[lag] = values * float(pair(f, law.mean, law.variance, np.array([c]), slope=True)[0])
    return out


def _modulated(fwd: Forward, node: Node, other: Edge, band: Band) -> Band:
    """A product: the gradient of one factor is weighted by the other one."""
    law = moments.carried(fwd, node, other)
    out = {}
    for lag, values in band.items():
        second = law.second
        if any(lag):
            second = float(fwd.covariance(law, _distance(fwd, node, lag))) + law.mean**2
        out[lag] = values * second
    return out


def _batch_norm(fwd: Forward, node: Node, band: Band) -> Band:
    """Division by the input's deviation."""
    own, rest = statistics_factors(fwd, node)
    band = _times(band, own / moments.deviation(fwd, node))
    if rest:
        zero = zero_lag(node)
        band[zero] = band[zero] * (1 - rest / own) + rest / own * band[zero].sum()
    return band


def statistics_factors(fwd: Forward, node: Node) -> tuple[float, float]:
    """What batch statistics over few values do to the gradient's energy: at its own place, and elsewhere.

    The deviation of n values varies, E 1/s^2 = (n - 1) / (n - 3) for Gaussian ones; in training the gradient
    also flows through the mean and the deviation, which takes energy away and spreads a little over all.
    """
    if fwd.setting.batch is None or fwd.setting.statistics == "frozen":
        return 1.0, 0.0
    n = fwd.setting.batch * float(np.prod([node.shape[d] for d in node.positions], initial=1.0))
    if n <= 3:
        return 1.0, 0.0
    if fwd.setting.statistics == "calibrated":
        return (n - 1) / (n - 3), 0.0
    own = (n - 1) * (n - 2) / ((n + 1) * (n - 3))
    rest = 2 * (n - 2) / ((n - 3) * (n - 1) * (n + 1))
    share = (n - 1) / n
    return own * share, rest * share


# ------------------------------------------------------------------ steps


def _step(node: Node, random: bool, stage: Stage, band: Band) -> Band:
    """One step of an edge, backwards."""
    step = stage.step
    if isinstance(step, (Reshape, Permute)):
        zero = band[(0,) * len(stage.after)]
        if isinstance(step, Permute):
            back = tuple(int(i) for i in np.argsort(step.dims))
            return {tuple(lag[i] for i in back): np.transpose(values, back) for lag, values in band.items()}
        kept = _same_lags(stage.after, stage.before)
        out = {(0,) * len(stage.before): reshape_like(zero, stage.after, stage.before)}
        if kept is not None:
            for lag, values in band.items():
                if any(lag):
                    moved = tuple(0 if k is None else lag[k] for k in kept)
                    out[moved] = reshape_like(values, stage.after, stage.before)
        return out
    assert isinstance(step, Along)
    n_in = stage.before[step.dim]
    if not stage.positional:
        return band if random else _times(band, _channels(node, step, n_in))
    if random:
        return _random_along(step, n_in, band)
    scale = 1.0
    if node.op in ("pixel_shuffle", "pixel_unshuffle", "unfold", "fold") and hasattr(step.geometry, "kernel"):
        scale = 1.0 / step.geometry.kernel  # each position is read by as many channels, one each
    return _times(_linear_along(transfer.weights(node, step, n_in), step.dim, band), scale)


def _same_lags(shape: tuple[int, ...], new: tuple[int, ...]) -> list[int | None] | None:
    """For each dimension of `new` the equal dimension of `shape`, where a reshape only adds or removes 1s."""
    if [n for n in shape if n > 1] != [n for n in new if n > 1]:
        return None
    filled = iter([d for d, n in enumerate(shape) if n > 1])
    return [next(filled) if n > 1 else None for n in new]


def _channels(node: Node, step: Along, n_in: int) -> float:
    """A fixed operation along channels: mean over the inputs of the squared weights that read them."""
    if isinstance(step.geometry, Full) and n_in == 1 and node.op != "sum":
        return float(step.size)
    a = transfer.weights(node, step, n_in)
    return float(a.multiply(a).sum()) / n_in


def _random_along(step: Along, n_in: int, band: Band) -> Band:
    out: Band = {}
    g = step.geometry
    for lag, values in band.items():
        here = lag[step.dim]
        if isinstance(g, Full):  # a linear layer over a flattened map: every input has its own weight
            if here == 0:
                shape = [n_in if d == step.dim else n for d, n in enumerate(values.shape)]
                _add(out, {lag: np.broadcast_to(values.sum(step.dim, keepdims=True), shape).copy()})
            continue
        stride = getattr(g, "stride", 1)
        back = here * stride if isinstance(g, Window) else here // stride
        if abs(back) > FARTHEST or (not isinstance(g, Window) and here % stride):
            continue
        a = transfer.lagged(g, n_in, step.size, here, back)
        _add(out, {_with(lag, step.dim, back): apply_transposed(a, values, step.dim)})
    return out


def _linear_along(a: sparse.csr_array, dim: int, band: Band) -> Band:
    """A band through a fixed matrix: out[e] = sum over lags d of (a[o, i] a[o + d, i + e])^T C_d."""
    out: Band = {}
    n_out, n_in = a.shape
    for lag, values in band.items():
        here = lag[dim]
        if n_out != values.shape[dim]:  # the same for all positions (a broadcast map)
            values = np.repeat(values, n_out, axis=dim)
        for back in range(-FARTHEST, FARTHEST + 1):
            if abs(back) >= n_in or abs(here) >= n_out:
                continue
            arrives = _with(lag, dim, back)
            if not any(lag) and not _positive(arrives):
                continue
            pairs = transfer.products(a, (a, here, back))
            if pairs.nnz:
                _put(out, lag, arrives, apply_transposed(pairs, values, dim))
    return out


def _with(lag: tuple[int, ...], dim: int, value: int) -> tuple[int, ...]:
    return (*lag[:dim], value, *lag[dim + 1 :])


def _positive(lag: tuple[int, ...]) -> bool:
    return next((n > 0 for n in lag if n), True)


def _put(out: Band, source: tuple[int, ...], lag: tuple[int, ...], part: Floats) -> None:
    """Add what lag `source` hands to lag `lag`, and what its opposite hands there (never kept itself)."""
    if not any(lag):
        _add(out, {lag: part if not any(source) else 2 * part})
    elif _positive(lag):
        _add(out, {lag: part})
    elif any(source):
        opposite = tuple(-n for n in lag)
        _add(out, {opposite: _moved(part, opposite)})


def _moved(values: Floats, lag: tuple[int, ...]) -> Floats:
    """values[p + lag], 0 where that lies outside."""
    out = np.zeros(values.shape)
    take = tuple(slice(max(0, k), n + min(0, k)) for k, n in zip(lag, values.shape, strict=True))
    give = tuple(slice(max(0, -k), n + min(0, -k)) for k, n in zip(lag, values.shape, strict=True))
    out[give] = values[take]
    return out


def apply_transposed(a: sparse.csr_array, values: Floats, dim: int) -> Floats:
    """a^T along one dimension; only the box that is not zero is touched."""
    moved = np.moveaxis(values, dim, 0)
    flat = moved.reshape(moved.shape[0], -1)
    rows = np.flatnonzero(flat.any(axis=1))
    result = np.zeros((a.shape[1], flat.shape[1]))
    if len(rows):
        first, last = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero(flat[first:last].any(axis=0))
        left, right = int(columns[0]), int(columns[-1]) + 1
        inner = np.ascontiguousarray(flat[first:last, left:right])
        # Rows of a as columns of its transpose: CSR read as CSC, without copying.
        start, stop = a.indptr[first], a.indptr[last]
        part = sparse.csc_array(
            (a.data[start:stop], a.indices[start:stop], a.indptr[first : last + 1] - start),
            shape=(a.shape[1], last - first),
        )
        result[:, left:right] = part @ inner
    return np.moveaxis(result.reshape(a.shape[1], *moved.shape[1:]), 0, dim)


def _collected(band: Band, source: Node) -> Band:
    """Mean over the dimensions that are channels at the source."""
    dims = tuple(d for d in range(len(source.shape)) if d not in source.positions)
    out: Band = {}
    for lag, values in band.items():
        if not any(lag[d] for d in dims):
            _add(out, {lag: values.mean(axis=dims, keepdims=True)})
    return out


# ------------------------------------------------------------------ max pooling


def _max_pool(fwd: Forward, node: Node, edge: Edge, band: Band) -> Band:
    """Each window's gradient lands on its winner, which is any of its values with the same chance.

    Two windows W, W' that overlap in I pick the same value with chance |I| / |U|; they pick p and p' != p
    with chance (2 [p in W, p' in W'] - [p in W, p' in I] - [p in I, p' in W']) / (|U| |W|): the winner
    of the union is one of them, the other one wins what is left.
    """
    source = fwd.graph.nodes[edge.source]
    along = [s for s in stages(fwd.graph, edge) if isinstance(s.step, Along) and s.positional]
    rest = [s for s in stages(fwd.graph, edge) if s not in along]
    factor = winner_slope(fwd, source, along)
    for stage in reversed(rest):
        band = _step(node, False, stage, band)
    steps = [s.step for s in along if isinstance(s.step, Along)]
    taps = [_ones(matrix(s.step.geometry, s.before[s.step.dim], s.step.size)) for s in along
            if isinstance(s.step, Along)]  # fmt: skip
    dims = [s.dim for s in steps]
    counts = [np.asarray(a.sum(axis=1)).ravel() for a in taps]
    size = _outer(counts, dims, len(source.shape))
    out: Band = {}
    for lag, values in band.items():
        if not any(lag):
            part = values / np.maximum(size, 1)
            for a, d in zip(taps, dims, strict=True):
                part = apply_transposed(a, part, d)
            _add(out, {lag: part})
    for lag, values in band.items():
        if any(lag):
            _pairs(values, lag, taps, dims, size, out)
    return _collected(_times(out, factor), source)


def _pairs(
    values: Floats,
    lag: tuple[int, ...],
    taps: list[sparse.csr_array],
    dims: list[int],
    size: Floats,
    out: Band,
) -> None:
    """Add to `out` where the gradients of two windows `lag` apart land."""
    moved = [transfer.shifted(a, lag[d], 0) for a, d in zip(taps, dims, strict=True)]
    inter = [sparse.csr_array(a.multiply(b)) for a, b in zip(taps, moved, strict=True)]
    common = _outer([_row_sums(i) for i in inter], dims, len(lag))
    union = size + _outer([_row_sums(b) for b in moved], dims, len(lag)) - common
    chance = values / np.maximum(union, 1)
    if bool(common.any()):
        same = chance
        for i, d in zip(inter, dims, strict=True):
            same = apply_transposed(i, same, d)
        _put(out, lag, _zeroed(lag, dims), same)
    # The two other cases, axis by axis: (ends so far) -> maps of the three terms.
    chance = chance / np.maximum(size, 1)
    terms = ((2.0, taps, moved), (-1.0, taps, inter), (-1.0, inter, moved))
    found: dict[tuple[int, ...], list[Floats | None]] = {(): [w * chance for w, _, _ in terms]}
    for k, dim in enumerate(dims):
        further: dict[tuple[int, ...], list[Floats | None]] = {}
        for end in range(-FARTHEST, FARTHEST + 1):
            joint = [transfer.products(a[k], (b[k], 0, end)) for _, a, b in terms]
            for ends, maps in found.items():
                further[(*ends, end)] = [
                    apply_transposed(j, m, dim) if m is not None and j.nnz else None
                    for j, m in zip(joint, maps, strict=True)
                ]
        found = further
    for ends, maps in found.items():
        parts = [m for m in maps if m is not None]
        if any(ends) and parts:
            arrives = list(lag)
            for d, end in zip(dims, ends, strict=True):
                arrives[d] = end
            _put(out, lag, tuple(arrives), np.sum(parts, axis=0))


def _row_sums(a: sparse.csr_array) -> Floats:
    return np.asarray(a.sum(axis=1), float).ravel()


def _zeroed(lag: tuple[int, ...], dims: list[int]) -> tuple[int, ...]:
    return tuple(0 if d in dims else n for d, n in enumerate(lag))


def _ones(a: sparse.csr_array) -> sparse.csr_array:
    out = a.copy()
    out.data[:] = 1.0
    return out


def _outer(vectors: list[Floats], dims: list[int], ndim: int) -> Floats:
    """The product of one vector a dimension, broadcastable to the node's shape."""
    out = np.ones((1,) * ndim)
    for vector, dim in zip(vectors, dims, strict=True):
        out = out * vector.reshape([-1 if d == dim else 1 for d in range(ndim)])
    return out


def winner_slope(fwd: Forward, source: Node, along: list[Stage]) -> float:
    """How much likelier the winner is on the steep side of the activation under the pool."""
    law = fwd.at(source.id)
    if law.before is None or len(along) != len(law.jump):
        return 1.0
    f, mean, cov = law.before
    kernel = [moments.window_size(s) for s in along]
    if int(np.prod(kernel)) == 1:
        return 1.0
    _, _, (u, density, *_) = moments.winner(law, fwd, kernel)
    steep = float((WEIGHTS * (f.slope(u) ** 2 * density).sum(1)).sum())
    own = single(f, mean, float(cov[1]))[2]
    return steep / own if own > 0 else 1.0
