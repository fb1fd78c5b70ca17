"""`torchvision:NAME`: classification, segmentation, video and every other network of torchvision's list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from archlens.capture.load.loaded import DEFAULT_SIZE, Loaded, called, values
from archlens.errors import MissingPackageError, UnknownModelError, did_you_mean
from archlens.spec import Spec


def load(spec: Spec) -> Loaded:
    """A network of torchvision, without weights unless asked for."""
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingPackageError("torchvision is not installed", "pip install torchvision") from error
    known = models.list_models()
    if spec.target not in known:
        raise UnknownModelError(f"torchvision has no model {spec.target!r}", did_you_mean(spec.target, known))
    options = values(spec.options)
    module = str(models.get_model_builder(spec.target).__module__)
    if ".segmentation" in module or ".detection" in module:
        options.setdefault("weights_backbone", None)
    options.setdefault("weights", None)
    if spec.target in ("googlenet", "inception_v3"):
        options.setdefault("init_weights", False)  # slow, and it warns when it is not said

    def build() -> nn.Module:
        return called(models.get_model, spec.text, name=spec.target, **options)

    return Loaded(spec.text, spec.target, _size(models, spec.target, module, options), build)


def _size(models: Any, name: str, module: str, options: Mapping[str, Any]) -> tuple[int, ...]:
    """The size that torchvision's own figures for the model are given at."""
    weights = list(models.get_model_weights(name))
    if name.startswith("vit_"):  # its position table has one size
        own = int(options.get("image_size", 224))
        return (3, own, own)
    if not weights:
        return DEFAULT_SIZE
    preset = weights[0].transforms()
    side = getattr(preset, "crop_size", None) or getattr(preset, "resize_size", None) or [224]
    if ".video" in module:
        frames = int(weights[0].meta.get("min_temporal_size", 16))
        return (3, frames, side[0], side[-1])
    return (3, side[0], side[0])
