"""Gradient energy back through an attention, to queries, keys and values at once; see `forward/attending`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.backward.lags import ALL, Band, collected, zero_lag
from archlens.analyses.expected.backward.transposed import broadcast, linear, summed
from archlens.analyses.expected.forward.attending import attended
from archlens.analyses.expected.forward.attention import Attention
from archlens.analyses.expected.forward.state import Forward
from archlens.graph import Node
from archlens.graph.masks import unpack

Floats = NDArray[np.float64]


def attention(fwd: Forward, node: Node, part: Attention, band: Band) -> list[Band]:
    """The bands that queries, keys and values are handed, in this order.

    All values get the same but for the weights, so their gradients agree; those of the keys of a query add up
    to 0. Both are kept as `ALL`, for the next attention adds them up. Behind a mask only energies go on.
    """
    sources = [fwd.graph.nodes[n] for n in part.sources]
    energy = _standing(band[zero_lag(node)], part.tokens_last[3])
    dims = part.dims(fwd.graph)
    channels = sources[2].shape[dims[2][1]]  # each value channel has its part in what a score is told
    if part.mask is not None:
        parts = _masked(fwd, node, part, energy)
        parts = [parts[0] * channels, parts[1] * channels, parts[2]]
        parts = [_standing(p, last) for p, last in zip(parts, part.tokens_last, strict=False)]
        return [collected({zero_lag(s): p}, s) for s, p in zip(sources, parts, strict=True)]
    does, keys = attended(fwd, node, part), sources[1].shape[dims[1][0]]
    query, key = does.query * channels, does.key * channels

    def each(values: Floats) -> Floats:
        """The mean for each of the keys."""
        whole = summed(values, (len(values.shape) - 2,))
        return broadcast(whole, (*whole.shape[:-2], keys, whole.shape[-1])) * (1 / keys)  # type: ignore[no-any-return]

    every = each(energy)
    own = [energy * query, every * key, every * does.same]
    others: list[Any] = [None, own[1] * -1.0, every * (1 - does.same)]
    together = band.get(_all(node, len(node.shape) - (1 if part.tokens_last[3] else 2)))
    if together is not None:
        agreed = _standing(together, part.tokens_last[3])
        shared = each(agreed)
        own[1] = own[1] + shared * (key * does.far * does.alike)
        own[2] = own[2] + shared * (does.same * does.far)
        others = [agreed * (query * does.far), own[1] * -1.0, others[2] + shared * (1 - does.same * does.far)]
    out = []
    for source, last, (tokens, _), mine, rest in zip(
        sources, part.tokens_last, dims, own, others, strict=False
    ):
        handed = {zero_lag(source): _standing(mine, last)}
        if rest is not None:
            handed[_all(source, tokens)] = _standing(rest, last)
        out.append(collected(handed, source))
    return out


def _all(node: Node, dim: int) -> tuple[int, ...]:
    return tuple(ALL if d == dim else 0 for d in range(len(node.shape)))


def followed(part: Attention, only: Mapping[int, frozenset[int]]) -> list[bool]:
    """Which of queries, keys and values count, where only some edges do (node id -> indices)."""
    (product, weights), (scores, query) = part.path[0], part.path[-1]
    way = all(n not in only or k in only[n] for n, k in part.path[:-1])
    out = [way and (scores not in only or k in only[scores]) for k in (query, 1 - query)]
    return [*out, product not in only or 1 - weights in only[product]]


def _standing(values: Floats, last: bool) -> Floats:
    """Tokens along the last dimension but one, or back: a change of the two."""
    turned: Floats = linear(values, _turned, _turned) if last else values
    return turned


def _turned(values: Floats) -> Floats:
    return np.swapaxes(values, -1, -2)


def _masked(fwd: Forward, node: Node, part: Attention, energy: Floats) -> list[Floats]:
    """Each query reads the keys that it keeps, like one of so many."""
    assert part.mask is not None
    shape = fwd.graph.nodes[node.edges[0].source].shape
    kept = np.broadcast_to(unpack(part.mask), (*part.mask.shape[:-2], *shape[-2:])).astype(float)
    count = kept.sum(-1, keepdims=True)
    does = {n: attended(fwd, node, part, int(n)) for n in np.unique(count)}

    def of(name: str) -> Floats:
        return np.asarray(np.vectorize(lambda n: float(getattr(does[n], name)))(count))

    def over(name: str) -> Floats:
        a = kept * of(name) / count
        before = tuple(energy.shape)
        return linear(  # type: ignore[no-any-return]
            energy, lambda v: _turned(a) @ v, lambda d: _unbroadcast(a @ d, before)
        )

    return [energy * of("query"), over("key"), over("same")]


def _unbroadcast(values: Floats, shape: tuple[int, ...]) -> Floats:
    dims = tuple(d for d, n in enumerate(shape) if n == 1 and values.shape[d] > 1)
    return np.asarray(values.sum(dims, keepdims=True)) if dims else values
