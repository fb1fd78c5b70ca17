"""`MODEL.pt2`: a program saved by `torch.export.save`. It can carry pickles, so loading it is running it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archlens.capture.load.loaded import DEFAULT_SIZE, Loaded, words
from archlens.errors import ModelLoadError
from archlens.spec import Spec


def _unchanged(module: nn.Module, _mode: bool = True) -> nn.Module:
    return module


def load(spec: Spec) -> Loaded:
    """An exported program, its modules restored under their own names."""
    path = Path(spec.target).expanduser()
    if not path.is_file():
        raise ModelLoadError(f"there is no file {spec.target}", "Check the path.")
    try:
        program = torch.export.load(path)
    except Exception as error:
        raise ModelLoadError(
            f"{spec.target} is no exported program: {words(error)}", "Write one with torch.export.save."
        ) from error
    args, kwargs = program.example_inputs or ((), {})

    def build() -> nn.Module:
        try:
            model: nn.Module = torch.export.unflatten(program)
        except Exception:
            model = program.module()
        # An exported program has no modes any more; asking it to change raises.
        for module in model.modules():
            module.train = partial(_unchanged, module)  # type: ignore[method-assign]
        return model

    def example() -> Any:
        return dict(kwargs) if kwargs and not args else tuple(args)

    shape = next((tuple(t.shape[1:]) for t in args if isinstance(t, torch.Tensor)), DEFAULT_SIZE)
    return Loaded(spec.text, path.stem, shape, build, example=example if args or kwargs else None)
