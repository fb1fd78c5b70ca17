"""`smp:ARCHITECTURE`: decoders of segmentation_models_pytorch, as `smp:unet?encoder_name=resnet50`."""

from __future__ import annotations

from torch import nn

from archlens.capture.loaded import Loaded, called, values
from archlens.errors import MissingPackageError, UnknownModelError, did_you_mean
from archlens.spec import Spec


def load(spec: Spec) -> Loaded:
    """A network of segmentation_models_pytorch, without weights."""
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        hint = "pip install 'archlens[smp]'"
        raise MissingPackageError("segmentation_models_pytorch is not installed", hint) from error
    known = architectures()
    name = spec.target.lower()
    if name not in known:
        raise UnknownModelError(f"smp has no architecture {spec.target!r}", did_you_mean(name, known))
    options = values(spec.options)
    options.setdefault("encoder_weights", None)

    def build() -> nn.Module:
        return called(smp.create_model, spec.text, arch=name, **options)

    channels = int(options.get("in_channels", 3))
    return Loaded(spec.text, spec.target, (channels, 512, 512), build)


def architectures() -> list[str]:
    """Names of all decoders."""
    import segmentation_models_pytorch as smp
    from segmentation_models_pytorch.base import SegmentationModel

    found = {
        n.lower() for n, v in vars(smp).items() if isinstance(v, type) and issubclass(v, SegmentationModel)
    }
    return sorted(found)
