"""Drawn steps of other kinds: branches, gates, norms, writes in place, tokens, merges."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from drawn_parts import Illegal, Made, Maker
from torch import Tensor, nn


def residual(m: Maker, x: Tensor) -> Made:
    d = m.draw([1, 2, 3])
    c = x.shape[1]
    body = m.module(
        nn.Sequential(m.op("Conv")(c, c, 3, padding=d, dilation=d), m.op("BatchNorm")(c), nn.ReLU())
    )
    return lambda v: v + body(v), d


def hollow(m: Maker, x: Tensor) -> Made:
    """Units at the border that a branch leaves empty."""
    k = m.draw([3, 5])
    body = m.module(m.op("Conv")(x.shape[1], x.shape[1], k))
    with_skip = m.draw([False, True])

    def run(v: Tensor) -> Tensor:
        y = F.pad(body(v), (k // 2,) * (2 * m.n))
        return v + y if with_skip else y

    return run, (k, with_skip)


def shared(m: Maker, x: Tensor) -> Made:
    c = x.shape[1]
    body = m.module(m.op("Conv")(c, c, m.ints(1, 3), padding=m.ints(0, 1), dilation=m.ints(1, 2)))
    return lambda v: body(F.relu(body(v), inplace=True)), body


def gate(m: Maker, x: Tensor) -> Made:
    c = x.shape[1]
    kind = m.draw(["pixel", "channel", "self"])
    body = m.module(m.op("Conv")(c, c, 1 if kind == "channel" else 3, padding=0 if kind == "channel" else 1))
    dims = tuple(range(2, 2 + m.n))
    if kind == "channel":
        return lambda v: v * torch.sigmoid(body(v.mean(dims, keepdim=True))), kind
    if kind == "self":
        return lambda v: v * v.sigmoid(), kind
    return lambda v: torch.sigmoid(body(v)) * v, kind


def norm(m: Maker, x: Tensor) -> Made:
    c = x.shape[1]
    kind = m.draw(["batch", "layer", "group", "instance", "softmax", "softmax_last", "l2", "lrn"])
    last = x.shape[-1]
    if kind == "layer":
        layer = m.module(nn.LayerNorm(c))
        return lambda v: layer(v.movedim(1, -1)).movedim(-1, 1), kind
    if kind == "group":
        groups = m.draw([1, c])
        return m.module(nn.GroupNorm(groups, c)), (kind, groups)
    if kind == "lrn":
        return m.module(nn.LocalResponseNorm(3)), kind
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "batch": m.module(m.op("BatchNorm")(c)), "instance": m.module(m.op("InstanceNorm")(c)),
        "softmax": lambda v: v.softmax(1), "softmax_last": lambda v: v.softmax(-1),
        "l2": lambda v: F.normalize(v, dim=1),
    }  # fmt: skip
    return functions[kind], (kind, last)


def activation(m: Maker, x: Tensor) -> Made:
    options: list[Callable[[Tensor], Tensor]] = [
        F.relu, F.relu6, F.gelu, F.silu, F.leaky_relu, F.hardswish, torch.tanh, F.softplus, F.mish, F.elu,
        torch.abs, lambda v: v.clamp(-1, 2), lambda v: 2 * v - 1, lambda v: 1 / (v + 3), F.dropout,
        lambda v: v**2, lambda v: (v > 0).to(v.dtype), lambda v: torch.maximum(v, -v),
    ]  # fmt: skip
    k = m.draw(range(len(options)))
    if options[k] is F.dropout:
        return lambda v: F.dropout(v, 0.5, False), "dropout"
    return options[k], k


def in_place(m: Maker, x: Tensor) -> Made:
    """Writes into a value, whole or through views; what was there before is overwritten."""
    kind = m.draw(["relu_", "part_relu_", "zero", "shifted", "channel", "buffer", "strided", "add_"])
    where = (slice(None), slice(None), slice(1, 3))
    tail = (slice(None), slice(None), *(slice(None, -1),) * m.n)
    head = (slice(None), slice(None), *(slice(1, None),) * m.n)

    def run(v: Tensor) -> Tensor:
        y = v.clone()
        if kind == "relu_":
            return F.relu_(v)
        if kind == "part_relu_":
            F.relu_(y[where])
        elif kind == "zero":
            y[where] = 0
        elif kind == "shifted":
            y[tail] = v[head]
        elif kind == "channel":
            y[:, 0] = v[:, -1].flip(1)
        elif kind == "buffer":
            y = v.new_zeros(v.shape)
            y[tail] = v[head]
            y[where] += 1
        elif kind == "strided":
            y[:, :, ::2] += v[:, :, : y[:, :, ::2].shape[2]]
        else:
            y += v.flip(2)
            y.mul_(2)
        return y

    return run, kind


def shuffle_channels(m: Maker, x: Tensor) -> Made:
    c = x.shape[1]
    if c < 2:
        raise Illegal
    kind = m.draw(["chunk", "split", "groups", "index", "stack", "repeat", "part"])
    spread = m.draw([0, 1])
    body = m.module(m.op("Conv")(1, 1, 3, padding=1))

    def run(v: Tensor) -> Tensor:
        if kind == "chunk":
            a, b = v.chunk(2, 1)[:2]
            return torch.cat([b, a.roll(spread, 2)], 1)
        if kind == "split":
            a, b = v.split([1, c - 1], 1)
            return torch.cat([body(a), b], 1)
        if kind == "groups":
            k = v.shape[1] // 2 * 2
            w = v[:, :k].reshape(v.shape[0], 2, k // 2, *v.shape[2:]).transpose(1, 2)
            return w.reshape(v.shape[0], k, *v.shape[2:])
        if kind == "index":
            return v[:, torch.arange(c).flip(0)]
        if kind == "stack":
            return torch.stack([v, v.flip(2)], 1).mean(1)
        if kind == "repeat":
            return v[:, :1].expand(v.shape) + v.repeat(1, *(1,) * (m.n + 1))
        return v[:, 1:2] + body(v[:, :1])

    return run, (kind, spread)


def tokens(m: Maker, x: Tensor) -> Made:
    """Feature map -> tokens -> feature map, with layers on the way."""
    c, spatial = x.shape[1], x.shape[2:]
    kind = m.draw(["linear", "attention", "windows", "rows", "mlp_mixer", "roll"])
    layer = m.module(nn.Linear(c, c))
    total = int(torch.tensor(spatial).prod())
    mixer = m.module(nn.Linear(total, total))
    heads = m.module(nn.MultiheadAttention(c, 1, batch_first=True))
    shift = m.draw([0, 1, 2])

    def run(v: Tensor) -> Tensor:
        b = v.shape[0]
        t = v.flatten(2).transpose(1, 2)
        if kind == "linear":
            t = layer(F.layer_norm(t, (c,)))
        elif kind == "attention":
            t = t + heads(t, t, t, need_weights=False)[0]
        elif kind == "mlp_mixer":
            t = t + mixer(t.transpose(1, 2)).transpose(1, 2)
        elif kind == "roll":
            t = t.roll(shift, 1)
        elif kind == "rows":
            w = v.movedim(1, -1)
            score = (w @ w.transpose(-1, -2)).softmax(-1)
            return (score @ layer(w)).movedim(-1, 1)
        elif kind == "windows":
            h, w2 = (s // 2 for s in spatial)
            p = v[..., : 2 * h, : 2 * w2].view(b, c, 2, h, 2, w2).permute(0, 2, 4, 3, 5, 1)
            p = p.reshape(b * 4, h * w2, c)
            p = (p @ p.transpose(1, 2)).softmax(-1) @ p
            p = p.view(b, 2, 2, h, w2, c).permute(0, 5, 1, 3, 2, 4)
            return p.reshape(b, c, 2 * h, 2 * w2)
        return t.transpose(1, 2).unflatten(2, spatial)

    if kind == "windows" and (m.n != 2 or min(spatial) < 2):
        raise Illegal
    if kind == "rows" and m.n != 2:
        raise Illegal
    return run, (kind, shift)


def ordered(m: Maker, x: Tensor) -> Made:
    """Running sums, sorts, gated halves, shuffled channels."""
    kind = m.draw(["cumsum", "cummax", "sort", "topk", "glu", "channel_shuffle"])
    dim = m.draw([1, 2, -1])

    def run(v: Tensor) -> Tensor:
        if kind == "cumsum":
            return v.cumsum(dim)
        if kind == "cummax":
            return v.cummax(dim).values
        if kind == "sort":
            return v.sort(dim).values
        if kind == "topk":
            return v.topk(2, dim).values
        return F.glu(v, dim) if kind == "glu" else F.channel_shuffle(v, 2)

    return run, (kind, dim)


def add(m: Maker, x: Tensor, y: Tensor) -> Made:
    """Two values, brought to one size by the crop or the resize that such networks use."""
    how = m.draw(["crop", "resize", "cat", "mul", "where", "sub", "mask"])
    ends = [min(a, b) for a, b in zip(x.shape[2:], y.shape[2:], strict=True)]
    cut = (slice(None), slice(None), *(slice(0, e) for e in ends))
    fit = m.module(m.op("Conv")(y.shape[1], x.shape[1], 1))
    mask = torch.arange(ends[-1]) % 2 == 0

    def run(a: Tensor, b: Tensor) -> Tensor:
        if how == "cat":
            return torch.cat([a[cut], b[cut]], 1)
        if how == "resize":
            return a + F.interpolate(fit(b), size=a.shape[2:])
        a, b = a[cut], fit(b)[cut]
        if how == "mul":
            return a * b
        if how == "mask":
            return a * (mask.to(a.dtype)[None]) + b
        if how == "where":
            return torch.where(mask, a, b)
        return a + b if how == "crop" else a - b

    return run, how
