"""The networks that the files beside this one were made of. Not to be edited: the files hold their layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Segment(nn.Module):
    """A trunk of stride 4, a pyramid of two bins and a dilated branch, a decoder of bilinear upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 1, 1))
        self.bins = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(n), nn.Conv2d(8, 4, 1), nn.ReLU()) for n in (1, 3)
        )
        self.wide = nn.Sequential(nn.Conv2d(8, 4, 3, padding=4, dilation=4), nn.ReLU())
        self.score = nn.Conv2d(8 + 3 * 4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(self.stem(x))
        size = y.shape[-2:]
        pooled = [F.interpolate(b(y), size=size, mode="bilinear", align_corners=True) for b in self.bins]
        scores = self.score(torch.cat([y, *pooled, self.wide(y)], 1))
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)


class Strange(nn.Module):
    """A step of every kind that a saved graph can hold, and an operation that is not understood."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.up = nn.ConvTranspose2d(4, 4, 4, 2, 1)
        self.tokens = nn.Linear(4, 4)
        self.never = nn.Linear(2, 2)
        mask = torch.zeros(64, 64)
        mask[:32, 32:] = mask[32:, :32] = -torch.inf
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.conv(x)
        y = torch.roll(y, (1, -2), (2, 3)).flip(3)
        y = F.pad(y, (2, 1, 1, 2), mode="reflect")[:, :, 1:-2, 2:-1]
        t = self.tokens(y.flatten(2).transpose(1, 2))
        t = F.scaled_dot_product_attention(t, t, t, attn_mask=self.mask)
        y = y * torch.sigmoid(t.transpose(1, 2).reshape(y.shape))
        return {
            "out": self.up(y),
            "near": F.interpolate(y, scale_factor=2.0, mode="nearest"),
            "mean": y.mean((2, 3)),
            "odd": torch.fft.fft2(y).real,
        }


def segment() -> nn.Module:
    return Segment()


def strange() -> nn.Module:
    return Strange()
