"""The boxes of every unit of every layer of whole networks, held to the impulse oracle at small width."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from oracle_compare import Tally, compare
from torch import nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.resnet import BasicBlock, ResNet

NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "resnet": (lambda: ResNet(BasicBlock, [1, 1, 1, 1], num_classes=4), (1, 3, 24, 24)),
    "densenet": (lambda: models.DenseNet(4, (2, 2), 8, 2, num_classes=4), (1, 3, 24, 24)),
    "squeezenet": (lambda: models.squeezenet1_1(weights=None, num_classes=4), (1, 3, 24, 24)),
    "shufflenet": (lambda: models.ShuffleNetV2([1, 1, 1], [4, 8, 8, 8, 16], num_classes=4), (1, 3, 32, 32)),
    "mobilenet_v2": (
        lambda: models.MobileNetV2(4, 0.25, [[1, 16, 1, 1], [2, 16, 2, 2], [2, 24, 1, 2]]),
        (1, 3, 24, 24),
    ),
    "convnext": (
        lambda: ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=4),
        (1, 3, 24, 24),
    ),
    "vit": (lambda: models.VisionTransformer(16, 4, 1, 2, 16, 32, num_classes=4), (1, 3, 16, 16)),
    "maxvit": (lambda: models.MaxVit((16, 16), 8, 4, [8], [1], 8, 4), (1, 3, 16, 16)),
    "swin without shifts": (
        lambda: models.SwinTransformer([2, 2], 4, [1, 1], [1, 1], [4, 4], num_classes=3),
        (1, 3, 16, 16),
    ),
    "volume": (
        lambda: nn.Sequential(
            nn.Conv3d(1, 2, 3, padding=1), nn.MaxPool3d(2), nn.ConvTranspose3d(2, 2, 2, stride=2)
        ),
        (1, 1, 6, 6, 6),
    ),
    "sound": (
        lambda: nn.Sequential(nn.Conv1d(1, 2, 9, stride=2), nn.GELU(), nn.MaxPool1d(2), nn.Conv1d(2, 2, 3)),
        (1, 1, 64),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_every_unit_of_every_layer(name: str) -> None:
    make, shape = NETS[name]
    torch.manual_seed(0)
    tally = Tally()
    compare(make().eval(), shape, tally)
    assert tally.wrong == []
    assert tally.unknown == {}
    assert tally.exact == tally.units > 0
