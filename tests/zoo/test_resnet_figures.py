"""Parameters and MACs of the ResNet and Xception networks against published and independent figures.

Parameters are weights, biases, and batch norm's scale and shift. MACs are those of convolutions, batch 1;
figures in GMAC are given to three decimals and compared so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from counting import account, parameters_under
from lean import lean
from torch import nn

from archlens.zoo.backbones.resnet import ResNet
from archlens.zoo.backbones.xception import Xception65
from archlens.zoo.networks.deeplabv2_resnet import DeepLabv2, DeepLabv2LargeFOV, DeepLabv2MultiScale
from archlens.zoo.networks.deeplabv3 import DeepLabv3
from archlens.zoo.networks.deeplabv3plus import deeplabv3plus_resnet, deeplabv3plus_xception65
from archlens.zoo.networks.pspnet import PSPNet

Build = Callable[[], nn.Module]

psp50, psp101 = partial(PSPNet, 50), partial(PSPNet, 101)
v3_50, v3_101 = partial(DeepLabv3, 50), partial(DeepLabv3, 101)
plus_50, plus_101 = partial(deeplabv3plus_resnet, 50), partial(deeplabv3plus_resnet, 101)
xception = deeplabv3plus_xception65
tensorflow = {"stem": "beta", "stride_in": "last"}  # the layout of TensorFlow DeepLab's ResNet-101

TOTALS: list[tuple[str, Build, int, float, tuple[int, int]]] = [
    ("v2", DeepLabv2, 44_048_532, 188.886, (513, 513)),
    ("v2", DeepLabv2, 44_048_532, 75.136, (321, 321)),
    ("v2-19", partial(DeepLabv2, num_classes=19), 43_901_068, 188.263, (513, 513)),
    ("v2-largefov", DeepLabv2LargeFOV, 42_887_253, 183.980, (513, 513)),
    ("v2-1x1", partial(DeepLabv2LargeFOV, kernel=1), 42_543_189, 182.526, (513, 513)),
    ("v2-msc", DeepLabv2MultiScale, 44_048_532, 344.882, (513, 513)),
    ("psp50", psp50, 46_716_373, 161.637, (473, 473)),
    ("psp50", psp50, 46_716_373, 189.710, (513, 513)),
    ("psp50-conv1", partial(psp50, stride_in="conv1"), 46_716_373, 161.291, (473, 473)),
    ("psp50-aux", partial(psp50, aux=True), 49_081_578, 161.637 + 8.513, (473, 473)),
    ("psp50-ade", partial(psp50, num_classes=150), 46_782_550, 161.875, (473, 473)),
    ("psp50-ade-aux", partial(psp50, num_classes=150, aux=True), 49_180_908, 170.507, (473, 473)),
    ("psp50-19", partial(psp50, num_classes=19, stride_in="conv1"), 46_715_347, 362.993, (713, 713)),
    ("psp50-7x7", partial(psp50, stem="7x7"), 46_592_597, 155.567, (473, 473)),
    ("psp50-baseline", partial(psp50, ppm=False), 33_080_789, 127.611, (473, 473)),
    ("psp101", psp101, 65_708_501, 229.821, (473, 473)),
    ("psp101", psp101, 65_708_501, 269.731, (513, 513)),
    ("psp101-aux", partial(psp101, aux=True), 68_073_706, 238.334, (473, 473)),
    ("psp101-19", partial(psp101, num_classes=19), 65_707_475, 517.190, (713, 713)),
    ("psp101-19-aux", partial(psp101, num_classes=19, aux=True), 68_072_166, 536.340, (713, 713)),
    ("psp101-7x7", partial(psp101, stem="7x7"), 65_584_725, 223.750, (473, 473)),
    ("v3-50", v3_50, 39_048_533, 50.436, (513, 513)),
    ("v3-50", v3_50, 39_048_533, 111.484, (769, 769)),
    ("v3-50-os8", partial(v3_50, output_stride=8), 39_048_533, 166.161, (513, 513)),
    ("v3-50-os8", partial(v3_50, output_stride=8), 39_048_533, 370.094, (769, 769)),
    ("v3-50-beta", partial(v3_50, stem="beta"), 39_172_309, 57.574, (513, 513)),
    ("v3-101", v3_101, 58_040_661, 71.061, (513, 513)),
    ("v3-101", v3_101, 58_040_661, 156.959, (769, 769)),
    ("v3-101-os8", partial(v3_101, output_stride=8), 58_040_661, 246.182, (513, 513)),
    ("v3-101-os8", partial(v3_101, output_stride=8), 58_040_661, 548.300, (769, 769)),
    ("v3-101-beta", partial(v3_101, stem="beta"), 58_164_437, 78.199, (513, 513)),
    ("v3-101-beta-os8", partial(v3_101, stem="beta", output_stride=8), 58_164_437, 253.320, (513, 513)),
    ("v3-101-tf", partial(v3_101, **tensorflow), 58_164_437, 76.052, (513, 513)),
    ("v3-101-tf-os8", partial(v3_101, **tensorflow, output_stride=8), 58_164_437, 252.252, (513, 513)),
    ("v3-101-tf-os32", partial(v3_101, **tensorflow, output_stride=32), 58_164_437, 51.407, (513, 513)),
    ("plus-50", plus_50, 40_352_181, 72.195, (513, 513)),
    ("plus-101", plus_101, 59_344_309, 92.820, (513, 513)),
    ("plus-101-os8", partial(plus_101, output_stride=8), 59_344_309, 267.924, (513, 513)),
    ("plus-101-beta", partial(plus_101, stem="beta"), 59_468_085, 99.958, (513, 513)),
    ("plus-101-tf", partial(plus_101, **tensorflow), 59_468_085, 97.811, (513, 513)),
    ("plus-101-tf-os8", partial(plus_101, **tensorflow, output_stride=8), 59_468_085, 273.994, (513, 513)),
    ("plus-101-tf-os32", partial(plus_101, **tensorflow, output_stride=32), 59_468_085, 73.170, (513, 513)),
    ("x65", xception, 54_711_461, 86.679, (513, 513)),
    ("x65-os8", partial(xception, output_stride=8), 54_711_461, 248.782, (513, 513)),
    ("x65-no-pooling", partial(xception, image_pooling=False), 54_121_125, 86.607, (513, 513)),
    ("x65-sc", partial(xception, separable_head=True), 41_055_413, 54.035, (513, 513)),
    ("x65-sc-os8", partial(xception, separable_head=True, output_stride=8), 41_055_413, 176.852, (513, 513)),
    ("x65-sc-19", partial(xception, separable_head=True, num_classes=19), 41_054_899, 418.376, (1025, 2049)),
]


def on_meta(build: Build) -> nn.Module:
    with torch.device("meta"):
        return lean(build())


@pytest.mark.parametrize(
    ("build", "params", "gmacs", "size"),
    [pytest.param(*row[1:], id=f"{row[0]}@{row[4][0]}x{row[4][1]}") for row in TOTALS],
)
def test_totals(build: Build, params: int, gmacs: float, size: tuple[int, int]) -> None:
    found = account(on_meta(build), *size)
    assert found.parameters == params
    assert found.total / 1e9 == pytest.approx(gmacs, abs=0.00051)


def test_deeplabv2_to_the_last_mac() -> None:
    assert account(on_meta(DeepLabv2), 513, 513).total == 188_885_763_264


PARTS: list[tuple[str, Build, tuple[int, int], dict[str, tuple[int | None, float]]]] = [
    (
        "v2",
        DeepLabv2,
        (513, 513),
        {
            "backbone.conv1": (9_408, 0.621),
            "backbone.layer1": (None, 3.544),
            "backbone.layer2": (None, 5.122),
            "backbone.layer3": (None, 109.925),
            "backbone.layer4": (None, 63.131),
            "aspp": (1_548_372, 6.542),
        },
    ),
    (
        "psp50",
        partial(psp50, aux=True),
        (473, 473),
        {
            "backbone.conv": (None, 6.309),
            "backbone.layer1": (None, 3.306),
            "backbone.layer2": (None, 4.711),
            "backbone.layer3": (None, 25.480),
            "backbone.layer4": (None, 53.792),
            "ppm": (4_198_400, 0.052),
            "conv5_4": (18_875_392, 67.948),
            "conv6": (10_773, 0.039),
            "aux": (2_365_205, 8.513),
        },
    ),
    ("psp50-conv1", partial(psp50, stride_in="conv1"), (473, 473), {"backbone.layer2": (None, 4.365)}),
    (
        "v3-101",
        v3_101,
        (513, 513),
        {
            "backbone.layer3": (None, 28.744),
            "backbone.layer4": (None, 16.272),
            "aspp.conv1x1 aspp.rate": (14_682_112, 15.987),
            "aspp.image_pooling": (524_800, 0.001),
            "aspp.project": (328_192, 0.357),
            "classifier": (5_397, 0.006),
        },
    ),
    (
        "v3-101-os8",
        partial(v3_101, output_stride=8),
        (513, 513),
        {
            "backbone.layer3": (None, 109.925),
            "backbone.layer4": (None, 63.131),
            "aspp.conv1x1 aspp.rate": (14_682_112, 62.023),
            "aspp.project": (328_192, 1.384),
            "classifier": (5_397, 0.023),
        },
    ),
    (
        "x65",
        xception,
        (513, 513),
        {
            "backbone": (37_867_312, 48.570),
            "backbone.conv1": (None, 1.274),
            "backbone.entry": (None, 8.135),
            "backbone.middle": (None, 28.046),
            "backbone.exit": (None, 11.115),
            "aspp.conv1x1 aspp.rate": (14_682_112, 15.987),
            "decoder.conv": (1_291_264, 21.471),
            "decoder.low_level": (None, 0.204),
            "classifier": (None, 0.089),
        },
    ),
    (
        "x65-sc-os8",
        partial(xception, output_stride=8, separable_head=True),
        (513, 513),
        {
            "backbone": (37_867_312, 163.609),
            "backbone.entry": (None, 10.402),
            "backbone.middle": (None, 108.810),
            "backbone.exit": (None, 43.123),
            "aspp.conv1x1 aspp.rate": (2_166_784, 9.094),
            "decoder.conv": (150_544, 2.470),
        },
    ),
]


@pytest.mark.parametrize(("build", "size", "parts"), [pytest.param(*row[1:], id=row[0]) for row in PARTS])
def test_parts(build: Build, size: tuple[int, int], parts: dict[str, tuple[int | None, float]]) -> None:
    network = on_meta(build)
    found = account(network, *size)
    for part, (params, gmacs) in parts.items():
        prefixes = part.split()
        assert found.macs_under(*prefixes) / 1e9 == pytest.approx(gmacs, abs=0.00051), part
        if params is not None:
            assert parameters_under(network, *prefixes) == params, part


TRUNKS: list[tuple[str, Build, int, float]] = [  # at 224 px; GMAC
    ("torchvision-50", partial(ResNet, 50), 23_508_032, 4.087),
    ("torchvision-101", partial(ResNet, 101), 42_500_160, 7.799),
    ("caffe-50", partial(ResNet, 50, stride_in="conv1"), 23_508_032, 7.712 / 2),
    ("caffe-101", partial(ResNet, 101, stride_in="conv1"), 42_500_160, 15.136 / 2),
    ("tf-slim-50", partial(ResNet, 50, stride_in="last"), 23_508_032, 6.960 / 2),
    ("tf-slim-101", partial(ResNet, 101, stride_in="last"), 42_500_160, 14.385 / 2),
]


@pytest.mark.parametrize(("build", "params", "gmacs"), [pytest.param(*row[1:], id=row[0]) for row in TRUNKS])
def test_trunks(build: Build, params: int, gmacs: float) -> None:
    found = account(on_meta(build), 224, 224)
    assert found.parameters == params
    assert found.total / 1e9 == pytest.approx(gmacs, abs=0.00051)


def test_xception_classifier() -> None:
    """With a classifier of 1001 ways the trunk has the size of the ImageNet network."""
    assert parameters_under(on_meta(Xception65), "") + 2048 * 1001 + 1001 == 39_918_361


MADDS: list[tuple[str, Build, tuple[int, int], float, float]] = [
    # DeepLabv3+ tables 3 and 5: published "Multiply-Adds" in billions and how near plain counts come. The old
    # TensorFlow counts look padded to multiples of the rates, so only the separable heads come very near.
    ("r101-os16", partial(v3_101, **tensorflow), (513, 513), 81.02, 0.09),
    ("r101-os8", partial(v3_101, **tensorflow, output_stride=8), (513, 513), 276.18, 0.09),
    ("r101-os16-decoder", partial(plus_101, **tensorflow), (513, 513), 101.28, 0.09),
    ("r101-os8-decoder", partial(plus_101, **tensorflow, output_stride=8), (513, 513), 297.92, 0.09),
    ("r101-os32", partial(v3_101, **tensorflow, output_stride=32), (513, 513), 52.43, 0.09),
    ("r101-os32-decoder", partial(plus_101, **tensorflow, output_stride=32), (513, 513), 74.20, 0.09),
    ("x65-os16-decoder", xception, (513, 513), 89.76, 0.09),
    ("x65-os8-decoder", partial(xception, output_stride=8), (513, 513), 262.59, 0.09),
    ("x65-os16-sc", partial(xception, separable_head=True), (513, 513), 54.17, 0.0026),
    ("x65-os8-sc", partial(xception, separable_head=True, output_stride=8), (513, 513), 177.10, 0.0026),
    (
        "x65-cityscapes",
        partial(xception, separable_head=True, num_classes=19),
        (1025, 2049),
        418.64,
        0.0026,
    ),
]


@pytest.mark.parametrize(
    ("build", "size", "published", "tolerance"), [pytest.param(*row[1:], id=row[0]) for row in MADDS]
)
def test_published_multiply_adds(
    build: Build, size: tuple[int, int], published: float, tolerance: float
) -> None:
    assert account(on_meta(build), *size).total / 1e9 == pytest.approx(published, rel=tolerance)
