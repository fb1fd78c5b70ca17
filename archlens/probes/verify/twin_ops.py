"""What each ATen operator does in the linear positive twin of a network.

In the twin every operator is linear with non-negative weights and no bias: an output is non-zero exactly
where some positive input is among what the operator reads. Convolutions have equal weights, activations are
the identity, max pools are sums, gates and products are sums of their factors, softmax and normalisations are
the value plus the mean of what they look at. Nothing here is taken from `archlens.capture`: it is a referee.

Operators that only move data, and those that are linear with positive weights as they are, run themselves.
An operator that is not listed is not played: what depends on it is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod, sqrt
from typing import Any

import torch
from torch import Tensor

CUT = -50.0  # a constant added to scores that is this low counts as a cut
Op = Callable[..., Any]


class Constant:
    """An argument that does not depend on the input. `value` is None where it has no values (parameters)."""

    def __init__(self, tensor: Tensor, device: torch.device) -> None:
        self.shape = tuple(tensor.shape)
        self.value = None if tensor.is_meta else tensor.to(device)


class NotPlayed(Exception):
    """The twin has no rule for a call."""


def ints(value: Any, n: int, default: Any = 0) -> list[int]:
    """ATen's `int[n]` arguments."""
    values = [value] if isinstance(value, int) else list(value or [])
    values = values or ([default] if isinstance(default, int) else list(default))
    return [int(v) for v in (values * n if len(values) == 1 else values)]


def parts(args: Sequence[Any]) -> list[Tensor]:
    """The input-dependent tensors among arguments."""
    return [a for a in args if isinstance(a, Tensor)]


# ------------------------------------------------------------------ the rules: (args, shape of the result)


def convolution(args: Sequence[Any], shape: Sequence[int]) -> Any:
    """Equal weights: the mean over a group's channels, one window of ones, the same for all its outputs.

    Divided by the root of the taps: a chain of a hundred neither overflows in its middle nor vanishes at its
    edges. A kernel or bias that depends on the image is read whole by every result of its channel.
    """
    x, weight, transposed, groups = args[0], args[1], bool(args[6]), int(args[8])
    if isinstance(weight, Tensor) or isinstance(args[2], Tensor):
        return _dynamic(args, shape)
    if not isinstance(x, Tensor):
        raise NotPlayed
    kernel = tuple(weight.shape[2:])
    if x.ndim == len(kernel) + 1:  # no batch
        return convolution([x[None], *args[1:]], (1, *shape))[0]
    mean = x.reshape(x.shape[0], groups, -1, *x.shape[2:]).mean(2)
    ones = torch.ones((groups, 1, *kernel), dtype=x.dtype) / sqrt(prod(kernel))
    out = torch.ops.aten.convolution(mean, ones, None, *args[3:6], transposed, args[7], groups)
    each = shape[1] // groups
    return out.unsqueeze(2).expand(-1, -1, each, *out.shape[2:]).reshape(tuple(shape))


def _dynamic(args: Sequence[Any], shape: Sequence[int]) -> Any:
    x, weight, bias, transposed, groups = args[0], args[1], args[2], bool(args[6]), int(args[8])
    if transposed and groups > 1:
        raise NotPlayed
    still = Constant(weight, weight.device) if isinstance(weight, Tensor) else weight
    out = torch.zeros(tuple(shape), dtype=torch.float64)
    if isinstance(x, Tensor):
        out = out + convolution([x, still, None, *args[3:]], shape)
    line = [-1, *[1] * (len(weight.shape) - 2)]
    if isinstance(weight, Tensor):
        own = 1 if transposed else 0
        out = out + weight.mean([d for d in range(weight.ndim) if d != own]).reshape(line)
    return out + bias.reshape(line) if isinstance(bias, Tensor) else out


