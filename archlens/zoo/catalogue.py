"""The networks of the lineage, in its order: one `Entry` each. Importing this does not import torch.

To add a network: one file in `networks/`, one `Entry` here, and `python benchmarks/zoo_costs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from archlens.errors import UnknownModelError, did_you_mean
from archlens.zoo.entry import Entry, Option
from archlens.zoo.sizes import ALEXNET, DILATED, ZOOM8, ZOOM8_CROPPED, ZOOM8_SCORES, SizeRule

__all__ = ["CATALOGUE", "Entry", "Option", "SizeRule", "find"]

# ------------------------------------------------------------------ AlexNet and VGG-16


def _classes(default: int) -> Option:
    return Option("num_classes", "int", default, "classes, background included")


def _fc6(kernel: int, rate: int, width: int) -> tuple[Option, ...]:
    return (
        _classes(21),
        Option("kernel", "int", kernel, "side of fc6"),
        Option("rate", "int", rate, "dilation of fc6"),
        Option("width", "int", width, "channels of fc6 and fc7"),
    )


_POOLS = Option(
    "pools",
    "str",
    "released",
    "the released net's 3x3 pools, or VGG-16's own 2x2 pools with a 3x3 pool5",
    choices=("released", "plain"),
)
_POOL4 = Option(
    "pool4",
    "str",
    "test",
    "the release's test net, or its training net, which does not pad pool4 and stops at the score map",
    choices=("test", "train"),
)
_DECONV = Option(
    "deconv",
    "str",
    "full",
    "bilinear kernels for all pairs of classes, as Caffe stores them, or one a class",
    choices=("full", "grouped"),
)
_ATONCE = Option("atonce", "bool", False, "fixed scales before the skips' scores, to train all in one go")

_ALEXNET = Entry(
    name="alexnet_imagenet",
    aliases=("alexnet",),
    year=2012,
    paper="arXiv:1412.6856",
    title="Object Detectors Emerge in Deep Scene CNNs",
    venue="ICLR 2015",
    mechanism="dense layers over the whole crop; the receptive-field measurements started here",
    factory="archlens.zoo.networks.alexnet:AlexNet",
    input_shape=(3, 227, 227),
    options=(
        _classes(1000),
        Option("groups", "int", 2, "groups of conv2, conv4 and conv5", choices=(1, 2)),
    ),
    sizes=ALEXNET,
    notes="Caffe's AlexNet, two groups, 61.0 M parameters; torchvision's has other widths and no groups.",
)
_PLACES = "Zhou et al.'s Places-CNN: the same layers, trained on scenes."

_FCN = Entry(
    name="fcn8s_vgg16",
    aliases=("fcn",),
    year=2015,
    paper="arXiv:1411.4038",
    title="Fully Convolutional Networks for Semantic Segmentation",
    venue="CVPR 2015",
    mechanism="scores of pool4 and pool3 added to coarse scores",
    factory="archlens.zoo.networks.fcn:FCN8s",
    options=(_classes(21), _DECONV, _ATONCE),
    notes="torchvision's fcn_resnet50 is another network: a dilated ResNet without skips.",
)

_V1 = Entry(
    name="deeplabv1_largefov_vgg16",
    aliases=("deeplabv1",),
    year=2015,
    paper="arXiv:1412.7062",
    title="Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected CRFs",
    venue="ICLR 2015",
    mechanism="one dilated convolution, 3x3 at rate 12",
    factory="archlens.zoo.networks.deeplabv1:DeepLabv1LargeFOV",
    options=(*_fc6(3, 12, 1024), _POOLS),
    sizes=ZOOM8,
    notes="The CRF that follows has no parameters and is not part of the network.",
)
_V1_CROPPED = replace(
    _V1,
    aliases=(),
    factory="archlens.zoo.networks.deeplabv1:DeepLabv1",
    input_shape=(3, 514, 514),
    sizes=ZOOM8_CROPPED,
    sizes_with=(("pool4", "train", ZOOM8_SCORES),),
)

_DILATED = Entry(
    name="dilatednet_large_vgg16",
    aliases=("dilatednet",),
    year=2016,
    paper="arXiv:1511.07122",
    title="Multi-Scale Context Aggregation by Dilated Convolutions",
    venue="ICLR 2016",
    mechanism="a chain of dilated convolutions, rates 1 to 16, on the scores",
    factory="archlens.zoo.networks.dilatednet:DilatedNetLarge",
    options=(_classes(21),),
    sizes=DILATED,
    notes="The 186 px reflected margin and the resize to the input's size are part of the network.",
)

_V2 = Entry(
    name="deeplabv2_vgg16",
    aliases=(),
    year=2016,
    paper="arXiv:1606.00915",
    title=(
        "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, "
        "and Fully Connected CRFs"
    ),
    venue="TPAMI 2018",
    mechanism="atrous spatial pyramid pooling: four dilated branches, their scores summed",
    factory="archlens.zoo.networks.deeplabv2:DeepLabv2VGG",
    options=(
        _classes(21),
        Option("aspp", "str", "large", "rates 6,12,18,24 or 2,4,8,12", choices=("large", "small")),
        Option("rates", "ints", None, "dilations of the branches; default: as `aspp` says"),
        _POOLS,
    ),
    sizes=ZOOM8,
    notes="The CRF that follows has no parameters and is not part of the network.",
)

VGG_ENTRIES: tuple[Entry, ...] = (
    _ALEXNET,
    replace(
        _ALEXNET,
        name="alexnet_places205",
        aliases=(),
        year=2014,
        options=(_classes(205), *_ALEXNET.options[1:]),
        preset=(("num_classes", 205),),
        notes=_PLACES,
    ),
    replace(
        _ALEXNET,
        name="alexnet_places365",
        aliases=(),
        year=2017,
        options=(_classes(365), *_ALEXNET.options[1:]),
        preset=(("num_classes", 365),),
        notes=_PLACES,
    ),
    _FCN,
    replace(
        _FCN,
        name="fcn16s_vgg16",
        aliases=(),
        mechanism="scores of pool4 added to coarse scores",
        factory="archlens.zoo.networks.fcn:FCN16s",
        options=(_classes(21), _DECONV),
    ),
    replace(
        _FCN,
        name="fcn32s_vgg16",
        aliases=(),
        mechanism="none but the classifier's own 7x7",
        factory="archlens.zoo.networks.fcn:FCN32s",
        options=(_classes(21), _DECONV),
    ),
    replace(
        _FCN,
        name="fcn32s_alexnet",
        aliases=(),
        mechanism="none but the classifier's own 6x6",
        factory="archlens.zoo.networks.fcn:FCN32sAlexNet",
        options=(_classes(21), _DECONV),
    ),
    _V1,
    replace(
        _V1_CROPPED,
        name="deeplabv1_4x4_vgg16",
        mechanism="fc6 thinned to 4x4, at rate 4",
        options=(*_fc6(4, 4, 4096), _POOL4),
    ),
    replace(
        _V1_CROPPED,
        name="deeplabv1_7x7_vgg16",
        mechanism="VGG-16's own 7x7 fc6, at rate 4",
        options=(*_fc6(7, 4, 4096), _POOL4),
        preset=(("kernel", 7),),
    ),
    replace(
        _V1,
        name="deeplabv1_msc_largefov_vgg16",
        aliases=(),
        mechanism="one dilated convolution, and scores of the image and of four pools added",
        factory="archlens.zoo.networks.deeplabv1:DeepLabv1MSc",
    ),
    _DILATED,
    replace(
        _DILATED,
        name="dilatednet_frontend_vgg16",
        aliases=(),
        mechanism="dilated trunk and a 7x7 fc6 at rate 4, no context module",
        factory="archlens.zoo.networks.dilatednet:DilatedNetFrontEnd",
    ),
    replace(
        _DILATED,
        name="dilatednet_basic_vgg16",
        aliases=(),
        factory="archlens.zoo.networks.dilatednet:DilatedNetBasic",
        options=(
            _classes(21),
            Option("rates", "ints", (1, 1, 2, 4, 8, 16, 1), "dilations of the context module's 3x3s"),
        ),
    ),
    replace(
        _DILATED,
        name="dilatednet10_vgg16",
        aliases=(),
        mechanism="a chain of dilated convolutions, rates 1 to 64, on the scores",
        factory="archlens.zoo.networks.dilatednet:Dilation10",
        options=(_classes(19),),
        notes="The Cityscapes net: upsampled by a grouped bilinear deconvolution, native size 1024.",
    ),
    _V2,
    replace(
        _V2,
        name="deeplabv2_largefov_vgg16",
        mechanism="one dilated convolution, 3x3 at rate 12",
        factory="archlens.zoo.networks.deeplabv2:DeepLabv2LargeFOVVGG",
        options=(*_fc6(3, 12, 1024), _POOLS),
    ),
)


# ------------------------------------------------------------------ ResNet and Xception


@dataclass(frozen=True)
class _Paper:
    year: int
    paper: str
    title: str
    venue: str


_PAPER_V2 = _Paper(
    2016,
    "arXiv:1606.00915",
    "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous Convolution, and Fully "
    "Connected CRFs",
    "TPAMI 2018",
)
_PAPER_PSP = _Paper(2016, "arXiv:1612.01105", "Pyramid Scene Parsing Network", "CVPR 2017")
_PAPER_V3 = _Paper(
    2017,
    "arXiv:1706.05587",
    "Rethinking Atrous Convolution for Semantic Image Segmentation",
    "arXiv",
)
_PAPER_V3_PLUS = _Paper(
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
        **vars(_PAPER_V2),
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
        **vars(_PAPER_PSP),
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
        **vars(_PAPER_V3),
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
        **vars(_PAPER_V3_PLUS),
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
        **vars(_PAPER_V3_PLUS),
        mechanism="DeepLabv3's ASPP, and a decoder that joins stride-4 features",
        factory="archlens.zoo.networks.deeplabv3plus:deeplabv3plus_xception65",
        options=XCEPTION_OPTIONS,
        notes="The paper's final models have separable_head=true.",
    ),
    _deeplabv3plus(101),
    _deeplabv3plus(50),
)


# ------------------------------------------------------------------ all of them

CATALOGUE: tuple[Entry, ...] = (*VGG_ENTRIES, *RESNET_ENTRIES)


def find(name: str) -> Entry:
    """The entry of that name or alias. Raises UnknownModelError, which names the nearest ones."""
    for entry in CATALOGUE:
        if name == entry.name or name in entry.aliases:
            return entry
    known = [known for entry in CATALOGUE for known in (*entry.aliases, entry.name)]
    raise UnknownModelError(f"No network of the zoo is called {name!r}.", hint=did_you_mean(name, known))
