"""Random networks of all kinds of operators, in one to three dimensions, with one or two inputs.

A network is a list of steps on a growing list of values; each step takes one or two of the latest values and
is kept if it runs. Apart from `tests/oracle/drawn_nets.py` and of other steps: these are held to the witness,
which needs no rule of its own for what they call.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Made = tuple[Callable[..., Tensor], list[nn.Module]]
LARGEST, CHANNELS = 14, 6


class Drawn(nn.Module):
    """Steps: (name, function, parts, which values)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.parts = nn.ModuleList()
        self.steps: list[tuple[str, Callable[..., Tensor], range, tuple[int, ...]]] = []

    def add(self, name: str, made: Made, sources: tuple[int, ...]) -> None:
        first = len(self.parts)
        self.parts.extend(made[1])
        self.steps.append((name, made[0], range(first, len(self.parts)), sources))

    def forward(self, *images: Tensor) -> Tensor:
        values = list(images)
        for _, function, own, sources in self.steps:
            values.append(function(*(values[s] for s in sources), *(self.parts[k] for k in own)))
        return values[-1]

    def text(self) -> str:
        """The network in words."""
        return "; ".join(f"v{self.inputs + k} = {n}{s}" for k, (n, _, _, s) in enumerate(self.steps))


def conv(r: random.Random, n: int, c: int) -> Made:
    k, groups = r.choice([1, 2, 3]), r.choice([1, 1, c])
    make = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[n]
    mode = r.choice(["zeros", "zeros", "circular", "replicate"])
    width = c * r.choice([1, 2]) if c < 3 else c
    stride, padding, rate = r.choice([1, 1, 2]), r.choice([0, 1]), r.choice([1, 1, 2])
    layer = make(c, width, k, stride, padding, rate, groups, padding_mode=mode)
    return lambda v, m: m(v), [layer]


def masked_conv(r: random.Random, n: int, c: int) -> Made:
    make = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[n]
    mask = torch.tensor([r.choice([0.0, 1.0]) for _ in range(3**n)]).reshape((3,) * n)
    mask.view(-1)[r.randrange(3**n)] = 1.0
    call = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]
    return lambda v, m: call(v, m.weight * mask.to(v.dtype), padding=1), [make(c, c, 3)]


def dynamic_conv(r: random.Random, n: int, c: int) -> Made:
    call = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]

    def run(v: Tensor) -> Tensor:
        kernel = v.mean(tuple(range(2, 2 + n)), keepdim=True).transpose(0, 1)
        return call(v, kernel, groups=v.shape[1])

    return run, []


def norm(r: random.Random, n: int, c: int) -> Made:
    batch = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[n]
    instance = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[n]
    kind = r.choice(["batch", "own", "instance", "group", "layer", "adaptive", "l2", "softmax"])
    if kind == "layer":
        return lambda v, m: m(v.movedim(1, -1)).movedim(-1, 1), [nn.LayerNorm(c)]
    if kind == "adaptive":
        dims = tuple(range(2, 2 + n))
        return lambda v: F.instance_norm(v) * v.std(dims, keepdim=True) + v.mean(dims, keepdim=True), []
    if kind in ("l2", "softmax"):
        dim = r.choice([1, 2, -1])
        return (lambda v: F.normalize(v, p=2, dim=dim)) if kind == "l2" else (lambda v: v.softmax(dim)), []
    layer = {"batch": batch(c), "own": batch(c, track_running_stats=False), "instance": instance(c),
             "group": nn.GroupNorm(r.choice([1, c]), c)}[kind]  # fmt: skip
    return lambda v, m: m(v), [layer]


