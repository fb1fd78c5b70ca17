"""Small networks whose answers are known by hand."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

CPU = torch.device("cpu")


def uniform(*, size: int = 7, channels: int = 4, padding: int = 3) -> nn.Sequential:
    """One window of equal weights, and a ReLU that a positive image leaves on."""
    net = nn.Sequential(nn.Conv2d(3, channels, size, padding=padding), nn.ReLU())
    conv = net[0]
    assert isinstance(conv, nn.Conv2d)
    nn.init.constant_(conv.weight, 0.1)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return net


def chain() -> nn.Sequential:
    """Conv, batch norm, ReLU, conv, ReLU, pool, conv: nothing special, every kind."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 5, 3, padding=1),
    )


class Functional(nn.Module):
    """Functional rows, a shared module, in-place work, dropout, a crop, a split and a dict at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.shared = nn.Conv2d(8, 8, 1)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        a = self.conv(x)
        b = self.act(a)  # overwrites conv's result
        c = self.shared(b)
        d = self.drop(self.shared(c))
        e = F.interpolate(d, scale_factor=2, mode="bilinear")
        f = e[:, :, 2:14, 3:15]
        left, right = f.chunk(2, dim=1)
        g = torch.cat([right, left], 1) + f
        g += 1
        return {"out": torch.sigmoid(g)}


def save(picture: Tensor, path: Path) -> None:
    """Write a (3, H, W) or (1, H, W) uint8 picture."""
    array = picture.permute(1, 2, 0).numpy()
    Image.fromarray(array[:, :, 0] if len(picture) == 1 else array).save(path)
