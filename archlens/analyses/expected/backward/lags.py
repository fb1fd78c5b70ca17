"""Bands: maps of gradient covariances over a few lags, and how they go back through a step.

A `Band` holds for each lag vector a map C with C[p] = E g(p) g(p + lag), mean over the channels. Lag 0 is
the energy. Maps are shaped like the node, with size 1 along channels; lag vectors have one entry a dimension.
Of a lag and its opposite only the one whose first entry other than 0 is positive is kept:
C_-d[p] = C_d[p - d].
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.backward.transposed import broadcast, linear, permuted, reshaped, summed
from archlens.analyses.expected.forward import transfer
from archlens.analyses.expected.forward.transfer import ShapedStep
from archlens.analyses.fields.taps import Taps, matrix
from archlens.analyses.fields.visible import expanded
from archlens.graph import Along, Full, Node, Permute, Reshape, TransposedWindow, Window

Floats = NDArray[np.float64]
Band = dict[tuple[int, ...], Floats]
FARTHEST = 2  # lags kept, in cells of the map at hand
ALL = 10**6
"""In place of a lag: the sum over all other places along the dimension. Attention hands to all keys alike."""


def zero_lag(node: Node) -> tuple[int, ...]:
    """The lag vector of the energy itself."""
    return (0,) * len(node.shape)


def add(total: Band, part: Band) -> None:
    for lag, values in part.items():
        total[lag] = total[lag] + values if lag in total else values


def total(bands: list[Band]) -> Band:
    if len(bands) == 1:
        return bands[0]
    out: Band = {}
    for band in bands:
        add(out, band)
    return out


def times(band: Band, factor: float) -> Band:
    return {lag: values * factor for lag, values in band.items()}


def _positive(lag: tuple[int, ...]) -> bool:
    return next((n > 0 for n in lag if n), True)


def put(out: Band, source: tuple[int, ...], lag: tuple[int, ...], part: Floats) -> None:
    """Add what lag `source` hands to lag `lag`, and what its opposite hands there (never kept itself)."""
    if not any(lag):
        add(out, {lag: part if not any(source) else 2 * part})
    elif _positive(lag):
        add(out, {lag: part})
    elif any(source):
        opposite = tuple(-n for n in lag)
        add(out, {opposite: _moved(part, opposite)})


def _moved(values: Floats, lag: tuple[int, ...]) -> Floats:
    """values[p + lag], 0 where that lies outside."""
    opposite = tuple(-n for n in lag)
    return linear(values, lambda v: _shift(v, lag), lambda d: _shift(d, opposite))  # type: ignore[no-any-return]


def _shift(values: Floats, lag: tuple[int, ...]) -> Floats:
    out = np.zeros(values.shape)
    take = tuple(slice(max(0, k), n + min(0, k)) for k, n in zip(lag, values.shape, strict=True))
    give = tuple(slice(max(0, -k), n + min(0, -k)) for k, n in zip(lag, values.shape, strict=True))
    out[give] = values[take]
    return out


def step(node: Node, random: bool, taken: ShapedStep, band: Band) -> Band:
    """One step of an edge, backwards."""
    step = taken.step
    if isinstance(step, (Reshape, Permute)):
        zero = band[(0,) * len(taken.after)]
        if isinstance(step, Permute):
            back = tuple(int(i) for i in np.argsort(step.dims))
            return {tuple(lag[i] for i in back): permuted(values, back) for lag, values in band.items()}
        kept = _same_lags(taken.after, taken.before)
        out = {(0,) * len(taken.before): _reshape_like(zero, taken)}
        for lag, values in band.items():
            moved = _across(lag, taken, kept) if any(lag) else None
            if moved is not None:
                out[moved] = _reshape_like(values, taken)
        return out
    assert isinstance(step, Along)
    n_in = taken.before[step.dim]
    if not taken.positional and random:
        g = step.geometry
        if isinstance(g, (Window, TransposedWindow)):  # over what a linear layer made of an axis
            return times(band, len(matrix(g, n_in, step.size).data) / n_in)
        return band
    if not taken.positional:
        return times(band, _channels(node, step, n_in))
    band = {lag: values for lag, values in band.items() if ALL not in lag}
    if random:
        return _random_along(step, n_in, band)
    scale = 1.0
    if node.op in ("pixel_shuffle", "pixel_unshuffle", "unfold", "fold") and hasattr(step.geometry, "kernel"):
        scale = 1.0 / step.geometry.kernel  # each position is read by as many channels, one each
    return times(_linear_along(transfer.weights(node, step, n_in), step.dim, band), scale)


def _reshape_like(values: Floats, taken: ShapedStep) -> Floats:
    """A map of the result of a reshape as one of what it was made from."""
    full, shape = expanded(tuple(values.shape), taken.after, taken.before)
    return reshaped(broadcast(values, full), shape)  # type: ignore[no-any-return]


def _across(lag: tuple[int, ...], taken: ShapedStep, kept: list[int | None] | None) -> tuple[int, ...] | None:
    """A lag before a reshape; None where it is no lag there. `ALL` needs no more than its own dimension."""
    if kept is not None:
        return tuple(0 if k is None else lag[k] for k in kept)
    if ALL not in lag:
        return None
    here = lag.index(ALL)
    after, before = taken.after, taken.before
    for d, n in enumerate(before):
        if n == after[here] > 1 and prod(before[:d]) == prod(after[:here]):
            return tuple(ALL if k == d else 0 for k in range(len(before)))
    return None


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
    return transfer.weights(node, step, n_in).squares / n_in


def _random_along(step: Along, n_in: int, band: Band) -> Band:
    out: Band = {}
    g = step.geometry
    for lag, values in band.items():
        here = lag[step.dim]
        if isinstance(g, Full):  # a linear layer over a flattened map: every input has its own weight
            if here == 0:
                shape = tuple(n_in if d == step.dim else n for d, n in enumerate(values.shape))
                add(out, {lag: broadcast(summed(values, (step.dim,)), shape)})
            continue
        stride = getattr(g, "stride", 1)
        back = here * stride if isinstance(g, Window) else here // stride
        if abs(back) > FARTHEST or (not isinstance(g, Window) and here % stride):
            continue
        a = transfer.lagged(g, n_in, step.size, here, back)
        add(out, {_with(lag, step.dim, back): apply_transposed(a, values, step.dim)})
    return out


def _linear_along(a: Taps, dim: int, band: Band) -> Band:
    """A band through a fixed matrix: out[e] = sum over lags d of (a[o, i] a[o + d, i + e])^T C_d."""
    out: Band = {}
    n_out, n_in = a.shape
    for lag, values in band.items():
        here = lag[dim]
        if n_out != values.shape[dim]:  # the same for all positions (a broadcast map)
            values = broadcast(values, (*values.shape[:dim], n_out, *values.shape[dim + 1 :]))
        for back in range(-FARTHEST, FARTHEST + 1):
            if abs(back) >= n_in or abs(here) >= n_out:
                continue
            arrives = _with(lag, dim, back)
            if not any(lag) and not _positive(arrives):
                continue
            pairs = transfer.products(a, a, here, back)
            if len(pairs.data):
                put(out, lag, arrives, apply_transposed(pairs, values, dim))
    return out


def _with(lag: tuple[int, ...], dim: int, value: int) -> tuple[int, ...]:
    return (*lag[:dim], value, *lag[dim + 1 :])


def apply_transposed(a: Taps, values: Floats, dim: int) -> Floats:
    """a^T along one dimension."""
    return linear(  # type: ignore[no-any-return]
        values, lambda v: a.apply_transposed(v, dim), lambda d: a.apply(d, dim)
    )


def collected(band: Band, source: Node) -> Band:
    """Mean over the dimensions that are channels at the source."""
    dims = source.others
    out: Band = {}
    for lag, values in band.items():
        if all(values.shape[d] == 1 for d in dims):
            if not any(lag[d] for d in dims):
                add(out, {lag: values})
        elif not any(lag[d] for d in dims):
            count = int(np.prod([values.shape[d] for d in dims], initial=1))
            add(out, {lag: summed(values, dims) * (1.0 / count)})
    return out
