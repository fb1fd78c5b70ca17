"""Catalogue entries of the ResNet and Xception networks: DeepLabv2, PSPNet, DeepLabv3, DeepLabv3+."""

from __future__ import annotations

from dataclasses import dataclass

from archlens.zoo.entry import Entry, Option
from archlens.zoo.sizes import ZOOM8


@dataclass(frozen=True)
class _Paper:
    year: int
    paper: str
    title: str
    venue: str


_V2 = _Paper(
    2016,
    "arXiv:1606.00915",
    "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully "
    "Connected CRFs",
    "TPAMI 2018",
)
_PSP = _Paper(2016, "arXiv:1612.01105", "Pyramid Scene Parsing Network", "CVPR 2017")
_V3 = _Paper(
    2017,
    "arXiv:1706.05587",
    "Rethinking Atrous Convolution for Semantic Image Segmentation",
    "arXiv",
)
_V3_PLUS = _Paper(
    2018,
    "arXiv:1802.02611",
    "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
    "ECCV 2018",
)

NUM_CLASSES = Option("num_classes", "int", 21, "classes, background included")
SCORE_RATES = Option("rates", "ints", (6, 12, 18, 24), "dilation of each summed score layer")
OUTPUT_STRIDE = Option(
    "output_stride",
    "int",
    16,
    "stride of the trunk's last map; further strides become dilations",
    choices=(32, 16, 8),
)
RATES = Option(
    "rates",
    "ints",
    None,
    "dilations of the ASPP's 3x3 branches; default 6,12,18 at output stride 16, doubled at 8, halved at 32",
)
IMAGE_POOLING = Option("image_pooling", "bool", True, "whether the ASPP has a branch of the pooled image")
MULTI_GRID = Option("multi_grid", "ints", (1, 2, 4), "factors on the rates of the last stage's three units")
SEPARABLE_HEAD = Option(
    "separable_head", "bool", False, "depthwise-separable 3x3s in ASPP and decoder: the paper's SC"
)
STEM = Option("stem", "str", "7x7", "one 7x7, or TensorFlow DeepLab's three 3x3", choices=("7x7", "beta"))
STRIDE_IN = Option(
    "stride_in",
    "str",
    "conv2",
    "where a stage strides: the first unit's first 1x1, its 3x3, or the last unit (TensorFlow DeepLab)",
    choices=("conv1", "conv2", "last"),
)
PSP_OPTIONS = (
    NUM_CLASSES,
    Option("bins", "ints", (1, 2, 3, 6), "bins a side of each level of the pyramid"),
    Option("ppm", "bool", True, "whether there is a pyramid; false: the paper's dilated baseline"),
    Option("aux", "bool", False, "the auxiliary classifier used while training"),
    Option("stem", "str", "beta", "three 3x3, or one 7x7", choices=("beta", "7x7")),
    Option(
        "stride_in",
        "str",
        "conv2",
        "where a stage strides: its first unit's 3x3, or first 1x1 as in the Caffe net for ADE20K",
        choices=("conv2", "conv1"),
    ),
    Option(
        "dilate_first",
        "bool",
        True,
        "whether a dilated stage's first unit has the new rate; false: contracted dilation",
    ),
)
V3_OPTIONS = (NUM_CLASSES, OUTPUT_STRIDE, MULTI_GRID, RATES, IMAGE_POOLING, STEM, STRIDE_IN)
XCEPTION_OPTIONS = (NUM_CLASSES, OUTPUT_STRIDE, RATES, IMAGE_POOLING, SEPARABLE_HEAD)
PLUS_RESNET_OPTIONS = (*XCEPTION_OPTIONS, MULTI_GRID, STEM, STRIDE_IN)


def _deeplabv2(
    name: str, factory: str, mechanism: str, *options: Option, aliases: tuple[str, ...] = (), notes: str = ""
) -> Entry:
    return Entry(
        name,
        aliases,
        **vars(_V2),
        mechanism=mechanism,
        factory=f"archlens.zoo.networks.deeplabv2_resnet:{factory}",
        options=(NUM_CLASSES, *options),
        sizes=ZOOM8,
        notes=notes,
    )


def _pspnet(depth: int, *aliases: str) -> Entry:
    return Entry(
        f"pspnet_resnet{depth}",
        aliases,
        **vars(_PSP),
        mechanism="averages over grids of 1, 2, 3 and 6 bins, beside the map",
        factory="archlens.zoo.networks.pspnet:PSPNet",
        options=PSP_OPTIONS,
        sizes=ZOOM8,
        preset=(("depth", depth),),
        notes=(
            "Pools are adaptive; the Caffe release's fixed windows are the same where the map divides evenly "
            "(473 and 713 px)."
        ),
    )


def _deeplabv3(depth: int, *aliases: str) -> Entry:
    return Entry(
        f"deeplabv3_resnet{depth}",
        aliases,
        **vars(_V3),
        mechanism="ASPP: a 1x1, 3x3s at rates 6, 12, 18 and the pooled image; multi-grid in the trunk",
        factory="archlens.zoo.networks.deeplabv3:DeepLabv3",
        options=V3_OPTIONS,
        preset=(("depth", depth),),
        notes=(
            f"torchvision's deeplabv3_resnet{depth} is another network: output stride 8 only, no multi-grid, "
            "an extra 3x3 after the projection, contracted dilation."
        ),
    )


def _deeplabv3plus(depth: int) -> Entry:
    return Entry(
        f"deeplabv3plus_resnet{depth}",
        (),
        **vars(_V3_PLUS),
        mechanism="DeepLabv3's ASPP, and a decoder that joins stride-4 features",
        factory="archlens.zoo.networks.deeplabv3plus:deeplabv3plus_resnet",
        options=PLUS_RESNET_OPTIONS,
        preset=(("depth", depth),),
        notes="TensorFlow DeepLab's own ResNet-101 is stem=beta with stride_in=last." if depth == 101 else "",
    )


RESNET_ENTRIES: tuple[Entry, ...] = (
    _deeplabv2(
        "deeplabv2_resnet101",
        "DeepLabv2",
        "ASPP: score layers at rates 6, 12, 18, 24, summed",
        SCORE_RATES,
        aliases=("deeplabv2",),
        notes="The paper's CRF is not part of the network.",
    ),
    _deeplabv2(
        "deeplabv2_largefov_resnet101",
        "DeepLabv2LargeFOV",
        "one 3x3 score layer at rate 12",
        Option("rate", "int", 12, "dilation of the score layer"),
        Option("kernel", "int", 3, "of the score layer; 1: a plain 1x1 classifier", choices=(3, 1)),
    ),
    _deeplabv2(
        "deeplabv2_msc_resnet101",
        "DeepLabv2MultiScale",
        "ASPP on the image at scales 1, 0.75 and 0.5; the largest score counts",
        SCORE_RATES,
    ),
    _pspnet(50, "pspnet"),
    _pspnet(101),
    _deeplabv3(101, "deeplabv3"),
    _deeplabv3(50),
    Entry(
        "deeplabv3plus_xception65",
        ("deeplabv3plus",),
        **vars(_V3_PLUS),
        mechanism="DeepLabv3's ASPP, and a decoder that joins stride-4 features",
        factory="archlens.zoo.networks.deeplabv3plus:deeplabv3plus_xception65",
        options=XCEPTION_OPTIONS,
        notes="The paper's final models have separable_head=true.",
    ),
    _deeplabv3plus(101),
    _deeplabv3plus(50),
)
