"""The networks that `coverage.py` goes over, and how to build those that archlens has no loader for.

    archlens explain 'benchmarks/coverage_networks.py:monai?name=unet&dims=3' --input-size 1x64x64x64

All are built from their configurations with random weights, for CLASSES classes where they segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from coverage_transformers import CLASSES, TRANSFORMERS
from torch import nn

LIBRARIES = {
    "torchvision": "torchvision",
    "timm": "timm",
    "smp": "segmentation_models_pytorch",
    "transformers": "transformers",
    "monai": "monai",
    "nnunet": "dynamic_network_architectures",
}
"""Library -> the package that has to be there."""
_SMALL = re.compile(r"tiny|small|_s$|nano|_xs|atto|pico|femto|mini|b0|s0|_t$")
_LARGE = re.compile(r"large|huge|giant|_[lh](_|$)")
_HERE = Path(__file__).resolve()


@dataclass(frozen=True)
class Job:
    """A network to go over; two specs are compared.

    Attributes:
        name: `library:network`, what the rows are called.
        specs: As archlens takes them.
        size: (C, *spatial), or None for the network's own.
        classes: How many it segments into; 0 where it does not segment.
    """

    name: str
    specs: tuple[str, ...]
    size: tuple[int, ...] | None = None
    classes: int = 0

    @property
    def library(self) -> str:
        """The key of LIBRARIES, or `compare`."""
        return self.name.partition(":")[0]


def installed() -> dict[str, bool]:
    """Library -> whether it is here."""
    return {name: find_spec(package) is not None for name, package in LIBRARIES.items()}


def jobs(every: bool) -> Iterator[Job]:
    """All that is gone over: those that segment first. `every`: not one a family, but all of them."""
    here = installed()
    for library, make in _LISTS.items():
        if here[library]:
            yield from make(every)
    yield from _pairs(here)


def _pairs(here: dict[str, bool]) -> Iterator[Job]:
    known = {j.name: j for library in ("smp", "transformers", "nnunet", "monai") if here[library]
             for j in _LISTS[library](False)}  # fmt: skip
    for one, other in (
        ("transformers:segformer", "smp:unet?encoder_name=resnet34"),
        ("transformers:segformer", "transformers:upernet_convnext"),
        ("nnunet:plain_conv_unet", "nnunet:residual_encoder_unet"),
        ("monai:unet_3d", "monai:vnet_3d"),
        ("monai:unet_2d", "nnunet:plain_conv_unet"),
        ("smp:segformer?encoder_name=mit_b0", "transformers:upernet_swin"),
    ):
        if one in known and other in known:
            specs = known[one].specs + known[other].specs
            yield Job(f"compare:{one} {other}", specs, known[one].size)


# ------------------------------------------------------------------ what archlens loads by itself


def _torchvision(every: bool) -> Iterator[Job]:
    from torchvision import models

    for name in models.list_models(module=models.segmentation):
        yield Job(f"torchvision:{name}", (f"torchvision:{name}",), (3, 256, 256), 21)
    for module in (models, models.video):
        names = models.list_models(module=module)
        homes: dict[str, list[str]] = {}
        for name in names:
            homes.setdefault(models.get_model_builder(name).__module__, []).append(name)
        for home in homes.values():
            for name in home if every else _smallest(home):
                yield Job(f"torchvision:{name}", (f"torchvision:{name}",))


def _timm(every: bool) -> Iterator[Job]:
    from timm.models._registry import _module_to_models

    for _, names in sorted(_module_to_models.items()):
        for name in sorted(names) if every else _smallest(names):
            yield Job(f"timm:{name}", (f"timm:{name}",))


def _smallest(names: Any) -> list[str]:
    """The one of a family that its name calls small, else that of the least number: resnet18."""
    ordered = sorted(names, key=lambda n: (bool(_LARGE.search(n)), list(map(int, re.findall(r"\d+", n))), n))
    return ([n for n in ordered if _SMALL.search(n)] or ordered)[:1]


def _smp(every: bool) -> Iterator[Job]:
    from archlens.capture.load.smp import architectures

    for name in architectures():
        encoders: tuple[str, ...] = ("resnet34", "mit_b0") if name != "dpt" else ("",)
        if every and name != "dpt":
            encoders += ("mobilenet_v2", "efficientnet-b0", "tu-convnext_tiny")
        refused = ("mit_b0",) if name in ("linknet", "unetplusplus") else ()  # by the package itself
        for encoder in encoders:
            if encoder not in refused:
                text = f"smp:{name}" + (f"?encoder_name={encoder}" if encoder else "")
                size = (3, 256, 256) if encoder else None
                yield Job(text, (text + ("&" if encoder else "?") + f"classes={CLASSES}",), size, CLASSES)


# ------------------------------------------------------------------ transformers


def _transformers(_: bool) -> Iterator[Job]:
    for name, (_, side, classes) in TRANSFORMERS.items():
        spec = f"{_HERE.with_name('coverage_transformers.py')}:transformers?name={name}"
        channels = 4 if name == "vitmatte" else 3  # an image and its trimap
        yield Job(f"transformers:{name}", (spec,), (channels, side, side), classes)


# ------------------------------------------------------------------ monai


def monai(name: str, dims: int) -> nn.Module:
    """A network of MONAI, by its name in MONAI, of 2 or 3 dimensions."""
    from monai.networks import nets

    made: nn.Module = MONAI[name][0](nets, dims)
    return made


def _dyn_unet(nets: Any, dims: int, **more: Any) -> Any:
    return nets.DynUNet(
        dims, 1, CLASSES, kernel_size=[3] * 5, strides=[1, 2, 2, 2, 2], upsample_kernel_size=[2] * 4, **more
    )


BOTH = (2, 3)
_SIDES = {2: 128, 3: 64}
MONAI: dict[str, tuple[Callable[[Any, int], Any], tuple[int, ...]]] = {
    "unet": (
        lambda n, d: n.UNet(d, 1, CLASSES, channels=(16, 32, 64, 128), strides=(2, 2, 2), num_res_units=2),
        BOTH,
    ),
    "basic_unet": (lambda n, d: n.BasicUNet(d, 1, CLASSES), BOTH),
    "basic_unet_plus_plus": (lambda n, d: n.BasicUNetPlusPlus(d, 1, CLASSES), BOTH),
    "attention_unet": (
        lambda n, d: n.AttentionUnet(d, 1, CLASSES, channels=(16, 32, 64, 128), strides=(2, 2, 2)), BOTH
    ),
    "unetr": (
        lambda n, d: n.UNETR(
            1, CLASSES, (_SIDES[d],) * d, hidden_size=192, mlp_dim=768, num_heads=3, spatial_dims=d
        ),
        BOTH,
    ),
    "swin_unetr": (
        lambda n, d: n.SwinUNETR(in_channels=1, out_channels=CLASSES, feature_size=24, spatial_dims=d), BOTH
    ),
    "swin_unetr_v2": (
        lambda n, d: n.SwinUNETR(
            in_channels=1, out_channels=CLASSES, feature_size=24, spatial_dims=d, use_v2=True
        ),
        BOTH,
    ),
    "segresnet": (lambda n, d: n.SegResNet(d, in_channels=1, out_channels=CLASSES), BOTH),
    "segresnet_ds": (lambda n, d: n.SegResNetDS(d, in_channels=1, out_channels=CLASSES), BOTH),
    "segresnet_vae": (
        lambda n, d: n.SegResNetVAE([_SIDES[d]] * d, spatial_dims=d, in_channels=1, out_channels=CLASSES),
        BOTH,
    ),
    "vnet": (lambda n, d: n.VNet(d, 1, CLASSES, dropout_dim=d), BOTH),
    "dyn_unet": (_dyn_unet, BOTH),
    "dyn_unet_res": (
        lambda n, d: _dyn_unet(n, d, res_block=True, deep_supervision=True, deep_supr_num=2), BOTH
    ),
    "highresnet": (lambda n, d: n.HighResNet(d, 1, CLASSES), BOTH),
    "flexible_unet": (lambda n, d: n.FlexibleUNet(1, CLASSES, "efficientnet-b0", spatial_dims=d), BOTH),
    "ahnet": (
        lambda n, d: n.AHNet(
            (3, 4, 6, 3), spatial_dims=d, in_channels=1, out_channels=CLASSES, psp_block_num=3
        ),
        BOTH,
    ),
    "mednext": (lambda n, d: n.MedNeXt(d, in_channels=1, out_channels=CLASSES, init_filters=16), BOTH),
    "vista3d": (lambda n, d: n.SegResNetDS2(d, in_channels=1, out_channels=CLASSES), (3,)),
    "regunet": (
        lambda n, d: n.RegUNet(d, 1, 16, depth=3, out_kernel_initializer="zeros", out_channels=d), BOTH
    ),
}  # fmt: skip


def _monai(_: bool) -> Iterator[Job]:
    for name, (_, dims) in MONAI.items():
        for d in dims:
            spec = f"{_HERE}:monai?name={name}&dims={d}"
            classes = d if name == "regunet" else CLASSES
            yield Job(f"monai:{name}_{d}d", (spec,), (1, *(_SIDES[d],) * d), classes)


# ------------------------------------------------------------------ nnU-Net


def nnunet(name: str, dims: int) -> nn.Module:
    """One of nnU-Net's networks, as its plans have them, of 2 or 3 dimensions."""
    from dynamic_network_architectures.architectures import unet
    from torch import nn

    conv = nn.Conv3d if dims == 3 else nn.Conv2d
    norm = nn.InstanceNorm3d if dims == 3 else nn.InstanceNorm2d
    stages = 5
    common: dict[str, Any] = {
        "input_channels": 1,
        "n_stages": stages,
        "features_per_stage": [32, 64, 128, 256, 320],
        "conv_op": conv,
        "kernel_sizes": 3,
        "strides": [1, 2, 2, 2, 2],
        "num_classes": CLASSES,
        "conv_bias": True,
        "norm_op": norm,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }
    if name.endswith("_deep"):
        common["deep_supervision"] = True
    plain = {"n_conv_per_stage": 2, "n_conv_per_stage_decoder": 2}
    residual = {"n_blocks_per_stage": [1, 3, 4, 6, 6], "n_conv_per_stage_decoder": 1}
    kind = {
        "plain_conv_unet": (unet.PlainConvUNet, plain),
        "residual_encoder_unet": (unet.ResidualEncoderUNet, residual),
        "residual_unet": (unet.ResidualUNet, {"n_blocks_per_stage": 2, "n_conv_per_stage_decoder": 2}),
    }
    make, own = kind[name.removesuffix("_deep")]
    made: nn.Module = make(**common, **own)
    return made


def _nnunet(_: bool) -> Iterator[Job]:
    for name in ("plain_conv_unet", "residual_encoder_unet", "residual_unet", "plain_conv_unet_deep"):
        for dims in BOTH:
            spec = f"{_HERE}:nnunet?name={name}&dims={dims}"
            label = f"nnunet:{name}" + ("" if dims == 2 else "_3d")
            yield Job(label, (spec,), (1, *(_SIDES[dims],) * dims), CLASSES)


_LISTS: dict[str, Callable[[bool], Iterator[Job]]] = {
    "transformers": _transformers,
    "nnunet": _nnunet,
    "monai": _monai,
    "smp": _smp,
    "torchvision": _torchvision,
    "timm": _timm,
}
