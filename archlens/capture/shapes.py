"""Shape rules of our own for the commonest operators: an empty meta tensor instead of torch's meta kernel.

The kernels are right but dear (argument checks in Python, decompositions, imports on first use); a rule is
a few integer operations. Any operator without a rule goes to its meta kernel; a test holds every rule
against it, strides included.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, zip_longest
from typing import Any

import torch

from archlens.capture.call import pair

Tensors = "torch.Tensor | tuple[torch.Tensor, ...]"
ShapeRule = Callable[[tuple[Any, ...]], "torch.Tensor | tuple[torch.Tensor, ...] | None"]


def _new(shape: list[int] | tuple[int, ...], like: torch.Tensor, spatial: bool = True) -> torch.Tensor:
    """An empty tensor; feature maps keep the memory format of the tensor they are made from."""
    last = torch.channels_last
    channels_last = spatial and len(shape) == 4 and like.ndim == 4 and like.is_contiguous(memory_format=last)
    if channels_last and not like.is_contiguous():
        return torch.empty(shape, device="meta", dtype=like.dtype, memory_format=last)
    return torch.empty(shape, device="meta", dtype=like.dtype)


def _same(x: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """As `torch.empty_like`, whose kernel is Python and imports sympy: dense tensors keep their strides."""
    if x.is_contiguous():
        return torch.empty(x.shape, device="meta", dtype=dtype or x.dtype)
    order = sorted(range(x.ndim), key=lambda d: (x.stride(d), x.shape[d]))
    dense = 1
    for d in order:
        if x.shape[d] > 1 and x.stride(d) != dense:
            return torch.empty_like(x, device="meta", dtype=dtype)
        dense *= x.shape[d]
    return torch.empty_strided(x.shape, x.stride(), device="meta", dtype=dtype or x.dtype)


def _window(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    reach = n + 2 * padding - dilation * (kernel - 1) - 1
    out = (-(-reach // stride) if ceil_mode else reach // stride) + 1
    if ceil_mode and (out - 1) * stride >= n + padding:
        out -= 1  # the last window would start in the padding
    return out


def convolution(args: tuple[Any, ...]) -> torch.Tensor | None:
    """(N, C, *spatial), plain or transposed. Illegal shapes go to the kernel for its error message."""
    x, weight, groups, transposed = args[0], args[1], args[8], args[6]
    n = weight.ndim - 2
    if x.ndim != n + 2 or x.dtype != weight.dtype:
        return None
    if x.shape[1] != (weight.shape[0] if transposed else weight.shape[1] * groups):
        return None
    stride, padding, dilation, extra = (pair(args[i], n) for i in (3, 4, 5, 7))
    kernel = weight.shape[2:]
    if transposed:
        channels = weight.shape[1] * groups
        spatial = [
            (x.shape[2 + a] - 1) * stride[a] - 2 * padding[a] + dilation[a] * (kernel[a] - 1) + extra[a] + 1
            for a in range(n)
        ]
    else:
        channels = weight.shape[0]
        spatial = [
            _window(x.shape[2 + a], kernel[a], stride[a], padding[a], dilation[a], False) for a in range(n)
        ]
    if min(spatial) < 1:
        return None
    return _new([x.shape[0], channels, *spatial], x)


def batch_norm(args: tuple[Any, ...]) -> tuple[torch.Tensor, ...]:
    """The normalised map; saved statistics are empty in evaluation mode."""
    x, taken = args[0], len(args) == 8 and (bool(args[5]) or args[3] is None)  # native_batch_norm's training
    mean, deviation = (
        torch.empty(x.shape[1] if taken else 0, device="meta", dtype=x.dtype) for _ in range(2)
    )
    return _same(x), mean, deviation


def _pool(args: tuple[Any, ...], dilated: bool, n: int = 2) -> torch.Tensor | None:
    x = args[0]
    if x.ndim != n + 2 or not x.is_floating_point():
        return None
    kernel = pair(args[1], n)
    stride = pair(args[2], n, kernel)
    padding = pair(args[3], n, (0,))
    dilation = pair(args[4], n, (1,)) if dilated else (1,) * n
    ceil_mode = bool(args[5] if dilated else args[4])
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        return None
    spatial = [
        _window(x.shape[2 + a], kernel[a], stride[a], padding[a], dilation[a], ceil_mode) for a in range(n)
    ]
    if min(spatial) < 1:
        return None
    return _new([*x.shape[:2], *spatial], x)


def max_pool2d(args: tuple[Any, ...]) -> tuple[torch.Tensor, ...] | None:
    """Values and indices."""
    out = _pool(args, dilated=True)
    return None if out is None else (out, _same(out, torch.int64))


def avg_pool2d(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Average pooling."""
    return _pool(args, dilated=False)


