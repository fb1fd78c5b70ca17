"""Lowering rules: views, permutations, slices, joins, gathers. They move data and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archlens.capture.call import Call, Lowered, Rule, broadcast, everything, numel
from archlens.graph import Along, Edge, IndexMap, Permute, Reshape, Roll, Slice, Step

MOST = 2**20  # elements of a strided view that are followed one by one


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
    dim, start, step = int(call.given("dim", 0)) % x.ndim, call.given("start", 0), int(call.given("step", 1))
    n = x.shape[dim]
    start = min(max(start + n if start < 0 else start, 0), n)
    layout = call.layout_of(x)
    spatial = layout is not None and any(a.axis >= 0 for a in layout[dim])
    op = "crop" if spatial and step == 1 else "slice"
    return Lowered(op, call.edge(x, Along(dim, Slice(int(start), step), call.shape[dim])))


def select(call: Call) -> Lowered:
    """aten::select: one index of a dimension, which goes."""
    x = call.tensor(0)
    dim = int(call.given("dim")) % x.ndim
    index = int(call.given("index")) % x.shape[dim]
    return Lowered("select", call.edge(x, Along(dim, Slice(index), 1), Reshape(call.shape)))


def split(call: Call) -> Sequence[Lowered]:
    """split, chunk, unbind: one node a piece."""
    x = call.tensor(0)
    dim = int(call.given("dim", 0)) % x.ndim
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
    dim = int(call.given("dim", 0)) % len(call.shape)
    edges: tuple[Edge, ...] = ()
    start = 0
    for piece in pieces:
        edges += call.edge(piece, Along(dim, Slice(-start), call.shape[dim]))
        start += piece.shape[dim]
    return Lowered("cat", edges, attrs={"dim": dim, "sizes": [p.shape[dim] for p in pieces]})


def stack(call: Call) -> Lowered:
    """aten::stack: a new dimension, one index a piece."""
    dim = int(call.given("dim", 0)) % len(call.shape)
    edges: tuple[Edge, ...] = ()
    for k, piece in enumerate(call.args[0]):
        shape = (*piece.shape[:dim], 1, *piece.shape[dim:])
        edges += call.edge(piece, Reshape(tuple(shape)), Along(dim, Slice(-k), call.shape[dim]))
    return Lowered("stack", edges)


def roll(call: Call) -> Lowered:
    """aten::roll."""
    x, shifts, dims = call.tensor(0), call.given("shifts"), call.given("dims")
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


def as_strided(call: Call) -> Lowered | None:
    """aten::as_strided: elements of the storage by their place. Where that says nothing new (torch calls it
    to give a pooled map of one pixel the memory format of the map that it came from) it is a reshape."""
    x = call.tensor(0)
    size, stride = tuple(call.given("size")), tuple(call.given("stride"))
    first = call.given("storage_offset", x.storage_offset())
    same = first == x.storage_offset() and size == tuple(x.shape)
    if same and all(n == 1 or a == b for n, a, b in zip(size, stride, x.stride(), strict=True)):
        return Lowered("identity", call.edge(x))
    if not x.is_contiguous() or numel(size) > MOST:
        return None
    places = np.full(size, first - x.storage_offset(), np.int64)
    for d, (n, step) in enumerate(zip(size, stride, strict=True)):
        places += (np.arange(n) * step).reshape([-1 if k == d else 1 for k in range(len(size))])
    index = places.ravel()
    if index.min() < 0 or index.max() >= x.numel():
        return None  # beyond this tensor, in what it is a view of
    if len(index) == x.numel() and bool((index == np.arange(len(index))).all()):
        return Lowered("reshape", call.edge(x, Reshape(size)))
    chosen = IndexMap(tuple(index.tolist()))
    return Lowered(
        "as_strided", call.edge(x, Reshape((x.numel(),)), Along(0, chosen, len(index)), Reshape(size))
    )


def resize(call: Call) -> Lowered | None:
    """resize_ and resize_as_: the first elements of the storage; a larger one holds anything."""
    x, count = call.tensor(0), numel(call.shape)
    if not x.is_contiguous() or count > x.numel():
        return None
    if count == x.numel():
        return Lowered("reshape", call.edge(x, Reshape(call.shape)))
    steps = (Reshape((x.numel(),)), Along(0, Slice(0), count), Reshape(call.shape))
    return Lowered("slice", call.edge(x, *steps))


def diagonal(call: Call) -> Lowered:
    """aten::diagonal: where two dimensions agree, which becomes the last one."""
    x = call.tensor(0)
    offset = int(call.given("offset", 0))
    a, b = (int(call.given(name, k)) % x.ndim for k, name in enumerate(("dim1", "dim2")))
    rest = [d for d in range(x.ndim) if d not in (a, b)]
    rows, cols, n = x.shape[a], x.shape[b], call.shape[-1]
    places = tuple((i + max(-offset, 0)) * cols + i + max(offset, 0) for i in range(n))
    flat = (*(x.shape[d] for d in rest), rows * cols)
    steps = (Permute((*rest, a, b)), Reshape(tuple(flat)), Along(len(rest), IndexMap(places), n))
    return Lowered("diagonal", call.edge(x, *steps))


def rot90(call: Call) -> Lowered:
    """aten::rot90: quarter turns in the plane of two dimensions."""
    x, turns = call.tensor(0), int(call.given("k", 1)) % 4
    a, b = (d % x.ndim for d in call.given("dims"))
    back = {d: Along(d, IndexMap(tuple(range(x.shape[d]))[::-1]), x.shape[d]) for d in (a, b)}
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    steps: dict[int, tuple[Step, ...]] = {
        0: (),
        1: (back[b], Permute(tuple(order))),
        2: (back[a], back[b]),
        3: (back[a], Permute(tuple(order))),
    }
    return Lowered("rot90", call.edge(x, *steps[turns]))


def unfold(call: Call) -> Lowered:
    """aten::unfold: windows of a dimension become a dimension of their own, the last one."""
    x, out = call.tensor(0), call.shape
    if x.ndim == 0:
        return Lowered("unfold", call.edge(x, Reshape(out)))
    dim = int(call.given("dimension")) % x.ndim
    size, step = int(call.given("size")), int(call.given("step"))
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


def fill(call: Call) -> Lowered:
    """fill and zero: one value everywhere, whatever was there before."""
    value = call.given("value")
    return Lowered("fill", call.edge(value, *everything((), call.shape)) if call.depends(value) else ())


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("clone", "_to_copy", "contiguous", "lift_fresh", "resolve_conj", "resolve_neg", "_conj_physical"),
        _same("copy"),
    ),
    **dict.fromkeys(
        ("alias", "detach", "dropout", "native_dropout", "alpha_dropout", "_conj", "_neg_view"),
        _same("identity"),
    ),
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
    "diagonal": diagonal,
    "rot90": rot90,
    "as_strided": as_strided,
    "resize_": resize,
    "unfold": unfold,
    "copy_": copy_,
    **dict.fromkeys(("fill_", "zero_", "fill"), fill),
}
