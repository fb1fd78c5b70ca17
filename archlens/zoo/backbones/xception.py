"""Xception-65, the modified aligned Xception of DeepLabv3+, as a segmentation trunk without classifier.

Sources: Chen et al., DeepLabv3+ (arXiv 1802.02611), figure 4; tensorflow/models
`research/deeplab/core/xception.py`. What sets it apart from Chollet's Xception (arXiv 1610.02357): sixteen
middle blocks instead of eight, max pools replaced by a stride in the third separable convolution of a block,
and batch norm after every depthwise convolution as well as after every 1x1.

Every `sep` is a 3x3 depthwise convolution and a 1x1, each with batch norm. In the entry and middle flow and
in the first exit block a ReLU stands before each sep and none inside; in the last block it is the other way
round: a ReLU after each of the two steps and none before.

Strides turn into dilations by TensorFlow DeepLab's rule: once the output stride is reached, the block whose
stride is dropped keeps its rate and the blocks *after* it get a doubled one.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from archlens.zoo.backbones.resnet import Features
from archlens.zoo.blocks import ConvBNReLU, SeparableConvBNReLU, depthwise

MIDDLE_BLOCKS = 16
Widths = tuple[int, int, int]


class PreActivatedSep(nn.Module):
    """ReLU, depthwise 3x3, batch norm, 1x1, batch norm."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.depthwise = depthwise(in_channels, stride=stride, dilation=dilation)
        self.bn_depthwise = nn.BatchNorm2d(in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn_pointwise = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn_depthwise(self.depthwise(self.relu(x)))  # (N, C_in, H/s, W/s)
        out: Tensor = self.bn_pointwise(self.pointwise(x))  # (N, C_out, H/s, W/s)
        return out


class Block(nn.Module):
    """Three seps, the third with the stride, added to the input or to its strided 1x1 projection."""

    def __init__(
        self,
        in_channels: int,
        widths: Widths,
        *,
        shortcut: Literal["conv", "identity"],
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.sep1 = PreActivatedSep(in_channels, widths[0], dilation=dilation)
        self.sep2 = PreActivatedSep(widths[0], widths[1], dilation=dilation)
        self.sep3 = PreActivatedSep(widths[1], widths[2], stride=stride, dilation=dilation)
        self.shortcut: nn.Module | None = None
        if shortcut == "conv":
            projection = nn.Conv2d(in_channels, widths[2], 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(widths[2]))

    def forward(self, x: Tensor, taps: list[Tensor] | None = None) -> Tensor:
        """The block's output; if `taps` is given, the second sep's map is appended to it."""
        branch = self.sep2(self.sep1(x))  # (N, widths[1], H, W)
        if taps is not None:
            taps.append(branch)
        branch = self.sep3(branch)  # (N, widths[2], H/s, W/s)
        out: Tensor = branch + (x if self.shortcut is None else self.shortcut(x))
        return out


class Xception65(nn.Module):
    """The trunk at output stride 32, 16 or 8."""

    def __init__(self, *, output_stride: int = 16) -> None:
        super().__init__()
        entry3, exit1 = (2 if output_stride >= 16 else 1), (2 if output_stride == 32 else 1)
        middle_rate = 2 // entry3
        last_rate = middle_rate * 2 // exit1

        self.conv1_1 = ConvBNReLU(3, 32, 3, stride=2)
        self.conv1_2 = ConvBNReLU(32, 64, 3)
        self.entry1 = Block(64, (128, 128, 128), shortcut="conv", stride=2)
        self.entry2 = Block(128, (256, 256, 256), shortcut="conv", stride=2)
        self.entry3 = Block(256, (728, 728, 728), shortcut="conv", stride=entry3)
        middle = (
            Block(728, (728, 728, 728), shortcut="identity", dilation=middle_rate)
            for _ in range(MIDDLE_BLOCKS)
        )
        self.middle = nn.Sequential(*middle)
        self.exit1 = Block(728, (728, 1024, 1024), shortcut="conv", stride=exit1, dilation=middle_rate)
        self.exit2 = nn.Sequential(
            SeparableConvBNReLU(1024, 1536, dilation=last_rate),
            SeparableConvBNReLU(1536, 1536, dilation=last_rate),
            SeparableConvBNReLU(1536, 2048, dilation=last_rate),
        )

    def forward(self, x: Tensor) -> Features:
        """The maps for the heads; the low-level one is that of the second entry block's second sep."""
        x = self.conv1_1(x)  # (N, 32, H/2, W/2)
        x = self.conv1_2(x)  # (N, 64, H/2, W/2)
        x = self.entry1(x)  # (N, 128, H/4, W/4)
        taps: list[Tensor] = []
        x = self.entry2(x, taps)  # (N, 256, H/8, W/8), and the tap: (N, 256, H/4, W/4)
        x = self.entry3(x)  # (N, 728, H/16, W/16), or H/8 at output stride 8
        middle = self.middle(x)  # (N, 728, H/16, W/16)
        x = self.exit1(middle)  # (N, 1024, H/os, W/os)
        out = self.exit2(x)  # (N, 2048, H/os, W/os)
        return Features(low_level=taps[0], middle=middle, out=out)
