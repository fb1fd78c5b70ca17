"""Tap matrices: what each output position along one dimension reads, and with what weight.

Every geometry is, along its dimension, a sparse matrix A of shape (n_out, n_in), one row an output position.
Two forms of it, both cached by geometry and sizes:

* `reads`  - (n_out, k) input indices, -1 where a row has fewer than k taps; for the box walk;
* `matrix` - the weighted matrix in CSR form; for supports (its pattern) and the effective field
  (its weights).

Windows have weight 1 a tap (what a convolution or a pooling does with it is the analysis' business);
resizes have their interpolation weights, adaptive pools and means 1/n.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from archlens.graph import (
    AdaptivePool,
    Full,
    Geometry,
    Grouped,
    IndexMap,
    Pad,
    Resize,
    Roll,
    Slice,
    TransposedWindow,
    Window,
)

if TYPE_CHECKING:
    from scipy import sparse

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
NOISE = 1e-9  # source positions this close to a sample are on it


@lru_cache(maxsize=4096)
def reads(geometry: Geometry, n_in: int, n_out: int) -> Indices:
    """(n_out, k) indices of the inputs that each output reads; -1 marks no tap. Read-only.

    Taps whose weight is exactly zero are left out. `Full` is never asked for here: it reads everything.
    """
    index, weight = _taps(geometry, n_in, n_out)
    index = np.where(weight == 0, -1, index)
    index.setflags(write=False)
    return index


@lru_cache(maxsize=1024)
def matrix(geometry: Geometry, n_in: int, n_out: int) -> sparse.csr_array:
    """The (n_out, n_in) tap matrix with its weights. Duplicate taps (clamped borders) are summed."""
    from scipy import sparse  # a quarter of a second that boxes and fields don't need

    if isinstance(geometry, Full):
        return sparse.csr_array(np.full((n_out, n_in), 1.0 / n_in))
    index, weight = _taps(geometry, n_in, n_out)
    rows, cols = np.nonzero((index >= 0) & (weight != 0))
    out = sparse.coo_array((weight[rows, cols], (rows, index[rows, cols])), shape=(n_out, n_in))
    return out.tocsr()


@lru_cache(maxsize=1024)
def pattern(geometry: Geometry, n_in: int, n_out: int) -> sparse.csr_array:
    """The same matrix with every read tap set to 1 (float32: counts stay exact below 2**24)."""
    from scipy import sparse

    index = reads(geometry, n_in, n_out)
    rows, cols = np.nonzero(index >= 0)
    hits = np.ones(len(rows), np.float32)
    out = sparse.coo_array((hits, (rows, index[rows, cols])), shape=(n_out, n_in)).tocsr()
    out.data[:] = 1
    return out


def _taps(geometry: Geometry, n_in: int, n_out: int) -> tuple[Indices, Floats]:
    """(n_out, k) indices and weights; absent taps have index -1."""
    o = np.arange(n_out, dtype=np.int64)[:, None]
    match geometry:
        case Window(kernel, stride, padding, dilation):
            index = o * stride - padding + np.arange(kernel) * dilation
        case TransposedWindow(kernel, stride, padding, dilation):
            reach = o + padding - np.arange(kernel) * dilation
            index = np.where(reach % stride == 0, reach // stride, -1)
        case AdaptivePool():
            first = (o * n_in) // n_out
            last = -((-(o + 1) * n_in) // n_out)  # one past the end
            span = np.arange(int((last - first).max(initial=1)))
            index = np.where(first + span < last, first + span, -1)
            return index, np.where(index >= 0, 1.0 / (last - first), 0.0)
        case Resize():
            return _resize(geometry, n_in, n_out)
        case Pad(before, mode):
            return _pad(o - before, mode, n_in)
        case Slice(start, step):
            index = start + o * step
        case Roll(shift):
            index = (o - shift) % n_in
        case IndexMap(index=given):
            index = np.asarray(given, dtype=np.int64)[:, None]
        case Grouped(groups):
            block_in, block_out = n_in // groups, n_out // groups
            index = (o // block_out) * block_in + np.arange(block_in)
        case Full():
            index = np.broadcast_to(np.arange(n_in), (n_out, n_in))
    index = np.where((index >= 0) & (index < n_in), index, -1)
    return index, np.where(index >= 0, 1.0, 0.0)


def _pad(index: Indices, mode: str, n_in: int) -> tuple[Indices, Floats]:
    if mode == "reflect":
        period = max(2 * (n_in - 1), 1)
        folded = index % period
        index = np.where(folded < n_in, folded, period - folded)
    elif mode == "replicate":
        index = np.clip(index, 0, n_in - 1)
    elif mode == "circular":
        index = index % n_in
    index = np.where((index >= 0) & (index < n_in), index, -1)
    return index, np.where(index >= 0, 1.0, 0.0)


def _resize(geometry: Resize, n_in: int, n_out: int) -> tuple[Indices, Floats]:
    """Taps as in ATen/native/UpSample.h.

    Where the exact position falls on a sample, rounding may leave a weight of 1e-16 on its neighbour, in
    float32 and float64 on different ones. Such a weight carries no picture: it counts as zero, as in exact
    arithmetic. Nearest neighbours are picked in float32, as torch does for every type of tensor.
    """
    o = np.arange(n_out, dtype=np.float64)
    if geometry.mode in ("nearest", "nearest-exact"):
        step = np.float32(1.0 / geometry.scale) if geometry.scale else np.float32(n_in) / np.float32(n_out)
        half = np.float32(0.0 if geometry.mode == "nearest" else 0.5)
        picked = np.floor((o.astype(np.float32) + half) * step).astype(np.int64)
        index = np.minimum(picked, n_in - 1)[:, None]
        return index, np.ones(index.shape)
    if geometry.align_corners:
        source = o * ((n_in - 1) / (n_out - 1) if n_out > 1 else 0.0)
    else:
        same = geometry.mode == "linear" and n_in == n_out  # torch copies then, whatever the scale
        ratio = 1.0 / geometry.scale if geometry.scale and not same else n_in / n_out
        source = ratio * (o + 0.5) - 0.5
    whole = np.round(source)
    source = np.where(np.abs(source - whole) < NOISE, whole, source)
    if geometry.mode == "linear":
        source = np.maximum(source, 0.0)
        low = np.minimum(np.floor(source), n_in - 1).astype(np.int64)
        high = np.minimum(low + 1, n_in - 1)
        part = np.clip(source - low, 0.0, 1.0)
        index = np.stack([low, high], 1)
        weight = np.stack([1.0 - part, part], 1)
        weight[:, 0] = np.where(low == high, 1.0, weight[:, 0])
        weight[:, 1] = np.where(low == high, 0.0, weight[:, 1])
        return index, weight
    low = np.floor(source).astype(np.int64)
    part = source - low
    index = np.clip(low[:, None] + np.arange(-1, 3), 0, n_in - 1)
    return index, _cubic(part)


def _cubic(t: Floats) -> Floats:
    """Cubic convolution weights with a = -0.75 (torch's bicubic), (n, 4)."""
    a = -0.75

    def near(x: Floats) -> Floats:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Floats) -> Floats:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return np.stack([far(t + 1), near(t), near(1 - t), far(2 - t)], 1)
