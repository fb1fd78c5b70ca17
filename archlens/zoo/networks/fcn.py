"""Fully convolutional networks: a classifier slid over the image, upsampled, with skips to finer maps.

Long, Shelhamer & Darrell, CVPR 2015, arXiv 1411.4038; Shelhamer, Long & Darrell, PAMI 2017, arXiv
1605.06211. Layer by layer as in shelhamer/fcn.berkeleyvision.org
`voc-fcn32s|16s|8s|8s-atonce|alexnet/net.py`.

* VGG-16 with its dense layers as convolutions: fc6 is 7x7 over pool5. conv1_1 pads the image by 100 pixels,
  so that even one pixel makes a 7x7 map; the crops below take the padding off again.
* 32s: 21 scores at stride 32, upsampled by 32. 16s: upsampled by 2, plus pool4's scores, upsampled by 16.
  8s: the same once more with pool3 before the last upsampling by 8.
* `atonce=true` scales pool4 by 0.01 and pool3 by 0.0001 before their scores, so that all can be trained at
  once.
* Upsampling is a transposed convolution with fixed bilinear values. Caffe keeps a full classes x classes
  kernel for it, of which all but the diagonal is zero (`deconv=full`); `deconv=grouped` keeps the diagonal:
  the same function.
* The AlexNet one has a 6x6 fc6 and a 63x63 deconvolution.
"""

from __future__ import annotations

from torch import Tensor, nn

from archlens.zoo.backbones.alexnet import AlexNetTrunk
from archlens.zoo.backbones.vgg import VGG16, Stages, initialise
from archlens.zoo.heads.classifier import Classifier
from archlens.zoo.sizes import ANY


def _upsample(classes: int, kernel: int, stride: int, deconv: str) -> nn.ConvTranspose2d:
    groups = classes if deconv == "grouped" else 1
    return nn.ConvTranspose2d(classes, classes, kernel, stride, groups=groups, bias=False)


def _crop(x: Tensor, offset: int, like: Tensor) -> Tensor:
    """The part of `x` from `offset` on, of the height and width of `like`."""
    height, width = like.shape[-2:]
    return x[:, :, offset : offset + height, offset : offset + width]


class _FCN(Classifier):
    """What the VGG-16 ones share: everything up to the scores at stride 32."""

    sizes = ANY

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = VGG16(first_padding=100)
        self.add_dense(512, 4096, 7)
        self.score_fr = nn.Conv2d(4096, num_classes, 1)

    def score(self, x: Tensor) -> tuple[Stages, Tensor]:
        """The trunk's maps and the coarse scores."""
        self.sizes.check(type(self).__name__, x.shape[-2:])
        stages = self.backbone(x)
        x = self.dense(stages.pool5)  # (N, 4096, H/32, W/32)
        return stages, self.score_fr(x)  # (N, classes, H/32, W/32)


class FCN32s(_FCN):
    """(N, 3, H, W) -> (N, classes, H, W), any H and W."""

    def __init__(self, *, num_classes: int = 21, deconv: str = "full") -> None:
        super().__init__(num_classes)
        self.upscore = _upsample(num_classes, 64, 32, deconv)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        _, scores = self.score(x)  # (N, classes, H/32, W/32)
        return _crop(self.upscore(scores), 19, like=x)  # (N, classes, H, W)


class FCN16s(_FCN):
    """(N, 3, H, W) -> (N, classes, H, W), any H and W."""

    def __init__(self, *, num_classes: int = 21, deconv: str = "full") -> None:
        super().__init__(num_classes)
        self.upscore2 = _upsample(num_classes, 4, 2, deconv)
        self.score_pool4 = nn.Conv2d(512, num_classes, 1)
        self.upscore16 = _upsample(num_classes, 32, 16, deconv)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        stages, scores = self.score(x)
        scores = self.upscore2(scores)  # (N, classes, H/16, W/16)
        scores = scores + _crop(self.score_pool4(stages.pool4), 5, like=scores)
        return _crop(self.upscore16(scores), 27, like=x)  # (N, classes, H, W)


class FCN8s(_FCN):
    """(N, 3, H, W) -> (N, classes, H, W), any H and W."""

    def __init__(self, *, num_classes: int = 21, deconv: str = "full", atonce: bool = False) -> None:
        super().__init__(num_classes)
        self.atonce = atonce
        self.upscore2 = _upsample(num_classes, 4, 2, deconv)
        self.score_pool4 = nn.Conv2d(512, num_classes, 1)
        self.upscore_pool4 = _upsample(num_classes, 4, 2, deconv)
        self.score_pool3 = nn.Conv2d(256, num_classes, 1)
        self.upscore8 = _upsample(num_classes, 16, 8, deconv)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        stages, scores = self.score(x)
        pool4, pool3 = stages.pool4, stages.pool3
        if self.atonce:
            pool4, pool3 = pool4 * 0.01, pool3 * 0.0001
        scores = self.upscore2(scores)  # (N, classes, H/16, W/16)
        scores = scores + _crop(self.score_pool4(pool4), 5, like=scores)
        scores = self.upscore_pool4(scores)  # (N, classes, H/8, W/8)
        scores = scores + _crop(self.score_pool3(pool3), 9, like=scores)
        return _crop(self.upscore8(scores), 31, like=x)  # (N, classes, H, W)


class FCN32sAlexNet(Classifier):
    """(N, 3, H, W) -> (N, classes, H, W), any H and W."""

    sizes = ANY

    def __init__(self, *, num_classes: int = 21, deconv: str = "full") -> None:
        super().__init__()
        self.backbone = AlexNetTrunk(first_padding=100)
        self.add_dense(256, 4096, 6)
        self.score_fr = nn.Conv2d(4096, num_classes, 1)
        self.upscore = _upsample(num_classes, 63, 32, deconv)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check("FCN32sAlexNet", x.shape[-2:])
        features = self.backbone(x)  # (N, 256, H/32, W/32)
        features = self.dense(features)  # (N, 4096, H/32, W/32)
        scores = self.score_fr(features)  # (N, classes, H/32, W/32)
        return _crop(self.upscore(scores), 18, like=x)  # (N, classes, H, W)
