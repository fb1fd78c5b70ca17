"""Model specs -> live modules. Loading a file, a module or an archive runs its code."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archlens.errors import (
    ArchlensError,
    MissingPackageError,
    ModelLoadError,
    UnknownModelError,
    UsageError,
    did_you_mean,
)
from archlens.spec import Spec
from archlens.zoo import catalogue

DEFAULT_SIZE = (3, 513, 513)


@dataclass(frozen=True)
class Loaded:
    """A model that can be built, without or with values.

    Attributes:
        spec: As asked for.
        name: The model's own name.
        input_size: Its own default, (C, *spatial).
        build: Makes the module. Called under `weightless()` for a capture, plainly for a live run.
        check: Raises InputSizeError where an input size (C, *spatial) is not legal.
    """

    spec: str
    name: str
    input_size: tuple[int, ...]
    build: Callable[[], nn.Module]
    check: Callable[[tuple[int, ...]], None]


def load(spec: Spec) -> Loaded:
    """Find the model that a spec names. Nothing is built yet.

    Raises:
        UnknownModelError, OptionError, ModelLoadError, MissingPackageError: With what to do next.
    """
    if spec.kind == "zoo":
        return _zoo(spec)
    if spec.kind == "torchvision":
        return _torchvision(spec)
    if spec.kind in ("file", "module"):
        return _factory(spec)
    raise UsageError(f"{spec.text}: {spec.kind} specs cannot be loaded here")


@contextmanager
def weightless() -> Iterator[None]:
    """Build modules whose parameters have no values: on the meta device as soon as they are registered.

    Buffers and plain tensors stay real, so index tables and masks keep their values.
    """
    register = nn.Module.register_parameter

    def on_meta(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if isinstance(param, nn.Parameter) and not param.is_meta and type(param) is nn.Parameter:
            param = nn.Parameter(param.to("meta"), requires_grad=param.requires_grad)
        register(self, name, param)

    nn.Module.register_parameter = on_meta  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def _zoo(spec: Spec) -> Loaded:
    entry = catalogue.find(spec.target)
    options = entry.parse_options(spec.options)

    def build() -> nn.Module:
        return entry.build(**options)

    def check(size: tuple[int, ...]) -> None:
        entry.check_input(size, options)

    return Loaded(spec.text, entry.name, entry.input_shape, build, check)


def _anything(_: tuple[int, ...]) -> None:
    """Any size may do; the forward pass will tell."""


def _torchvision(spec: Spec) -> Loaded:
    try:
        from torchvision import models
    except ImportError as error:
        raise MissingPackageError("torchvision is not installed", "pip install torchvision") from error
    if spec.target not in models.list_models():
        raise UnknownModelError(
            f"torchvision has no model {spec.target!r}", did_you_mean(spec.target, models.list_models())
        )
    options = {key: _value(text) for key, text in spec.options.items()}
    if "segmentation" in str(models.get_model_builder(spec.target).__module__):
        options.setdefault("weights_backbone", None)
    options.setdefault("weights", None)

    def build() -> nn.Module:
        return _called(models.get_model, spec, name=spec.target, **options)

    return Loaded(spec.text, spec.target, _torchvision_size(models, spec.target), build, _anything)


def _torchvision_size(models: Any, name: str) -> tuple[int, ...]:
    """The size that torchvision's own figures for the model are given at."""
    weights = list(models.get_model_weights(name))
    if not weights:
        return DEFAULT_SIZE
    preset = weights[0].transforms()
    side = getattr(preset, "crop_size", None) or getattr(preset, "resize_size", None) or [224]
    return (3, side[0], side[0])


def _factory(spec: Spec) -> Loaded:
    module = _import_file(spec) if spec.kind == "file" else _import_module(spec)
    factory = getattr(module, spec.factory, None)
    if not callable(factory):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ModelLoadError(
            f"{spec.target} has no function {spec.factory!r}",
            did_you_mean(spec.factory, names) if names else "",
        )
    options = {key: _value(text) for key, text in spec.options.items()}

    def build() -> nn.Module:
        return _called(factory, spec, **options)

    return Loaded(spec.text, spec.factory, DEFAULT_SIZE, build, _anything)


def _import_file(spec: Spec) -> Any:
    path = Path(spec.target).resolve()
    if not path.is_file():
        raise ModelLoadError(
            f"there is no file {spec.target}", "Give a path to a Python file and a function in it."
        )
    sys.path.insert(0, str(path.parent))
    name = path.stem
    try:
        found = importlib.util.spec_from_file_location(name, path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        found.loader.exec_module(module)
    except Exception as error:
        raise ModelLoadError(f"{spec.target} cannot be imported: {_words(error)}") from error
    return module


def _import_module(spec: Spec) -> Any:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(spec.target)
    except ImportError as error:
        raise ModelLoadError(f"module {spec.target} cannot be imported: {_words(error)}") from error


def _called(factory: Callable[..., Any], spec: Spec, **options: Any) -> nn.Module:
    try:
        model = factory(**options)
    except ArchlensError:
        raise
    except Exception as error:
        raise ModelLoadError(f"{spec.text} could not be built: {_words(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelLoadError(f"{spec.text} returned {type(model).__name__}, not a torch.nn.Module")
    return model


def _value(text: str) -> Any:
    """An option's text as a Python value: numbers, true/false, none, comma-separated tuples, else itself."""
    words: dict[str, Any] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    if "," in text:
        return tuple(_value(part) for part in text.split(","))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _words(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]


def meta_build(loaded: Loaded) -> nn.Module:
    """The model without values, its parameters on the meta device."""
    entry_is_zoo = loaded.check is not _anything
    if entry_is_zoo:
        with torch.device("meta"):  # plain torch, no tables: quicker still
            return loaded.build()
    with weightless():
        return loaded.build()
