"""ResNet-50 and ResNet-101 as segmentation trunks: no classifier, and strides that can turn into dilations.

Sources: He et al., Deep Residual Learning (arXiv 1512.03385), and the three families of releases that the
lineage was built on, which differ in ways that change costs and receptive fields:

* the stem: one 7x7 convolution, or three 3x3 ("beta": TensorFlow DeepLab's name; PSPNet's stem is the same);
* where a stage's stride sits (`stride_in`): in the first unit's first 1x1 ("conv1": Caffe), in the first
  unit's 3x3 ("conv2": torchvision, semseg), or in the 3x3 of the stage's last unit ("last": TensorFlow
  DeepLab, whose shortcut there only subsamples, and whose first stage has a stride too);
* the rate of the first unit of a stage whose stride has become a dilation (`dilate_first`): the new rate
  (Caffe, semseg), or the one before it (torchvision, mmsegmentation's contracted dilation);
* pooling that rounds sizes up (Caffe).

Module and parameter names are torchvision's, so with the 7x7 stem state dicts go both ways. Only the ReLUs
are modules of their own here (`relu1`, `relu2`, `relu3`), one a position; they have no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor, nn

from archlens.errors import OptionError

Stem = Literal["7x7", "beta"]
StrideIn = Literal["conv1", "conv2", "last"]

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # bottleneck units a stage
WIDTHS = (64, 128, 256, 512)  # channels inside the units of a stage
EXPANSION = 4  # a unit's output has this many times its width


class Features(NamedTuple):
    """What a trunk hands to the heads."""

    low_level: Tensor  # (N, 256, H/4, W/4): for DeepLabv3+'s decoder
    middle: Tensor  # (N, 1024, H/os, W/os), the third stage: for PSPNet's auxiliary head
    out: Tensor  # (N, 2048, H/os, W/os), the last stage


class Bottleneck(nn.Module):
    """1x1 to `width`, 3x3, 1x1 to 4 x `width`, added to the input or to its projection."""

    def __init__(
        self,
        in_channels: int,
        width: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        stride_in: StrideIn = "conv2",
    ) -> None:
        super().__init__()
        out_channels = EXPANSION * width
        stride1, stride2 = (stride, 1) if stride_in == "conv1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=stride1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(
            width, width, 3, stride=stride2, padding=dilation, dilation=dilation, bias=False
        )
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu3 = nn.ReLU()
        self.downsample: nn.Module | None = None
        if in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(out_channels))
        elif stride > 1:  # only where strides sit in the last unit
            self.downsample = nn.MaxPool2d(1, stride=stride)

    def forward(self, x: Tensor, taps: list[Tensor] | None = None) -> Tensor:
        """The unit's output; if `taps` is given, the branch's map before the addition is appended to it."""
        branch = self.relu1(self.bn1(self.conv1(x)))  # (N, width, H, W)
        branch = self.relu2(self.bn2(self.conv2(branch)))  # (N, width, H/s, W/s)
        branch = self.bn3(self.conv3(branch))  # (N, 4 width, H/s, W/s)
        if taps is not None:
            taps.append(branch)
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu3(branch + shortcut)
        return out


class ResNet(nn.Module):
    """A ResNet trunk of bottleneck units.

    Args:
        depth: 50 or 101.
        stem: "7x7" (64 channels) or "beta" (three 3x3: 64, 64, 128 channels).
        stride_in: "conv1", "conv2" or "last"; see the module's text.
        output_stride: 32, 16 or 8. Strides beyond it become dilations.
        dilate_first: whether the first unit of such a stage already has the new rate. No effect with
            `stride_in="last"`, where the unit that would have had the stride is the last one.
        multi_grid: multiplies the rates of the last stage's three units.
        ceil_mode: whether the max pool rounds sizes up.
    """

    def __init__(
        self,
        depth: int,
        *,
        stem: Stem = "7x7",
        stride_in: StrideIn = "conv2",
        output_stride: int = 32,
        dilate_first: bool = True,
        multi_grid: Sequence[int] = (1, 1, 1),
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        if len(multi_grid) != 3:
            raise OptionError(
                f"A multi-grid has a factor for each of three units, not {len(multi_grid)}.",
                hint="For instance 1,2,4.",
            )
        self.stem = stem
        self.stride_in = stride_in
        if stem == "7x7":
            channels = 64
            self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(64)
            self.relu = nn.ReLU()
        else:
            channels = 128
            self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(64)
            self.relu = nn.ReLU()
            self.conv2 = nn.Conv2d(64, 64, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(64)
            self.relu2 = nn.ReLU()
            self.conv3 = nn.Conv2d(64, 128, 3, padding=1, bias=False)
            self.bn3 = nn.BatchNorm2d(128)
            self.relu3 = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=ceil_mode)

        strides = (2, 2, 2, 1) if stride_in == "last" else (1, 2, 2, 2)
        reached, rate = 4, 1  # the stride so far, and the product of the strides given up
        stages: list[nn.Sequential] = []
        for stage, (count, width, stride) in enumerate(zip(UNITS[depth], WIDTHS, strides, strict=True)):
            grid = multi_grid if stage == 3 else (1,) * count
            striding = count - 1 if stride_in == "last" else 0
            units: list[Bottleneck] = []
            for unit in range(count):
                step, unit_rate = 1, rate
                if unit == striding:
                    if reached * stride <= output_stride:
                        step = stride
                        reached *= stride
                    else:
                        rate *= stride
                        if stride_in != "last" and dilate_first:
                            unit_rate = rate
                units.append(
                    Bottleneck(
                        channels, width, stride=step, dilation=unit_rate * grid[unit], stride_in=stride_in
                    )
                )
                channels = EXPANSION * width
            stages.append(nn.Sequential(*units))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(self, x: Tensor) -> Features:
        """The maps for the heads; comments give the sizes for a stride in the first unit."""
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 64, H/2, W/2)
        if self.stem == "beta":
            x = self.relu2(self.bn2(self.conv2(x)))  # (N, 64, H/2, W/2)
            x = self.relu3(self.bn3(self.conv3(x)))  # (N, 128, H/2, W/2)
        x = self.maxpool(x)  # (N, 64 | 128, H/4, W/4)
        if self.stride_in == "last":
            # The last unit strides, so the low-level map is taken where TensorFlow DeepLab takes it:
            # from the branch of the second unit.
            taps: list[Tensor] = []
            x = self.layer1[0](x)
            x = self.layer1[1](x, taps)
            x = self.layer1[2](x)  # (N, 256, H/8, W/8)
            low_level = taps[0]
        else:
            x = low_level = self.layer1(x)  # (N, 256, H/4, W/4)
        x = self.layer2(x)  # (N, 512, H/8, W/8)
        middle = self.layer3(x)  # (N, 1024, H/os, W/os)
        out = self.layer4(middle)  # (N, 2048, H/os, W/os)
        return Features(low_level, middle, out)
