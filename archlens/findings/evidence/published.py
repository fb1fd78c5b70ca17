"""The papers' own ablations, as data: what each step of the lineage was measured to bring.

Figures as printed in the papers' tables, in per cent mean intersection over union. They come from trained
networks, so they judge what the computed evidence can only suggest.
"""

from __future__ import annotations

from dataclasses import dataclass

from archlens.errors import ArchlensError
from archlens.report import Report
from archlens.spec import parse_spec

LINEAGE = ("fcn", "deeplabv1", "dilatednet", "deeplabv2", "pspnet", "deeplabv3", "deeplabv3plus")
"""Families in the order in which they appeared."""


@dataclass(frozen=True)
class Ablation:
    """One published measurement.

    Attributes:
        family: The network that it is about.
        what: Of what the effect was measured: skips | field_of_view | serial_context | aspp |
            global_pooling | pyramid | multi_grid | image_pooling | fourth_rate | small_crop | output_stride |
            decoder | image_pooling_removed.
        without, with_: Mean IoU in per cent, before and after.
        setting: Trunk and data.
        source: Paper and table.
    """

    family: str
    what: str
    without: float
    with_: float
    setting: str
    source: str

    @property
    def gain(self) -> float:
        """Points of mean IoU."""
        return round(self.with_ - self.without, 2)


_FCN = "Long et al., FCN, CVPR 2015"
_V1 = "Chen et al., DeepLab, ICLR 2015, Table 2"
_YU = "Yu & Koltun, ICLR 2016, Table 3"
_V2 = "Chen et al., DeepLabv2, TPAMI"
_PSP = "Zhao et al., PSPNet, CVPR 2017, Table 1"
_V3 = "Chen et al., DeepLabv3, arXiv 1706.05587"
_PLUS = "Chen et al., DeepLabv3+, ECCV 2018"

ABLATIONS: tuple[Ablation, ...] = (
    Ablation("fcn", "skips", 59.4, 62.7, "VGG-16, VOC 2011 val subset, 32s to 8s", _FCN),
    Ablation("deeplabv1", "field_of_view", 59.80, 62.25, "VGG-16, VOC 2012 val, no CRF", _V1),
    Ablation("dilatednet", "serial_context", 69.8, 72.1, "VGG-16 front end, VOC 2012 val, with COCO", _YU),
    Ablation("deeplabv2", "aspp", 65.76, 68.96, "VGG-16, VOC 2012 val, no CRF", f"{_V2}, Table 3"),
    Ablation("deeplabv2", "aspp", 75.54, 76.35, "ResNet-101, VOC 2012 val, no CRF", f"{_V2}, Table 4"),
    Ablation("pspnet", "global_pooling", 37.23, 40.07, "ResNet-50, ADE20K val", _PSP),
    Ablation("pspnet", "pyramid", 40.07, 41.07, "ResNet-50, ADE20K val", _PSP),
    Ablation("deeplabv3", "multi_grid", 75.36, 76.58, "ResNet-101, ASPP, VOC 2012 val", f"{_V3}, Table 5"),
    Ablation("deeplabv3", "image_pooling", 76.58, 77.21, "ResNet-101, VOC 2012 val", f"{_V3}, Table 5"),
    Ablation("deeplabv3", "fourth_rate", 76.58, 76.46, "ResNet-101, VOC 2012 val", f"{_V3}, Table 5"),
    Ablation("deeplabv3", "small_crop", 77.21, 67.22, "ResNet-101, VOC 2012 val", f"{_V3}, Table 8"),
    Ablation("deeplabv3", "output_stride", 77.21, 78.51, "ResNet-101, VOC 2012 val", f"{_V3}, Table 6"),
    Ablation("deeplabv3plus", "decoder", 79.17, 79.93, "Xception-65, VOC 2012 val", f"{_PLUS}, Table 5"),
    Ablation("deeplabv3plus", "decoder", 77.21, 78.85, "ResNet-101, VOC 2012 val", f"{_PLUS}, Table 3"),
    Ablation(
        "deeplabv3plus", "image_pooling_removed", 78.79, 79.14, "Xception-65, Cityscapes val",
        f"{_PLUS}, Table 7",
    ),
)  # fmt: skip


def about(family: str | None) -> tuple[Ablation, ...]:
    """What was published about a family."""
    return tuple(a for a in ABLATIONS if a.family == family)


def family_of(report: Report) -> str | None:
    """The lineage's member that a report is about: only the zoo's networks are the papers' own."""
    from archlens.zoo.catalogue import find

    try:
        spec = parse_spec(report.spec)
        name = find(spec.target).name if spec.kind == "zoo" else None
    except ArchlensError:
        return None
    # The longest name first: deeplabv3plus begins with deeplabv3.
    families = sorted(LINEAGE, key=len, reverse=True)
    return next((f for f in families if name and name.startswith(f)), None)
