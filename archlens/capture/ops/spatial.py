"""Lowering rules: convolutions, pooling, interpolation, padding."""

from __future__ import annotations

from math import ceil
from typing import Literal, cast

import numpy as np
import torch

from archlens.capture.call import REWRITTEN, Call, Lowered, Rule, broadcast, numel, pair, per_channel
from archlens.graph import (
    AdaptivePool,
    Along,
    Edge,
    Full,
    Grouped,
    Pad,
    Reshape,
    Resize,
    Step,
    TransposedWindow,
    Window,
)

SOME_TAPS = "which taps of a computed kernel a unit uses is not told apart"
ZEROS = "a constant kernel has zeros that differ from channel to channel"
Ranges = tuple[tuple[int, int], ...]


def convolution(call: Call) -> Lowered:
    """aten::convolution: plain, grouped and transposed, in 1, 2 or 3 dimensions. (N, C, *spatial)

    Kernel and bias may depend on the input: the map is read through the window all the same, and each result
    reads the whole of what its kernel was made from.
    """
    x, weight, bias = call.tensor(0), call.tensor(1), call.given("bias")
    n = weight.ndim - 2
    stride, padding, dilation = (pair(call.given(k), n) for k in ("stride", "padding", "dilation"))
    transposed, groups = bool(call.given("transposed")), int(call.given("groups"))
    kernel = tuple(weight.shape[2:])
    out = call.shape
    mixed: list[Step] = []
    if not (groups == x.shape[1] == out[1]):  # depthwise: every channel reads itself
        mixed.append(Along(1, Full() if groups == 1 else Grouped(groups), out[1]))
    kind = TransposedWindow if transposed else Window
    blocks, bound = _taps_left(call, weight)
    edges: tuple[Edge, ...] = ()
    for block in blocks:
        windows = [
            kind(end - first, stride[a], padding[a] - first * dilation[a], dilation[a])
            for a, (first, end) in enumerate(block)
        ]
        edges += call.edge(x, *mixed, *(Along(2 + a, g, out[2 + a]) for a, g in enumerate(windows)))
    # Transposed convolutions are counted by input positions: each is multiplied into k taps.
    places = numel(x.shape[2:]) if transposed else numel(out[2:])
    macs = places * weight.shape[0] * weight.shape[1] * numel(kernel) * out[0]
    attrs: dict[str, object] = {
        "weight": list(weight.shape),
        "groups": groups,
        "bias": bias is not None,
        "transposed": transposed,
        "frozen": not weight.requires_grad,
    }
    op = f"conv_transpose{n}d" if transposed else f"conv{n}d"
    if not call.depends(weight) and not call.constants.is_learnt(weight):
        known = None if mixed or len(blocks) > 1 else _given_taps(call, weight, blocks[0])
        attrs |= {"name": f"{op} with constant weights"} if known is None else {"taps": known}
    if call.depends(weight) or call.depends(bias):
        op = f"dynamic_{op}"
        edges += call.edge(weight, *_whole_kernel(weight, transposed, groups, out), gate=True)
        edges += per_channel(call, bias)
        inside = not transposed and not any(padding)
        if call.depends(weight) and numel(kernel) > 1 and not inside:
            bound = SOME_TAPS
    return Lowered(op, edges, macs=macs, attrs=attrs, bound=bound)


def _given_taps(call: Call, weight: torch.Tensor, block: Ranges) -> list[list[float]] | None:
    """The weights of each axis of a kernel that is a constant, as for a blur: where all channels have the
    same, it is a product of one line an axis, and nothing is subtracted."""
    values = call.constants.fixed(weight)
    if values is None:
        return None
    each = values.detach().cpu().double().numpy().reshape(-1, *weight.shape[2:])
    kernel = each[0][tuple(slice(a, b) for a, b in block)]
    total, axes = float(kernel.sum()), range(kernel.ndim)
    if total <= 0 or kernel.min() < 0 or not np.allclose(each, each[:1], rtol=1e-5, atol=1e-9):
        return None
    lines = [kernel.sum(tuple(b for b in axes if b != a)) / total for a in axes]
    product = np.full(kernel.shape, total)
    for a, line in enumerate(lines):
        product *= line.reshape([-1 if b == a else 1 for b in axes])
    if not np.allclose(product, kernel, rtol=1e-4, atol=1e-6 * kernel.max()):
        return None
    lines[0] *= total
    return [line.tolist() for line in lines]


