"""DeepLabv1: VGG-16 at stride 8, its first dense layer a dilated convolution.

Chen, Papandreou, Kokkinos, Murphy & Yuille, Semantic Image Segmentation with Deep Convolutional Nets and
Fully Connected CRFs, ICLR 2015, arXiv 1412.7062. Layer by layer as in the released prototxts (kept in
TheLegendAli/DeepLab-Context `config/`).

* Trunk: pool4 and pool5 at stride 1, the fifth stage's convolutions at rate 2.
* LargeFOV, the net to default to: fc6 is 3x3 at rate 12 with 1024 channels. As released, all pools are 3x3
  and an average pool follows pool5, which the paper does not mention; `pools=plain` is the paper's net.
  Corners-aligned zoom by 8, hence inputs of 8 m + 1 pixels.
* 4x4 and 7x7: VGG-16's own 2x2 pools, here padded, and fc6 of that size at rate 4 with 4096 channels.
  pool4, of stride 1 and padded, makes the map one cell larger; the zoomed scores are cropped by 7 pixels in
  front and 8 behind. That gives the input's size back for 8 m + 2 pixels: 306, 514. The training nets
  (`pool4=train`) leave that padding away and end at the score map, which the labels are shrunk to.
* MSc: two small convolutions and a classifier on the image and on pool1 to pool4, zoomed to the image and
  added.
"""

from __future__ import annotations

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from archlens.zoo.backbones.vgg import DEEPLAB_POOLS, POOL5, VGG16, Pool, initialise, same_padding
from archlens.zoo.heads.classifier import Classifier
from archlens.zoo.sizes import ZOOM8, ZOOM8_CROPPED, ZOOM8_SCORES


class DeepLabv1LargeFOV(Classifier):
    """(N, 3, H, W) -> (N, classes, H, W); H and W are 8 m + 1.

    Args:
        num_classes: background included.
        kernel: side of fc6.
        rate: dilation of fc6.
        width: channels of fc6 and fc7.
        pools: "released" or "plain", see `DEEPLAB_POOLS`.
        pool5a: whether the released pools end with the average pool.
    """

    sizes = ZOOM8

    def __init__(
        self,
        *,
        num_classes: int = 21,
        kernel: int = 3,
        rate: int = 12,
        width: int = 1024,
        pools: str = "released",
        pool5a: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = VGG16(DEEPLAB_POOLS[pools], conv5_dilation=2)
        self.pool5a = nn.AvgPool2d(3, 1, 1) if pool5a and pools == "released" else None
        self.add_dense(512, width, kernel, padding=same_padding(kernel, rate), dilation=rate)
        self.fc8 = nn.Conv2d(width, num_classes, 1)
        initialise(self)

    def score(self, x: Tensor) -> Tensor:
        """Scores of pool5's map."""
        if self.pool5a is not None:
            x = self.pool5a(x)  # (N, 512, H/8, W/8)
        x = self.dense(x)  # (N, width, H/8, W/8)
        scores: Tensor = self.fc8(x)  # (N, classes, H/8, W/8)
        return scores

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(type(self).__name__, x.shape[-2:])
        scores = self.score(self.backbone(x).pool5)  # (N, classes, H/8, W/8)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)


def _direct_path(channels: int, num_classes: int) -> nn.Sequential:
    """Scores of an early map. (N, C, H, W) -> (N, classes, H, W)."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(channels, 128, 3, padding=1),
            relu_conv=nn.ReLU(),
            drop_conv=nn.Dropout(0.5),
            fc=nn.Conv2d(128, 128, 1),
            relu_fc=nn.ReLU(),
            drop_fc=nn.Dropout(0.5),
            ms=nn.Conv2d(128, num_classes, 1),
        )
    )


class DeepLabv1MSc(DeepLabv1LargeFOV):
    """LargeFOV with scores of the image and of four pools added. (N, 3, H, W) -> (N, classes, H, W)."""

    def __init__(
        self,
        *,
        num_classes: int = 21,
        kernel: int = 3,
        rate: int = 12,
        width: int = 1024,
        pools: str = "released",
    ) -> None:
        super().__init__(num_classes=num_classes, kernel=kernel, rate=rate, width=width, pools=pools)
        self.data = _direct_path(3, num_classes)
        self.pool1 = _direct_path(64, num_classes)
        self.pool2 = _direct_path(128, num_classes)
        self.pool3 = _direct_path(256, num_classes)
        self.pool4 = _direct_path(512, num_classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(type(self).__name__, x.shape[-2:])
        stages = self.backbone(x)
        coarse = (
            self.pool1(stages.pool1),  # (N, classes, H/2, W/2)
            self.pool2(stages.pool2),  # (N, classes, H/4, W/4)
            self.pool3(stages.pool3),  # (N, classes, H/8, W/8)
            self.pool4(stages.pool4),  # (N, classes, H/8, W/8)
            self.score(stages.pool5),  # (N, classes, H/8, W/8)
        )
        scores: Tensor = self.data(x)  # (N, classes, H, W)
        for other in coarse:
            scores = scores + F.interpolate(other, size=x.shape[-2:], mode="bilinear", align_corners=True)
        return scores


class DeepLabv1(Classifier):
    """The 4x4 and 7x7 nets. (N, 3, H, W) -> (N, classes, H, W); H and W are 8 m + 2.

    With `pool4="train"` the score map, (N, classes, H/8, W/8), of any input of two pixels or more.
    """

    def __init__(
        self,
        *,
        num_classes: int = 21,
        kernel: int = 4,
        rate: int = 4,
        width: int = 4096,
        pool4: str = "test",
    ) -> None:
        super().__init__()
        self.zoomed = pool4 == "test"
        self.sizes = ZOOM8_CROPPED if self.zoomed else ZOOM8_SCORES
        fourth = Pool(2, 1, 1) if self.zoomed else Pool(2, 1, 0)
        self.backbone = VGG16((Pool(2, 2, 1),) * 3 + (fourth, POOL5), conv5_dilation=2)
        self.add_dense(512, width, kernel, padding=same_padding(kernel, rate), dilation=rate)
        self.fc8 = nn.Conv2d(width, num_classes, 1)
        initialise(self)

    def score(self, x: Tensor) -> Tensor:
        """The score map of an image, of any size."""
        x = self.backbone(x).pool5  # (N, 512, H/8, W/8)
        x = self.dense(x)  # (N, width, H/8, W/8)
        scores: Tensor = self.fc8(x)  # (N, classes, H/8, W/8)
        return scores

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check(type(self).__name__, x.shape[-2:])
        scores = self.score(x)  # (N, classes, H/8, W/8): 67 cells for 514 pixels
        if not self.zoomed:
            return scores
        zoomed = [8 * (length - 1) + 1 for length in scores.shape[-2:]]  # 529
        scores = F.interpolate(scores, size=zoomed, mode="bilinear", align_corners=True)
        return scores[:, :, 7:-8, 7:-8]  # (N, classes, H, W)
