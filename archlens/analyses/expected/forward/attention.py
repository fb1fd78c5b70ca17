"""Attention as one operation: softmax(scale q k') v, found in the graph and followed as a whole.

Queries and keys are made by weights of their own, so for given tokens the score of query i and key j is a sum
over a head's d channels with mean 0 and covariance scale^2 d Cq(i, i') Ck(j, j') (Hron et al., ICML 2020).
What all keys share drops out in the softmax. The weights A do not know the values, made by a third matrix:

    cov(out_i, out_i') = sum over j, j' of E A_ij A_i'j' Cv(j, j'),

and E A A' depends on the correlation of the two scores, rho_q(i, i') rho_k(j, j'), by the table of `softmax`.
Backwards, with E_i the energy of a channel of out_i, P and S the `same` and `spread` there:

    values   E A_ij^2 E_i, for each j
    queries  scale^2 d_v Vv Vk S E_i, at i itself
    keys     the same with a query's second moment for Vk, spread over the keys

where Vv and Vk are the variances over the keys. The scores between are no values of their own here: they have
no law, and nothing but an attention may read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.forward import softmax
from archlens.analyses.expected.forward.state import Forward, Moments
from archlens.analyses.expected.forward.transfer import role
from archlens.graph import Along, Edge, Full, Graph, Keep, Node, Permute, Reshape, Slice, Step

Floats = NDArray[np.float64]
Path = tuple[tuple[int, int], ...]
_HANDED_ON = frozenset({"reshape", "expand", "permute", "identity", "copy", "dropout", "alias"})


@dataclass(frozen=True)
class Attention:
    """The parts of one attention.

    Attributes:
        query, key, value: Ids of the nodes that the two products read: (..., i, d), (..., d, j), (..., j, dv).
        path: (node, edge) from the product with the values back to that of queries and keys.
        tokens: Id of the node that the keys' weights read.
        scale: What scores are multiplied by.
        mask: Which keys a query keeps, at the product with the values; None for all.
    """

    query: int
    key: int
    value: int
    tokens: int
    path: Path
    scale: float
    mask: Keep | None

    @property
    def sources(self) -> tuple[int, int, int]:
        """Queries, keys, values."""
        return self.query, self.key, self.value

    @property
    def inner(self) -> tuple[int, ...]:
        """Ids of scores and weights: all that has no law."""
        return tuple(n for n, _ in self.path[1:])


def found(graph: Graph) -> dict[int, Attention]:
    """Every attention of a network that there is a rule for, by its product with the values."""
    out = {}
    for node in graph.nodes:
        if node.op == "matmul" and node.unknown is None and len(node.edges) == 2:
            part = _attention(graph, node)
            if part is not None:
                out[node.id] = part
    return out


def _attention(graph: Graph, node: Node) -> Attention | None:
    weighing, valued = node.edges
    last = len(graph.nodes[weighing.source].shape) - 1
    masks = [s for s in weighing.steps if isinstance(s, Keep)]
    rest = tuple(s for s in weighing.steps if not isinstance(s, Keep))
    value = graph.nodes[valued.source]
    if not _contracts(rest, last) or len(value.shape) != last + 1:
        return None
    if not masks and not _contracts(valued.steps, last - 1):
        return None
    back = _scores(graph, node)
    if back is None:
        return None
    path, scale, masked = back
    scores = graph.nodes[path[-1][0]]
    query, key = (graph.nodes[e.source] for e in scores.edges)
    tokens = scores.shape[-1]
    placed = _places(query, -2) and _places(key, -1) and _places(value, -2)
    mixed = _places(query, -1) or _places(key, -2) or _places(value, -1)
    if masked != bool(masks) or mixed or not placed or value.shape[-2] != tokens:
        return None
    queries, keys = _made_by(graph, query.id), _made_by(graph, key.id)
    if not queries or not keys or queries & keys:
        return None  # only weights of their own make them independent
    read = graph.nodes[max(n for n, *_ in keys)].edges[0].source
    return Attention(query.id, key.id, value.id, read, path, scale, masks[0] if masks else None)


def _contracts(steps: tuple[object, ...], dim: int) -> bool:
    """Whether a factor is read as it is, along one dimension."""
    return len(steps) == 1 and isinstance(s := steps[0], Along) and isinstance(s.geometry, Full) and s.dim == dim


def _places(node: Node, dim: int) -> bool:
    return dim % len(node.shape) in node.positions


def _scores(graph: Graph, node: Node) -> tuple[Path, float, bool] | None:
    """From the product with the values back to queries and keys: the way, the scale, and whether a mask cuts.
    Constants that are added count as zero: biases of relative positions."""
    path: list[tuple[int, int]] = [(node.id, 0)]
    scale, seen, masked = 1.0, False, False
    ends = _bare(graph.nodes[node.edges[0].source].shape)[-2:]
    while True:
        here = graph.nodes[graph.nodes[path[-1][0]].edges[path[-1][1]].source]
        if here.unknown is not None or _bare(here.shape)[-2:] != ends or not here.edges:
            return None
        path.append((here.id, 0))
        first = here.edges[0]
        if here.op == "matmul":
            d = len(here.shape)
            plain = len(here.edges) == 2 and _contracts(here.edges[0].steps, d - 1)
            return (tuple(path), scale, masked) if seen and plain and _contracts(here.edges[1].steps, d - 2) else None
        if here.op == "softmax":
            if seen or not _over_last(here):
                return None
            seen, masked = True, any(isinstance(s, Keep) for s in first.steps)
        elif len(here.edges) != 1 or not all(_keeps_order(graph, first, s) for s in first.steps):
            return None
        elif here.op in ("mul", "div") and seen:
            c = here.attrs.get("constant")
            c = 1.0 if c is None else float(c)
            scale *= c if here.op == "mul" else 1 / c
        elif not (here.op in _HANDED_ON or (here.op in ("add", "sub") and seen)):
            return None


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of dimensions that have some."""
    return tuple(n for n in shape if n > 1)


