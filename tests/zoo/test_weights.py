"""Checkpoints: VGG-16's weights to torchvision and back, trunks, whole networks, files that do not fit."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from archlens.errors import WeightsError
from archlens.zoo.backbones.vgg import VGG16, Pool
from archlens.zoo.catalogue import find
from archlens.zoo.weights import load_checkpoint, vgg16_from_torchvision, vgg16_to_torchvision

torch.set_num_threads(1)


def values(network: nn.Module) -> dict[str, torch.Tensor]:
    """A state with cheap, distinct values: 1 in 1000, its position in the state."""
    return {
        name: torch.full_like(tensor, index + 1, device="cpu")
        for index, (name, tensor) in enumerate(network.state_dict().items())
    }


class TrunkAndHead(nn.Module):
    """VGG-16 and narrow dense layers, so that a test need not fill 100 million values."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = VGG16((Pool(),) * 5)
        self.fc6 = nn.Conv2d(512, 8, 7)


@pytest.fixture(scope="module")
def vgg() -> nn.Module:
    """torchvision's trunk of vgg16, under its names."""
    with torch.device("meta"):
        whole = torchvision.models.vgg16()
    torch.manual_seed(0)
    whole.features.to_empty(device="cpu")
    for parameter in whole.features.parameters():
        nn.init.normal_(parameter, std=0.05)
    return nn.Sequential(OrderedDict(features=whole.features)).eval()


@pytest.fixture
def small() -> nn.Module:
    layers = OrderedDict(fc7=nn.Conv2d(8, 8, 1), bn=nn.BatchNorm2d(8), fc8=nn.Conv2d(8, 3, 1))
    return nn.Sequential(layers)


def test_torchvisions_trunk_computes_the_same(vgg: nn.Module) -> None:
    ours = TrunkAndHead()
    ours.load_state_dict(vgg16_from_torchvision(vgg.state_dict()), strict=False)
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.allclose(ours.backbone(image).pool5, vgg(image), atol=1e-6)


def test_our_trunk_loads_into_torchvisions(vgg: nn.Module) -> None:
    ours = TrunkAndHead()
    vgg.load_state_dict(vgg16_to_torchvision(ours.state_dict()))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours.backbone(image).pool5, vgg(image), atol=1e-6)


def test_the_dense_layers_become_convolutions_and_back() -> None:
    with torch.device("meta"):
        theirs = torchvision.models.vgg16().state_dict()
        ours = find("fcn32s_vgg16").build()
    converted = vgg16_from_torchvision(theirs)
    own = ours.state_dict()
    assert all(own[name].shape == tensor.shape for name, tensor in converted.items())
    assert {"fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias"} <= set(converted)
    back = vgg16_to_torchvision(own)
    assert {name: tensor.shape for name, tensor in back.items()} == {
        name: tensor.shape for name, tensor in theirs.items() if not name.startswith("classifier.6")
    }


def test_a_dense_layer_and_its_convolution_agree() -> None:
    state = {f"features.{i}.{part}": torch.zeros(1) for i in TRUNK for part in ("weight", "bias")}
    state["classifier.0.weight"] = torch.arange(4096 * 512 * 49, dtype=torch.float32).view(4096, 25088)
    state["classifier.0.bias"] = torch.zeros(4096)
    kernel = vgg16_from_torchvision(state)["fc6.weight"]
    image = torch.randn(512, 7, 7)
    dense = state["classifier.0.weight"][5] @ image.flatten()
    assert torch.allclose((kernel[5] * image).sum(), dense, rtol=1e-3)


