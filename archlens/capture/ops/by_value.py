"""Lowering rules: what is read, or where it is put, is up to values.

Where the values are constants the geometry is exact; where they depend on the image, or are too many to be
written down, everything that may be read counts, and the result is a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import floor

import numpy as np
import torch
from numpy.typing import NDArray

from archlens.capture.call import BY_VALUE, Call, Lowered, Rule, broadcast, everything, numel, spread
from archlens.capture.ops.spatial import scale_factors
from archlens.graph import (
    Along,
    Edge,
    Full,
    Geometry,
    Grouped,
    IndexMap,
    Permute,
    Reshape,
    Resize,
    Slice,
    Step,
    Window,
)
from archlens.graph.masks import pack

HOW_MANY = "how many there are is up to the values"
REPLACED = "what a partial write replaced is still counted"
MOST = 2**18  # constant positions that are written down one by one


def anything(bound: str = BY_VALUE) -> Rule:
    """Every element of every result may depend on every element of every argument."""

    def rule(call: Call) -> list[Lowered]:
        out = []
        for t in call.out:
            edges: tuple[Edge, ...] = ()
            for value in call.args:
                for x in value if isinstance(value, (list, tuple)) else [value]:
                    if call.depends(x):
                        edges += call.edge(x, *everything(x.shape, tuple(t.shape)))
            name = call.name.split("::")[-1]
            out.append(Lowered(name, edges, elementwise=numel(t.shape), bound=bound))
        return out

    return rule


# ------------------------------------------------------------------ looking up


def gather(call: Call) -> Lowered:
    """aten::gather: elements along a dimension by an index that may depend on the input."""
    x, index = call.tensor(0), call.given("index")
    if x.ndim == 0:
        return Lowered("gather", call.edge(x, *everything((), call.shape)) + call.edge(index, gate=True))
    dim = int(call.given("dim")) % x.ndim
    steps: list[Step] = [Along(dim, Full(), 1), Along(dim, Full(), call.shape[dim])]
    steps += [Along(d, Slice(0), m) for d, m in enumerate(call.shape) if d != dim and m != x.shape[d]]
    return Lowered("gather", call.edge(x, *steps) + call.edge(index, gate=True), bound=BY_VALUE)


def index_select(call: Call) -> Lowered:
    """aten::index_select along one dimension."""
    x, index = call.tensor(0), call.given("index")
    if x.ndim == 0:
        return Lowered("gather", call.edge(x, *everything((), call.shape)))
    dim = int(call.given("dim")) % x.ndim
    known = None if call.depends(index) else call.constants.fixed(index)
    if known is not None:
        chosen = tuple(int(i) % x.shape[dim] for i in known.flatten().tolist())
        return Lowered("gather", call.edge(x, Along(dim, IndexMap(chosen), len(chosen))))
    steps = (Along(dim, Full(), 1), Along(dim, Full(), call.shape[dim]))
    where = tuple(call.shape[dim] if d == dim else 1 for d in range(x.ndim))
    edges = call.edge(x, *steps)
    if call.depends(index):
        edges += call.edge(index, Reshape(where), *broadcast(where, call.shape), gate=True)
    return Lowered("gather", edges, bound=BY_VALUE)


def index(call: Call) -> Lowered | None:
    """aten::index: advanced indexing. Constant indices of neighbouring dimensions are followed exactly."""
    x, indices = call.tensor(0), list(call.args[1])
    dims = [d for d, i in enumerate(indices) if i is not None]
    given = [indices[d] for d in dims]
    known = [None if call.depends(i) else call.constants.fixed(i) for i in given]
    together = dims == list(range(dims[0], dims[-1] + 1))
    fixed = [i for i in known if i is not None]
    if len(fixed) < len(given) or not together or not call.depends(x):
        return _by_index(call, x, dims, given, together)
    if any(i.dtype in (torch.bool, torch.uint8) for i in fixed):
        if len(fixed) != 1:
            return _by_index(call, x, dims, given, together)
        dims = list(range(dims[0], dims[0] + fixed[0].ndim))
        fixed = list(torch.nonzero(fixed[0], as_tuple=True))
    sizes = [x.shape[d] for d in dims]
    linear = torch.zeros((), dtype=torch.int64)
    for i, n in zip(fixed, sizes, strict=True):
        linear = linear * n + i.cpu() % n
    before, after = tuple(x.shape[: dims[0]]), tuple(x.shape[dims[-1] + 1 :])
    chosen = tuple(linear.flatten().tolist())
    merged = () if len(sizes) == 1 else (Reshape((*before, numel(sizes), *after)),)
    steps = (*merged, Along(dims[0], IndexMap(chosen), len(chosen)), Reshape(call.shape))
    return Lowered("gather", call.edge(x, *steps))


def _by_index(
    call: Call, x: torch.Tensor, dims: Sequence[int], given: Sequence[torch.Tensor], together: bool
) -> Lowered:
    """Any element along the dimensions that are indexed; masks leave how many open."""
    masks = any(i.dtype in (torch.bool, torch.uint8) for i in given)
    edges: tuple[Edge, ...] = ()
    if masks or not together:
        for t in (x, *given):
            edges += call.edge(t, *everything(t.shape, call.shape), gate=t is not x)
        return Lowered("index", edges, bound=HOW_MANY if masks else BY_VALUE)
    shape = tuple(torch.broadcast_shapes(*(i.shape for i in given)))  # type: ignore[no-untyped-call]
    before, after = call.shape[: dims[0]], call.shape[dims[0] + len(shape) :]
    ones = (*before, *(1 for _ in shape), *after)
    steps: list[Step] = [Along(d, Full(), 1) for d in dims]
    edges += call.edge(x, *steps, Reshape(ones), *broadcast(ones, call.shape))
    for i in given:
        if call.depends(i):
            here = ((1,) * len(before)) + ((1,) * (len(shape) - i.ndim)) + tuple(i.shape) + (1,) * len(after)
            edges += call.edge(i, Reshape(here), *broadcast(here, call.shape), gate=True)
    return Lowered("index", edges, bound=BY_VALUE)


# ------------------------------------------------------------------ putting


def _put(call: Call, source: str) -> Lowered:
    """Elements of a source land somewhere along a dimension; what they replace is counted as well."""
    x, src, index = call.tensor(0), call.given(source), call.given("index")
    edges = call.edge(x)
    dim = int(call.given("dim", 0)) % max(x.ndim, 1)
    if call.depends(src):
        edges += _landing(call, src, dim)
    if call.depends(index):
        shape = tuple(index.shape)
        if index.ndim == x.ndim:
            edges += _landing(call, index, dim, gate=True)
        else:
            line = tuple(n if d == dim else 1 for d, n in enumerate((*shape, *(1,) * x.ndim)[: x.ndim]))
            edges += call.edge(index, *everything(shape, line), *broadcast(line, call.shape), gate=True)
    return Lowered(call.name, edges, elementwise=numel(call.shape), bound=REPLACED)


def _landing(call: Call, src: torch.Tensor, dim: int, gate: bool = False) -> tuple[Edge, ...]:
    shape = call.shape
    if src.ndim != len(shape):
        return call.edge(src, *everything(src.shape, shape), gate=gate)
    steps: list[Step] = [Along(dim, Full(), 1), Along(dim, Full(), shape[dim])] if shape else []
    for d, (n, m) in enumerate(zip(src.shape, shape, strict=True)):
        if d != dim and n != m:
            steps.append(Along(d, Slice(0), m))
    return call.edge(src, *steps, gate=gate)


def scatter(source: str) -> Rule:
    """scatter, scatter_add, scatter_reduce, index_add, index_fill: by an index along one dimension."""
    return lambda call: _put(call, source)


def index_copy(call: Call) -> Lowered:
    """aten::index_copy: slices along a dimension are replaced; by a constant index exactly so."""
    x, index, src = call.tensor(0), call.given("index"), call.given("source")
    known = None if call.depends(index) else call.constants.fixed(index)
    if known is None or x.ndim == 0 or src.ndim != x.ndim:
        return _put(call, "source")
    return _replaced(call, int(call.given("dim")) % x.ndim, known.flatten().tolist(), src)


def _replaced(call: Call, dim: int, places: Sequence[int], src: torch.Tensor, *before: Step) -> Lowered:
    """Slices at known places along a dimension hold a source's."""
    x = call.tensor(0)
    n = x.shape[dim]
    taken = [-1] * n
    for k, place in enumerate(places):
        taken[place % n] = k
    mask = np.array([t < 0 for t in taken]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    edges = call.edge(x, pack(mask))
    if call.depends(src):
        edges += call.edge(src, *before, Along(dim, IndexMap(tuple(taken)), n))
    return Lowered(call.name, edges)


def index_put(call: Call) -> Lowered:
    """aten::index_put: x[indices] = values. One constant index is followed exactly."""
    x, indices, values = call.tensor(0), list(call.args[1]), call.given("values")
    dims = [d for d, i in enumerate(indices) if i is not None]
    if len(dims) == 1 and not call.given("accumulate", False):
        dim, where = dims[0], indices[dims[0]]
        known = None if call.depends(where) else call.constants.fixed(where)
        if known is not None and known.ndim == 1:
            places = (torch.nonzero(known)[:, 0] if known.dtype == torch.bool else known).tolist()
            shape = (*x.shape[:dim], len(places), *x.shape[dim + 1 :])
            return _replaced(call, dim, places, values, *broadcast(values.shape, shape))
    edges = call.edge(x)
    for t in (values, *(i for i in indices if i is not None)):
        if call.depends(t):
            edges += call.edge(t, *everything(t.shape, call.shape), gate=t is not values)
    return Lowered(call.name, edges, elementwise=numel(call.shape), bound=REPLACED)


def masked_scatter(call: Call) -> Lowered:
    """aten::masked_scatter: where a mask is set, the source's elements in order."""
    x, mask, src = call.tensor(0), call.given("mask"), call.given("source")
    edges = call.edge(x, *broadcast(x.shape, call.shape))
    if call.depends(mask):  # its own element, and all before it: how many were taken so far
        edges += call.edge(mask, *everything(mask.shape, call.shape), gate=True)
    if call.depends(src):
        edges += call.edge(src, *everything(src.shape, call.shape))
    return Lowered(call.name, edges, elementwise=numel(call.shape), bound=BY_VALUE)


def slice_scatter(call: Call) -> Lowered:
    """aten::slice_scatter: a slice along a dimension is replaced."""
    x, src = call.tensor(0), call.given("src")
    dim, n = int(call.given("dim", 0)) % x.ndim, x.shape[int(call.given("dim", 0)) % x.ndim]
    places = range(*slice(call.given("start"), call.given("end"), call.given("step", 1)).indices(n))
    return _replaced(call, dim, places, src)


def select_scatter(call: Call) -> Lowered:
    """aten::select_scatter: one index of a dimension is replaced."""
    x, src, dim = call.tensor(0), call.given("src"), int(call.given("dim")) % call.tensor(0).ndim
    shape = (*x.shape[:dim], 1, *x.shape[dim + 1 :])
    return _replaced(call, dim, [int(call.given("index"))], src, Reshape(shape))


# ------------------------------------------------------------------ sampling at given places


def grid_sampler(n: int) -> Rule:
    """aten::grid_sampler_2d, 3d: each result is interpolated at a place that the grid names."""

    def rule(call: Call) -> Lowered:
        x, grid = call.tensor(0), call.tensor(1)
        known = None if call.depends(grid) else call.constants.fixed(grid)
        taps = None if known is None or not call.depends(x) else _sampled(call, x, known, n)
        if taps is not None:
            edges = taps
        else:
            spans = tuple(s for a in range(n) for s in spread(2 + a, call.shape[2 + a]))
            edges = call.edge(x, *spans)
        # (N, *out, n) -> (N, channels, *out)
        order = (0, n + 1, *range(1, n + 1))
        steps = (Permute(order), Along(1, Full(), call.shape[1]))
        edges += call.edge(grid, *steps, gate=True)
        bound = None if taps is not None or not call.depends(x) else BY_VALUE
        return Lowered(call.name, edges, elementwise=numel(call.shape) * 2**n, bound=bound)

    return rule


def affine_grid(call: Call) -> Lowered:
    """aten::affine_grid_generator: every place of a grid is computed from the whole transformation."""
    theta = call.tensor(0)
    return Lowered("affine_grid", call.edge(theta, *everything(theta.shape, call.shape)))


def _sampled(call: Call, x: torch.Tensor, grid: torch.Tensor, n: int) -> tuple[Edge, ...] | None:
    """One edge a tap of a constant grid; None where there are too many places, or images differ."""
    sizes, out = x.shape[2:], call.shape[2:]
    if grid.shape[0] != 1 and not bool((grid == grid[:1]).all()):
        return None
    mode, padding, align = (call.given(k) for k in ("interpolation_mode", "padding_mode", "align_corners"))
    if mode == 2 or padding == 2 or numel(out) > MOST:  # bicubic; reflected
        return None
    places = grid[0].double().cpu().numpy()[..., ::-1]  # (*out, n), last axis first in the grid
    taps = [_axis_taps(places[..., a], sizes[a], int(mode), int(padding), bool(align)) for a in range(n)]
    edges: tuple[Edge, ...] = ()
    for combined in product(*taps):
        index = np.zeros(out, np.int64)
        outside = np.zeros(out, bool)
        for own, size in zip(combined, sizes, strict=True):
            index = index * size + np.maximum(own, 0)
            outside |= own < 0
        chosen = tuple(int(i) for i in np.where(outside, -1, index).ravel())
        lines = [_along_axis(own, a) for a, own in enumerate(combined)]
        if all(line is not None for line in lines):  # the grid is a product of lines: axes stay apart
            steps: tuple[Step, ...] = tuple(
                Along(2 + a, IndexMap(line), out[a]) for a, line in enumerate(lines) if line is not None
            )
        else:
            flat = (*x.shape[:2], numel(sizes))
            steps = (Reshape(tuple(flat)), Along(2, IndexMap(chosen), len(chosen)), Reshape(call.shape))
        edges += call.edge(x, *steps)
    return edges


def _along_axis(own: NDArray[np.int64], axis: int) -> tuple[int, ...] | None:
    """The positions read along one axis, where they depend on the place along that axis alone."""
    line = np.moveaxis(own, axis, 0).reshape(own.shape[axis], -1)
    return tuple(int(i) for i in line[:, 0]) if bool((line == line[:, :1]).all()) else None


def _axis_taps(
    at: NDArray[np.float64], size: int, mode: int, padding: int, align: bool
) -> list[NDArray[np.int64]]:
    """(taps, *out) positions read along one axis; -1 reads nothing."""
    place = (at + 1) / 2 * (size - 1) if align else ((at + 1) * size - 1) / 2
    if padding == 1:
        place = np.clip(place, 0, size - 1)
    if mode == 1:
        own = np.rint(place).astype(np.int64)
        return [np.where((own >= 0) & (own < size), own, -1)]
    low = np.floor(place).astype(np.int64)
    share = place - low
    taps = []
    for own, weight in ((low, 1 - share), (low + 1, share)):
        taps.append(np.where((own >= 0) & (own < size) & (weight > 1e-9), own, -1))
    return taps


def deform_conv2d(call: Call) -> Lowered:
    """torchvision::deform_conv2d: a convolution whose taps lie where the offsets say, anywhere on the map."""
    x, weight = call.tensor(0), call.tensor(1)
    groups = int(call.given("groups", 1))
    channels: Geometry = Full() if groups == 1 else Grouped(groups)
    out = call.shape
    whole = tuple(s for a in (2, 3) for s in spread(a, out[a]))
    edges = call.edge(x, Along(1, channels, out[1]), *whole)
    for name in ("offset", "mask"):
        t = call.given(name)
        if call.depends(t):
            steps = (Along(1, Full(), out[1]),) if tuple(t.shape[2:]) == out[2:] else everything(t.shape, out)
            edges += call.edge(t, *steps, gate=True)
    for name in ("weight", "bias"):
        t = call.given(name)
        if call.depends(t):
            edges += call.edge(t, *everything(t.shape, out))
    macs = numel(out[2:]) * numel(weight.shape) * out[0]
    attrs = {"weight": list(weight.shape), "groups": groups}
    return Lowered("deform_conv2d", edges, macs=macs, attrs=attrs, bound=BY_VALUE)


def antialiased(taps: float) -> Rule:
    """_upsample_bilinear2d_aa and its kin: a resize whose window grows with what it shrinks by. Told as the
    nearest position and all within the window's reach."""

    def rule(call: Call) -> Lowered:
        x, steps = call.tensor(0), list[Step]()
        for a in (2, 3):
            n, m = x.shape[a], call.shape[a]
            if n == m:
                continue
            reach = floor(taps * max(n / m, 1.0)) + 1
            steps += [Along(a, Window(2 * reach + 1, 1, reach), n), Along(a, Resize("nearest-exact"), m)]
        bound = "an antialiased resize is told by its reach" if steps else None
        attrs = {"antialias": int(taps), "factors": scale_factors(call, 2, 3), "aligned": bool(call.args[2])}
        return Lowered(
            "interpolate", call.edge(x, *steps), elementwise=numel(call.shape), bound=bound, attrs=attrs
        )

    return rule


def roi(call: Call) -> Lowered:
    """torchvision::roi_align, roi_pool: cells of boxes, which may lie anywhere on the map."""
    x, boxes = call.tensor(0), call.tensor(1)
    channels = () if x.shape[1] == call.shape[1] else (Along(1, Full(), call.shape[1]),)
    spans = (Along(2, Full(), 1), Along(3, Full(), 1), Along(0, Full(), 1))
    ones = (1, call.shape[1], 1, 1)
    edges = call.edge(x, *channels, *spans, *broadcast(ones, call.shape))
    if call.depends(boxes):
        rows = (call.shape[0], 1, 1, 1)
        edges += call.edge(boxes, Along(1, Full(), 1), Reshape(rows), *broadcast(rows, call.shape), gate=True)
    return Lowered(call.name.split("::")[-1], edges, bound=BY_VALUE)


RULES: dict[str, Rule] = {
    "gather": gather,
    "index_select": index_select,
    "index": index,
    **dict.fromkeys(("scatter", "scatter_add", "scatter_reduce"), scatter("src")),
    **dict.fromkeys(("index_add", "index_reduce"), scatter("source")),
    "index_fill": scatter("value"),
    "index_copy": index_copy,
    **dict.fromkeys(("index_put", "_index_put_impl", "_unsafe_index_put"), index_put),
    "masked_scatter": masked_scatter,
    "slice_scatter": slice_scatter,
    "select_scatter": select_scatter,
    **dict.fromkeys(("nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive"),
                    anything(HOW_MANY)),
    **dict.fromkeys(("take", "put", "diagonal_scatter", "as_strided_scatter", "histc", "bincount", "isin"),
                    anything()),
    **dict.fromkeys(("torchvision::nms",), anything(HOW_MANY)),
    "grid_sampler_2d": grid_sampler(2),
    "grid_sampler_3d": grid_sampler(3),
    "affine_grid_generator": affine_grid,
    "torchvision::deform_conv2d": deform_conv2d,
    **dict.fromkeys(("torchvision::roi_align", "torchvision::roi_pool", "torchvision::ps_roi_align",
                     "torchvision::ps_roi_pool"), roi),
    "_upsample_bilinear2d_aa": antialiased(1.0),
    "_upsample_bicubic2d_aa": antialiased(2.0),
}  # fmt: skip
