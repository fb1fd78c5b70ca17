"""Dilated convolutions in series: a context module behind a VGG-16 without its last pools.

Yu & Koltun, Multi-Scale Context Aggregation by Dilated Convolutions, ICLR 2016, arXiv 1511.07122. Layer by
layer as in fyu/dilation `network.py`, `predict.py` and `models/*_deploy.prototxt`.

* Front end: VGG-16 without any padding, pool4 and pool5 left out, the fifth stage at rate 2, fc6 7x7 at
  rate 4. What the missing padding takes away, 186 pixels a side, the image is given before: its own
  reflection.
* Context module: seven 3x3 convolutions on the scores, at rates 1, 1, 2, 4, 8, 16 and 1, and a 1x1; one
  after the other, none in parallel. Basic keeps the number of classes as channels; Large widens to 2, 2, 4,
  8, 16, 32 and 32 times as many and pads once, by 33, in front, where Basic pads each layer. It starts as
  the identity.
* Dilation10, for Cityscapes: Basic with two more rates, 32 and 64, and a grouped bilinear deconvolution by
  8. The other releases interpolate class probabilities by 8 outside the network; here scores are, corners
  aligned (exactly 8 for inputs of 8 m + 1 pixels).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.zoo.backbones.vgg import VGG16, Pool, initialise
from archlens.zoo.heads.classifier import Classifier
from archlens.zoo.sizes import DILATED

MARGIN = 186
RATES = (1, 1, 2, 4, 8, 16, 1)
LARGE = (2, 2, 4, 8, 16, 32, 32)


class ContextModule(nn.Module):
    """Dilated 3x3 convolutions in series and a 1x1. (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: of input and output: the classes.
        rates: of the 3x3 convolutions.
        multipliers: their output channels, in multiples of `channels`.
        padded: each layer by its rate, or all of it at the first.
    """

    def __init__(
        self, channels: int, rates: Sequence[int], multipliers: Sequence[int], *, padded: bool
    ) -> None:
        super().__init__()
        width = channels
        for index, (rate, multiplier) in enumerate(zip(rates, multipliers, strict=True)):
            padding = rate if padded else (sum(rates) if index == 0 else 0)
            conv = nn.Conv2d(width, channels * multiplier, 3, padding=padding, dilation=rate)
            name, relu_name = _ctx_names(index, len(rates))
            self.add_module(name, conv)
            self.add_module(relu_name, nn.ReLU())
            width = channels * multiplier
        self.ctx_final = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x  # (N, C, H, W)

    def start_as_identity(self) -> None:
        """Hand the scores on: each layer's centre averages the inputs that stem from the same class."""
        for conv in self.children():
            if not isinstance(conv, nn.Conv2d) or conv.weight.is_meta:
                continue
            classes = self.ctx_final.out_channels
            made_from = torch.arange(conv.in_channels) * classes // conv.in_channels
            makes = torch.arange(conv.out_channels) * classes // conv.out_channels
            same = (makes[:, None] == made_from).float()  # (C_out, C_in)
            centre = conv.kernel_size[0] // 2
            nn.init.normal_(conv.weight, std=0.01 * classes / conv.in_channels)
            with torch.no_grad():
                conv.weight[:, :, centre, centre] += same / same.sum(dim=1, keepdim=True)


def _ctx_names(index: int, count: int) -> tuple[str, str]:
    """The release's names of a 3x3 and its ReLU: ctx_conv1_1, ctx_conv1_2, ctx_conv2_1, ..., ctx_fc1."""
    if index == count - 1:
        return "ctx_fc1", "ctx_fc1_relu"
    number = f"1_{index + 1}" if index < 2 else f"{index}_1"
    return f"ctx_conv{number}", f"ctx_relu{number}"


class DilatedNetFrontEnd(Classifier):
    """(N, 3, H, W) -> (N, classes, H, W); H and W exceed the margin, 186."""

    sizes = DILATED

    def __init__(self, *, num_classes: int = 21) -> None:
        super().__init__()
        pools = (Pool(), Pool(), Pool(), None, None)
        self.backbone = VGG16(pools, first_padding=0, padded=False, conv5_dilation=2)
        self.add_dense(512, 4096, 7, dilation=4)
        self.final = nn.Conv2d(4096, num_classes, 1)
        initialise(self)

    def score(self, x: Tensor) -> Tensor:
        """Scores at stride 8."""
        self.sizes.check(type(self).__name__, x.shape[-2:])
        x = F.pad(x, (MARGIN,) * 4, mode="reflect")  # (N, 3, H + 372, W + 372)
        x = self.backbone(x).pool5  # (N, 512, H/8 + 24, W/8 + 24)
        x = self.dense(x)  # (N, 4096, H/8, W/8)
        scores: Tensor = self.final(x)  # (N, classes, H/8, W/8)
        return scores

    def forward(self, x: Tensor) -> Tensor:
        scores = self.score(x)  # (N, classes, H/8, W/8)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)


class _WithContext(DilatedNetFrontEnd):
    """The front end and a context module. (N, 3, H, W) -> (N, classes, H, W)."""

    def __init__(
        self, num_classes: int, rates: Sequence[int], multipliers: Sequence[int], *, padded: bool
    ) -> None:
        super().__init__(num_classes=num_classes)
        self.context = ContextModule(num_classes, rates, multipliers, padded=padded)
        self.context.start_as_identity()

    def forward(self, x: Tensor) -> Tensor:
        scores = self.context(self.score(x))  # (N, classes, H/8, W/8)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)


class DilatedNetBasic(_WithContext):
    """Rates 1,1,2,4,8,1 and 11 classes are the KITTI release, Dilation7; the default rates are Dilation8."""

    def __init__(self, *, num_classes: int = 21, rates: Sequence[int] = RATES) -> None:
        super().__init__(num_classes, rates, (1,) * len(rates), padded=True)


class DilatedNetLarge(_WithContext):
    """The Pascal VOC release, Dilation8."""

    def __init__(self, *, num_classes: int = 21) -> None:
        super().__init__(num_classes, RATES, LARGE, padded=False)


class Dilation10(_WithContext):
    """The Cityscapes release: nine rates, and a fixed deconvolution in place of the resize."""

    def __init__(self, *, num_classes: int = 19) -> None:
        rates = (1, 1, 2, 4, 8, 16, 32, 64, 1)
        super().__init__(num_classes, rates, (1,) * len(rates), padded=True)
        self.ctx_upsample = nn.ConvTranspose2d(
            num_classes, num_classes, 16, 8, padding=4, groups=num_classes, bias=False
        )
        initialise(self.ctx_upsample)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.context(self.score(x))  # (N, classes, H/8, W/8)
        height, width = x.shape[-2:]
        out: Tensor = self.ctx_upsample(scores)[:, :, :height, :width]  # (N, classes, H, W)
        return out
