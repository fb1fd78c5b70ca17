"""The pyramid pooling module of PSPNet (arXiv 1612.01105): averages over grids of 1, 2, 3 and 6 bins a side.

The pools are adaptive, as in hszhao/semseg. The Caffe release has fixed windows (map size / bins) instead:
the same ones where the map divides evenly (60 cells at 473 px, 90 at 713), and none that would fit elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.errors import OptionError


class PyramidLevel(nn.Module):
    """Averages over `bins` x `bins` cells, through a 1x1, resized to the map again."""

    def __init__(self, in_channels: int, out_channels: int, bins: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(bins)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.relu(self.bn(self.conv(self.pool(x))))  # (N, C_out, bins, bins)
        return F.interpolate(pooled, size=x.shape[-2:], mode="bilinear", align_corners=True)


class PyramidPooling(nn.Module):
    """The map and its pooled levels, concatenated. (N, C, H, W) -> (N, out_channels, H, W), about 2 C.

    Each of the N levels has C / N channels, so that together they weigh as much as the map. The order is that
    of semseg: the map, then the levels as listed (the Caffe release has the finest level first).
    """

    def __init__(self, in_channels: int, bins: Sequence[int]) -> None:
        super().__init__()
        if len(set(bins)) < len(bins):
            raise OptionError(
                f"The levels of the pyramid must differ: {', '.join(map(str, bins))}.",
                hint="For instance 1,2,3,6.",
            )
        width = in_channels // len(bins)
        self.level_names = tuple(f"bin{count}" for count in bins)
        for name, count in zip(self.level_names, bins, strict=True):
            self.add_module(name, PyramidLevel(in_channels, width, count))
        self.out_channels = in_channels + width * len(bins)

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.get_submodule(name)(x) for name in self.level_names]  # each (N, C / N, H, W)
        return torch.cat([x, *levels], dim=1)  # (N, out_channels, H, W)
