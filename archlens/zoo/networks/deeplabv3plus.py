"""DeepLabv3+: DeepLabv3 as an encoder, and a small decoder that brings stride-4 detail back.

Chen, Zhu, Papandreou, Schroff & Adam, Encoder-Decoder with Atrous Separable Convolution for Semantic Image
Segmentation, ECCV 2018, arXiv 1802.02611; tensorflow/models `research/deeplab/{model.py,core/xception.py,
core/feature_extractor.py}`.

* Trunk: Xception-65 (its own rates, no multi-grid), or the ResNets of DeepLabv3.
* Encoder head: DeepLabv3's ASPP.
* Decoder: the encoder's 256 channels, resized to stride 4; the trunk's stride-4 map, reduced to 48 channels
  by a 1x1; both concatenated (304), two 3x3 convolutions of 256, a 1x1 classifier, and bilinear by 4. The
  stride-4 map has 256 channels: of Xception the second entry block's second separable convolution, of the
  ResNets the end of the first stage (with `stride_in=last` the branch of its second unit).
* `separable_head=true` is the paper's "SC": the 3x3s of ASPP and decoder become depthwise-separable, as in
  its final models.
* All resizes are bilinear with aligned corners.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.zoo.backbones.resnet import ResNet, Stem, StrideIn
from archlens.zoo.backbones.xception import Xception65
from archlens.zoo.blocks import ConvBNReLU, SeparableConvBNReLU, initialise
from archlens.zoo.heads.aspp import ASPP, default_rates


class Decoder(nn.Module):
    """Joins the encoder's map with the stride-4 map. -> (N, 256, H/4, W/4)."""

    def __init__(self, low_level_channels: int, *, separable: bool) -> None:
        super().__init__()
        self.low_level = ConvBNReLU(low_level_channels, 48, 1)
        self.conv1: nn.Module
        self.conv2: nn.Module
        if separable:
            self.conv1 = SeparableConvBNReLU(256 + 48, 256)
            self.conv2 = SeparableConvBNReLU(256, 256)
        else:
            self.conv1 = ConvBNReLU(256 + 48, 256, 3)
            self.conv2 = ConvBNReLU(256, 256, 3)

    def forward(self, context: Tensor, low_level: Tensor) -> Tensor:
        detail = self.low_level(low_level)  # (N, 48, H/4, W/4)
        context = F.interpolate(context, size=detail.shape[-2:], mode="bilinear", align_corners=True)
        fused = torch.cat([context, detail], dim=1)  # (N, 304, H/4, W/4)
        out: Tensor = self.conv2(self.conv1(fused))  # (N, 256, H/4, W/4)
        return out


class DeepLabv3Plus(nn.Module):
    """(N, 3, H, W) -> (N, classes, H, W), any H and W."""

    def __init__(
        self,
        backbone: ResNet | Xception65,
        *,
        output_stride: int,
        num_classes: int = 21,
        rates: Sequence[int] | None = None,
        image_pooling: bool = True,
        separable_head: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.aspp = ASPP(
            2048,
            rates or default_rates(output_stride),
            separable=separable_head,
            image_pooling=image_pooling,
        )
        self.decoder = Decoder(256, separable=separable_head)
        self.classifier = nn.Conv2d(256, num_classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        features = self.backbone(x)
        context = self.aspp(features.out)  # (N, 256, H/os, W/os)
        fused = self.decoder(context, features.low_level)  # (N, 256, H/4, W/4)
        scores = self.classifier(fused)  # (N, classes, H/4, W/4)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)


def deeplabv3plus_xception65(
    *,
    num_classes: int = 21,
    output_stride: int = 16,
    rates: Sequence[int] | None = None,
    image_pooling: bool = True,
    separable_head: bool = False,
) -> DeepLabv3Plus:
    """The network on Xception-65."""
    return DeepLabv3Plus(
        Xception65(output_stride=output_stride),
        output_stride=output_stride,
        num_classes=num_classes,
        rates=rates,
        image_pooling=image_pooling,
        separable_head=separable_head,
    )


def deeplabv3plus_resnet(
    depth: int,
    *,
    num_classes: int = 21,
    output_stride: int = 16,
    multi_grid: Sequence[int] = (1, 2, 4),
    rates: Sequence[int] | None = None,
    image_pooling: bool = True,
    separable_head: bool = False,
    stem: Stem = "7x7",
    stride_in: StrideIn = "conv2",
) -> DeepLabv3Plus:
    """The network on a ResNet of 50 or 101 layers."""
    trunk = ResNet(depth, stem=stem, stride_in=stride_in, output_stride=output_stride, multi_grid=multi_grid)
    return DeepLabv3Plus(
        trunk,
        output_stride=output_stride,
        num_classes=num_classes,
        rates=rates,
        image_pooling=image_pooling,
        separable_head=separable_head,
    )
