"""Masks, weights that are made at each call, and grids: forms that modules bring about."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from table import A, bound, case
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

TOKENS = (4, 2, 3)


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def attention() -> list[nn.Module]:
    return [nn.MultiheadAttention(4, 2, batch_first=True)]


def later(t: Tensor) -> Tensor:
    """Which tokens stand behind each: True where a token must not look."""
    return torch.ones(t.shape[1], t.shape[1], dtype=torch.bool).triu(1)


MASKS = {
    "causal": lambda x: {"attn_mask": later(tokens(x))},
    "floats": lambda x: {"attn_mask": later(tokens(x)).to(x.dtype) * -1e4},
    "padded keys": lambda x: {"key_padding_mask": torch.arange(6)[None] > 3},
}
for weights in (True, False):
    for kind, mask in MASKS.items():
        case(
            f"attention, {kind}, weights {weights}",
            lambda x, m, w=weights, mask=mask: m(*[tokens(x)] * 3, need_weights=w, **mask(x))[0],
            *TOKENS,
            parts=attention,
            blind=True,
        )
case(
    "a triangle of weights",
    lambda x: ((tokens(x) @ tokens(x).transpose(1, 2)) * torch.ones(6, 6).tril()) @ tokens(x),
    *TOKENS,
)


class Masked(nn.Conv2d):
    """PixelCNN's convolution: what lies behind the middle is set to zero, in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__(3, 2, 3, padding=1)
        self.way = way
        self.register_buffer("mask", torch.ones(3, 3).index_fill(0, torch.tensor([2]), 0.0))

    def forward(self, x: Tensor) -> Tensor:
        match self.way:
            case "times":
                return F.conv2d(x, self.weight * self.mask, self.bias, padding=1)
            case "data times":
                self.weight.data *= self.mask
            case "data":
                self.weight.data = self.weight.data * self.mask
            case "no grad":
                with torch.no_grad():
                    self.weight.mul_(self.mask)
            case "rows":
                self.weight.data[:, :, 2] = 0.0
        return super().forward(x)


case("masked convolution, times", lambda x, m: m(x), parts=lambda: [Masked("times")])
for way in ("data times", "data", "no grad", "rows"):
    bound(f"masked convolution, {way}", lambda x, m: m(x), parts=lambda way=way: [Masked(way)])


def made(how: Callable[[nn.Module], nn.Module]) -> Callable[[], list[nn.Module]]:
    def build() -> list[nn.Module]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return [how(nn.Conv2d(3, 2, 3, padding=1))]

    return build


case("weight norm", lambda x, m: m(x), parts=made(nn.utils.weight_norm))
case("weight norm, parametrised", lambda x, m: m(x), parts=made(parametrizations.weight_norm))
case("spectral norm", lambda x, m: m(x), parts=made(parametrizations.spectral_norm))
case("pruned", lambda x, m: m(x), parts=made(lambda c: prune.random_unstructured(c, "weight", 0.0)))

bound(
    "affine_grid",
    lambda x, m: F.grid_sample(
        x,
        F.affine_grid(m(x.mean((2, 3))).reshape(-1, 2, 3), list(x.shape), align_corners=False),
        align_corners=False,
    ),
    parts=lambda: [nn.Linear(3, 6)],
    blind=True,
)


def points(x: Tensor) -> Tensor:
    return x[0].flatten(1).T


case("distances of many points", lambda x: torch.cdist(points(x), points(x)[:26] + 9.0), 3, 5, 6, blind=True)


class Learnt(nn.Module):
    """A map that parameters set to zero here and there: where, is up to them."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.w = way, nn.Parameter(torch.linspace(-2, 2, 5))

    def forward(self, x: Tensor) -> Tensor:
        match self.way:
            case "rectified":
                return x * self.w.relu()
            case "rounded":
                return x * self.w.round()
        return x * (self.w > 0) + x.flip(2) * (self.w <= 0)


for way in ("rectified", "rounded", "either"):
    bound(f"a learnt map, {way}", lambda x, m: m(x), parts=lambda way=way: [Learnt(way)], blind=True)

for name, differ in {
    "scaled": lambda c: c[:, :, 2:] / 3 - c[:, :, :-2] / 3,
    "negated": lambda c: c[:, :, 2:] + (-c[:, :, :-2]),
    "looked up": lambda c: c[:, :, torch.tensor([2, 3])] - c[:, :, torch.tensor([0, 1])],
    "by a kernel": lambda c: F.conv2d(
        c, torch.tensor([-1.0, 1.0]).to(c).reshape(1, 1, 2, 1).repeat(3, 1, 1, 1), groups=3
    ),
}.items():
    bound(f"a box filter, {name}", lambda x, f=differ: f(x.cumsum(2)), blind=True)

case(
    "statistics of a batch norm without running ones",
    lambda x: A.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[1][:, None] * x[0, :, 0],
)
