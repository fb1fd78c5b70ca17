"""The law behind attention, and what goes back through it.

Queries and keys are made by weights of their own, so for given tokens the score of query i and key j is a sum
over a head's d channels with mean 0 and covariance scale^2 d Cq(i, i') Ck(j, j') (Hron et al., ICML 2020).
What all keys share drops out in the softmax. The weights A do not know the values, made by a third matrix:

    cov(out_i, out_i') = sum over j, j' of E A_ij A_i'j' Cv(j, j'),

and E A A' depends on the correlation of the two scores, rho_q(i, i') rho_k(j, j'), by the table of `softmax`.
Backwards, with E_i the energy of a channel of out_i, P and S the `same` and `spread` there:

    values   P E_i, over all keys
    queries  scale^2 d' Vv Vk S E_i, at i itself
    keys     scale^2 d' Vv Cq(0) S E_i, over all keys

where Vv and Vk are the variances over the keys, and d' the value's channels in a head. Keys that are alike
count as fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.forward import softmax
from archlens.analyses.expected.forward.attention import Attention
from archlens.analyses.expected.forward.state import Forward, Moments
from archlens.graph import Node

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """Pairs of tokens: px apart along the axes, and the share of all pairs that is so far apart."""

    along: Floats
    across: Floats
    share: Floats

    def apart(self, shift: float = 0.0) -> Floats:
        """Distances in px, of pairs that are so much further apart along the last axis."""
        return np.asarray(np.sqrt((self.along + shift) ** 2 + self.across**2))


def pairs(node: Node, dim: int, jump: tuple[float, ...]) -> Grid:
    """Pairs of the tokens along a dimension."""
    axes: dict[int, tuple[Floats, Floats]] = {}
    for atom in node.layout[dim]:
        if atom.axis < 0 or atom.size == 1:
            continue
        lag = np.arange(1 - atom.size, atom.size)
        share = (atom.size - np.abs(lag)) / atom.size**2
        # Scrambled positions lie anywhere: far apart, but for a token and itself.
        px = lag * (atom.stride or atom.size) * jump[atom.axis]
        held, part = axes.get(atom.axis, (np.zeros(1), np.ones(1)))
        axes[atom.axis] = np.add.outer(held, px).reshape(-1), np.outer(part, share).reshape(-1)
    lines = [axes[a] for a in sorted(axes)] or [(np.zeros(1), np.ones(1))]
    along, share = lines[-1]
    across, others = np.zeros(1), np.ones(1)
    for px, part in lines[:-1]:
        across = np.sqrt(np.add.outer(across**2, px**2)).reshape(-1)
        others = np.outer(others, part).reshape(-1)
    return Grid(
        np.tile(along, len(across)), np.repeat(across, len(along)), np.outer(others, share).reshape(-1)
    )


@dataclass(frozen=True)
class Followed:
    """What one attention does, in numbers.

    Attributes:
        same: Sum over the keys of E A^2.
        query, key: Squared derivative of a channel of the result by a channel of the query, and by one of all
            keys, summed.
        far: How much of that two queries far apart have in common.
        alike: Their own correlation.
    """

    same: float
    query: float
    key: float
    far: float
    alike: float


def follow(walk: Forward, part: Attention) -> Moments:
    """The law of the result."""
    return _followed(walk, part, None)[0]


def attended(walk: Forward, node: Node, part: Attention, keys: int | None = None) -> Followed:
    """What goes back.

    Args:
        keys: How many a query keeps; all by default.
    """
    if (node.id, keys) not in walk.attended:
        walk.attended[node.id, keys] = _followed(walk, part, keys)[1]
    found: Followed = walk.attended[node.id, keys]
    return found


def _followed(walk: Forward, part: Attention, keys: int | None) -> tuple[Moments, Followed]:
    query, key = (walk.graph.nodes[n] for n in (part.query, part.key))
    q, k, v = (walk.at(n) for n in part.sources)
    ((tokens, of_query), (of_keys, _), _) = part.dims(walk.graph)
    grid = pairs(key, of_keys, k.jump)
    n, channels = float(keys or key.shape[of_keys]), query.shape[of_query]
    here = grid.apart() == 0
    itself = 1 / n
    share = np.where(here, itself / max(int(here.sum()), 1), grid.share)
    share[~here] *= (1 - itself) / (share[~here].sum() or 1.0)
    ck, cv = walk.covariance(k, grid.apart()), walk.covariance(v, grid.apart())
    loose = share * ~here / max(1 - itself, 1e-12)
    shared_k, shared_v = float((loose * ck).sum()), float((loose * cv).sum())
    vk, vv = max(k.variance - shared_k, 0.0), max(v.variance - shared_v, 0.0)
    alike = np.where(here, 1.0, (ck - shared_k) / (vk or 1.0))
    some = float(np.clip(1 / (share * alike**2).sum(), 1.0, n))  # keys that differ
    unit, few = part.scale**2 * channels, _rounded(walk.at(part.read).few)
    directions = 1 / few if few > 0 else np.inf
    moments = softmax.weights(_rounded(unit * q.second * vk), _rounded(some), channels, directions)

    def weight(rho: float) -> Floats:
        out = share * moments.pair(rho * alike)
        return np.asarray(out / out.sum())

    cov = np.empty_like(v.cov)
    cov[0] = v.cov[0]
    together = _together(query, tokens, walk, q)
    extent = float(grid.along.max() - grid.along.min()) / 2
    for index, lag in enumerate(walk.lags):
        rho = float(walk.covariance(q, lag) + q.mean**2) / max(q.second, 1e-300)
        near = float((weight(rho) * cv).sum()) + rho * moments.lean * vv
        p = float(together[index])
        if p < 1:
            other = walk.covariance(v, grid.apart(max(lag, extent)))
            near = p * near + (1 - p) * float((share * other).sum())
        cov[1 + index] = near
    own = weight(1.0)
    same = float(own[here].sum())
    back = part.scale**2 * vv
    apart = float((q.cov[-1] + q.mean**2) / max(q.second, 1e-300))
    far = float(weight(apart)[here].sum()) / same
    law = Moments(v.mean, cov, q.jump, tuple(np.ones_like(p) for p in q.profile), strong=v.strong, few=v.few)
    keyed = back * q.second * moments.spread_keys * some / n
    return law, Followed(same, back * vk * moments.spread, keyed, far, apart)


def _rounded(x: float) -> float:
    """Four digits: layers that are alike share a table."""
    return float(f"{x:.4g}")


def _together(query: Node, dim: int, walk: Forward, law: Moments) -> Floats:
    """The chance that two queries at each of the table's lags, along the last axis, are of one group: of one
    window, where a partition has made dimensions of their own of them."""
    out = np.ones(len(walk.lags))
    axis = len(law.jump) - 1
    beside = [
        a for d, atoms in enumerate(query.layout) if d != dim for a in atoms if a.axis == axis and a.size > 1
    ]
    inside = [a for a in query.layout[dim] if a.axis == axis]
    if not beside or any(a.stride < 1 for a in (*beside, *inside)):
        return out
    size = int(np.prod([a.size for a in (*beside, *inside)]))
    x = np.arange(size)
    group = np.stack([x // a.stride % a.size for a in beside])
    for index, lag in enumerate(walk.lags):
        cells = round(lag / law.jump[axis]) or int(lag > 0)
        pair = group[:, min(cells, size) :] == group[:, : max(size - cells, 0)]
        out[index] = pair.all(0).mean() if cells < size else 0.0
    return out
