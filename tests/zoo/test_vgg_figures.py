"""The AlexNet and VGG-16 networks against counted figures: parameters, MACs, map sizes, fields.

Sources: tables of the papers where they print a figure (FCN table 1, DeepLabv1 table 2), else an
independent count of the released prototxts. GMAC are given to three decimals and compared so.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from counting import account, chain_field, parameters_under
from torch import nn

from archlens.zoo.catalogue import find

torch.set_num_threads(1)


@cache
def on_meta(name: str, **options: object) -> nn.Module:
    with torch.device("meta"):
        return find(name).build(**options)


FCN32, FCN16, FCN8 = "fcn32s_vgg16", "fcn16s_vgg16", "fcn8s_vgg16"
V1, V1_4, V1_7 = "deeplabv1_largefov_vgg16", "deeplabv1_4x4_vgg16", "deeplabv1_7x7_vgg16"
V2, V2_LARGEFOV = "deeplabv2_vgg16", "deeplabv2_largefov_vgg16"
FRONT, BASIC, LARGE = "dilatednet_frontend_vgg16", "dilatednet_basic_vgg16", "dilatednet_large_vgg16"
KITTI_RATES = (1, 1, 2, 4, 8, 1)

TOTALS: list[tuple[str, dict[str, object], int, int, float]] = [
    ("alexnet_imagenet", {}, 227, 60_965_224, 0.724),
    ("alexnet_places205", {}, 227, 57_708_109, 0.721),
    ("alexnet_places365", {}, 227, 58_363_629, 0.722),
    ("alexnet_imagenet", {"groups": 1}, 227, 62_378_344, 1.135),
    (FCN32, {}, 500, 136_152_917, 181.366),
    (FCN32, {}, 512, 136_152_917, 190.195),
    (FCN32, {}, 513, 136_152_917, 190.407),
    (FCN16, {}, 500, 134_815_994, 181.448),
    (FCN16, {}, 512, 134_815_994, 190.282),
    (FCN16, {}, 513, 134_815_994, 190.494),
    (FCN8, {}, 500, 134_489_759, 181.529),
    (FCN8, {}, 512, 134_489_759, 190.367),
    (FCN8, {}, 513, 134_489_759, 190.579),
    (FCN8, {"atonce": True}, 513, 134_489_759, 190.579),
    ("fcn32s_alexnet", {}, 500, 58_704_590, 21.424),
    ("fcn32s_alexnet", {}, 513, 58_704_590, 23.601),
    (V1_4, {}, 514, 65_140_565, 333.629),
    (V1_4, {}, 306, 65_140_565, 123.918),
    (V1_4, {"pool4": "train"}, 306, 65_140_565, 114.718),
    (V1_7, {}, 514, 134_346_581, 644.295),
    (V1, {}, 513, 20_505_429, 128.585),
    (V1, {}, 321, 20_505_429, 50.928),
    (V1, {"pools": "plain"}, 513, 20_505_429, 128.585),
    ("deeplabv1_msc_largefov_vgg16", {}, 513, 21_711_550, 147.313),
    (FRONT, {}, 528, 134_346_581, 791.562),
    (FRONT, {}, 513, 134_346_581, 769.044),
    (BASIC, {}, 528, 134_374_973, 791.685),
    (BASIC, {}, 513, 134_374_973, 769.164),
    (LARGE, {}, 528, 141_149_720, 826.395),
    (LARGE, {}, 513, 141_149_720, 802.925),
    (BASIC, {"num_classes": 11}, 528, 134_313_443, 791.417),
    (BASIC, {"num_classes": 11, "rates": KITTI_RATES}, 528, 134_312_343, 791.412),
    ("dilatednet10_vgg16", {}, 1024, 134_373_043, 2647.411),
    (V2, {}, 513, 37_877_652, 201.956),
    (V2, {}, 321, 37_877_652, 80.120),
    (V2, {"aspp": "small"}, 513, 37_877_652, 201.956),
    (V2_LARGEFOV, {}, 513, 20_505_429, 128.585),
]


@pytest.mark.parametrize(("name", "options", "side", "parameters", "gmacs"), TOTALS)
def test_totals(name: str, options: dict[str, object], side: int, parameters: int, gmacs: float) -> None:
    found = account(on_meta(name, **options), side, side)
    assert found.parameters == parameters
    assert round(found.total / 1e9, 3) == gmacs


@pytest.mark.parametrize("name", [FCN32, FCN16, FCN8, "fcn32s_alexnet"])
def test_the_papers_count_leaves_the_fixed_deconvolutions_out(name: str) -> None:
    network = on_meta(name)
    learned = sum(p.numel() for p in network.parameters() if p.requires_grad)
    expected = {
        FCN32: 134_346_581,
        FCN16: 134_357_354,
        FCN8: 134_362_751,
        "fcn32s_alexnet": 56_954_261,
    }
    assert learned == expected[name]
    frozen = {n for n, p in network.named_parameters() if not p.requires_grad}
    assert frozen
    assert all(n.startswith("upscore") for n in frozen)


def test_grouped_deconvolutions_keep_the_diagonal_only() -> None:
    full, grouped = on_meta(FCN32), on_meta(FCN32, deconv="grouped")
    assert parameters_under(full, "upscore") == 21 * parameters_under(grouped, "upscore") == 1_806_336


FCN_STAGES = [
    ("backbone.conv1", 38_720, 18.802),
    ("backbone.conv2", 221_440, 26.940),
    ("backbone.conv3", 1_475_328, 45.158),
    ("backbone.conv4", 5_899_776, 45.676),
    ("backbone.conv5", 7_079_424, 13.703),
    ("fc6", 102_764_544, 26.307),
    ("fc7", 16_781_312, 4.295),
    ("score_fr", 86_037, 0.022),
    ("score_pool4", 10_773, 0.021),
    ("score_pool3", 5_397, 0.042),
    ("upscore", 127_008, 0.563),
]


@pytest.mark.parametrize(("layer", "parameters", "gmacs"), FCN_STAGES)
def test_fcn8s_by_stage(layer: str, parameters: int, gmacs: float) -> None:
    network = on_meta(FCN8)
    assert parameters_under(network, layer) == parameters
    assert round(account(network, 500, 500).macs_under(layer) / 1e9, 3) == gmacs


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"), [(FCN32, 1_806_336, 0.462), (FCN16, 458_640, 0.524)]
)
def test_fcn_deconvolutions(name: str, parameters: int, gmacs: float) -> None:
    network = on_meta(name)
    assert parameters_under(network, "upscore") == parameters
    assert round(account(network, 500, 500).macs_under("upscore") / 1e9, 3) == gmacs


def test_trunk_of_vgg16() -> None:
    assert parameters_under(on_meta(FCN8), "backbone") == 14_714_688
    backbone = on_meta(FCN8).backbone
    macs = 0
    for name, layer in backbone.named_children():  # at 224x224: all 3x3, halved by each pool
        if isinstance(layer, nn.Conv2d):
            macs += (224 >> (int(name[4]) - 1)) ** 2 * layer.weight.numel()
    assert round(macs / 1e9, 2) == 15.35


MAPS: list[tuple[str, dict[str, object], int, dict[str, int]]] = [
    (
        FCN8,
        {},
        500,
        {
            "backbone.conv1_1": 698,
            "backbone.pool1": 349,
            "backbone.pool2": 175,
            "backbone.pool3": 88,
            "backbone.pool4": 44,
            "backbone.pool5": 22,
            "fc6": 16,
            "score_fr": 16,
            "upscore2": 34,
            "score_pool4": 44,
            "upscore_pool4": 70,
            "score_pool3": 88,
            "upscore8": 568,
        },
    ),
    (FCN32, {}, 500, {"score_fr": 16, "upscore": 544}),
    (FCN32, {}, 513, {"score_fr": 17}),
    (FCN16, {}, 500, {"upscore2": 34, "score_pool4": 44, "upscore16": 560}),
    (FCN16, {}, 513, {"upscore2": 36}),
    (FCN8, {}, 513, {"upscore_pool4": 74}),
    (
        "fcn32s_alexnet",
        {},
        500,
        {
            "backbone.conv1": 173,
            "backbone.pool1": 86,
            "backbone.conv2": 86,
            "backbone.pool2": 43,
            "backbone.conv5": 43,
            "backbone.pool5": 21,
            "fc6": 16,
            "upscore": 543,
        },
    ),
    (
        "alexnet_imagenet",
        {},
        227,
        {
            "backbone.conv1": 55,
            "backbone.pool1": 27,
            "backbone.conv2": 27,
            "backbone.pool2": 13,
            "backbone.conv5": 13,
            "backbone.pool5": 6,
            "fc6": 1,
        },
    ),
    (V1, {}, 321, {"backbone.pool1": 161, "backbone.pool2": 81, "backbone.pool3": 41, "fc8": 41}),
    (V1, {}, 513, {"backbone.pool1": 257, "backbone.pool2": 129, "backbone.pool3": 65, "fc8": 65}),
    (V1, {"pools": "plain"}, 513, {"backbone.pool1": 257, "backbone.pool4": 65, "fc8": 65}),
    (V1_4, {}, 514, {"fc8": 67}),
    (V1_4, {}, 306, {"fc8": 41}),
    (V1_4, {"pool4": "train"}, 306, {"fc8": 39}),
    (V1_7, {}, 514, {"fc8": 67}),
    (
        FRONT,
        {},
        528,
        {
            "backbone.conv1_2": 896,
            "backbone.pool1": 448,
            "backbone.conv2_2": 444,
            "backbone.pool2": 222,
            "backbone.conv3_3": 216,
            "backbone.pool3": 108,
            "backbone.conv4_3": 102,
            "backbone.conv5_3": 90,
            "fc6": 66,
            "final": 66,
        },
    ),
    (LARGE, {}, 528, {"final": 66, "context.ctx_conv1_1": 130, "context.ctx_final": 66}),
    (LARGE, {}, 513, {"context.ctx_final": 65}),
    (BASIC, {}, 513, {"context.ctx_final": 65}),
    ("dilatednet10_vgg16", {}, 1024, {"context.ctx_final": 128, "ctx_upsample": 1024}),
    (V2, {}, 513, {"aspp": 65, "aspp.fc8_4": 65}),
]


@pytest.mark.parametrize(("name", "options", "side", "maps"), MAPS)
def test_maps(name: str, options: dict[str, object], side: int, maps: dict[str, int]) -> None:
    found = account(on_meta(name, **options), side, side)
    assert {layer: found.side(layer) for layer in maps} == maps


def test_deeplabv1_largefov_by_part() -> None:
    network = on_meta(V1)
    found = account(network, 513, 513)
    stages = [round(found.macs_under(f"backbone.conv{stage}") / 1e9, 3) for stage in range(1, 6)]
    assert stages == [10.156, 14.609, 24.538, 24.920, 29.904]
    head = {layer: round(found.macs_under(layer) / 1e9, 3) for layer in ("fc6", "fc7", "fc8")}
    assert head == {"fc6": 19.936, "fc7": 4.430, "fc8": 0.091}
    assert [parameters_under(network, f) for f in head] == [4_719_616, 1_049_600, 21_525]


def test_deeplabv1_4x4_at_513_up_to_its_scores() -> None:
    """513 pixels are no size of this net, but its layers up to fc8 take them."""
    scorer = Scorer(on_meta(V1_4))
    found = account(scorer, 513, 513)
    assert found.side("network.fc8") == 66
    assert round(found.total / 1e9, 3) == 324.674


class Scorer(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.score(x)


def test_dilated_front_end_by_stage() -> None:
    found = account(on_meta(FRONT), 528, 528)
    layers = [f"backbone.conv{stage}" for stage in range(1, 6)] + ["fc6", "fc7", "final"]
    gmacs = [round(found.macs_under(layer) / 1e9, 3) for layer in layers]
    assert gmacs == [30.988, 43.735, 69.823, 63.319, 62.616, 447.625, 73.082, 0.375]


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [(BASIC, 28_392, 0.123), (LARGE, 6_803_139, 34.834), ("dilatednet10_vgg16", 29_792, None)],
)
def test_context_modules(name: str, parameters: int, gmacs: float | None) -> None:
    network = on_meta(name)
    assert parameters_under(network, "context") == parameters
    if gmacs is not None:
        assert round(account(network, 528, 528).macs_under("context") / 1e9, 3) == gmacs


def test_alexnet_by_layer() -> None:
    layers = ["backbone.conv1", "backbone.conv2", "backbone.conv3", "backbone.conv4", "backbone.conv5"]
    network = on_meta("alexnet_imagenet")
    found = [parameters_under(network, layer) for layer in [*layers, "fc6", "fc7", "fc8"]]
    assert found == [34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000]


def path(network: nn.Module, *heads: str) -> list[nn.Module]:
    """The trunk's layers and then those named; a name that ends in `.` stands for all under it."""
    layers = list(network.backbone.children())
    for head in heads:
        found = network.get_submodule(head.rstrip("."))
        layers += found.children() if head.endswith(".") else [found]
    return layers


