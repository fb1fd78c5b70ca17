"""Receptive fields of the zoo and of torchvision's classifiers against the published and hand-worked ones.

Sources: google-research/receptive_field's tables (alexnet, vgg_16, resnet_v1), FCN Table 1, DeepLabv1 section
3.2 and Table 2 (= DeepLabv2 Table 1), Yu & Koltun Table 1; the rest follows by r += (k - 1) * d * j, j *= s.
"""

from __future__ import annotations

from functools import cache

import pytest

from archlens.errors import InputSizeError
from archlens.pipeline import analyze
from archlens.report import FieldReport, Report
from archlens.zoo.backbones.resnet import ResNet

# spec -> layer -> (sizes over the phases, jump)
LOCAL: dict[str, dict[str, tuple[tuple[int, ...], float]]] = {
    "alexnet": {
        "backbone.conv1": ((11,), 4), "backbone.pool1": ((19,), 8), "backbone.conv2": ((51,), 8),
        "backbone.pool2": ((67,), 16), "backbone.conv3": ((99,), 16), "backbone.conv4": ((131,), 16),
        "backbone.conv5": ((163,), 16), "backbone.pool5": ((195,), 32), "fc6": ((355,), 32),
        "fc8": ((355,), 32),
    },
    "fcn": {
        "backbone.conv1_1": ((3,), 1), "backbone.pool1": ((6,), 2), "backbone.conv2_1": ((10,), 2),
        "backbone.pool2": ((16,), 4), "backbone.conv3_1": ((24,), 4), "backbone.pool3": ((44,), 8),
        "backbone.conv4_3": ((92,), 8), "backbone.pool4": ((100,), 16), "backbone.conv5_1": ((132,), 16),
        "backbone.conv5_3": ((196,), 16), "backbone.pool5": ((212,), 32), "fc6": ((404,), 32),
        "score_fr": ((404,), 32), "add:2": ((436, 468), 8),
    },
    "fcn16s_vgg16": {"add": ((436,), 16)},
    "fcn32s_vgg16": {"score_fr": ((404,), 32)},
    "fcn32s_alexnet": {"fc6": ((355,), 32)},
    "deeplabv1": {
        "backbone.conv1_2": ((5,), 1), "backbone.pool1": ((7,), 2), "backbone.pool2": ((19,), 4),
        "backbone.pool3": ((51,), 8), "backbone.conv4_3": ((99,), 8), "backbone.pool4": ((115,), 8),
        "backbone.conv5_3": ((211,), 8), "backbone.pool5": ((227,), 8), "pool5a": ((243,), 8),
        "fc6": ((435,), 8),
    },
    "deeplabv1_4x4_vgg16": {"fc8": ((308,), 8)},
    "deeplabv1_7x7_vgg16": {"fc8": ((404,), 8)},
    "dilatednet_frontend_vgg16": {
        "backbone.conv4_3": ((92,), 8), "backbone.conv5_3": ((188,), 8), "final": ((380,), 8),
    },
    "dilatednet": {"context.ctx_final": ((908,), 8)},
    "dilatednet_basic_vgg16": {"context.ctx_final": ((908,), 8)},
    "dilatednet_basic_vgg16?rates=1,1,2,4,8,1": {"context.ctx_final": ((652,), 8)},
    "deeplabv2_vgg16": {
        "aspp.fc6_1": ((323,), 8), "aspp.fc6_2": ((419,), 8), "aspp.fc6_3": ((515,), 8),
        "aspp.fc6_4": ((611,), 8), "aspp.add:3": ((611,), 8),
    },
    "deeplabv2_vgg16?aspp=small": {
        "aspp.fc6_1": ((259,), 8), "aspp.fc6_2": ((291,), 8), "aspp.fc6_3": ((355,), 8),
        "aspp.fc6_4": ((419,), 8),
    },
    "deeplabv2_largefov_vgg16": {"fc8": ((419,), 8)},
    "deeplabv2": {
        "aspp.fc1_c0": ((1123,), 8), "aspp.fc1_c1": ((1219,), 8), "aspp.fc1_c2": ((1315,), 8),
        "aspp.fc1_c3": ((1411,), 8), "aspp.add:3": ((1411,), 8),
    },
    "deeplabv3_resnet50": {
        "aspp.rate6.conv": ((907,), 16), "aspp.rate12.conv": ((1099,), 16), "aspp.rate18.conv": ((1291,), 16),
    },
    "deeplabv3": {
        "aspp.rate6.conv": ((1451,), 16), "aspp.rate12.conv": ((1643,), 16),
        "aspp.rate18.conv": ((1835,), 16),
    },
    "deeplabv3?output_stride=8": {
        "aspp.rate12.conv": ((1467,), 8), "aspp.rate24.conv": ((1659,), 8),
        "aspp.rate36.conv": ((1851,), 8),
    },
    "torchvision:vgg16": {"features.30": ((212,), 32)},
    "torchvision:resnet50": {"layer4.2.conv3": ((427,), 32)},
    "torchvision:resnet101": {"layer4.2.conv3": ((971,), 32)},
}  # fmt: skip
# spec -> finite local path of the class-score cell, and the layer that makes it global
GLOBAL = {
    "pspnet": ((495,), 8, "ppm.bin1.pool"),
    "pspnet_resnet101": ((1039,), 8, "ppm.bin1.pool"),
    "deeplabv3_resnet50": ((1291,), 16, "aspp.image_pooling.pool"),
    "deeplabv3": ((1835,), 16, "aspp.image_pooling.pool"),
}


