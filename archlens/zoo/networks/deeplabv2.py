"""DeepLabv2 on VGG-16: dilated branches side by side, from the trunk to the scores.

Chen, Papandreou, Kokkinos, Murphy & Yuille, DeepLab: Semantic Image Segmentation with Deep Convolutional
Nets, Atrous Convolution, and Fully Connected CRFs, arXiv 1606.00915. Layer by layer as in the released
prototxts (kept in talent518/deeplab-public-ver2 `exper/voc12/config/vgg16/` and xmojiao/deeplab_v2).

* Trunk: that of DeepLabv1's LargeFOV net, without the average pool after pool5.
* ASPP: each branch has an fc6 (3x3 at its rate, 1024 channels), fc7 and fc8 of its own; the score maps are
  added. ASPP-L has rates 6, 12, 18 and 24, ASPP-S 2, 4, 8 and 12.
* Corners-aligned bilinear upsampling by 8, hence inputs of 8 m + 1 pixels: 321, 513.

The ResNet-101 nets are in `deeplabv2_resnet`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from archlens.zoo.backbones.vgg import DEEPLAB_POOLS, VGG16, initialise
from archlens.zoo.networks.deeplabv1 import DeepLabv1LargeFOV
from archlens.zoo.sizes import ZOOM8

ASPP_RATES = {"large": (6, 12, 18, 24), "small": (2, 4, 8, 12)}


class ClassifierASPP(nn.Module):
    """A whole classifier at each rate, the scores added. (N, C, H, W) -> (N, classes, H, W)."""

    def __init__(self, in_channels: int, num_classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.branches = range(1, len(rates) + 1)
        for branch, rate in zip(self.branches, rates, strict=True):
            self.add_module(f"fc6_{branch}", nn.Conv2d(in_channels, 1024, 3, padding=rate, dilation=rate))
            self.add_module(f"relu6_{branch}", nn.ReLU())
            self.add_module(f"drop6_{branch}", nn.Dropout(0.5))
            self.add_module(f"fc7_{branch}", nn.Conv2d(1024, 1024, 1))
            self.add_module(f"relu7_{branch}", nn.ReLU())
            self.add_module(f"drop7_{branch}", nn.Dropout(0.5))
            self.add_module(f"fc8_{branch}", nn.Conv2d(1024, num_classes, 1))

    def score(self, branch: int, x: Tensor) -> Tensor:
        """The scores of one branch. (N, C, H, W) -> (N, classes, H, W)."""
        for layer in ("fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"):
            x = self.get_submodule(f"{layer}_{branch}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.branches
        total = self.score(first, x)  # (N, classes, H, W)
        for branch in others:
            total = total + self.score(branch, x)
        return total


class DeepLabv2VGG(nn.Module):
    """(N, 3, H, W) -> (N, classes, H, W); H and W are 8 m + 1.

    Args:
        num_classes: background included.
        aspp: "large" or "small".
        rates: dilations of the branches, in place of those.
        pools: "released" or "plain", see `DEEPLAB_POOLS`.
    """

    sizes = ZOOM8

    def __init__(
        self,
        *,
        num_classes: int = 21,
        aspp: str = "large",
        rates: Sequence[int] | None = None,
        pools: str = "released",
    ) -> None:
        super().__init__()
        self.backbone = VGG16(DEEPLAB_POOLS[pools], conv5_dilation=2)
        self.aspp = ClassifierASPP(512, num_classes, rates or ASPP_RATES[aspp])
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.check("DeepLabv2VGG", x.shape[-2:])
        features = self.backbone(x).pool5  # (N, 512, H/8, W/8)
        scores = self.aspp(features)  # (N, classes, H/8, W/8)
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=True)


class DeepLabv2LargeFOVVGG(DeepLabv1LargeFOV):
    """DeepLabv1's LargeFOV net without pool5a: one branch, rate 12. (N, 3, H, W) -> (N, classes, H, W)."""

    def __init__(
        self,
        *,
        num_classes: int = 21,
        kernel: int = 3,
        rate: int = 12,
        width: int = 1024,
        pools: str = "released",
    ) -> None:
        super().__init__(
            num_classes=num_classes, kernel=kernel, rate=rate, width=width, pools=pools, pool5a=False
        )