def resample(r: random.Random, n: int, c: int) -> Made:
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[n]
    kind = r.choice(["nearest", "nearest-exact", linear, "aligned", "max", "avg", "adaptive", "unpool"])
    pool = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[n]
    if kind == "unpool" and n > 1:
        call = {2: F.max_unpool2d, 3: F.max_unpool3d}[n]
        return lambda v, m: call(*m(v), 2, 2, output_size=v.shape[2:]), [pool(2, 2, return_indices=True)]
    if kind in ("max", "unpool"):
        return lambda v, m: m(v), [pool(r.choice([2, 3]), r.choice([1, 2]), 1)]
    if kind == "avg":
        return lambda v, m: m(v), [
            {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[n](2, r.choice([1, 2]))
        ]
    if kind == "adaptive":
        size = r.choice([1, 2, 3])
        return lambda v, m: m(v), [
            {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[n](size)
        ]
    size = r.choice([3, 5, 6, 7])
    aligned = kind == "aligned"
    mode = linear if aligned else kind
    return lambda v: F.interpolate(v, (size,) * n, mode=mode, align_corners=True if aligned else None), []


def write(r: random.Random, n: int, c: int) -> Made:
    kind = r.choice(
        ["fill", "set", "add", "out", "foreach", "squeeze", "transpose", "index", "zero", "scatter"]
    )

    def run(v: Tensor) -> Tensor:
        y = v.clone()
        if kind == "fill":
            y[:, :, 1:2].fill_(v.flatten()[0])
        elif kind == "set":
            y[:, :, :1] = v[:, :, -1:]
        elif kind == "add":
            y[:, :, ::2].add_(v.flip(2)[:, :, : y[:, :, ::2].shape[2]])
        elif kind == "out":
            torch.mul(v, v.flip(2), out=y)
        elif kind == "foreach":
            torch._foreach_add_([y], [v.flip(-1)])
        elif kind == "squeeze":
            y.unsqueeze_(0).squeeze_(0)
        elif kind == "transpose":
            y.transpose_(2, -1).add_(1.0)
            y.transpose_(2, -1)
        elif kind == "index":
            y[:, :, torch.tensor([0, v.shape[2] - 1])] = v[:, :, :2] * 2
        elif kind == "zero":
            y[:, :1].zero_()
        else:
            y = y.scatter_add(2, torch.zeros_like(y[:, :, :1]).long(), v.flip(2)[:, :, :1])
        return y

    return run, []


def move(r: random.Random, n: int, c: int) -> Made:
    kind = r.choice(["roll", "flip", "crop", "stride", "pad", "reflect", "transpose", "unfold", "diagonal",
                     "tril",
                     "repeat", "shuffle", "select", "strided"])  # fmt: skip
    shift = r.choice([-2, 1, 3])

    def run(v: Tensor) -> Tensor:
        if kind == "roll":
            return v.roll(shift, 2)
        if kind == "flip":
            return v.flip(-1)
        if kind == "crop":
            return v[:, :, 1:-1]
        if kind == "stride":
            return v[..., ::2]
        if kind == "pad":
            return F.pad(v, (1, 0) * n)
        if kind == "reflect":
            return F.pad(v, (1, 1) * n, mode="reflect") if n < 3 else v.rot90(1, (2, 3))
        if kind == "transpose":
            return v.transpose(2, -1)
        if kind == "unfold":
            return v.unfold(2, 2, 1).amax(-1)
        if kind == "diagonal":
            return torch.diag_embed(v.diagonal(0, 2, 3)) if n == 2 else v.rot90(2, (1, 2))
        if kind == "tril":
            return v.tril(1) if n > 1 else v.cumsum(2)
        if kind == "repeat":
            return v.repeat_interleave(2, 2)
        if kind == "shuffle":
            return v[:, torch.arange(v.shape[1]).flip(0)]
        if kind == "select":
            return v.index_select(2, torch.tensor([0, v.shape[2] - 1, 0]))
        return torch.as_strided(v.contiguous(), v.shape, v.contiguous().stride()) * 2

    return run, []


def pointwise(r: random.Random, n: int, c: int) -> Made:
    options: list[Callable[[Tensor], Tensor]] = [
        F.relu, F.gelu, F.silu, torch.tanh, torch.sigmoid, lambda v: v.clamp(min=-3),
        lambda v: v.clamp(max=3),
        lambda v: v.clamp(v.flip(2) - 2, v.flip(2) + 2), lambda v: torch.where(v > 0, v, v.flip(2)),
        lambda v: v.masked_fill(v > 1, 0.5), lambda v: v.abs().sqrt(), lambda v: torch.hypot(v, v.flip(2)),
        lambda v: v * (torch.arange(v.shape[-1]) % 2).to(v.dtype), lambda v: torch.lerp(v, v.flip(-1), 0.25),
    ]  # fmt: skip
    return r.choice(options), []


def reduced(r: random.Random, n: int, c: int) -> Made:
    kind = r.choice(["mean", "var", "norm", "median", "cumsum", "box", "sort", "fft", "topk"])
    dim = r.choice([1, 2, -1])

    def run(v: Tensor) -> Tensor:
        if kind == "mean":
            return v - v.mean(dim, keepdim=True) * 0.5
        if kind == "var":
            return v * v.var(dim=2, correction=0, keepdim=True)
        if kind == "norm":
            return v / (torch.linalg.vector_norm(v, 2, dim, keepdim=True) + 1)
        if kind == "median":
            return v + v.median(2, keepdim=True).values
        if kind == "cumsum":
            return v.cumsum(2)
        if kind == "box":
            s = F.pad(v.cumsum(-1), (1, 0))
            return s[..., 2:] - s[..., :-2]
        if kind == "sort":
            return v.sort(2).values
        if kind == "topk":
            return v.topk(2, 2).values
        return torch.fft.fft(v, dim=2).abs()

    return run, []


def mixed(r: random.Random, n: int, c: int) -> Made:
    kind = r.choice(["attention", "masked", "linear", "gru", "grid", "gate"])
    width = max(c, 1)

    def tokens(v: Tensor) -> Tensor:
        return v.flatten(2).transpose(1, 2)

    def back(t: Tensor, v: Tensor) -> Tensor:
        return t.transpose(1, 2).reshape(v.shape[0], -1, *v.shape[2:])

    if kind == "linear":
        return lambda v, m: back(m(tokens(v)), v), [nn.Linear(width, width)]
    if kind == "gru":
        return lambda v, m: back(m(tokens(v))[0], v), [
            nn.GRU(width, width, batch_first=True, bidirectional=False)
        ]
    if kind == "grid" and n == 2:
        return lambda v: F.grid_sample(
            v, torch.tanh(v[:, :1].expand(-1, 2, -1, -1)).movedim(1, -1), align_corners=False
        ), []
    if kind == "gate":
        dims = tuple(range(2, 2 + n))
        return lambda v: v * torch.sigmoid(v.mean(dims, keepdim=True)), []

    def attend(v: Tensor) -> Tensor:
        t = tokens(v)
        scores = t @ t.transpose(1, 2)
        if kind == "masked":
            scores = 10 * torch.tanh(scores / 10)  # a mask cuts where scores differ by less than it is deep
            half = torch.arange(t.shape[1]) * 2 < t.shape[1]
            scores = scores + torch.where(half[:, None] == half[None], 0.0, -100.0).to(scores.dtype)
        return back(scores.softmax(-1) @ t, v)

    return attend, []


def joined(r: random.Random, n: int, c: int) -> Made:
    kind = r.choice(["add", "mul", "cat", "max", "where", "resize"])

    def run(a: Tensor, b: Tensor) -> Tensor:
        if kind == "resize":
            b = F.interpolate(b, a.shape[2:], mode={1: "linear", 2: "bilinear", 3: "trilinear"}[n])
        ends = [min(x, y) for x, y in zip(a.shape[2:], b.shape[2:], strict=True)]
        cut = (slice(None), slice(0, min(a.shape[1], b.shape[1])), *(slice(0, e) for e in ends))
        a, b = a[cut], b[cut]
        if kind == "cat":
            return torch.cat([a, b], 1)
        if kind == "mul":
            return a * b
        if kind == "max":
            return torch.maximum(a, b)
        return torch.where(b > 0, a, b) if kind == "where" else a + b

    return run, []


ONE = (
    conv,
    conv,
    masked_conv,
    dynamic_conv,
    norm,
    norm,
    resample,
    resample,
    write,
    move,
    move,
    pointwise,
    reduced,
    mixed,
)


def network(seed: int) -> tuple[Drawn, list[tuple[int, ...]]]:
    """A network and the sizes (C, *spatial) of its inputs."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    n = r.choice([1, 2, 2, 3])
    sides = {1: range(5, 13), 2: range(3, 7), 3: range(2, 5)}[n]
    count = r.choice([1, 1, 2])
    sizes = [(r.choice([1, 2, 3]), *(r.choice(sides) for _ in range(n))) for _ in range(count)]
    net = Drawn(count)
    values: list[Any] = [torch.rand((1, *s)) for s in sizes]
    for _ in range(r.randrange(2, 7)):
        for _ in range(5):
            pick = r.choice((*ONE, joined, joined) if len(values) > 1 else ONE)
            near = range(max(0, len(values) - 3), len(values))
            sources = (r.choice(near), r.choice(near)) if pick is joined else (r.choice(near),)
            made = pick(r, n, values[sources[0]].shape[1])
            try:
                with torch.no_grad():
                    out = made[0](*(values[s].clone() for s in sources), *(m.eval() for m in made[1]))
            except (RuntimeError, ValueError, IndexError):
                continue
            fits = out.ndim == n + 2 and out.shape[0] == 1 and out.is_floating_point()
            if fits and 1 <= out.shape[1] <= CHANNELS and all(1 <= m <= LARGEST for m in out.shape[2:]):
                net.add(pick.__name__, made, sources)
                values.append(out)
                break
    return net.eval(), sizes
