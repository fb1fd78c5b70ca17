"""Max pooling, backwards: which of a window's values the gradient lands on."""

from __future__ import annotations

import operator
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.backward.lags import (
    FARTHEST,
    Band,
    add,
    apply_transposed,
    collected,
    put,
    step,
    times,
)
from archlens.analyses.expected.forward import transfer
from archlens.analyses.expected.forward.activations import single
from archlens.analyses.expected.forward.mixing import window_size, winner
from archlens.analyses.expected.forward.state import Forward
from archlens.analyses.expected.forward.transfer import ShapedStep, shaped_steps
from archlens.analyses.fields.taps import Taps, matrix
from archlens.graph import Along, Edge, Node

Floats = NDArray[np.float64]


def max_pool(fwd: Forward, node: Node, edge: Edge, band: Band) -> Band:
    """Each window's gradient lands on its winner, which is any of its values with the same chance.

    Two windows W, W' that overlap in I pick the same value with chance |I| / |U|; they pick p and p' != p
    with chance (2 [p in W, p' in W'] - [p in W, p' in I] - [p in I, p' in W']) / (|U| |W|): the winner
    of the union is one of them, the other one wins what is left.
    """
    source = fwd.graph.nodes[edge.source]
    along = [s for s in shaped_steps(fwd.graph, edge) if isinstance(s.step, Along) and s.positional]
    rest = [s for s in shaped_steps(fwd.graph, edge) if s not in along]
    factor = winner_slope(fwd, source, along)
    for taken in reversed(rest):
        band = step(node, False, taken, band)
    steps = [s.step for s in along if isinstance(s.step, Along)]
    taps = [transfer.ones(matrix(s.step.geometry, s.before[s.step.dim], s.step.size)) for s in along
            if isinstance(s.step, Along)]  # fmt: skip
    dims = [s.dim for s in steps]
    counts = [a.row_sums for a in taps]
    size = _outer(counts, dims, len(source.shape))
    out: Band = {}
    for lag, values in band.items():
        if not any(lag):
            part = values / np.maximum(size, 1)
            for a, d in zip(taps, dims, strict=True):
                part = apply_transposed(a, part, d)
            add(out, {lag: part})
    for lag, values in band.items():
        if any(lag):
            _pairs(values, lag, taps, dims, size, out)
    return collected(times(out, factor), source)


def _pairs(
    values: Floats,
    lag: tuple[int, ...],
    taps: list[Taps],
    dims: list[int],
    size: Floats,
    out: Band,
) -> None:
    """Add to `out` where the gradients of two windows `lag` apart land."""
    moved = [transfer.shifted(a, lag[d], 0) for a, d in zip(taps, dims, strict=True)]
    inter = [transfer.common(a, b) for a, b in zip(taps, moved, strict=True)]
    common = _outer([i.row_sums for i in inter], dims, len(lag))
    union = size + _outer([b.row_sums for b in moved], dims, len(lag)) - common
    chance = values / np.maximum(union, 1)
    if bool(common.any()):
        same = chance
        for i, d in zip(inter, dims, strict=True):
            same = apply_transposed(i, same, d)
        put(out, lag, _zeroed(lag, dims), same)
    # The two other cases, axis by axis: (ends so far) -> maps of the three terms.
    chance = chance / np.maximum(size, 1)
    terms = ((2.0, taps, moved), (-1.0, taps, inter), (-1.0, inter, moved))
    found: dict[tuple[int, ...], list[Floats | None]] = {(): [w * chance for w, _, _ in terms]}
    for k, dim in enumerate(dims):
        further: dict[tuple[int, ...], list[Floats | None]] = {}
        for end in range(-FARTHEST, FARTHEST + 1):
            joint = [transfer.products(a[k], b[k], 0, end) for _, a, b in terms]
            for ends, maps in found.items():
                further[(*ends, end)] = [
                    apply_transposed(j, m, dim) if m is not None and len(j.data) else None
                    for j, m in zip(joint, maps, strict=True)
                ]
        found = further
    for ends, maps in found.items():
        parts = [m for m in maps if m is not None]
        if any(ends) and parts:
            arrives = list(lag)
            for d, end in zip(dims, ends, strict=True):
                arrives[d] = end
            put(out, lag, tuple(arrives), reduce(operator.add, parts))


def _zeroed(lag: tuple[int, ...], dims: list[int]) -> tuple[int, ...]:
    return tuple(0 if d in dims else n for d, n in enumerate(lag))


def _outer(vectors: list[Floats], dims: list[int], ndim: int) -> Floats:
    """The product of one vector a dimension, broadcastable to the node's shape."""
    out = np.ones((1,) * ndim)
    for vector, dim in zip(vectors, dims, strict=True):
        out = out * vector.reshape([-1 if d == dim else 1 for d in range(ndim)])
    return out


def winner_slope(fwd: Forward, source: Node, along: list[ShapedStep]) -> float:
    """How much likelier the winner is on the steep side of the activation under the pool."""
    law = fwd.at(source.id)
    if law.before is None or len(along) != len(law.jump):
        return 1.0
    f, mean, cov = law.before
    kernel = [window_size(s) for s in along]
    if int(np.prod(kernel)) == 1:
        return 1.0
    best = winner(law, fwd, kernel)
    steep = best.expect(f.slope(best.u) ** 2)
    own = single(f, mean, float(cov[1]))[2]
    return steep / own if own > 0 else 1.0
