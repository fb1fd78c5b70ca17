"""`timm:NAME`: the networks of timm. Options are keyword arguments of `timm.create_model`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from archlens.capture.load.loaded import Loaded, called, values
from archlens.errors import MissingPackageError, UnknownModelError, did_you_mean
from archlens.spec import Spec


def load(spec: Spec) -> Loaded:
    """A network of timm, without weights."""
    try:
        import timm
    except ImportError as error:
        raise MissingPackageError("timm is not installed", "pip install 'archlens[timm]'") from error
    base = spec.target.split(".")[0]
    if not timm.is_model(base):
        raise UnknownModelError(f"timm has no model {spec.target!r}", did_you_mean(base, timm.list_models()))
    options = values(spec.options)
    options.setdefault("pretrained", False)

    def build() -> nn.Module:
        return called(timm.create_model, spec.text, model_name=spec.target, **options)

    return Loaded(spec.text, spec.target, _size(timm, spec.target, options), build)


def _size(timm: Any, name: str, options: Mapping[str, Any]) -> tuple[int, ...]:
    """The size that the model is configured for."""
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    size = tuple(config.input_size) if config is not None and config.input_size else (3, 224, 224)
    side = options.get("img_size")
    if side is not None:
        size = (size[0], *(side if isinstance(side, tuple) else (side, side)))
    return (int(options.get("in_chans", size[0])), *size[1:])
