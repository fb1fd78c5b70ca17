"""Catalogue entries of the AlexNet and VGG-16 networks: AlexNet, FCN, DeepLabv1, DilatedNet, DeepLabv2."""

from __future__ import annotations

from dataclasses import replace

from archlens.zoo.entry import Entry, Option
from archlens.zoo.sizes import ALEXNET, DILATED, ZOOM8, ZOOM8_CROPPED, ZOOM8_SCORES


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