def _whole_kernel(
    weight: torch.Tensor, transposed: bool, groups: int, out: tuple[int, ...]
) -> tuple[Step, ...]:
    """A kernel of (out, in / groups, *k), or transposed (in, out / groups, *k): all of it that makes an
    output channel, to each of its positions."""
    shape = tuple(weight.shape)
    ones = tuple(1 for _ in shape[2:])
    taps = tuple(Along(d, Full(), 1) for d in range(2, len(shape)))
    apart = (Reshape((groups, shape[0] // groups, shape[1], *ones)),) if transposed else ()
    line = (1, out[1], *ones)
    return (*taps, *apart, Along(1, Full(), 1), Reshape(line), *broadcast(line, out))


def _taps_left(call: Call, weight: torch.Tensor) -> tuple[list[Ranges], str | None]:
    """The blocks of a kernel's taps that are not zero for good, (first, one past the last) an axis: one, but
    for masked kernels (PixelCNN's), whose rows differ. And why that is a bound, if it is."""
    kernel = tuple(weight.shape[2:])
    whole: list[Ranges] = [tuple((0, k) for k in kernel)]
    if call.depends(weight) or call.constants.is_parameter(weight):
        return whole, None
    pattern = call.constants.pattern(weight)
    if pattern is None:
        return whole, REWRITTEN
    kept = pattern.reshape(-1, *kernel).cpu()
    some = kept.any(0)
    bound = None if bool((kept == some).all()) else ZEROS
    if bool(some.all()) or not bool(some.any()):
        return whole, bound if bool(some.any()) else ZEROS
    blocks: list[Ranges] = []
    for k, line in enumerate(some.reshape(-1, kernel[-1]).numpy()):
        at = [(int(i), int(i) + 1) for i in np.unravel_index(k, kernel[:-1])] if kernel[:-1] else []
        ends = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
        blocks += [(*at, (int(a), int(b))) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    return blocks, bound


def _pool(op: str, n: int, dilated: bool) -> Rule:
    """aten::max_pool2d_with_indices (only the values are a node), aten::avg_pool2d, ...; local response
    normalisation runs avg_pool3d over channels."""

    def rule(call: Call) -> Lowered:
        x, out = call.tensor(0), call.shape
        first = x.ndim - n
        kernel = pair(call.given("kernel_size"), n)
        stride, padding = pair(call.given("stride", ()), n, kernel), pair(call.given("padding", ()), n, (0,))
        dilation = pair(call.given("dilation", ()), n, (1,))
        steps = [
            Along(first + a, Window(kernel[a], stride[a], padding[a], dilation[a]), out[first + a])
            for a in range(n)
        ]
        attrs: dict[str, object] = {"kernel": list(kernel)}
        if not dilated:
            attrs["count_include_pad"] = bool(call.given("count_include_pad", True))
            attrs["divisor"] = call.given("divisor_override")
        return Lowered(op, call.edge(x, *steps), elementwise=numel(out) * numel(kernel), attrs=attrs)

    return rule


def _adaptive(op: str) -> Rule:
    def rule(call: Call) -> Lowered:
        x, size = call.tensor(0), pair(call.given("output_size"), 1)
        first = x.ndim - len(size)
        steps, taps = [], 1
        for a, m in enumerate(size):
            n = x.shape[first + a]
            steps.append(Along(first + a, Full() if m == 1 else AdaptivePool(), m))
            taps *= sum(ceil((o + 1) * n / m) - (o * n) // m for o in range(m))
        work = taps * numel(x.shape[:first])
        return Lowered(op, call.edge(x, *steps), elementwise=work)

    return rule


def _resize(mode: Literal["nearest", "nearest-exact", "linear", "cubic"], n: int) -> Rule:
    taps = {"nearest": 1, "nearest-exact": 1, "linear": 2, "cubic": 4}[mode]

    def rule(call: Call) -> Lowered:
        x = call.tensor(0)
        align = bool(call.args[2]) if mode in ("linear", "cubic") else False
        scales = scale_factors(call, n, 3 if mode in ("linear", "cubic") else 2)
        out = call.shape
        if mode == "nearest" and n == 2:
            # Where the sizes say 1 or 2, torch's kernel for images takes that for the factor given.
            scales = [
                None if out[2 + a] in (x.shape[2 + a], 2 * x.shape[2 + a]) else scales[a] for a in range(n)
            ]
        steps = [Along(2 + a, Resize(mode, align, scales[a]), out[2 + a]) for a in range(n)]
        attrs = {"mode": mode, "align_corners": align}
        return Lowered("interpolate", call.edge(x, *steps), elementwise=numel(out) * taps**n, attrs=attrs)

    return rule


def scale_factors(call: Call, n: int, start: int) -> list[float | None]:
    """The scale factors given: one argument an axis, or one list (the `.vec` overloads)."""
    rest = call.args[start:]
    if len(rest) == 1 and isinstance(rest[0], (list, tuple)):
        return [cast("float | None", s) for s in rest[0]]
    given: list[float | None] = [None if s is None else float(s) for s in rest[:n]]
    return given + [None] * (n - len(given))


def _pad(mode: Literal["constant", "reflect", "replicate"]) -> Rule:
    """aten::constant_pad_nd, of which negative amounts crop; aten::reflection_pad2d, ..."""

    def rule(call: Call) -> Lowered:
        x, amounts = call.tensor(0), list(call.args[1])
        steps = []
        for k in range(len(amounts) // 2):
            dim = x.ndim - 1 - k
            if mode != "constant" or call.shape[dim] != x.shape[dim] or amounts[2 * k]:
                steps.append(Along(dim, Pad(amounts[2 * k], mode), call.shape[dim]))
        op = "crop" if mode == "constant" and all(a <= 0 for a in amounts) else "pad"
        return Lowered(op, call.edge(x, *steps), attrs={"mode": mode})

    return rule


def pixel_shuffle(call: Call) -> Lowered:
    """aten::pixel_shuffle: (N, C r^2, H, W) -> (N, C, H r, W r); each cell becomes r x r pixels."""
    r, out = int(call.args[1]), call.shape
    return Lowered(
        "pixel_shuffle",
        call.edge(
            call.tensor(0),
            Along(1, Grouped(out[1]), out[1]),
            Along(2, TransposedWindow(r, r), out[2]),
            Along(3, TransposedWindow(r, r), out[3]),
        ),
    )


def pixel_unshuffle(call: Call) -> Lowered:
    """aten::pixel_unshuffle: (N, C, H r, W r) -> (N, C r^2, H, W); each r x r block becomes a cell."""
    x, r, out = call.tensor(0), int(call.args[1]), call.shape
    return Lowered(
        "pixel_unshuffle",
        call.edge(
            x,
            Along(2, Window(r, r), out[2]),
            Along(3, Window(r, r), out[3]),
            Along(1, Grouped(x.shape[1]), out[1]),
        ),
    )


def im2col(call: Call) -> Lowered:
    """aten::im2col (unfold): (N, C, H, W) -> (N, C k^2, L), a column for each window."""
    x = call.tensor(0)
    kernel, dilation, padding, stride = (pair(call.args[i], 2) for i in (1, 2, 3, 4))
    cells = [
        (x.shape[2 + a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1
        for a in range(2)
    ]
    steps: list[Step] = [
        Along(2 + a, Window(kernel[a], stride[a], padding[a], dilation[a]), cells[a]) for a in range(2)
    ]
    steps.append(Along(1, Grouped(x.shape[1]), call.shape[1]))
    steps.append(Reshape(call.shape))
    return Lowered("unfold", call.edge(x, *steps))


def col2im(call: Call) -> Lowered:
    """aten::col2im (fold): (N, C k^2, L) -> (N, C, H, W), overlapping windows summed."""
    x, size = call.tensor(0), pair(call.args[1], 2)
    kernel, dilation, padding, stride = (pair(call.args[i], 2) for i in (2, 3, 4, 5))
    cells = [
        (size[a] + 2 * padding[a] - dilation[a] * (kernel[a] - 1) - 1) // stride[a] + 1 for a in range(2)
    ]
    channels = call.shape[1]
    steps: list[Step] = [Reshape((x.shape[0], x.shape[1], *cells)), Along(1, Grouped(channels), channels)]
    steps += [
        Along(2 + a, TransposedWindow(kernel[a], stride[a], padding[a], dilation[a]), size[a])
        for a in range(2)
    ]
    return Lowered("fold", call.edge(x, *steps), elementwise=numel(x.shape))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("convolution", "_convolution"), convolution),
    "max_pool2d_with_indices": _pool("max_pool2d", 2, dilated=True),
    "max_pool3d_with_indices": _pool("max_pool3d", 3, dilated=True),
    "avg_pool1d": _pool("avg_pool1d", 1, dilated=False),
    "avg_pool2d": _pool("avg_pool2d", 2, dilated=False),
    "avg_pool3d": _pool("avg_pool3d", 3, dilated=False),
    "_adaptive_avg_pool2d": _adaptive("adaptive_avg_pool2d"),
    "_adaptive_avg_pool3d": _adaptive("adaptive_avg_pool3d"),
    "adaptive_avg_pool1d": _adaptive("adaptive_avg_pool1d"),
    "adaptive_max_pool2d": _adaptive("adaptive_max_pool2d"),
    "adaptive_max_pool3d": _adaptive("adaptive_max_pool3d"),
    "upsample_nearest1d": _resize("nearest", 1),
    "upsample_nearest2d": _resize("nearest", 2),
    "upsample_nearest3d": _resize("nearest", 3),
    "_upsample_nearest_exact1d": _resize("nearest-exact", 1),
    "_upsample_nearest_exact2d": _resize("nearest-exact", 2),
    "_upsample_nearest_exact3d": _resize("nearest-exact", 3),
    "upsample_linear1d": _resize("linear", 1),
    "upsample_bilinear2d": _resize("linear", 2),
    "upsample_trilinear3d": _resize("linear", 3),
    "upsample_bicubic2d": _resize("cubic", 2),
    "constant_pad_nd": _pad("constant"),
    "reflection_pad1d": _pad("reflect"),
    "reflection_pad2d": _pad("reflect"),
    "reflection_pad3d": _pad("reflect"),
    "replication_pad1d": _pad("replicate"),
    "replication_pad2d": _pad("replicate"),
    "replication_pad3d": _pad("replicate"),
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "im2col": im2col,
    "col2im": col2im,
}
