"""Small networks for the pages under test, as a user would write them. No page needs a large one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LONG = "x" * 300
KOREAN = "합성곱"
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"


class Context(nn.Module):
    """Three rates side by side, and the whole map."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=r, dilation=r) for r in (1, 3, 6))
        self.fuse = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.interpolate(F.adaptive_avg_pool2d(x, 1), x.shape[2:], mode="bilinear", align_corners=False)
        fused: Tensor = self.fuse(torch.cat([*(rate(x) for rate in self.rates), pooled], 1))
        return fused


class Small(nn.Module):
    """A trunk of stride 4, a head, scores at full size."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.gaps = nn.Conv2d(4, 4, 3, padding=4, dilation=4)
        self.head = head
        self.score = nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(self.gaps(self.conv2(F.relu(self.norm(self.conv1(x))))))
        return F.interpolate(self.score(y), x.shape[2:], mode="bilinear", align_corners=False)


class Split(nn.Module):
    """Channels taken apart, tokens and back: what a plain walk over maps gets wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.wide = nn.Conv2d(4, 4, 5, padding=2)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.score = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.stem(x).chunk(2, 1)
        y = self.grouped(torch.cat([left, self.wide(right)], 1))
        tokens = y.flatten(2).transpose(1, 2)
        folded = tokens.transpose(1, 2).reshape(y.shape)
        scored: Tensor = self.score(folded.roll(1, 2))
        return scored


def plain() -> nn.Module:
    """Sees a part of its input."""
    return Small(nn.Conv2d(4, 4, 3, padding=1))


def pyramid() -> nn.Module:
    """Sees all of it."""
    return Small(Context())


def split() -> nn.Module:
    """Takes channels apart."""
    return Split()


def named() -> nn.Module:
    """Layers with names that a page has to survive."""
    net = nn.Sequential()
    for name in (HOSTILE, LONG, KOREAN):
        net.add_module(name, nn.Conv2d(3, 3, 3, padding=1))
    return net
