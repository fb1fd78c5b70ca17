"""The ResNet and Xception networks as the catalogue offers them: options, sizes, names, training."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
from functools import cache
from importlib import import_module
from typing import Any

import pytest
import torch
from lean import lean
from torch import Tensor, nn
from torch.nn import functional as F

from archlens.errors import InputSizeError, OptionError
from archlens.zoo.catalogue import RESNET_ENTRIES, Entry, find

torch.set_num_threads(2)

ONE_A_FACTORY = {
    entry.factory: entry for entry in sorted(RESNET_ENTRIES, key=lambda entry: entry.name)
}.values()
NAMES = [entry.name for entry in RESNET_ENTRIES]
ZOOMED = [name for name in NAMES if name.startswith(("deeplabv2", "pspnet"))]
RESIZED = [name for name in NAMES if name not in ZOOMED]


@cache
def on_meta(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return lean(find(name).build(**options).eval())


def run(network: nn.Module, *size: int) -> Tensor:
    with torch.no_grad():
        return network(torch.empty(1, 3, *size, device="meta"))


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("deeplabv2", "deeplabv2_resnet101"),
        ("pspnet", "pspnet_resnet50"),
        ("deeplabv3", "deeplabv3_resnet101"),
        ("deeplabv3plus", "deeplabv3plus_xception65"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert find(alias).name == name


@pytest.mark.parametrize("entry", RESNET_ENTRIES, ids=NAMES)
def test_the_catalogue_states_the_factorys_defaults(entry: Entry) -> None:
    module, _, attribute = entry.factory.partition(":")
    parameters = inspect.signature(getattr(import_module(module), attribute)).parameters
    defaults = {name: p.default for name, p in parameters.items() if name not in dict(entry.preset)}
    assert {option.name: option.default for option in entry.options} == defaults


@pytest.mark.parametrize("entry", ONE_A_FACTORY, ids=lambda entry: entry.name)
def test_every_choice_of_every_option_builds_and_runs(entry: Entry) -> None:
    values: list[tuple[str, object]] = [("num_classes", 7)]
    for option in entry.options:
        choices = (True, False) if option.kind == "bool" else option.choices
        values += [(option.name, choice) for choice in choices if choice != option.default]
    for name, value in values:
        scores: Any = run(on_meta(entry.name, **{name: value}), 65, 97)
        classes = 7 if name == "num_classes" else 21
        for out in scores.values() if isinstance(scores, dict) else [scores]:
            assert out.shape == (1, classes, 65, 97), (name, value)


def test_auxiliary_output() -> None:
    outputs: Any = run(on_meta("pspnet", aux=True), 473, 473)
    assert {name: out.shape for name, out in outputs.items()} == {
        "out": (1, 21, 473, 473),
        "aux": (1, 21, 473, 473),
    }


@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        ("deeplabv3", "output_stride", "4"),
        ("deeplabv3", "multi_grid", "1,2"),
        ("deeplabv3", "rates", "6,6,12"),
        ("deeplabv3", "rates", "0,6"),
        ("deeplabv3", "stem", "5x5"),
        ("deeplabv3", "stride_in", "conv3"),
        ("deeplabv3", "image_pooling", "maybe"),
        ("deeplabv3plus", "multi_grid", "1,2,4"),
        ("deeplabv3plus", "stem", "beta"),
        ("pspnet", "bins", "1,1"),
        ("pspnet", "bins", "six"),
        ("pspnet", "output_stride", "16"),
        ("deeplabv2", "num_classes", "0"),
    ],
)
def test_option_errors(name: str, option: str, text: str) -> None:
    entry = find(name)
    with pytest.raises(OptionError) as error, torch.device("meta"):
        entry.build(**entry.parse_options({option: text}))
    assert error.value.hint


def test_options_reach_the_layers() -> None:
    network: Any = on_meta("deeplabv3_resnet50", rates=(3, 5), multi_grid=(1, 1, 2), output_stride=8)
    assert network.aspp.rate3.conv.dilation == (3, 3)
    assert network.aspp.rate5.conv.dilation == (5, 5)
    assert [unit.conv2.dilation[0] for unit in network.backbone.layer4] == [4, 4, 8]
    network = on_meta("deeplabv2", rates=(2, 4))
    assert [branch.dilation[0] for branch in network.aspp.children()] == [2, 4]
    network = on_meta("pspnet", bins=(1,))
    assert network.ppm.bin1.conv.out_channels == 2048
    network = on_meta("deeplabv2_largefov_resnet101", rate=8)
    assert network.classifier.dilation == (8, 8)


@pytest.mark.parametrize(("output_stride", "rates"), [(32, (3, 6, 9)), (16, (6, 12, 18)), (8, (12, 24, 36))])
@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "deeplabv3plus"])
def test_rates_follow_the_output_stride(name: str, output_stride: int, rates: tuple[int, ...]) -> None:
    names = [
        child
        for child, _ in on_meta(name, output_stride=output_stride).get_submodule("aspp").named_children()
    ]
    assert names == ["conv1x1", *(f"rate{rate}" for rate in rates), "image_pooling", "project"]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("deeplabv2", "backbone.conv1 backbone.layer1.0.downsample.0 aspp.fc1_c0 aspp.fc1_c3"),
        ("deeplabv2_largefov_resnet101", "classifier"),
        ("pspnet", "backbone.conv3 ppm.bin1 ppm.bin2 ppm.bin3 ppm.bin6 conv5_4 conv6"),
        ("deeplabv3", "backbone.conv1 aspp.conv1x1 aspp.image_pooling aspp.project classifier"),
        ("deeplabv3plus", "backbone.middle.15.sep3 aspp.rate18 decoder.low_level decoder.conv2 classifier"),
    ],
)
def test_layer_names(name: str, layers: str) -> None:
    assert set(layers.split()) <= {layer for layer, _ in on_meta(name).named_modules()}


@pytest.mark.parametrize("name", ZOOMED)
@pytest.mark.parametrize("size", [(1, 9), (321, 321), (473, 513), (713, 713)])
def test_zoomed_sizes(name: str, size: tuple[int, int]) -> None:
    find(name).check_input((3, *size))
    assert run(on_meta(name), *size).shape == (1, 21, *size)


@pytest.mark.parametrize("name", ZOOMED)
def test_illegal_sizes_name_the_nearest_legal_ones(name: str) -> None:
    entry = find(name)
    with pytest.raises(InputSizeError) as error:
        entry.check_input((3, 512, 512))
    assert "505x505" in error.value.hint
    assert "513x513" in error.value.hint
    with pytest.raises(InputSizeError) as in_forward:
        run(on_meta(name), 512, 512)
    assert in_forward.value.hint == error.value.hint


@pytest.mark.parametrize("name", RESIZED)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (64, 65), (500, 375)])
def test_any_size(name: str, size: tuple[int, int]) -> None:
    find(name).check_input((3, *size))
    assert run(on_meta(name), *size).shape == (1, 21, *size)


def test_the_least_size_runs_for_real() -> None:
    with torch.no_grad():
        out = find("deeplabv3plus_resnet50").build().eval()(torch.randn(1, 3, 1, 1))
    assert out.isfinite().all()


SCORE_LAYERS = [
    ("deeplabv2", "aspp.fc1_c3", {}, 513, 65),
    ("deeplabv2", "aspp.fc1_c3", {}, 321, 41),
    ("pspnet", "conv6", {}, 473, 60),
    ("pspnet", "conv6", {}, 513, 65),
    ("pspnet", "conv6", {}, 713, 90),
    ("deeplabv3", "classifier", {}, 513, 33),
    ("deeplabv3", "classifier", {}, 769, 49),
    ("deeplabv3", "classifier", {"output_stride": 8}, 513, 65),
    ("deeplabv3", "classifier", {"output_stride": 8}, 769, 97),
    ("deeplabv3plus", "classifier", {}, 513, 129),
    ("deeplabv3plus", "classifier", {"output_stride": 8}, 513, 129),
    ("deeplabv3plus_resnet101", "classifier", {}, 513, 129),
]


@pytest.mark.parametrize(("name", "layer", "options", "size", "cells"), SCORE_LAYERS)
def test_score_maps(name: str, layer: str, options: dict[str, object], size: int, cells: int) -> None:
    network = on_meta(name, **options)
    seen: list[torch.Size] = []
    layer_seen = network.get_submodule(layer)
    with layer_seen.register_forward_hook(lambda _m, _i, output: seen.append(output.shape)):
        run(network, size, size)
    assert seen == [(1, 21, cells, cells)]


def test_multi_scale_keeps_the_largest_score() -> None:
    torch.manual_seed(0)
    network: Any = find("deeplabv2_msc_resnet101").build(num_classes=3).eval()
    x = torch.randn(1, 3, 41, 41)
    with torch.no_grad():
        maps = []
        for size in (41, 31, 21):
            small = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=True)
            scores = network.aspp(network.backbone(small).out)
            maps.append(F.interpolate(scores, size=(6, 6), mode="bilinear", align_corners=True))
        largest = torch.stack(maps).amax(dim=0)
        expected = F.interpolate(largest, size=(41, 41), mode="bilinear", align_corners=True)
        assert torch.allclose(network(x), expected, rtol=1e-4, atol=1e-4)


TRAINED = [
    ("deeplabv2", {}, 1e-3),
    ("pspnet", {"aux": True}, 3e-2),
    ("deeplabv3_resnet50", {}, 1e-1),
    ("deeplabv3plus", {"separable_head": True}, 1e-1),
]


@pytest.mark.parametrize(("name", "options", "rate"), TRAINED, ids=[row[0] for row in TRAINED])
def test_a_loss_goes_down(name: str, options: dict[str, object], rate: float) -> None:
    torch.manual_seed(0)
    network = find(name).build(num_classes=2, **options).train()
    labels = torch.zeros(2, 17, 17, dtype=torch.long)
    labels[:, :, 8:] = 1
    images = torch.randn(2, 3, 17, 17) + 2 * labels[:, None]
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    losses = []
    for _ in range(8):  # dropout makes single steps noisy
        outputs = network(images)
        maps = outputs if isinstance(outputs, dict) else {"out": outputs}
        loss = sum((F.cross_entropy(scores, labels) for scores in maps.values()), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", ["deeplabv2", "pspnet_resnet101", "deeplabv3", "deeplabv3plus"])
def test_building_on_meta_is_quick(name: str) -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        with torch.device("meta"):
            find(name).build()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3  # 0.03 s on an idle machine; drawing weights would take longer than this


def test_building_on_meta_imports_nothing_slow() -> None:
    program = (
        "import sys, torch\n"
        "from archlens.zoo.catalogue import find\n"
        "with torch.device('meta'): find('deeplabv3plus').build()\n"
        "print(*(name for name in ('sympy', 'torchvision', 'torch._dynamo') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
