"""Attention in a graph: softmax(scale q k') v, from its product with the values back to q and k.

The capture tells attention in its parts: two products, the softmax between, and what scales, masks or renames
scores. They are found here and followed as one operation (`attending`): scores and weights have no law of
their own, and nothing but an attention may read them. There is a rule where queries and keys are made by
weights of their own and lie at places, where the softmax runs over all keys, and where nothing but constants
meets the scores. Constants that are added count as zero: biases of relative positions. So do products of the
queries with constants: vectors of relative positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from archlens.analyses.expected.forward.transfer import role
from archlens.graph import Along, Edge, Full, Graph, Keep, Node, Permute, Reshape, Slice, Step

Path = tuple[tuple[int, int], ...]
_HANDED_ON = frozenset({"reshape", "expand", "permute", "identity", "copy", "dropout", "alias"})


@dataclass(frozen=True)
class Attention:
    """The parts of one attention.

    Attributes:
        query, key, value: Ids of what the two products read: (..., i, d), (..., d, j) and (..., j, d'), or
            the other way round.
        tokens_last: Whether tokens lie along the last dimension, not the one before: of queries, keys, values
            and the result.
        path: (node, edge) from the product with the values back to that of queries and keys.
        read: Id of the node that the keys' weights read.
        scale: What scores are multiplied by.
        mask: Which keys a query keeps, at the product with the values; None for all.
    """

    query: int
    key: int
    value: int
    tokens_last: tuple[bool, bool, bool, bool]
    read: int
    path: Path
    scale: float
    mask: Keep | None

    @property
    def sources(self) -> tuple[int, int, int]:
        """Queries, keys, values."""
        return self.query, self.key, self.value

    def dims(self, graph: Graph) -> tuple[tuple[int, int], ...]:
        """Dimensions of tokens and of channels: of queries, keys and values."""
        ranks = (len(graph.nodes[n].shape) for n in self.sources)
        return tuple(
            (r - 1, r - 2) if last else (r - 2, r - 1)
            for r, last in zip(ranks, self.tokens_last, strict=False)
        )

    @property
    def inner(self) -> tuple[int, ...]:
        """Ids of scores and weights: all that has no law."""
        return tuple(n for n, _ in self.path[1:])


def found(graph: Graph) -> dict[int, Attention]:
    """Every attention of a network that there is a rule for, by its product with the values."""
    out = {}
    for node in graph.nodes:
        if node.op == "matmul" and node.unknown is None and len(node.edges) == 2:
            part = _attention(graph, node, 0) or _attention(graph, node, 1)
            if part is not None:
                out[node.id] = part
    return out


def _attention(graph: Graph, node: Node, index: int) -> Attention | None:
    """The attention behind a product whose factor `index` are the weights: A v, or v' A'."""
    weighing, valued = node.edges[index], node.edges[1 - index]
    rank = len(node.shape)
    masks = [s for s in weighing.steps if isinstance(s, Keep)]
    rest = tuple(s for s in weighing.steps if not isinstance(s, Keep))
    plain = (_contracts(rest, rank - 1 - index), _contracts(valued.steps, rank - 2 + index))
    if not plain[0] or not (plain[1] or (masks and not index)):
        return None
    way = _back(graph, node, index)
    if way is None or way.masked != bool(masks) or (masks and index):
        return None
    scores = graph.nodes[way.path[-1][0]]
    first, second = (e.source for e in scores.edges)
    query, key = (first, second) if way.keys_last else (second, first)
    last = (not way.keys_last, way.keys_last, bool(index), bool(index))
    read = _read(graph, query, key, valued.source, way)
    mask = masks[0] if masks else None
    if read is None:
        return None
    part = Attention(query, key, valued.source, last, read, tuple(way.path), way.scale, mask)
    return part if _lie_at_places(graph, part) else None


def _lie_at_places(graph: Graph, part: Attention) -> bool:
    """Whether tokens, and only tokens, run along positions, and keys and values are as many."""
    count = []
    for n, (tokens, channels) in zip(part.sources, part.dims(graph), strict=True):
        node = graph.nodes[n]
        if tokens not in node.positions or channels in node.positions:
            return False
        count.append(node.shape[tokens])
    return count[1] == count[2]


def _read(graph: Graph, query: int, key: int, value: int, way: _Way) -> int | None:
    """What the keys' weights read, where queries, keys and values have weights of their own."""
    queries, keys, values = (_made_by(graph, n) for n in (query, key, value))
    if not queries or not keys or queries & keys or (values and values & (queries | keys)):
        return None
    if not all(_of_places(graph, n, queries) for n in way.beside):
        return None
    last = max(int(layer[0]) for layer in keys)
    return graph.nodes[last].edges[0].source


def _of_places(graph: Graph, node: int, queries: set[tuple[Any, ...]]) -> bool:
    """Whether a term of the scores is a product of the queries with constants: with learned vectors of
    relative positions, which start at zero and count as that."""
    layers = _made_by(graph, node) or set()
    return bool(layers) and all(
        graph.nodes[n].op == "linear" and _made_by(graph, graph.nodes[n].edges[0].source) == queries
        for n, *_ in layers
    )


def _contracts(steps: tuple[object, ...], dim: int) -> bool:
    """Whether a factor is read as it is, along one dimension."""
    return (
        len(steps) == 1 and isinstance(s := steps[0], Along) and isinstance(s.geometry, Full) and s.dim == dim
    )


@dataclass
class _Way:
    """From the product with the values back to that of queries and keys."""

    path: list[tuple[int, int]]
    keys_last: bool  # of the node at hand: keys along its last dimension that has a size
    beside: list[int] = field(default_factory=list)  # what is added to the scores and depends on the image
    scale: float = 1.0
    softmax: bool = False
    masked: bool = False


def _back(graph: Graph, node: Node, index: int) -> _Way | None:
    way = _Way([(node.id, index)], keys_last=not index)
    shape = graph.nodes[node.edges[index].source].shape
    ends = _bare(shape)[-2:][:: 1 if way.keys_last else -1]  # queries, keys
    while True:
        at, edge = way.path[-1]
        here = graph.nodes[graph.nodes[at].edges[edge].source]
        if here.unknown is not None or not here.edges or prod(here.shape) != prod(shape):
            return None
        whole = _bare(here.shape)[-2:] == (ends if way.keys_last else ends[::-1])
        if here.op == "matmul":
            way.path.append((here.id, 0 if way.keys_last else 1))
            return way if way.softmax and whole and _is_product(here) else None
        if here.op == "softmax":
            if way.softmax or not whole or not _over_keys(here, way.keys_last):
                return None
            way.path.append((here.id, 0))
            way.softmax, way.masked = True, any(isinstance(s, Keep) for s in here.edges[0].steps)
        elif not _passed(graph, here, way):
            return None


def _passed(graph: Graph, here: Node, way: _Way) -> bool:
    """Goes on behind a node that scales, shifts, turns or renames scores, or renames weights."""
    on = [k for k, e in enumerate(here.edges) if _made_by(graph, e.source) is None]
    if len(on) != 1:
        return False
    way.path.append((here.id, on[0]))
    edge = here.edges[on[0]]
    if _turns(graph, edge):
        way.keys_last = not way.keys_last
    elif not all(_keeps_order(graph, edge, s) for s in edge.steps):
        return False
    if here.op in ("add", "sub") and way.softmax:
        way.beside += [e.source for k, e in enumerate(here.edges) if k not in on]
        return here.op == "add" or len(here.edges) == 1
    if len(here.edges) != 1:
        return False
    if here.op in ("mul", "div") and way.softmax:
        c = here.attrs.get("constant")
        if c is None:
            return False  # a learned temperature: how steep scores are is all that matters
        way.scale *= float(c) if here.op == "mul" else 1 / float(c)
        return True
    return here.op in _HANDED_ON


def _is_product(node: Node) -> bool:
    """Whether a node is the product of two factors as they are."""
    d = len(node.shape)
    return (
        len(node.edges) == 2
        and _contracts(node.edges[0].steps, d - 1)
        and _contracts(node.edges[1].steps, d - 2)
    )


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of dimensions that have some."""
    return tuple(n for n in shape if n > 1)


def _order(graph: Graph, edge: Edge) -> list[int]:
    """Where dimensions that have a size come from, of an edge that permutes them."""
    (step,) = edge.steps
    shape = graph.nodes[edge.source].shape
    return [d for d in step.dims if shape[d] > 1] if isinstance(step, Permute) else []


def _turns(graph: Graph, edge: Edge) -> bool:
    """Whether an edge makes rows of columns: the last two dimensions that have a size change places."""
    if len(edge.steps) != 1 or not isinstance(edge.steps[0], Permute):
        return False
    order = _order(graph, edge)
    return len(order) > 1 and order[-1] < order[-2] and [*order[:-2], *sorted(order[-2:])] == sorted(order)


def _keeps_order(graph: Graph, edge: Edge, step: Step) -> bool:
    """Whether a step only renames dimensions: of a permutation none but those of size 1 change places."""
    if isinstance(step, Permute):
        return len(edge.steps) == 1 and _order(graph, edge) == sorted(_order(graph, edge))
    return isinstance(step, Reshape) or (isinstance(step, Along) and isinstance(step.geometry, Full))


def _over_keys(node: Node, last: bool) -> bool:
    """Whether a softmax runs over the last of the dimensions that have a size, or the one before."""
    dims = {s.dim for e in node.edges[1:] for s in e.steps if isinstance(s, Along)}
    filled = [d for d, n in enumerate(node.shape) if n > 1]
    return dims == {filled[-1 if last else -2]} and all(e.source == node.edges[0].source for e in node.edges)


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
        elif _turned(graph, here):
            return None
        elif kind in ("linear", "layer_norm", "batch_norm") or (
            kind in ("product", "divide") and len(here.edges) == 1
        ):
            for e in here.edges if kind != "layer_norm" else here.edges[:1]:
                sliced = tuple(s for s in e.steps if isinstance(s, Along) and isinstance(s.geometry, Slice))
                step = (e.source, (*cuts, *((at, *sliced) if sliced else ())))
                if step not in seen:
                    seen.add(step)
                    todo.append(step)
        elif kind != "constant":
            return None
    return out


def _turned(graph: Graph, node: Node) -> bool:
    """Whether a sum may be a rotation, x cos + x' sin: of constants only that they are there is known, and
    they count as 1, which here would double the values."""
    sources = [graph.nodes[e.source] for e in node.edges]
    scaled = [n for n in sources if role(n) == "product" and n.attrs.get("constant") is None]
    return node.op in ("add", "sub") and len(sources) > 1 and bool(scaled)