def upto(network: nn.Module, name: str) -> list[nn.Module]:
    children = list(network.backbone.named_children())
    end = [child for child, _ in children].index(name) + 1
    return [layer for _, layer in children[:end]]


@pytest.mark.parametrize(
    ("name", "options", "heads", "field"),
    [
        ("alexnet_imagenet", {}, (), (195, 32)),
        ("alexnet_imagenet", {}, ("fc6",), (355, 32)),
        ("fcn32s_alexnet", {}, ("fc6",), (355, 32)),
        (FCN32, {}, (), (212, 32)),
        (FCN32, {}, ("fc6", "fc7", "score_fr"), (404, 32)),
        (V1, {}, ("pool5a", "fc6", "fc7", "fc8"), (435, 8)),
        (V1, {"pools": "plain"}, ("fc6", "fc7", "fc8"), (404, 8)),
        (V1, {"pools": "plain", "kernel": 7, "rate": 4}, ("fc6",), (404, 8)),
        (V1, {"pools": "plain", "kernel": 4, "rate": 4}, ("fc6",), (308, 8)),
        (V1, {"pools": "plain", "kernel": 4, "rate": 8}, ("fc6",), (404, 8)),
        (V1_4, {}, ("fc6", "fc7", "fc8"), (308, 8)),
        (V1_4, {"rate": 8}, ("fc6", "fc7", "fc8"), (404, 8)),
        (V1_7, {}, ("fc6", "fc7", "fc8"), (404, 8)),
        (V2_LARGEFOV, {}, ("fc6",), (419, 8)),
        (V2, {}, (), (227, 8)),
        (V2, {}, ("aspp.fc6_1",), (323, 8)),
        (V2, {}, ("aspp.fc6_2",), (419, 8)),
        (V2, {}, ("aspp.fc6_3",), (515, 8)),
        (V2, {}, ("aspp.fc6_4",), (611, 8)),
        (V2, {"aspp": "small"}, ("aspp.fc6_1",), (259, 8)),
        (V2, {"aspp": "small"}, ("aspp.fc6_4",), (419, 8)),
        (FRONT, {}, ("fc6",), (380, 8)),
        (BASIC, {}, ("fc6", "context."), (908, 8)),
        (LARGE, {}, ("fc6", "context."), (908, 8)),
        (BASIC, {"rates": KITTI_RATES}, ("fc6", "context."), (652, 8)),
        ("dilatednet10_vgg16", {}, ("fc6", "context."), (2444, 8)),
    ],
)
def test_fields(
    name: str, options: dict[str, object], heads: tuple[str, ...], field: tuple[int, int]
) -> None:
    assert chain_field(path(on_meta(name, **options), *heads)) == field


def test_fields_within_the_trunks() -> None:
    vgg = ("pool1", "pool2", "pool3", "conv4_3", "pool4", "conv5_3")
    found = [chain_field(upto(on_meta(FCN32), layer)) for layer in vgg]
    assert found == [(6, 2), (16, 4), (44, 8), (92, 8), (100, 16), (196, 16)]
    layers = ("conv1_2", *vgg, "pool5")
    found = [chain_field(upto(on_meta(V1), layer)) for layer in layers]
    assert found == [(5, 1), (7, 2), (19, 4), (51, 8), (99, 8), (115, 8), (211, 8), (227, 8)]
    alexnet = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5")
    found = [chain_field(upto(on_meta("alexnet"), layer))[0] for layer in alexnet]
    assert found == [11, 19, 51, 67, 99, 131, 163]
    context = on_meta(LARGE).context
    convs = [layer for layer in context.children() if isinstance(layer, nn.Conv2d)]
    assert [chain_field(convs[:count])[0] for count in range(1, 9)] == [3, 5, 9, 17, 33, 65, 67, 67]
