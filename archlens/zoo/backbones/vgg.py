"""The convolutions of VGG-16, with the pools and the padding left open.

Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015, arXiv
1409.1556. Thirteen 3x3 convolutions with bias and ReLU, in five stages of 64, 128, 256, 512 and 512
channels, each closed by a 2x2 max pool of stride 2; no batch norm; 14,714,688 parameters.

The segmentation networks change what a dense prediction minds: FCN pads the image by 100 pixels, DeepLab
takes the stride out of the last two pools and dilates the fifth stage, Yu & Koltun drop those pools and all
padding. Caffe's pools round up, as `ceil_mode=True` does. Layers carry the names of the Caffe release.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from archlens.errors import OptionError

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""(channels, convolutions) of each stage."""


@dataclass(frozen=True)
class Pool:
    """A max pool, rounding up; `same` adds a row and a column of zeros below and to the right before it."""

    kernel: int = 2
    stride: int = 2
    padding: int = 0
    same: bool = False


class Stages(NamedTuple):
    """The map at the end of each stage: its pool, or its last convolution where the pool is left out."""

    pool1: Tensor
    pool2: Tensor
    pool3: Tensor
    pool4: Tensor
    pool5: Tensor


class VGG16(nn.Module):
    """(N, 3, H, W) -> `Stages` of 64, 128, 256, 512 and 512 channels.

    Args:
        pools: the five pools; None leaves one out.
        first_padding: of conv1_1.
        padded: whether the other convolutions keep the map's size (conv1_1 too, as `first_padding` defaults).
        conv5_dilation: of the fifth stage's convolutions.
    """

    def __init__(
        self,
        pools: Sequence[Pool | None] = (Pool(),) * 5,
        *,
        first_padding: int = 1,
        padded: bool = True,
        conv5_dilation: int = 1,
    ) -> None:
        super().__init__()
        self.stage_layers: list[list[str]] = []
        channels = 3
        for stage, ((width, depth), pool) in enumerate(zip(STAGES, pools, strict=True), start=1):
            layers: dict[str, nn.Module] = {}
            dilation = conv5_dilation if stage == 5 else 1
            for index in range(1, depth + 1):
                padding = dilation if padded else 0
                if (stage, index) == (1, 1):
                    padding = first_padding
                layers[f"conv{stage}_{index}"] = nn.Conv2d(
                    channels, width, 3, padding=padding, dilation=dilation
                )
                layers[f"relu{stage}_{index}"] = nn.ReLU()
                channels = width
            if pool is not None:
                if pool.same:
                    layers[f"pad{stage}"] = nn.ZeroPad2d((0, 1, 0, 1))
                layers[f"pool{stage}"] = nn.MaxPool2d(pool.kernel, pool.stride, pool.padding, ceil_mode=True)
            for name, layer in layers.items():
                self.add_module(name, layer)
            self.stage_layers.append(list(layers))

    def forward(self, x: Tensor) -> Stages:
        ends: list[Tensor] = []
        for names in self.stage_layers:
            for name in names:
                x = self.get_submodule(name)(x)
            ends.append(x)
        return Stages(*ends)


POOL5 = Pool(3, 1, 1)
DEEPLAB_POOLS: dict[str, tuple[Pool, ...]] = {
    "released": (Pool(3, 2, 1),) * 3 + (Pool(3, 1, 1), POOL5),
    "plain": (Pool(2, 2),) * 3 + (Pool(2, 1, same=True), POOL5),
}
"""Pools of DeepLab at output stride 8: both turn 8 m + 1 pixels into m + 1 cells.

"released" as in the LargeFOV nets and in all of DeepLabv2; "plain" with VGG-16's own 2x2 pools, of which
pool4, at stride 1, takes its last row and column from a border of zeros.
"""


def same_padding(kernel: int, dilation: int) -> int:
    """The padding at which a convolution of stride 1 keeps the map's size. Raises OptionError."""
    padding, odd = divmod(dilation * (kernel - 1), 2)
    if odd:
        raise OptionError(
            f"A kernel of {kernel} at rate {dilation} cannot keep the map's size.",
            hint="Take an odd kernel, or an even rate.",
        )
    return padding


def initialise(network: nn.Module) -> None:
    """He's weights for convolutions, zero biases: activations keep their scale without batch norm.

    A transposed convolution becomes bilinear interpolation and is frozen. Values are set only where there are
    any: on the meta device, a normal distribution would import a second's worth of modules.
    """
    for module in network.modules():
        if isinstance(module, nn.ConvTranspose2d):
            module.weight.requires_grad_(False)
            if not module.weight.is_meta:
                _make_bilinear(module)
        elif isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.normal_(module.weight, std=math.sqrt(2 / module.weight[0].numel()))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _make_bilinear(deconv: nn.ConvTranspose2d) -> None:
    """Set a square kernel that interpolates: each class from itself alone."""
    kernel = deconv.kernel_size[0]
    factor = (kernel + 1) // 2
    centre = factor - 1 if kernel % 2 else factor - 0.5
    ramp = 1 - (torch.arange(kernel) - centre).abs() / factor  # (k,)
    own = torch.arange(deconv.in_channels)
    with torch.no_grad():
        deconv.weight.zero_()  # (C_in, C_out / groups, k, k)
        deconv.weight[own, own if deconv.groups == 1 else 0] = ramp[:, None] * ramp