def max_pool(n: int) -> Op:
    """The sum over the same windows: a convolution of ones, whatever the rounding mode made of the size."""

    def rule(args: Sequence[Any], shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        kernel = ints(args[1], n)
        stride, padding, dilation = ints(args[2], n, kernel), ints(args[3], n), ints(args[4], n, 1)
        out = _windows(args[0], kernel, stride, padding, dilation, shape)
        return out, out.clone()  # where the maximum lies depends on the same pixels

    return rule


def _windows(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, shape: Sequence[int]) -> Any:
    n = len(kernel)
    flat = x.reshape(-1, 1, *x.shape[-n:])
    amounts: list[int] = []
    for a in reversed(range(n)):
        span = (shape[len(shape) - n + a] - 1) * stride[a] + dilation[a] * (kernel[a] - 1) + 1
        amounts += [padding[a], span - flat.shape[2 + a] - padding[a]]
    flat = torch.ops.aten.constant_pad_nd(flat, amounts, 0.0)
    weight = torch.ones((1, 1, *kernel), dtype=x.dtype) / sqrt(prod(kernel))
    out = torch.ops.aten.convolution(flat, weight, None, stride, [0] * n, dilation, False, [0] * n, 1)
    return out.reshape(tuple(shape))


def avg_pool(n: int) -> Op:
    """Averages by torch itself, on a copy: its gradient needs the input unchanged."""
    op = {1: torch.ops.aten.avg_pool1d, 2: torch.ops.aten.avg_pool2d, 3: torch.ops.aten.avg_pool3d}[n]
    return lambda args, _: op(args[0].clone(), *args[1:])


def adaptive(args: Sequence[Any], _: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Bins of torch's own adaptive average, also for the maximum."""
    x, size = args[0].clone(), ints(args[1], 1)
    call = {1: torch.adaptive_avg_pool1d, 2: torch._C._nn.adaptive_avg_pool2d}.get(
        len(size), torch._C._nn.adaptive_avg_pool3d
    )
    out = call(x, size)
    return out, out.clone()


def interpolation(args: Sequence[Any], shape: Sequence[int], name: str, vec: bool) -> Any:
    """Linear and cubic interpolation by the absolute values of torch's own weights, one axis after the other.

    Weights that exact arithmetic would call zero and rounding does not (1e-16) are dropped.
    """
    x, align = args[0], bool(args[2])
    n = x.ndim - 2
    scales = list(args[3] or [None] * n) if vec else list(args[3 : 3 + n])
    op = getattr(torch.ops.aten, name).default
    for axis, scale in enumerate(scales):
        before, after = x.shape[2 + axis], shape[2 + axis]
        line = [1] * n
        line[axis] = before
        eye = torch.eye(before, dtype=x.dtype).reshape(before, 1, *line)
        line[axis] = after
        along = [None] * n
        along[axis] = scale
        matrix = op(eye, line, align, *along).reshape(before, after).abs()
        matrix = torch.where(matrix < 1e-9, 0.0, matrix)
        x = torch.tensordot(x, matrix, ([2 + axis], [0])).movedim(-1, 2 + axis)
    return x


def pad(args: Sequence[Any], _: Sequence[int]) -> Any:
    """constant_pad_nd: whatever the constant, it carries no picture."""
    return torch.ops.aten.constant_pad_nd(args[0], args[1], 0.0)


def identity(args: Sequence[Any], _: Sequence[int]) -> Any:
    """Activations, casts, dropout."""
    x = args[0]
    return x.clone(), torch.zeros(0), torch.zeros(0)


def total(args: Sequence[Any], shape: Sequence[int]) -> Tensor:
    """Anything elementwise of several operands: the sum of the dependent ones. Constants carry no picture."""
    out = torch.zeros(tuple(shape), dtype=torch.float64)
    for x in parts(args):
        out = out + x
    return out


def product(args: Sequence[Any], shape: Sequence[int]) -> Tensor:
    """A product, too: each factor modulates the other. A constant factor of zero cuts."""
    out = total(args, shape)
    for a in args[:2]:
        if isinstance(a, Constant) and a.value is not None:
            out = out * (a.value != 0)
    return out


def chosen(args: Sequence[Any], shape: Sequence[int]) -> Tensor:
    """where(condition, a, b): a constant condition picks; a dependent one is seen as well."""
    condition, a, b = args[0], args[1], args[2]
    if isinstance(condition, Tensor):
        return total(args, shape)
    if condition.value is None:
        raise NotPlayed
    keep, out = condition.value, torch.zeros(tuple(shape), dtype=torch.float64)
    for x, mask in ((a, keep), (b, ~keep)):
        if isinstance(x, Tensor):
            out = out + x * mask
    return out


def filled(args: Sequence[Any], shape: Sequence[int]) -> Tensor:
    """masked_fill(x, mask, constant)."""
    if isinstance(args[1], Tensor):
        return total(args, shape)
    if args[1].value is None:
        raise NotPlayed
    return total([args[0] * ~args[1].value.bool(), *args[2:]], shape)


def layer_norm(args: Sequence[Any], _: Sequence[int]) -> tuple[Tensor, ...]:
    """The value and the mean over the last dimensions."""
    x = args[0]
    dims = list(range(x.ndim - len(args[1]), x.ndim))
    return x + x.mean(dims, keepdim=True), torch.zeros(0), torch.zeros(0)


def group_norm(args: Sequence[Any], _: Sequence[int]) -> tuple[Tensor, ...]:
    """The value and the mean over its group's channels and all positions."""
    x, groups = args[0], int(args[6])
    inner = x.reshape(x.shape[0], groups, -1)
    return (inner + inner.mean(2, keepdim=True)).reshape(x.shape), torch.zeros(0), torch.zeros(0)


def matmul(args: Sequence[Any], shape: Sequence[int], keep: Tensor | None = None) -> Tensor:
    """(..., i, k) @ (..., k, j): each factor's mean over k; where `keep` (i, k) cuts, b's row is not read."""
    a, b = args[-2], args[-1]
    out = torch.zeros(tuple(shape), dtype=torch.float64)
    if isinstance(a, Tensor):
        out = out + a.mean(-1, keepdim=True)
    if isinstance(b, Tensor):
        read = b.mean(-2, keepdim=True) if keep is None else keep.to(b.dtype) @ b / b.shape[-2]
        out = out + read
    return out


def addmm(args: Sequence[Any], shape: Sequence[int]) -> Tensor:
    """c + a @ b."""
    return matmul(args[1:3], shape) + total(args[:1], shape)


def running(args: Sequence[Any], _: Sequence[int]) -> tuple[Tensor, Tensor]:
    """cumsum, cummax, ...: each position reads those up to itself."""
    out = args[0].cumsum(int(args[1]))
    return out, out.clone()


def glu(args: Sequence[Any], _: Sequence[int]) -> Tensor:
    """One half of a dimension gates the other."""
    a, b = args[0].chunk(2, int(args[1]))
    out: Tensor = a + b
    return out


def linear(args: Sequence[Any], shape: Sequence[int]) -> Tensor:
    """(..., k) @ (j, k)^T."""
    if isinstance(args[1], Tensor):
        raise NotPlayed
    x: Tensor = args[0].mean(-1, keepdim=True)
    return x.expand(tuple(shape)).clone()


def embedding(args: Sequence[Any], shape: Sequence[int]) -> Tensor:
    """A token looked up in a table: all features of its row."""
    if not isinstance(args[1], Tensor):
        raise NotPlayed
    return args[1][..., None].expand(tuple(shape)).clone()


def attention(args: Sequence[Any], shape: Sequence[int]) -> tuple[Tensor, ...]:
    """softmax(q k^T) v without a mask: every query reads all keys (all channels) and its values' channel."""
    q, k, v = args[:3]
    if any(isinstance(a, (Tensor, Constant)) for a in args[3:]) or any(a is True for a in args[3:5]):
        raise NotPlayed
    out = torch.zeros(tuple(shape), dtype=torch.float64)
    for x, dims in ((q, [-1]), (k, [-1, -2]), (v, [-2])):
        if isinstance(x, Tensor):
            out = out + x.mean(dims, keepdim=True)
    return (out, *(torch.zeros(0) for _ in range(8)))


def split(args: Sequence[Any], shapes: Sequence[Sequence[int]], name: str) -> tuple[Tensor, ...]:
    """split and unbind as slices: torch forbids writing into the former's results under autograd."""
    x = args[0]
    dim = int(args[1] if name == "unbind" else args[2]) % x.ndim
    out, start = [], 0
    for shape in shapes:
        size = 1 if name == "unbind" else shape[dim]
        piece = x.narrow(dim, start, size)
        out.append(piece.squeeze(dim) if name == "unbind" else piece)
        start += size
    return tuple(out)


# Linear, positive, or mere data movement: torch's own kernel is the twin.
SELF = {
    "view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "_reshape_alias", "view_as",
    "permute", "transpose", "t", "slice", "select", "expand", "repeat", "cat", "stack", "roll", "flip",
    "index_select", "index", "alias", "detach", "lift_fresh", "unfold", "diagonal", "movedim", "as_strided",
    "rot90", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
    "native_channel_shuffle", "im2col", "col2im", "upsample_nearest1d", "upsample_nearest2d",
    "upsample_nearest3d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
    "_upsample_nearest_exact3d",
}  # fmt: skip

SAME = {
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid", "tanh",
    "hardtanh", "hardswish", "hardsigmoid", "softplus", "log_sigmoid", "log_sigmoid_forward", "threshold",
    "softshrink", "hardshrink", "erf", "abs", "neg", "exp", "exp2", "expm1",
    "log", "log1p", "log2", "sqrt", "rsqrt", "sin", "cos", "square", "reciprocal", "floor", "ceil", "round",
    "sign", "trunc", "clone", "_to_copy", "isnan", "logical_not", "bitwise_not", "contiguous", "dropout",
    "native_dropout", "alpha_dropout",
}  # fmt: skip
TOTAL = {
    "add", "sub", "rsub", "maximum", "minimum", "pow", "lerp", "addcmul", "addcdiv", "_prelu_kernel",
    "atan2", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "bitwise_and", "bitwise_or",
    "remainder", "fmod", "clamp", "clamp_min", "clamp_max", "copysign",
}  # fmt: skip

OPS: dict[str, Op] = {
    "convolution": convolution,
    "max_pool2d_with_indices": max_pool(2),
    "max_pool3d_with_indices": max_pool(3),
    "avg_pool1d": avg_pool(1),
    "avg_pool2d": avg_pool(2),
    "avg_pool3d": avg_pool(3),
    **dict.fromkeys(
        ("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d", "adaptive_max_pool2d",
         "adaptive_max_pool3d"), adaptive),
    **dict.fromkeys(SAME, identity),
    **dict.fromkeys(TOTAL, total),
    **dict.fromkeys(("mul", "div", "floor_divide"), product),
    "constant_pad_nd": pad,
    "glu": glu,
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"), running),
    "where": chosen,
    "masked_fill": filled,
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
    **dict.fromkeys(("mm", "bmm"), matmul),
    **dict.fromkeys(("addmm", "baddbmm"), addmm),
    "linear": linear,
    "embedding": embedding,
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_efficient_attention": attention,
}  # fmt: skip