def _keeps_order(graph: Graph, edge: Edge, step: Step) -> bool:
    """Whether a step only renames dimensions: of a permutation none but those of size 1 change places."""
    if isinstance(step, Permute):
        shape = graph.nodes[edge.source].shape
        moved = [d for d in step.dims if shape[d] > 1]
        return edge.steps == (step,) and moved == sorted(moved)
    return isinstance(step, Reshape) or (isinstance(step, Along) and isinstance(step.geometry, Full))


def _over_last(node: Node) -> bool:
    """Whether a softmax runs over the last dimension."""
    dims = {s.dim for e in node.edges[1:] for s in e.steps if isinstance(s, Along)}
    last = max(d for d, n in enumerate(node.shape) if n > 1)
    return dims == {last} and all(e.source == node.edges[0].source for e in node.edges)


def _made_by(graph: Graph, node: int) -> set[tuple[Any, ...]] | None:
    """The random layers that a node comes from through fixed linear steps, and which of their channels; None
    where it comes through anything else."""
    out: set[tuple[Any, ...]] = set()
    todo: list[tuple[int, tuple[Any, ...]]] = [(node, ())]
    seen = set(todo)
    while todo:
        at, cuts = todo.pop()
        here = graph.nodes[at]
        kind = role(here)
        if kind == "random":
            out.add((at, *cuts))
        elif kind in ("linear", "layer_norm", "batch_norm") or (kind in ("product", "divide") and len(here.edges) == 1):
            for e in here.edges if kind != "layer_norm" else here.edges[:1]:
                sliced = tuple(s for s in e.steps if isinstance(s, Along) and isinstance(s.geometry, Slice))
                step = (e.source, (*cuts, *((at, *sliced) if sliced else ())))
                if step not in seen:
                    seen.add(step)
                    todo.append(step)
        elif kind != "constant":
            return None
    return out


# ------------------------------------------------------------------ the law


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
    for atom in node.layout[dim % len(node.shape)]:
        if atom.axis < 0 or atom.size == 1:
            continue
        lag = np.arange(1 - atom.size, atom.size)
        share = (atom.size - np.abs(lag)) / atom.size**2
        # Scrambled positions lie anywhere: far apart, but for a token and itself.
        px = lag * (atom.stride or atom.size) * jump[atom.axis]
        known = axes.get(atom.axis)
        if known is None:
            axes[atom.axis] = px, share
        else:
            axes[atom.axis] = np.add.outer(known[0], px).ravel(), np.outer(known[1], share).ravel()
    lines = [axes[a] for a in sorted(axes)] or [(np.zeros(1), np.ones(1))]
    along, share = lines[-1]
    across, others = np.zeros(1), np.ones(1)
    for px, part in lines[:-1]:
        across = np.sqrt(np.add.outer(across**2, px**2)).ravel()
        others = np.outer(others, part).ravel()
    return Grid(np.tile(along, len(across)), np.repeat(across, len(along)), np.outer(others, share).ravel())


@dataclass(frozen=True)
class Followed:
    """What one attention does, in numbers.

    Attributes:
        same: Sum over the keys of E A^2.
        query, key: Squared derivative of a channel of the result by a channel of the query, and by one of all
            keys, summed.
        far: How much of that two queries far apart have in common.
    """

    same: float
    query: float
    key: float
    far: float


def follow(walk: Forward, node: Node, part: Attention) -> Moments:
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
    graph = walk.graph
    query, key, value = (graph.nodes[n] for n in (part.query, part.key, part.value))
    q, k, v = (walk.at(n) for n in (part.query, part.key, part.value))
    grid = pairs(key, -1, k.jump)
    n, channels = float(keys or key.shape[-1]), query.shape[-1]
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
    unit, few = part.scale**2 * channels, _rounded(walk.at(part.tokens).few)
    directions = 1 / few if few > 0 else np.inf
    moments = softmax.weights(_rounded(unit * q.second * vk), _rounded(some), channels, directions)

    def weight(rho: float) -> Floats:
        out = share * moments.pair(rho * alike)
        return np.asarray(out / out.sum())

    cov = np.empty_like(v.cov)
    cov[0] = v.cov[0]
    together = _together(query, walk, q)
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
    return law, Followed(same, back * vk * moments.spread, keyed, far)


def _rounded(x: float) -> float:
    """Four digits: layers that are alike share a table."""
    return float(f"{x:.4g}")


def _together(query: Node, walk: Forward, law: Moments) -> Floats:
    """The chance that two queries at each of the table's lags, along the last axis, are of one group: of one
    window, where a partition has made dimensions of their own of them."""
    out = np.ones(len(walk.lags))
    axis = len(law.jump) - 1
    dim = len(query.shape) - 2
    beside = [a for d, atoms in enumerate(query.layout) if d != dim for a in atoms if a.axis == axis and a.size > 1]
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
