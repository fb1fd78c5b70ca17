"""Tap matrices: what each output position along one dimension reads, and with what weight.

Every geometry is, along its dimension, a sparse matrix A of shape (n_out, n_in), one row an output position.
Two forms of it, both cached by geometry and sizes:

* `reads`  - (n_out, k) input indices, -1 where a row has fewer than k taps; for the box walk;
* `matrix` - the weighted matrix, as `Taps`; for supports (its pattern) and the effective field (its weights).

Windows have weight 1 a tap (what a convolution or a pooling does with it is the analysis' business);
resizes have their interpolation weights, adaptive pools and means 1/n.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import prod
from typing import Any

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
def matrix(geometry: Geometry, n_in: int, n_out: int) -> Taps:
    """The (n_out, n_in) tap matrix with its weights. Duplicate taps (clamped borders) are summed."""
    if isinstance(geometry, Full):
        rows, cols = np.divmod(np.arange(n_out * n_in), n_in)
        return Taps((n_out, n_in), rows, cols, np.full(n_out * n_in, 1.0 / n_in))
    index, weight = _taps(geometry, n_in, n_out)
    rows, slots = np.nonzero((index >= 0) & (weight != 0))
    return Taps.summed((n_out, n_in), rows, index[rows, slots], weight[rows, slots], _move(geometry))


@lru_cache(maxsize=1024)
def pattern(geometry: Geometry, n_in: int, n_out: int) -> Taps:
    """The same matrix with every read tap set to 1."""
    index = reads(geometry, n_in, n_out)
    rows, slots = np.nonzero(index >= 0)
    hits = np.ones(len(rows))
    return Taps.summed((n_out, n_in), rows, index[rows, slots], hits, _move(geometry)).ones()


def _move(geometry: Geometry) -> tuple[int, int] | None:
    """By how much (output, input) move on from one use of a tap to the next, where that is regular."""
    match geometry:
        case Window(stride=stride):
            return 1, stride
        case TransposedWindow(stride=stride):
            return stride, 1
        case Slice(step=step) if step > 0:
            return 1, step
        case Pad(mode="constant") | Roll():
            return 1, 1
    return None


class Taps:
    """A sparse matrix along one dimension, and how it goes over a map.

    Windows are regular: each of their taps is a slice of the input that lands on a slice of the output, and
    goes over as that. Anything else is small and goes over as a dense matrix, or large, and then as scipy's.

    Attributes:
        shape: (n_out, n_in).
        rows, cols, data: Output index, input index and weight of each entry, by row and then by column.
        move: By how much (row, column) move on from one use of a tap to the next; None: not regular.
    """

    MOST_RUNS = 24
    SMALL = 2**18
    """Entries of a matrix up to which dense is as good as sparse."""
    WIDE = 2**14
    """Entries of a map up to which looking for its empty borders costs more than it saves."""

    def __init__(
        self,
        shape: tuple[int, int],
        rows: Indices,
        cols: Indices,
        data: Floats,
        move: tuple[int, int] | None = None,
    ) -> None:
        self.shape, self.rows, self.cols, self.data, self.move = shape, rows, cols, data, move

    @classmethod
    def summed(
        cls,
        shape: tuple[int, int],
        rows: Indices,
        cols: Indices,
        data: Floats,
        move: tuple[int, int] | None,
    ) -> Taps:
        """Of entries in any order, of which those at one place add up."""
        key = rows * shape[1] + cols
        order = np.argsort(key, kind="stable")
        key, first = np.unique(key[order], return_index=True)
        added = np.add.reduceat(data[order], first) if len(key) else data
        return cls(shape, key // shape[1], key % shape[1], added, move)

    # -------------------------------------------------------------- as numbers

    def sum(self) -> float:
        return float(self.data.sum())

    @property
    def squares(self) -> float:
        """The sum of the squared weights."""
        return float((self.data * self.data).sum())

    @cached_property
    def row_sums(self) -> Floats:
        """(n_out,): what each output's weights add up to."""
        return np.asarray(np.bincount(self.rows, self.data, minlength=self.shape[0]), float)

    @cached_property
    def by_row(self) -> tuple[Indices, Floats]:
        """(n_out, k) columns and weights; absent entries have weight 0."""
        counts = np.bincount(self.rows, minlength=self.shape[0])
        slots = np.arange(len(self.rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        index = np.zeros((self.shape[0], int(counts.max(initial=1))), np.int64)
        weight = np.zeros(index.shape)
        index[self.rows, slots], weight[self.rows, slots] = self.cols, self.data
        return index, weight

    @cached_property
    def dense(self) -> Floats:
        """(n_out, n_in), with its zeros."""
        out = np.zeros(self.shape)
        out[self.rows, self.cols] = self.data
        return out

    # -------------------------------------------------------------- others made of it

    def _with(self, data: Floats) -> Taps:
        return Taps(self.shape, self.rows, self.cols, data, self.move)

    def times(self, factor: float) -> Taps:
        return self._with(self.data * factor)

    def weighted(self, outputs: Floats) -> Taps:
        """Each output times a factor of its own."""
        return self._with(outputs[self.rows] * self.data)

    def squared(self) -> Taps:
        """Each weight squared."""
        return self._with(self.data * self.data)

    def ones(self) -> Taps:
        """The same taps with weight 1."""
        return self._with(np.ones(len(self.data)))

    def where(self, keep: NDArray[np.bool_]) -> Taps:
        """Some of its entries."""
        return Taps(self.shape, self.rows[keep], self.cols[keep], self.data[keep], self.move)

    def common(self, other: Taps) -> Taps:
        """Products of the weights where both have entries."""
        width = self.shape[1]
        _, own, others = np.intersect1d(
            self.rows * width + self.cols, other.rows * width + other.cols, True, return_indices=True
        )
        kept = self.where(own)
        return kept._with(kept.data * other.data[others])

    def shifted(self, rows: int, cols: int) -> Taps:
        """The matrix of a[o + rows, i + cols]; zero outside."""
        if rows == 0 and cols == 0:
            return self
        o, i = self.rows - rows, self.cols - cols
        keep = (o >= 0) & (o < self.shape[0]) & (i >= 0) & (i < self.shape[1])
        return Taps(self.shape, o[keep], i[keep], self.data[keep], self.move)

    # -------------------------------------------------------------- over a map

    def apply(self, values: Floats, dim: int) -> Floats:
        """The matrix times a map along a dimension of n_in: one of n_out."""
        return self._over(values, dim, 0)

    def apply_transposed(self, values: Floats, dim: int) -> Floats:
        """Its transpose times a map along a dimension of n_out: one of n_in."""
        return self._over(values, dim, 1)

    @cached_property
    def _runs(self) -> list[tuple[tuple[int, int], int, Floats | None]] | None:
        """((first row, first column), length, weights where they are not 1) of what is regular, so that each
        row's columns come in order; None where it goes over as a matrix."""
        if self.move is None:
            return None
        down, right = self.move
        tap = self.cols * down - self.rows * right
        order = np.argsort(tap, kind="stable")
        breaks = np.flatnonzero((np.diff(tap[order]) != 0) | (np.diff(self.rows[order]) != down)) + 1
        if len(breaks) >= self.MOST_RUNS and prod(self.shape) <= self.SMALL:
            return None
        out: list[tuple[tuple[int, int], int, Floats | None]] = []
        for part in np.split(order, breaks) if len(order) else []:
            weights = self.data[part]
            start = int(self.rows[part[0]]), int(self.cols[part[0]])
            out.append((start, len(part), None if (weights == 1).all() else weights[:, None]))
        return out

    def _over(self, values: Floats, dim: int, to: int) -> Floats:
        before, after = values.shape[:dim], values.shape[dim + 1 :]
        flat = values.reshape(prod(before), values.shape[dim], prod(after))
        size = self.shape[to]
        if self._runs is None:
            return self._as_matrix(flat, to).reshape(*before, size, *after)
        out = np.zeros((flat.shape[0], size, flat.shape[2]))
        box = _lit(flat) if flat.size > self.WIDE else tuple((0, n) for n in flat.shape)
        (top, bottom), (low, high), (left, right) = box
        take, give = flat[top:bottom, :, left:right], out[top:bottom, :, left:right]
        assert self.move is not None
        strides = self.move
        for start, length, weights in self._runs if to == 0 else reversed(self._runs):
            first = max(0, -((start[1 - to] - low) // strides[1 - to]))
            last = min(length, (high - 1 - start[1 - to]) // strides[1 - to] + 1)
            if first < last:
                goes, comes = (
                    slice(start[k] + first * strides[k], start[k] + (last - 1) * strides[k] + 1, strides[k])
                    for k in (to, 1 - to)
                )
                part = take[:, comes]
                give[:, goes] += part if weights is None else part * weights[first:last]
        return out.reshape(*before, size, *after)

    def _as_matrix(self, flat: Floats, to: int) -> Floats:
        if prod(self.shape) <= self.SMALL:
            a = self.dense if to == 0 else self.dense.T
            if flat.shape[2] == 1:
                return np.asarray(flat[:, :, 0] @ a.T)
            return np.asarray(a @ flat)
        from scipy import sparse  # seldom needed, and slow to import

        whole = sparse.csr_array((self.data, (self.rows, self.cols)), shape=self.shape)
        moved = np.moveaxis(flat, 1, 0)
        out = (whole if to == 0 else whole.T) @ moved.reshape(len(moved), -1)
        return np.ascontiguousarray(np.moveaxis(out.reshape(-1, *moved.shape[1:]), 0, 1))


def _lit(flat: Floats) -> tuple[tuple[int, int], ...]:
    """The smallest box that holds all that is not 0, as (first, one past the last) a dimension."""
    ends = (flat[0], flat[-1], flat[:, 0], flat[:, -1], flat[:, :, 0], flat[:, :, -1])
    if all(end.any() for end in ends):  # a map that is lit all over: nothing to look for
        return tuple((0, n) for n in flat.shape)
    sides: NDArray[np.bool_] = np.any(flat, axis=1)
    outer, inner = _range(sides, 1), _range(sides, 0)
    return outer, _range(flat[outer[0] : outer[1], :, inner[0] : inner[1]], (0, 2)), inner


def _range(values: NDArray[Any], axes: int | tuple[int, ...]) -> tuple[int, int]:
    found = np.flatnonzero(np.any(values, axis=axes))
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 0)


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