def avg_pool3d(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Average pooling of volumes; local response normalisation pools channels this way."""
    return _pool(args, dilated=False, n=3) if args[0].is_contiguous() else None


def reflection_pad2d(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Reflected or replicated margins; negative ones crop, and go to the kernel."""
    x, (left, right, top, bottom) = args[0], args[1]
    if x.ndim != 4 or not x.is_contiguous() or min(left, right, top, bottom) < 0:
        return None
    if max(left, right) >= x.shape[3] or max(top, bottom) >= x.shape[2]:
        return None
    return _new([*x.shape[:2], x.shape[2] + top + bottom, x.shape[3] + left + right], x)


def unary(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Activations: shape, strides and type stay."""
    return _same(args[0]) if args[0].is_floating_point() else None


def binary(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Arithmetic between tensors whose dimensions are in one order in memory, or with a number."""
    x, y = args[0], args[1]
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        return None
    if isinstance(y, torch.Tensor):
        if y.dtype != x.dtype:
            return None
        if y.shape != x.shape or y.stride() != x.stride():
            if not (_row_major(x) and _row_major(y)):
                return None
            shape = _broadcast(x.shape, y.shape)
            return None if shape is None else torch.empty(shape, device="meta", dtype=x.dtype)
    elif isinstance(y, complex):
        return None
    return _same(x)


def _broadcast(a: torch.Size, b: torch.Size) -> list[int] | None:
    """As `torch.broadcast_shapes`, which imports sympy; None where they don't fit, for the kernel to say."""
    shape = []
    for m, n in zip_longest(reversed(a), reversed(b), fillvalue=1):
        if m != n and 1 not in (m, n):
            return None
        shape.append(n if m == 1 else m)
    return shape[::-1]


def _row_major(x: torch.Tensor) -> bool:
    """Whether the dimensions come in their own order in memory, with or without gaps (a crop of a map)."""
    strides = [s for s, n in zip(x.stride(), x.shape, strict=True) if n != 1]
    return all(a >= b for a, b in pairwise(strides)) and 0 not in strides


def cat(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Concatenation of maps of one type and memory format."""
    pieces, dim = args[0], args[1]
    first = pieces[0]
    if any(p.ndim != first.ndim or p.dtype != first.dtype or not p.is_contiguous() for p in pieces):
        return None
    shape = list(first.shape)
    dim %= first.ndim
    for p in pieces[1:]:
        if any(a != b for d, (a, b) in enumerate(zip(p.shape, shape, strict=True)) if d != dim):
            return None
    shape[dim] = sum(p.shape[dim] for p in pieces)
    return torch.empty(shape, device="meta", dtype=first.dtype)


def adaptive_pool2d(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Adaptive average pooling to a given size."""
    x, size = args[0], args[1]
    if x.ndim != 4 or min(x.shape) < 1 or min(size) < 1:
        return None
    return _new([*x.shape[:2], *size], x)


def upsample2d(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Interpolation to a given size."""
    x, size = args[0], args[1]
    if x.ndim != 4 or size is None or min(size) < 1 or min(x.shape[2:]) < 1:
        return None
    return _new([*x.shape[:2], *size], x)


def mean(args: tuple[Any, ...]) -> torch.Tensor | None:
    """Mean over the last two dimensions of a map, kept: global average pooling."""
    if len(args) < 4:  # the overload without dimensions
        return None
    x, dims, keep, dtype = args[0], args[1], args[2], args[3]
    if x.ndim != 4 or dims is None or sorted(d % 4 for d in dims) != [2, 3] or not keep or dtype is not None:
        return None
    return _new([*x.shape[:2], 1, 1], x)


def addmm(args: tuple[Any, ...]) -> torch.Tensor | None:
    """bias + a @ b."""
    bias, a, b = args[0], args[1], args[2]
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or bias.shape not in ((b.shape[1],),):
        return None
    return torch.empty((a.shape[0], b.shape[1]), device="meta", dtype=a.dtype)


SHAPES: dict[str, ShapeRule] = {
    "convolution": convolution,
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training"), batch_norm),
    "max_pool2d_with_indices": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "avg_pool3d": avg_pool3d,
    "reflection_pad2d": reflection_pad2d,
    "_adaptive_avg_pool2d": adaptive_pool2d,
    **dict.fromkeys(
        ("relu", "relu6", "hardtanh", "gelu", "silu", "sigmoid", "hardswish", "hardsigmoid"), unary
    ),
    **dict.fromkeys(("add", "sub", "mul", "div", "pow", "maximum", "minimum"), binary),
    "cat": cat,
    **dict.fromkeys(("upsample_bilinear2d", "upsample_nearest2d"), upsample2d),
    "mean": mean,
    "addmm": addmm,
}
