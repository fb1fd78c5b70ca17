"""Model specs -> models that can be built. One file a kind of spec; this is the list of them.

Loading a file, a module or an archive runs its code.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from archlens.capture.load import code, exported, smp, timm, torchvision
from archlens.capture.load.loaded import DEFAULT_SIZE, Loaded
from archlens.capture.load.weightless import build_weightless, copy_to_meta
from archlens.errors import UsageError
from archlens.spec import Kind, Spec
from archlens.zoo import catalogue

__all__ = ["DEFAULT_SIZE", "Loaded", "build_weightless", "copy_to_meta", "load", "meta_build"]


def load(spec: Spec) -> Loaded:
    """Find the model that a spec names. Nothing is built yet.

    Raises:
        UnknownModelError, OptionError, ModelLoadError, MissingPackageError: With what to do next.
    """
    loader = LOADERS.get(spec.kind)
    if loader is None:
        raise UsageError(f"{spec.text} is a saved report, not a model", "Give the model it was made of.")
    return loader(spec)


def meta_build(loaded: Loaded) -> nn.Module:
    """The model without values, its parameters on the meta device."""
    return build_weightless(loaded)


def _zoo(spec: Spec) -> Loaded:
    entry = catalogue.find(spec.target)
    options = entry.parse_options(spec.options)

    def build() -> nn.Module:
        return entry.build(**options)

    def check(size: tuple[int, ...]) -> None:
        entry.check_input(size, options)

    return Loaded(spec.text, entry.name, entry.input_shape, build, check, plain=True)


LOADERS: dict[Kind, Callable[[Spec], Loaded]] = {
    "zoo": _zoo,
    "torchvision": torchvision.load,
    "timm": timm.load,
    "smp": smp.load,
    "file": code.load_file,
    "module": code.load_module,
    "exported": exported.load,
}
