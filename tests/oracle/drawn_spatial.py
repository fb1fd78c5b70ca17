"""Drawn steps that read along the axes: convolutions, pools, resizes, pads, folds."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from drawn_parts import Illegal, Made, Maker, Part
from torch import Tensor, nn


def conv(m: Maker, x: Tensor) -> Made:
    out = m.draw([1, 2, 4])
    groups = m.draw([1, 1, 2, x.shape[1]])
    mode = m.draw(["zeros", "zeros", "zeros", "reflect", "replicate", "circular"])
    if mode == "reflect" and m.n == 3:
        mode = "zeros"
    given: dict[str, Any] = {
        "kernel_size": m.ints(1, 2, 3, 4, 5), "stride": m.ints(1, 1, 2, 3), "dilation": m.ints(1, 1, 2, 3),
        "padding": m.ints(0, 1, 2, 3), "groups": groups, "padding_mode": mode,
    }  # fmt: skip
    if m.draw([False, False, False, True]):
        given |= {"padding": "same", "stride": 1}
    if x.shape[1] % groups:
        raise Illegal
    return m.module(m.op("Conv")(x.shape[1], out * groups, **given)), given


def transposed(m: Maker, x: Tensor) -> Made:
    groups = m.draw([1, 1, 2, x.shape[1]])
    if x.shape[1] % groups:
        raise Illegal
    given = {
        "kernel_size": m.ints(1, 2, 3, 4), "stride": m.ints(1, 2, 3), "padding": m.ints(0, 1, 2),
        "output_padding": m.ints(0, 0, 1), "dilation": m.ints(1, 1, 2), "groups": groups,
    }  # fmt: skip
    return m.module(m.op("ConvTranspose")(x.shape[1], m.draw([1, 2]) * groups, **given)), given


def max_pool(m: Maker, x: Tensor) -> Made:
    given = {
        "kernel_size": m.ints(1, 2, 3, 4), "stride": m.ints(1, 2, 3), "padding": m.ints(0, 0, 1, 2),
        "dilation": m.ints(1, 1, 2), "ceil_mode": m.draw([False, True]),
    }  # fmt: skip
    return m.module(m.op("MaxPool")(**given)), given


def avg_pool(m: Maker, x: Tensor) -> Made:
    given = {
        "kernel_size": m.ints(1, 2, 3, 4), "stride": m.ints(1, 2, 3), "padding": m.ints(0, 0, 1, 2),
        "ceil_mode": m.draw([False, True]), "count_include_pad": m.draw([False, True]),
    }  # fmt: skip
    return m.module(m.op("AvgPool")(**given)), given


def adaptive(m: Maker, x: Tensor) -> Made:
    size = m.ints(1, 2, 3, 4, 5, 7)
    return m.module(m.op(m.draw(["AdaptiveAvgPool", "AdaptiveMaxPool"]))(size)), size


def interpolate(m: Maker, x: Tensor) -> Made:
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[m.n]
    modes = ["nearest", "nearest-exact", linear, linear, "area"] + (["bicubic"] if m.n == 2 else [])
    given: dict[str, Any] = {"mode": m.draw(modes)}
    if given["mode"] in (linear, "bicubic"):
        given["align_corners"] = m.draw([False, True])
    if m.draw([False, True]):
        given["size"] = m.ints(1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 16)
    else:
        given["scale_factor"] = tuple(m.draw([2.0, 0.5, 1.5, 3.0, 0.7, 1.3, 2.4, 0.35]) for _ in range(m.n))
        if given["mode"] != "area":
            given["recompute_scale_factor"] = m.draw([None, None, True])
    return lambda v: F.interpolate(v, **given), given


def crop(m: Maker, x: Tensor) -> Made:
    cuts = tuple(
        slice(m.draw([0, 1, 2, -5, -4]), m.draw([None, None, -1, -2, 6]), m.draw([1, 1, 2, 3]))
        for _ in range(m.n)
    )
    return lambda v: v[(slice(None), slice(None), *cuts)], cuts


def pad(m: Maker, x: Tensor) -> Made:
    mode = m.draw(["constant", "reflect", "replicate", "circular"])
    options = [0, 1, 2, 3] + ([-1, -2] if mode == "constant" else [])
    amounts = tuple(m.draw(options) for _ in range(2 * m.n))
    return lambda v: F.pad(v, amounts, mode=mode), (mode, amounts)


def roll(m: Maker, x: Tensor) -> Made:
    shifts = m.ints(-3, -1, 0, 1, 2, 5)
    dims = tuple(range(2, 2 + m.n))
    return lambda v: torch.roll(v, shifts, dims), shifts


def flip(m: Maker, x: Tensor) -> Made:
    dims = tuple(d for d in range(1, 2 + m.n) if m.draw([False, True]))
    return lambda v: torch.flip(v, dims), dims


def pixel_shuffle(m: Maker, x: Tensor) -> Made:
    r = m.draw([2, 3])
    if m.n != 2:
        raise Illegal
    if x.shape[1] % (r * r):
        lift = m.module(nn.Conv2d(x.shape[1], r * r, 1))
        return lambda v: F.pixel_shuffle(lift(v), r), r
    return lambda v: F.pixel_shuffle(v, r), r


def pixel_unshuffle(m: Maker, x: Tensor) -> Made:
    r = m.draw([2, 3])
    if m.n != 2:
        raise Illegal
    drop = m.module(nn.Conv2d(x.shape[1] * r * r, 2, 1))
    mixed = m.draw([False, True])
    cut = [s - s % r for s in x.shape[2:]]
    return lambda v: _maybe(drop, F.pixel_unshuffle(v[..., : cut[0], : cut[1]], r), mixed), (r, mixed)


def _maybe(module: Part, v: Tensor, use: bool) -> Tensor:
    out: Tensor = module(v) if use else v
    return out


def unfold(m: Maker, x: Tensor) -> Made:
    if m.n != 2:
        raise Illegal
    k, d, p, s = m.ints(1, 2, 3), m.ints(1, 2), m.ints(0, 1), m.ints(1, 2)
    rows, cols = ((x.shape[2 + a] + 2 * p[a] - d[a] * (k[a] - 1) - 1) // s[a] + 1 for a in range(2))
    reduce = m.module(nn.Conv2d(x.shape[1] * k[0] * k[1], 2, 1))

    def run(v: Tensor) -> Tensor:
        columns = F.unfold(v, k, d, p, s)
        return reduce(columns.view(v.shape[0], -1, rows, cols))

    return run, (k, d, p, s)


def fold(m: Maker, x: Tensor) -> Made:
    if m.n != 2:
        raise Illegal
    k, s = m.ints(1, 2, 3), m.ints(1, 2)
    size = tuple((x.shape[2 + a] - 1) * s[a] + k[a] for a in range(2))
    lift = m.module(nn.Conv2d(x.shape[1], 2 * k[0] * k[1], 1))
    return lambda v: F.fold(lift(v).flatten(2), size, k, stride=s), (k, s)
