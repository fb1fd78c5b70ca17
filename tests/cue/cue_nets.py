"""Small networks for the cue experiment, of known reach."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def block(c_in: int, c_out: int, s: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, s, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


def stack(num_classes: int = 4, w: int = 16, deep: int = 5) -> nn.Module:
    """A window of 3 + 4 * deep px: 23 with five blocks."""
    return nn.Sequential(block(3, w, 2), *[block(w, w) for _ in range(deep)], nn.Conv2d(w, num_classes, 1))


class Pooled(nn.Module):
    """A smaller stack, and the mean of its whole map beside it."""

    def __init__(self, num_classes: int = 4, w: int = 16) -> None:
        super().__init__()
        self.trunk = nn.Sequential(block(3, w, 2), *[block(w, w) for _ in range(3)])
        self.mean = nn.Sequential(nn.Conv2d(w, w, 1), nn.ReLU())
        self.score = nn.Conv2d(w, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.trunk(x)
        out: Tensor = self.score(y + self.mean(y.mean((2, 3), keepdim=True)))
        return out


def pointwise(num_classes: int = 4, w: int = 32) -> nn.Module:
    """Sees one pixel at a time."""
    layers = [m for c in (3, w) for m in (nn.Conv2d(c, w, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU())]
    return nn.Sequential(*layers, nn.Conv2d(w, num_classes, 1))


def plain(width: int = 8) -> nn.Module:
    """Without norms or classes of its own."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Dropout2d(0.5), nn.Conv2d(width, 6, 3, 1, 1)
    )


def classifier() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))


def depth() -> nn.Module:
    return nn.Conv2d(3, 1, 3)


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.mix = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 2, batch_first=True)
        self.score = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        t = y.flatten(2).transpose(1, 2)
        out: Tensor = self.score(self.mix(t, t, t)[0].transpose(1, 2).reshape(y.shape))
        return out


torch.set_num_threads(1)
