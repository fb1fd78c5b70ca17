"""PSPNet: a dilated ResNet and a pyramid of pooled maps in front of the classifier.

Zhao, Shi, Qi, Wang & Jia, Pyramid Scene Parsing Network, CVPR 2017, arXiv 1612.01105. Layer by layer as in
the releases: hszhao/PSPNet (Caffe: `pspnet101_VOC2012_473.prototxt` and its neighbours) and hszhao/semseg.

* Trunk: ResNet-50 or -101 at output stride 8, with a stem of three 3x3 convolutions (64, 64, 128). The fourth
  and fifth stage have rate 2 and 4 in all of their units (`dilate_first=false` for the contracted dilation of
  other codebases: their first units keep 1 and 2). The third stage's stride sits in the 3x3 (semseg, and the
  Caffe nets for VOC and Cityscapes) or in the first 1x1 (`stride_in=conv1`: the Caffe ResNet-50 for ADE20K).
* Pyramid pooling, then conv5_4, a 3x3 over the 4096 channels (most of the head's cost), and conv6, a 1x1.
* While training, an auxiliary classifier on the fourth stage, its loss weighted 0.4 (`aux=true`).
* Corners-aligned bilinear upsampling by 8, hence inputs of 8 m + 1 pixels: 473, 513, 713.
* `ppm=false` is the paper's dilated baseline: conv5_4 on the trunk itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from archlens.zoo.backbones.resnet import ResNet, Stem, StrideIn
from archlens.zoo.blocks import ConvBNReLU, initialise
from archlens.zoo.heads.ppm import PyramidPooling
from archlens.zoo.sizes import ZOOM8


class PSPNet(nn.Module):
    """(N, 3, H, W) -> (N, classes, H, W), or {"out", "aux"} of that with `aux`. H and W are 8 m + 1."""

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 21,
        bins: Sequence[int] = (1, 2, 3, 6),
        ppm: bool = True,
        aux: bool = False,
        stem: Stem = "beta",
        stride_in: StrideIn = "conv2",
        dilate_first: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(
            depth, stem=stem, stride_in=stride_in, output_stride=8, dilate_first=dilate_first
        )
        channels = 2048
        self.ppm: PyramidPooling | None = None
        if ppm:
            self.ppm = PyramidPooling(channels, bins)
            channels = self.ppm.out_channels
        self.conv5_4 = ConvBNReLU(channels, 512, 3, dropout=0.1)
        self.conv6 = nn.Conv2d(512, num_classes, 1)
        self.aux: nn.Module | None = None
        if aux:
            reduce = ConvBNReLU(1024, 256, 3, dropout=0.1)
            self.aux = nn.Sequential(OrderedDict(reduce=reduce, score=nn.Conv2d(256, num_classes, 1)))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        size = x.shape[-2:]
        ZOOM8.check("PSPNet", size)
        features = self.backbone(x)
        context = features.out  # (N, 2048, H/8, W/8)
        if self.ppm is not None:
            context = self.ppm(context)  # (N, 4096, H/8, W/8)
        scores = self.conv6(self.conv5_4(context))  # (N, classes, H/8, W/8)
        out = F.interpolate(scores, size=size, mode="bilinear", align_corners=True)  # (N, classes, H, W)
        if self.aux is None:
            return out
        scores = self.aux(features.middle)  # (N, classes, H/8, W/8)
        return {"out": out, "aux": F.interpolate(scores, size=size, mode="bilinear", align_corners=True)}
