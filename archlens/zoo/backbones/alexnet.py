"""The convolutions of AlexNet, as Caffe's reference net has them.

Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012;
BVLC/caffe `models/bvlc_reference_caffenet/deploy.prototxt`, which normalises after the pools (bvlc_alexnet:
before them, with the same receptive fields and costs). conv2, conv4 and conv5 work in two groups; pools
round up.
"""

from __future__ import annotations

from torch import Tensor, nn


class AlexNetTrunk(nn.Module):
    """(N, 3, H, W) -> (N, 256, H', W'): a map of 6x6 at stride 32 for 227x227 and no padding of conv1."""

    def __init__(self, *, first_padding: int = 0, groups: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4, padding=first_padding)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm1 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=groups)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm2 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.relu3 = nn.ReLU()
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=groups)
        self.relu4 = nn.ReLU()
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=groups)
        self.relu5 = nn.ReLU()
        self.pool5 = nn.MaxPool2d(3, 2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        # Sizes are those of a 227x227 crop.
        x = self.norm1(self.pool1(self.relu1(self.conv1(x))))  # (N, 96, 27, 27), from 55 before the pool
        x = self.norm2(self.pool2(self.relu2(self.conv2(x))))  # (N, 256, 13, 13)
        x = self.relu3(self.conv3(x))  # (N, 384, 13, 13)
        x = self.relu4(self.conv4(x))  # (N, 384, 13, 13)
        out: Tensor = self.pool5(self.relu5(self.conv5(x)))  # (N, 256, 6, 6)
        return out
