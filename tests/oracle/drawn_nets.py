"""Random networks: every drawn step is checked for legality on real zeros, so any draw gives a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST = 22  # positions an axis
CHANNELS = 8


class Draw(Protocol):
    """Where choices come from: Hypothesis, or a random generator."""

    def __call__(self, options: Sequence[Any]) -> Any: ...


_running: list[Drawn] = []  # whose parts a step calls: networks are copied, their steps are not


class Part:
    """A module of the network that is running, by its index."""

    def __init__(self, index: int, module: nn.Module) -> None:
        self.index, self.words = index, repr(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _running[0].parts[self.index](*args, **kwargs)

    def __repr__(self) -> str:
        return self.words


Step = tuple[str, Callable[..., Tensor], tuple[int, ...]]


class Drawn(nn.Module):
    """Steps on a growing list of values; the last one is the output."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        self.steps: list[Step] = []

    def forward(self, x: Tensor) -> Tensor:
        _running[:] = [self]
        values = [x]
        for _, function, sources in self.steps:
            values.append(function(*(values[s] for s in sources)))
        return values[-1]

    def text(self) -> str:
        """The network in words, for the report of a failure."""
        return "\n".join(f"v{k + 1} = {name} of {sources}" for k, (name, _, sources) in enumerate(self.steps))


def network(draw: Draw, n: int, steps: int) -> tuple[Drawn, tuple[int, ...]]:
    """A network for n spatial axes and the shape of its input, (1, C, *spatial)."""
    sizes = {1: list(range(5, 20)), 2: list(range(4, 13)), 3: list(range(3, 6))}[n]
    shape = (1, draw([1, 2, 3]), *(draw(sizes) for _ in range(n)))
    net = Drawn()
    _running[:] = [net]
    seen = [torch.zeros(shape)]
    for _ in range(steps):
        made = None
        for _ in range(4):
            name = draw(sorted(STEPS))
            sources = (draw(range(max(0, len(seen) - 4), len(seen))),)
            if name in TWO:
                sources += (draw(range(max(0, len(seen) - 4), len(seen))),)
            maker = Maker(draw, n, net)
            try:
                function, words = STEPS[name](maker, *(seen[s] for s in sources))
                out = function(*(seen[s].clone() for s in sources))
            except (Illegal, RuntimeError, ValueError, IndexError):
                maker.undo()
                continue
            small = all(1 <= m <= LARGEST for m in out.shape[2:]) and 1 <= out.shape[1] <= CHANNELS
            if out.ndim != n + 2 or not small or out.shape[0] != 1:
                maker.undo()
                continue
            made = (f"{name} {words}", function, sources)
            break
        if made is None:
            continue
        net.steps.append(made)
        seen.append(out)
        # In-place steps changed the clone only; the network changes the value itself.
    return net.eval(), shape


class Illegal(Exception):
    """This step does not fit here."""


class Maker:
    """What a step needs to be made: choices, the number of axes, a place for modules."""

    def __init__(self, draw: Draw, n: int, net: Drawn) -> None:
        self.draw, self.n, self.net = draw, n, net
        self.before = len(net.parts)

    def ints(self, *options: int) -> tuple[int, ...]:
        return tuple(self.draw(options) for _ in range(self.n))

    def module(self, module: nn.Module) -> Part:
        self.net.parts.append(module)
        return Part(len(self.net.parts) - 1, module)

    def undo(self) -> None:
        while len(self.net.parts) > self.before:
            del self.net.parts[-1]

    def op(self, name: str) -> Any:
        """`conv` -> nn.Conv2d."""
        return getattr(nn, f"{name}{self.n}d")


Made = tuple[Callable[..., Tensor], Any]


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


def add(m: Maker, x: Tensor, y: Tensor) -> Made:
    """Two values, brought to one size by the crop or the resize that such networks use."""
    how = m.draw(["crop", "resize", "cat", "mul", "where", "sub"])
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
        if how == "where":
            return torch.where(mask, a, b)
        return a + b if how == "crop" else a - b

    return run, how


TWO = {"add"}
STEPS: dict[str, Callable[..., Made]] = {
    "conv": conv, "conv2": conv, "transposed": transposed, "max_pool": max_pool, "avg_pool": avg_pool,
    "adaptive": adaptive, "interpolate": interpolate, "interpolate2": interpolate, "crop": crop, "pad": pad,
    "roll": roll, "flip": flip, "pixel_shuffle": pixel_shuffle, "pixel_unshuffle": pixel_unshuffle,
    "unfold": unfold, "fold": fold, "residual": residual, "hollow": hollow, "shared": shared, "gate": gate,
    "norm": norm, "activation": activation, "in_place": in_place, "shuffle_channels": shuffle_channels,
    "tokens": tokens, "add": add, "add2": add,
}  # fmt: skip
TWO |= {"add2"}
