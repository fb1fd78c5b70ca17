"""DeepLabv2 on ResNet-101: four dilated classifiers side by side, their scores added.

Chen, Papandreou, Kokkinos, Murphy & Yuille, DeepLab: Semantic Image Segmentation with Deep Convolutional
Nets, Atrous Convolution, and Fully Connected CRFs, arXiv 1606.00915. The authors' Caffe net as found in
isht7/pytorch-deeplab-resnet `data/test.prototxt`, DrSleep/tensorflow-deeplab-resnet `misc/deploy.prototxt`
and kazuto1011/deeplab-pytorch `libs/models/deeplabv2.py`.

* Trunk: Caffe's ResNet-101 (strides in the first 1x1, max pool rounding up) at output stride 8; the fourth
  and fifth stage have rate 2 and 4 in all of their units. Batch norm is frozen in the authors' training.
* ASPP: 3x3 convolutions from 2048 channels straight to the classes, at rates 6, 12, 18 and 24, summed.
  The LargeFOV variant has one of them, at rate 12; its `kernel=1` is a plain 1x1 classifier.
* The multi-scale network runs the same weights on the image at scales 1, 0.75 and 0.5, resizes the scores to
  the first one's grid and keeps the largest of the three at each position.
* Corners-aligned bilinear upsampling by 8, hence inputs of 8 m + 1 pixels: 321, 513. The fully connected CRF
  of the paper has no parameters and no place here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.zoo.backbones.resnet import ResNet
from archlens.zoo.blocks import initialise
from archlens.zoo.heads.aspp import ScoreASPP
from archlens.zoo.sizes import ZOOM8


def _trunk() -> ResNet:
    return ResNet(101, stem="7x7", stride_in="conv1", output_stride=8, dilate_first=True, ceil_mode=True)


class DeepLabv2(nn.Module):
    """(N, 3, H, W) -> (N, classes, H, W); H and W are 8 m + 1."""

    def __init__(self, *, num_classes: int = 21, rates: Sequence[int] = (6, 12, 18, 24)) -> None:
        super().__init__()
        self.backbone = _trunk()
        self.aspp = ScoreASPP(2048, num_classes, rates)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        ZOOM8.check("DeepLabv2", x.shape[-2:])
        features = self.backbone(x).out  # (N, 2048, H/8, W/8)
        scores = self.aspp(features)  # (N, classes, H/8, W/8)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)


class DeepLabv2LargeFOV(nn.Module):
    """One dilated classifier. (N, 3, H, W) -> (N, classes, H, W); H and W are 8 m + 1."""

    def __init__(self, *, num_classes: int = 21, rate: int = 12, kernel: int = 3) -> None:
        super().__init__()
        self.backbone = _trunk()
        padding = rate * (kernel - 1) // 2
        self.classifier = nn.Conv2d(2048, num_classes, kernel, padding=padding, dilation=rate)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        ZOOM8.check("DeepLabv2", x.shape[-2:])
        features = self.backbone(x).out  # (N, 2048, H/8, W/8)
        scores = self.classifier(features)  # (N, classes, H/8, W/8)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)


class DeepLabv2MultiScale(DeepLabv2):
    """`DeepLabv2` on three scales of the image. (N, 3, H, W) -> (N, classes, H, W); H and W are 8 m + 1."""

    scales = (0.75, 0.5)  # beside 1

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        ZOOM8.check("DeepLabv2", (height, width))
        scores = self.aspp(self.backbone(x).out)  # (N, classes, H/8, W/8)
        grid = scores.shape[-2:]
        for scale in self.scales:
            size = [int((height - 1) * scale) + 1, int((width - 1) * scale) + 1]  # 513: 385, 257
            small = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
            coarse = self.aspp(self.backbone(small).out)  # (N, classes, scale H/8, scale W/8)
            coarse = F.interpolate(coarse, size=grid, mode="bilinear", align_corners=True)
            scores = torch.maximum(scores, coarse)  # (N, classes, H/8, W/8)
        return F.interpolate(scores, size=[height, width], mode="bilinear", align_corners=True)