@cache
def report(spec: str) -> Report:
    return analyze(spec)


def field(found: Report, layer: str) -> FieldReport:
    rf = found.layer(layer).rf
    assert rf is not None
    return rf


@pytest.mark.parametrize(
    ("spec", "layer"), [(s, layer) for s, layers in LOCAL.items() for layer in layers], ids=str
)
def test_theoretical_sizes(spec: str, layer: str) -> None:
    rf, (sizes, jump) = field(report(spec), layer), LOCAL[spec][layer]
    assert rf.kind == "local"
    assert rf.sizes == (sizes, sizes)
    assert rf.size == (max(sizes), max(sizes))
    assert rf.jump == (jump, jump)
    assert rf.status == "exact"


@pytest.mark.parametrize("spec", GLOBAL)
def test_the_local_path_beside_a_global_field(spec: str) -> None:
    sizes, jump, source = GLOBAL[spec]
    rf = field(report(spec), report(spec).class_score)
    assert (rf.kind, rf.size, rf.source) == ("global", None, source)
    assert rf.local is not None
    assert (rf.local.sizes, rf.local.jump) == ((sizes, sizes), (jump, jump))


def test_an_output_pixel_sees_one_jump_more_than_a_cell() -> None:
    """FCN-32s: two neighbouring cells at 32 px contribute to a pixel between them."""
    found = report("fcn32s_vgg16")
    assert field(found, found.outputs["out"]).size == (436, 436)


def test_the_four_rows_of_deeplabs_table() -> None:
    """Plain pools: 404, 308, 404, 404 px; the published FOV is that less twice VGG-16's padding at pool5."""
    rows = ((7, 4, 404, 224), (4, 4, 308, 128), (4, 8, 404, 224), (3, 12, 404, 224))
    vgg = field(report("torchvision:vgg16"), "features.30")
    assert vgg.start == (-90, -90)
    for kernel, rate, convolutional, published in rows:
        found = report(f"deeplabv1?pools=plain&kernel={kernel}&rate={rate}")
        size = field(found, found.class_score).size
        assert size == (convolutional, convolutional)
        assert convolutional + 2 * vgg.start[0] == published


@pytest.mark.parametrize(
    ("options", "depth", "size"),
    [
        ({}, 50, 427), ({}, 101, 971), ({"stride_in": "conv1"}, 50, 483), ({"stride_in": "last"}, 101, 1027),
        ({"output_stride": 16}, 50, 459), ({"output_stride": 16, "multi_grid": (1, 2, 4)}, 50, 715),
        ({"output_stride": 16, "multi_grid": (1, 2, 4)}, 101, 1259),
        ({"output_stride": 8}, 101, 1019), ({"output_stride": 8, "dilate_first": False}, 101, 971),
        ({"output_stride": 8, "stem": "beta"}, 50, 479),
    ],
)  # fmt: skip
def test_resnet_layouts(options: dict[str, object], depth: int, size: int) -> None:
    found = analyze(ResNet(depth, **options), (3, 65, 65))  # type: ignore[arg-type]
    assert field(found, "layer4.2.conv3").size == (size, size)


def test_effective_padding_of_the_published_tables() -> None:
    for spec, layer, padding in (
        ("alexnet", "backbone.pool5", 64), ("torchvision:vgg16", "features.30", 90),
    ):  # fmt: skip
        assert field(report(spec), layer).start == (-padding, -padding)


def test_one_size_is_legal_and_its_neighbour_is_named() -> None:
    with pytest.raises(InputSizeError) as caught:
        analyze("pspnet", (3, 512, 512))
    assert "505x505 and 513x513" in caught.value.hint
