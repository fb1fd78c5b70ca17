"""Atrous spatial pyramid pooling: parallel 3x3 convolutions of different rates over one map.

* `ScoreASPP`, DeepLabv2 (arXiv 1606.00915) on ResNet-101: each branch goes straight to class scores, and the
  score maps are added.
* `ASPP`, DeepLabv3 and v3+ (arXiv 1706.05587, 1802.02611): 256 channels a branch, with batch norm; a 1x1
  branch and the pooled image beside the rates; concatenated and projected by a 1x1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.errors import OptionError
from archlens.zoo.blocks import ConvBNReLU, SeparableConvBNReLU


class ScoreASPP(nn.Module):
    """Score maps at several rates, summed. (N, C, H, W) -> (N, classes, H, W).

    The branches carry the names of the release: `fc1_c0`, `fc1_c1`, ...
    """

    def __init__(self, in_channels: int, num_classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        for index, rate in enumerate(rates):
            score = nn.Conv2d(in_channels, num_classes, 3, padding=rate, dilation=rate)
            self.add_module(f"fc1_c{index}", score)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.children()
        total: Tensor = first(x)  # (N, classes, H, W)
        for branch in others:
            total = total + branch(x)
        return total


class ImagePooling(nn.Module):
    """The mean over the whole map, through a 1x1, spread over the map again."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.relu(self.bn(self.conv(self.pool(x))))  # (N, C_out, 1, 1)
        return F.interpolate(pooled, size=x.shape[-2:], mode="bilinear", align_corners=True)


class ASPP(nn.Module):
    """A 1x1, the rates and the pooled image, concatenated in this order, projected to `width` channels.

    (N, C, H, W) -> (N, width, H, W). Branches: `conv1x1`, `rate6`, ..., `image_pooling`; then `project`.
    (TensorFlow DeepLab concatenates the pooled image first; the function is the same.)

    Args:
        in_channels: channels of the trunk's last map.
        rates: dilations of the 3x3 branches; all different.
        separable: depthwise-separable 3x3 branches.
        image_pooling: whether there is a pooled branch.
        width: channels of each branch and of the output.
        dropout: share of values dropped after the projection while training.
    """

    def __init__(
        self,
        in_channels: int,
        rates: Sequence[int],
        *,
        separable: bool = False,
        image_pooling: bool = True,
        width: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(set(rates)) < len(rates):
            raise OptionError(
                f"The rates of the branches must differ: {', '.join(map(str, rates))}.",
                hint="For instance 6,12,18.",
            )
        branches: dict[str, nn.Module] = {"conv1x1": ConvBNReLU(in_channels, width, 1)}
        for rate in rates:
            if separable:
                branches[f"rate{rate}"] = SeparableConvBNReLU(in_channels, width, dilation=rate)
            else:
                branches[f"rate{rate}"] = ConvBNReLU(in_channels, width, 3, dilation=rate)
        if image_pooling:
            branches["image_pooling"] = ImagePooling(in_channels, width)
        self.branch_names = tuple(branches)
        for name, branch in branches.items():
            self.add_module(name, branch)
        self.project = ConvBNReLU(len(branches) * width, width, 1, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        views = [self.get_submodule(name)(x) for name in self.branch_names]  # each (N, width, H, W)
        out: Tensor = self.project(torch.cat(views, dim=1))  # (N, width, H, W)
        return out


def default_rates(output_stride: int) -> tuple[int, ...]:
    """6, 12, 18 at output stride 16, and in proportion at others: 12, 24, 36 at 8."""
    return tuple(rate * 16 // output_stride for rate in (6, 12, 18))
