"""DeepLabv3: atrous spatial pyramid pooling with batch norm and the pooled image, on a ResNet.

Chen, Papandreou, Schroff & Adam, Rethinking Atrous Convolution for Semantic Image Segmentation, 2017, arXiv
1706.05587; tensorflow/models `research/deeplab/{model.py,core/feature_extractor.py,core/resnet_v1_beta.py}`.

* Trunk: ResNet-50 or -101 at output stride 16 (training) or 8 (evaluation); the last stage's three units have
  the rates of the multi-grid (1, 2, 4), times 2 at stride 16 and 4 at stride 8.
* ASPP: a 1x1, 3x3s at rates 6, 12, 18 and the pooled image, 256 channels each, and a 1x1 projection. The
  rates are those of stride 16: by default they grow as the stride shrinks (12, 24, 36 at stride 8), so that
  they span the same pixels.
* A 1x1 classifier and corners-aligned bilinear upsampling to the input's size.

The default layout has the 7x7 stem and strides in the first units' 3x3, so that ImageNet weights of
torchvision's ResNets fit. TensorFlow's own trunk is `stem=beta&stride_in=last`. This is not torchvision's
DeepLabv3, which has no multi-grid, an extra 3x3 after the projection, and contracted dilation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from archlens.zoo.backbones.resnet import ResNet, Stem, StrideIn
from archlens.zoo.blocks import initialise
from archlens.zoo.heads.aspp import ASPP, default_rates


class DeepLabv3(nn.Module):
    """(N, 3, H, W) -> (N, classes, H, W), any H and W."""

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 21,
        output_stride: int = 16,
        multi_grid: Sequence[int] = (1, 2, 4),
        rates: Sequence[int] | None = None,
        image_pooling: bool = True,
        stem: Stem = "7x7",
        stride_in: StrideIn = "conv2",
    ) -> None:
        super().__init__()
        self.backbone = ResNet(
            depth, stem=stem, stride_in=stride_in, output_stride=output_stride, multi_grid=multi_grid
        )
        self.aspp = ASPP(2048, rates or default_rates(output_stride), image_pooling=image_pooling)
        self.classifier = nn.Conv2d(256, num_classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        features = self.backbone(x).out  # (N, 2048, H/os, W/os)
        context = self.aspp(features)  # (N, 256, H/os, W/os)
        scores = self.classifier(context)  # (N, classes, H/os, W/os)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)
