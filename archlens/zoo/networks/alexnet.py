"""AlexNet, the network of ImageNet-CNN and Places-CNN.

Krizhevsky, Sutskever & Hinton, NIPS 2012. Zhou, Khosla, Lapedriza, Oliva & Torralba, Object Detectors
Emerge in Deep Scene CNNs, ICLR 2015, arXiv 1412.6856, trained it on scenes (205 classes, later 365) and on
objects (1000) and measured how much of the theoretical receptive field its units really use. Layers as in
BVLC/caffe's reference CaffeNet and CSAILVision/places365 `deploy_alexnet_places365.prototxt`.

The dense layers are written as convolutions: fc6 covers the whole 6x6 map, hence the fixed crop of 227
pixels.
"""

from __future__ import annotations

from torch import Tensor, nn

from archlens.zoo.backbones.alexnet import AlexNetTrunk
from archlens.zoo.backbones.vgg import initialise
from archlens.zoo.heads.classifier import Classifier
from archlens.zoo.sizes import ALEXNET


class AlexNet(Classifier):
    """(N, 3, 227, 227) -> (N, classes)."""

    sizes = ALEXNET

    def __init__(self, *, num_classes: int = 1000, groups: int = 2) -> None:
        super().__init__()
        self.backbone = AlexNetTrunk(groups=groups)
        self.add_dense(256, 4096, 6)
        self.fc8 = nn.Conv2d(4096, num_classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check("AlexNet", x.shape[-2:])
        x = self.backbone(x)  # (N, 256, 6, 6)
        x = self.dense(x)  # (N, 4096, 1, 1)
        out: Tensor = self.fc8(x).flatten(1)  # (N, classes)
        return out
