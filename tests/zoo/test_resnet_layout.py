"""The trunks layer by layer: torchvision's state dicts and outputs, receptive fields, map sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torchvision
from counting import account, chain_field
from lean import lean
from torch import Tensor, nn

from archlens.zoo.backbones.resnet import Features, ResNet
from archlens.zoo.backbones.xception import Xception65
from archlens.zoo.networks.deeplabv2_resnet import DeepLabv2
from archlens.zoo.networks.deeplabv3 import DeepLabv3
from archlens.zoo.networks.deeplabv3plus import deeplabv3plus_xception65
from archlens.zoo.networks.pspnet import PSPNet


def without_classifier(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def torchvision_features(network: nn.Module, x: Tensor) -> Tensor:
    """The map before torchvision's pooling and classifier."""
    for name, child in network.named_children():
        if name == "avgpool":
            break
        x = child(x)
    return x


def shaken(network: nn.Module) -> nn.Module:
    """Random batch norm statistics too, so that a swapped pair of layers could not hide."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    return network.eval()


@pytest.mark.parametrize("depth", [50, 101])
def test_state_dict_has_torchvisions_names_and_shapes(depth: int) -> None:
    with torch.device("meta"):
        ours = ResNet(depth).state_dict()
        theirs = without_classifier(getattr(torchvision.models, f"resnet{depth}")().state_dict())
    assert list(ours) == list(theirs)
    assert [value.shape for value in ours.values()] == [value.shape for value in theirs.values()]


@pytest.mark.parametrize(
    ("ours", "dilated"),
    [
        pytest.param(partial(ResNet, 50), [False, False, False], id="stride 32"),
        # torchvision's dilated networks keep the rate before in a stage's first unit
        pytest.param(
            partial(ResNet, 50, output_stride=16, dilate_first=False), [False, False, True], id="stride 16"
        ),
        pytest.param(
            partial(ResNet, 50, output_stride=8, dilate_first=False), [False, True, True], id="stride 8"
        ),
    ],
)
def test_weights_of_torchvision_give_torchvisions_map(
    ours: Callable[[], ResNet], dilated: list[bool]
) -> None:
    torch.manual_seed(0)
    trunk = ours()
    theirs = shaken(torchvision.models.resnet50(replace_stride_with_dilation=dilated))
    trunk.load_state_dict(without_classifier(theirs.state_dict()))
    image = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        assert torch.equal(trunk.eval()(image).out, torchvision_features(theirs, image))


def test_weights_go_back_into_torchvision() -> None:
    torch.manual_seed(0)
    trunk = shaken(ResNet(50))
    theirs = torchvision.models.resnet50().eval()
    missing, unexpected = theirs.load_state_dict(trunk.state_dict(), strict=False)
    assert missing == ["fc.weight", "fc.bias"]
    assert unexpected == []
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(trunk(image).out, torchvision_features(theirs, image))


def test_dilated_baseline_is_torchvisions_fcn() -> None:
    """What torchvision calls FCN is PSPNet's baseline with a 7x7 stem and contracted dilation."""
    with torch.device("meta"):
        ours = PSPNet(50, stem="7x7", dilate_first=False, ppm=False, aux=True)
        theirs = torchvision.models.segmentation.fcn_resnet50(weights_backbone=None, aux_loss=True)
    found, expected = account(lean(ours), 513, 513), account(lean(theirs), 513, 513)
    assert found.parameters == expected.parameters == 35_322_218
    assert found.total == expected.total


@pytest.mark.parametrize(
    ("name", "params", "gmacs"),
    [
        ("fcn_resnet50", 35_322_218, 152.717),
        ("fcn_resnet101", 54_314_346, 232.738),
        ("deeplabv3_resnet50", 42_004_074, 178.722),
        ("deeplabv3_resnet101", 60_996_202, 258.743),
    ],
)
def test_the_counter_gives_torchvisions_published_totals(name: str, params: int, gmacs: float) -> None:
    with torch.device("meta"):
        network = getattr(torchvision.models.segmentation, name)(weights_backbone=None, aux_loss=True)
    found = account(lean(network), 520, 520)
    assert found.parameters == params
    assert found.total / 1e9 == pytest.approx(gmacs, abs=0.00051)


def field(*parts: nn.Module) -> tuple[int, int]:
    """Receptive field and jump in px along the chain of windows in `parts`, shortcuts left out."""
    return chain_field(
        module
        for part in parts
        for name, module in part.named_modules()
        if not ("downsample" in name or "shortcut" in name)
    )


psp = {"stem": "beta", "output_stride": 8}
grid = {"multi_grid": (1, 2, 4)}


@pytest.mark.parametrize(
    ("layout", "resnet50", "resnet101", "jump"),
    [
        ({}, 427, 971, 32),
        ({"stride_in": "conv1"}, 483, 1027, 32),
        ({"stride_in": "last"}, 483, 1027, 32),
        (psp, 479, 1023, 8),
        ({**psp, "stride_in": "conv1"}, 487, 1031, 8),
        ({**psp, "dilate_first": False}, 431, 975, 8),
        ({"output_stride": 8}, 475, 1019, 8),
        ({"output_stride": 8, "stride_in": "conv1"}, 483, 1027, 8),
        ({"output_stride": 8, "dilate_first": False}, 427, 971, 8),
        ({"output_stride": 16}, 459, 1003, 16),
        ({"output_stride": 16, **grid}, 715, 1259, 16),
        ({"output_stride": 8, **grid}, 731, 1275, 8),
        ({"output_stride": 16, **grid, "stem": "beta", "stride_in": "last"}, 743, 1287, 16),
    ],
)
def test_resnet_receptive_fields(layout: dict[str, Any], resnet50: int, resnet101: int, jump: int) -> None:
    with torch.device("meta"):
        assert field(ResNet(50, **layout)) == (resnet50, jump)
        assert field(ResNet(101, **layout)) == (resnet101, jump)