TRUNK = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def test_other_vggs_are_refused() -> None:
    with torch.device("meta"):
        states = [torchvision.models.vgg16_bn().state_dict(), torchvision.models.vgg11().state_dict()]
    for state in states:
        with pytest.raises(WeightsError, match="vgg16"):
            vgg16_from_torchvision(state)
    with pytest.raises(WeightsError, match="conv1_1"):
        vgg16_to_torchvision({})


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_round_trip(small: nn.Module, tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    state = values(small)
    content: object = {prefix + name: tensor for name, tensor in state.items()}
    if wrapper:
        content = {"epoch": 3, wrapper: content, "optimizer": {"lr": 0.1}}
    torch.save(content, tmp_path / "w.pth")
    report = load_checkpoint(small, tmp_path / "w.pth")
    assert report.source == "network"
    assert set(report.loaded) == set(state)
    assert not report.kept
    assert str(len(state)) in str(report)
    assert all(torch.equal(tensor, state[name]) for name, tensor in small.state_dict().items())


def test_a_vgg_classifier_fills_the_trunk(vgg: nn.Module, tmp_path: Path) -> None:
    deeplab = find("deeplabv1").build(num_classes=3, width=8)
    before = {name: tensor.clone() for name, tensor in deeplab.state_dict().items()}
    state = dict(vgg.state_dict())
    state["classifier.6.weight"] = torch.zeros(1000, 4096)
    torch.save(state, tmp_path / "vgg16.pth")
    report = load_checkpoint(deeplab, tmp_path / "vgg16.pth")
    assert report.source == "vgg"
    assert len(report.loaded) == 26
    assert report.ignored == ("classifier.6.weight",)
    assert set(report.kept) == {f"{fc}.{part}" for fc in ("fc6", "fc7", "fc8") for part in ("weight", "bias")}
    assert "fc6.weight" in str(report)
    after = deeplab.state_dict()
    assert torch.equal(after["backbone.conv5_3.weight"], state["features.28.weight"])
    assert torch.equal(after["fc6.weight"], before["fc6.weight"])


def test_a_resnet_classifier_fills_the_trunk(tmp_path: Path) -> None:
    with torch.device("meta"):
        resnet = torchvision.models.resnet50()
    state = values(resnet)
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    network = find("deeplabv3_resnet50").build()
    for content in (state, old):
        torch.save(content, tmp_path / "resnet50.pth")
        report = load_checkpoint(network, tmp_path / "resnet50.pth")
        assert report.source == "resnet"
        assert report.ignored == ("fc.weight", "fc.bias")
        assert all(not name.startswith("backbone.") or "tracked" in name for name in report.kept)
        filled = network.state_dict()["backbone.layer4.2.conv3.weight"]
        assert torch.equal(filled, state["layer4.2.conv3.weight"])


def test_a_checkpoint_that_does_not_fit_changes_nothing(small: nn.Module, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    state = values(small)
    del state["fc7.weight"]
    state["fc9.weight"] = torch.zeros(1)
    state["fc8.weight"] = torch.zeros(21, 8, 1, 1)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(small, tmp_path / "w.pth")
    for part in (
        "1 missing: fc7.weight",
        "1 unexpected: fc9.weight",
        "1 of another shape: fc8.weight 21x8x1x1 instead of 3x8x1x1",
    ):
        assert part in caught.value.message
    assert "num_classes" in caught.value.hint
    assert all(torch.equal(tensor, before[name]) for name, tensor in small.state_dict().items())


def test_only_the_first_few_keys_are_named(small: nn.Module, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(
        WeightsError, match=r"8 missing: fc7.weight, fc7.bias, bn.weight, \.\.\.; 1 unexpected: a"
    ):
        load_checkpoint(small, tmp_path / "w.pth")


class Payload:
    pass


@pytest.mark.parametrize(
    "kind", ["absent", "folder", "text", "empty", "pickle", "object", "list", "no tensors"]
)
def test_files_that_are_no_checkpoints(small: nn.Module, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.pth"
    match kind:
        case "folder":
            path.mkdir()
        case "text":
            path.write_text("not a checkpoint\n")
        case "empty":
            path.write_bytes(b"")
        case "pickle":
            path.write_bytes(pickle.dumps({"a": Payload()}))
        case "object":
            torch.save({"model": Payload()}, path)
        case "list":
            torch.save([1, 2], path)
        case "no tensors":
            torch.save({"epoch": 3}, path)
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(small, path)
    assert str(path) in caught.value.message


def test_a_network_without_values_is_refused(small: nn.Module, tmp_path: Path) -> None:
    torch.save(values(small), tmp_path / "w.pth")
    with torch.device("meta"):
        empty = nn.Conv2d(8, 8, 1)
    with pytest.raises(WeightsError, match="meta"):
        load_checkpoint(empty, tmp_path / "w.pth")
