"""`smp:ARCHITECTURE`: decoders of segmentation_models_pytorch, as `smp:unet?encoder_name=resnet50`."""

from __future__ import annotations

from torch import nn

from archlens.capture.load.loaded import Loaded, called, values
from archlens.errors import MissingPackageError, UnknownModelError, did_you_mean
from archlens.spec import Spec


def load(spec: Spec) -> Loaded:
    """A network of segmentation_models_pytorch, without weights."""
    try:
        known = architectures()
    except ImportError as error:
        hint = "pip install 'archlens[smp]'"
        raise MissingPackageError("segmentation_models_pytorch is not installed", hint) from error
    name = spec.target.lower()
    if name not in known:
        raise UnknownModelError(f"smp has no architecture {spec.target!r}", did_you_mean(name, known))
    options = values(spec.options)
    options.setdefault("encoder_weights", None)

    def build() -> nn.Module:
        return called(known[name], spec.text, **options)

    side = 224 if name == "dpt" else 512  # its default encoder has a position table
    return Loaded(spec.text, spec.target, (int(options.get("in_channels", 3)), side, side), build)


def architectures() -> dict[str, type[nn.Module]]:
    """All decoders by name."""
    import segmentation_models_pytorch as smp
    from segmentation_models_pytorch.base import SegmentationModel

    return {
        n.lower(): v
        for n, v in sorted(vars(smp).items())
        if isinstance(v, type) and issubclass(v, SegmentationModel)
    }