@pytest.mark.parametrize(
    ("build", "fields"),
    [
        (DeepLabv2, [1123, 1219, 1315, 1411]),
        (partial(DeepLabv3, 50), [715, 907, 1099, 1291]),
        (partial(DeepLabv3, 101), [1259, 1451, 1643, 1835]),
        (partial(DeepLabv3, 50, output_stride=8), [731, 923, 1115, 1307]),
        (partial(DeepLabv3, 101, output_stride=8), [1275, 1467, 1659, 1851]),
        (deeplabv3plus_xception65, [1915, 2107, 2299, 2491]),
        (partial(deeplabv3plus_xception65, output_stride=8), [1915, 2107, 2299, 2491]),
        (partial(deeplabv3plus_xception65, separable_head=True), [1915, 2107, 2299, 2491]),
    ],
)
def test_branch_receptive_fields(build: Callable[[], Any], fields: list[int]) -> None:
    with torch.device("meta"):
        network = build()
    branches = [
        part for name, part in network.aspp.named_children() if name not in ("image_pooling", "project")
    ]
    assert [field(network.backbone, branch)[0] for branch in branches] == fields


def test_xception_receptive_fields() -> None:
    with torch.device("meta"):
        trunk = Xception65()
    parts = (
        trunk.conv1_1,
        trunk.conv1_2,
        trunk.entry1,
        trunk.entry2,
        trunk.entry3,
        trunk.middle,
        trunk.exit1,
    )
    chain = [field(*parts[: count + 1]) for count in range(len(parts))]
    assert chain == [(3, 2), (7, 2), (19, 4), (43, 8), (91, 16), (1627, 16), (1723, 16)]
    assert field(*parts, trunk.exit2) == (1915, 16)
    assert field(*parts[:3], trunk.entry2.sep1, trunk.entry2.sep2) == (35, 4)


def shapes(trunk: nn.Module, size: int) -> tuple[tuple[int, ...], ...]:
    features: Features = lean(trunk).eval()(torch.empty(1, 3, size, size, device="meta"))
    return tuple(tuple(feature.shape[1:]) for feature in features)


@pytest.mark.parametrize(
    ("build", "size", "low_level", "middle", "out"),
    [
        (partial(ResNet, 101, output_stride=16), 513, (256, 129, 129), (1024, 33, 33), (2048, 33, 33)),
        (partial(ResNet, 101, output_stride=8), 769, (256, 193, 193), (1024, 97, 97), (2048, 97, 97)),
        (partial(ResNet, 50, **psp), 473, (256, 119, 119), (1024, 60, 60), (2048, 60, 60)),
        (partial(ResNet, 50, **psp), 713, (256, 179, 179), (1024, 90, 90), (2048, 90, 90)),
        # strides in the last units: the low-level map is the second unit's, before the first stage's stride
        (
            partial(ResNet, 50, output_stride=16, stride_in="last"),
            513,
            (256, 129, 129),
            (1024, 33, 33),
            (2048, 33, 33),
        ),
        (partial(Xception65, output_stride=16), 513, (256, 129, 129), (728, 33, 33), (2048, 33, 33)),
        (partial(Xception65, output_stride=8), 513, (256, 129, 129), (728, 65, 65), (2048, 65, 65)),
        (partial(Xception65, output_stride=32), 513, (256, 129, 129), (728, 33, 33), (2048, 17, 17)),
    ],
)
def test_feature_maps(
    build: Callable[[], nn.Module],
    size: int,
    low_level: tuple[int, ...],
    middle: tuple[int, ...],
    out: tuple[int, ...],
) -> None:
    with torch.device("meta"):
        trunk = build()
    assert shapes(trunk, size) == (low_level, middle, out)


def test_pools_of_caffe_round_up() -> None:
    with torch.device("meta"):
        assert shapes(ResNet(50, ceil_mode=True), 385)[0] == (256, 97, 97)
        assert shapes(ResNet(50, ceil_mode=True), 241)[0] == (256, 61, 61)
        assert shapes(ResNet(50, ceil_mode=True), 500)[0] == (256, 126, 126)
        assert shapes(ResNet(50, ceil_mode=False), 500)[0] == (256, 125, 125)


RATES = {
    "every unit": ({}, [2, 2, 2, 2, 2, 2], [4, 4, 4]),
    "contracted": ({"dilate_first": False}, [1, 2, 2, 2, 2, 2], [2, 4, 4]),
    "multi-grid": (grid, [2, 2, 2, 2, 2, 2], [4, 8, 16]),
    "stride last": ({"stride_in": "last", **grid}, [2, 2, 2, 2, 2, 2], [4, 8, 16]),
}


@pytest.mark.parametrize(("layout", "layer3", "layer4"), RATES.values(), ids=RATES)
def test_rates_at_stride_8(layout: dict[str, Any], layer3: list[int], layer4: list[int]) -> None:
    with torch.device("meta"):
        trunk = ResNet(50, output_stride=8, **layout)
    assert [unit.conv2.dilation[0] for unit in trunk.layer3] == layer3
    assert [unit.conv2.dilation[0] for unit in trunk.layer4] == layer4
