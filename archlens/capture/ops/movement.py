"""Lowering rules: views, permutations, slices, joins, gathers. They move data and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from archlens.capture.call import Call, Lowered, Rule, broadcast, numel
from archlens.graph import Along, Edge, IndexMap, Permute, Reshape, Roll, Slice, Step


def _same(op: str) -> Rule:
    def rule(call: Call) -> Lowered:
        return Lowered(op, call.edge(call.tensor(0)))

    return rule


def reshape(call: Call) -> Lowered:
    """view, reshape, flatten, squeeze, unsqueeze: row-major order stays."""
    return Lowered("reshape", call.edge(call.tensor(0), Reshape(call.shape)))


def permute(call: Call) -> Lowered:
    """aten::permute."""
    x = call.tensor(0)
    return Lowered("permute", call.edge(x, Permute(tuple(d % x.ndim for d in call.args[1]))))


def transpose(call: Call) -> Lowered:
    """aten::transpose and t."""
    x = call.tensor(0)
    dims = list(range(x.ndim))
    a, b = (call.args[1] % x.ndim, call.args[2] % x.ndim) if len(call.args) > 2 else (0, x.ndim - 1)
    dims[a], dims[b] = dims[b], dims[a]
    return Lowered("permute", call.edge(x, Permute(tuple(dims))))


def slice_(call: Call) -> Lowered:
    """aten::slice: `crop` where it cuts a border off, `slice` where it picks every n-th or channels."""
    x = call.tensor(0)
    dim, start, step = int(call.args[1]) % x.ndim, call.args[2] or 0, int(call.args[4])
    n = x.shape[dim]
    start = min(max(start + n if start < 0 else start, 0), n)
    layout = call.layout_of(x)
    spatial = layout is not None and any(a.axis >= 0 for a in layout[dim])
    op = "crop" if spatial and step == 1 else "slice"
    return Lowered(op, call.edge(x, Along(dim, Slice(int(start), step), call.shape[dim])))


def select(call: Call) -> Lowered:
    """aten::select: one index of a dimension, which goes."""
    x = call.tensor(0)
    dim = int(call.args[1]) % x.ndim
    index = int(call.args[2]) % x.shape[dim]
    return Lowered("select", call.edge(x, Along(dim, Slice(index), 1), Reshape(call.shape)))


def split(call: Call) -> Sequence[Lowered]:
    """split, chunk, unbind: one node a piece."""
    x = call.tensor(0)
    dim = int(call.args[-1] if call.name != "unbind" else call.args[1]) % x.ndim
    out, start = [], 0
    for piece in call.out:
        size = piece.shape[dim] if call.name != "unbind" else 1
        steps: tuple[Step, ...] = (Along(dim, Slice(start), size),)
        if call.name == "unbind":
            steps += (Reshape(tuple(piece.shape)),)
        out.append(Lowered("split", call.edge(x, *steps)))
        start += size
    return out


def expand(call: Call) -> Lowered:
    """aten::expand: dimensions of size 1 repeated without copying."""
    x = call.tensor(0)
    return Lowered("expand", call.edge(x, *broadcast(x.shape, call.shape)))


def repeat(call: Call) -> Lowered:
    """aten::repeat: the tensor tiled."""
    x, out = call.tensor(0), call.shape
    full = (1,) * (len(out) - x.ndim) + tuple(x.shape)
    steps: list[Step] = [Reshape(full)] if len(full) != x.ndim else []
    for d, (n, m) in enumerate(zip(full, out, strict=True)):
        if n != m:
            steps.append(Along(d, IndexMap(tuple(i % n for i in range(m))), m))
    return Lowered("repeat", call.edge(x, *steps))


def cat(call: Call) -> Lowered:
    """aten::cat: each piece lands at its offset."""
    pieces = [t for t in call.args[0] if t.numel() or t.ndim > 1]
    dim = int(call.args[1]) % len(call.shape)
    edges: tuple[Edge, ...] = ()
    start = 0
    for piece in pieces:
        edges += call.edge(piece, Along(dim, Slice(-start), call.shape[dim]))
        start += piece.shape[dim]
    return Lowered("cat", edges, attrs={"dim": dim, "sizes": [p.shape[dim] for p in pieces]})


def stack(call: Call) -> Lowered:
    """aten::stack: a new dimension, one index a piece."""
    dim = int(call.args[1]) % len(call.shape)
    edges: tuple[Edge, ...] = ()
    for k, piece in enumerate(call.args[0]):
        shape = (*piece.shape[:dim], 1, *piece.shape[dim:])
        edges += call.edge(piece, Reshape(tuple(shape)), Along(dim, Slice(-k), call.shape[dim]))
    return Lowered("stack", edges)


def roll(call: Call) -> Lowered:
    """aten::roll."""
    x, shifts, dims = call.tensor(0), call.args[1], call.args[2]
    if not dims:
        flat: list[Step] = [Reshape((numel(x.shape),)), Along(0, Roll(shifts[0]), numel(x.shape))]
        return Lowered("roll", call.edge(x, *flat, Reshape(call.shape)))
    steps = [Along(d % x.ndim, Roll(s), x.shape[d]) for s, d in zip(shifts, dims, strict=True)]
    return Lowered("roll", call.edge(x, *steps))


def flip(call: Call) -> Lowered:
    """aten::flip."""
    x = call.tensor(0)
    steps = [
        Along(d % x.ndim, IndexMap(tuple(range(x.shape[d] - 1, -1, -1))), x.shape[d]) for d in call.args[1]
    ]
    return Lowered("flip", call.edge(x, *steps))


def index_select(call: Call) -> Lowered | None:
    """aten::index_select with an index that does not depend on the input."""
    x, dim, index = call.tensor(0), int(call.args[1]), call.tensor(2)
    if call.node_of(index) is not None or index.is_meta:
        return None
    chosen = tuple(int(i) % x.shape[dim] for i in index.tolist())
    return Lowered("gather", call.edge(x, Along(dim % x.ndim, IndexMap(chosen), len(chosen))))


def index(call: Call) -> Lowered | None:
    """aten::index: advanced indexing of neighbouring dimensions with constant indices."""
    x, indices = call.tensor(0), list(call.args[1])
    dims = [d for d, i in enumerate(indices) if i is not None]
    given = [indices[d] for d in dims]
    if any(call.node_of(i) is not None or i.is_meta for i in given) or call.node_of(x) is None:
        return None
    if dims != list(range(dims[0], dims[-1] + 1)):
        return None
    if any(i.dtype in (torch.bool, torch.uint8) for i in given):
        if len(given) != 1:
            return None
        dims = list(range(dims[0], dims[0] + given[0].ndim))
        given = list(torch.nonzero(given[0], as_tuple=True))
    sizes = [x.shape[d] for d in dims]
    linear = torch.zeros((), dtype=torch.int64)
    for i, n in zip(given, sizes, strict=True):
        linear = linear * n + i % n
    before, after = tuple(x.shape[: dims[0]]), tuple(x.shape[dims[-1] + 1 :])
    chosen = tuple(linear.flatten().tolist())
    return Lowered(
        "gather",
        call.edge(
            x,
            Reshape((*before, numel(sizes), *after)),
            Along(dims[0], IndexMap(chosen), len(chosen)),
            Reshape(call.shape),
        ),
    )


def as_strided(call: Call) -> Lowered | None:
    """aten::as_strided where it says nothing new: the same elements in the same order. torch calls it to
    give a pooled map of one pixel the memory format of the map that it came from."""
    x = call.tensor(0)
    if call.args[3] not in (None, x.storage_offset()) or numel(call.args[1]) != x.numel():
        return None
    if tuple(call.args[1]) == tuple(x.shape):
        strides = zip(call.args[1], call.args[2], x.stride(), strict=True)
        if all(n == 1 or a == b for n, a, b in strides):
            return Lowered("identity", call.edge(x))
    dense = 1
    for n, stride in zip(reversed(call.args[1]), reversed(call.args[2]), strict=True):
        if n > 1 and stride != dense:
            return None
        dense *= n
    return Lowered("reshape", call.edge(x, Reshape(call.shape))) if x.is_contiguous() else None


def unfold(call: Call) -> Lowered:
    """aten::unfold: windows of a dimension become a dimension of their own, the last one."""
    x, out = call.tensor(0), call.shape
    if x.ndim == 0:
        return Lowered("unfold", call.edge(x, Reshape(out)))
    dim, size, step = int(call.args[1]) % x.ndim, int(call.args[2]), int(call.args[3])
    count = out[dim]
    index = tuple(i * step + t for i in range(count) for t in range(size))
    order = [d for d in range(x.ndim + 1) if d != dim + 1] + [dim + 1]
    return Lowered(
        "unfold",
        call.edge(
            x,
            Along(dim, IndexMap(index), len(index)),
            Reshape((*x.shape[:dim], count, size, *x.shape[dim + 1 :])),
            Permute(tuple(order)),
        ),
    )


def copy_(call: Call) -> Lowered:
    """aten::copy_: the target takes the source's values."""
    target, source = call.tensor(0), call.tensor(1)
    return Lowered("copy", call.edge(source, *broadcast(source.shape, target.shape)))


def fill_(_: Call) -> Lowered:
    """fill_ and zero_: a constant, whatever was there before."""
    return Lowered("fill", ())


RULES: dict[str, Rule] = {
    **dict.fromkeys(("clone", "_to_copy", "contiguous", "lift_fresh"), _same("copy")),
    **dict.fromkeys(("alias", "detach", "dropout", "native_dropout", "alpha_dropout"), _same("identity")),
    **dict.fromkeys(
        ("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "_reshape_alias", "view_as"),
        reshape,
    ),
    "permute": permute,
    "transpose": transpose,
    "t": transpose,
    "slice": slice_,
    "select": select,
    "split": split,
    "split_with_sizes": split,
    "unsafe_split": split,
    "unsafe_split_with_sizes": split,
    "unbind": split,
    "expand": expand,
    "repeat": repeat,
    "cat": cat,
    "stack": stack,
    "roll": roll,
    "flip": flip,
    "index_select": index_select,
    "index": index,
    **dict.fromkeys(("as_strided", "as_strided_"), as_strided),
    "unfold": unfold,
    "copy_": copy_,
    "fill_": fill_,
    "zero_": fill_,
}
