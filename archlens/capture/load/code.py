"""`FILE.py:FUNCTION` and `package.module:FUNCTION`: a user's own code. Loading it runs it.

A function `example_input` beside the factory says what the model is called with, where that is not one
image: it returns a tensor, a tuple of arguments, or a dict of them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from archlens.capture.load.loaded import DEFAULT_SIZE, Loaded, called, quiet, values, words
from archlens.capture.load.weightless import copied
from archlens.errors import ModelLoadError, did_you_mean
from archlens.spec import Spec

EXAMPLE = "example_input"
_DIGEST = "__archlens_digest__"


def load_file(spec: Spec) -> Loaded:
    """A function of a Python file."""
    return _factory(spec, _of_file(spec))


def load_module(spec: Spec) -> Loaded:
    """A function of an importable module."""
    return _factory(spec, _imported(spec))


def takes(spec: Spec, argument: str) -> bool:
    """Whether the function that a spec names has an argument of that name."""
    factory = _found(spec, _of_file(spec) if spec.kind == "file" else _imported(spec))
    if isinstance(factory, nn.Module):
        return False
    try:
        return argument in inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return False


def _of_file(spec: Spec) -> ModuleType:
    path = Path(spec.target).expanduser().resolve()
    if not path.is_file():
        raise ModelLoadError(
            f"there is no file {spec.target}", "Give a path to a Python file and a function in it."
        )
    return _run(spec, lambda: _import_file(path))


def _imported(spec: Spec) -> ModuleType:
    """An importable module; the current folder counts."""
    if "" not in sys.path:
        sys.path.insert(0, "")
    return _run(spec, lambda: importlib.import_module(spec.target))


def _run(spec: Spec, do: Callable[[], ModuleType]) -> ModuleType:
    try:
        with quiet():
            return do()
    except SystemExit as error:
        raise ModelLoadError(
            f"{spec.target} tried to end the program while it was imported (SystemExit {error.code})",
            "Put what a script does under `if __name__ == '__main__':`.",
        ) from error
    except ModuleNotFoundError as error:
        raise ModelLoadError(
            f"{spec.target} cannot be imported: {words(error)}",
            f"Check the spelling, or install {error.name}.",
        ) from error
    except Exception as error:
        raise ModelLoadError(
            f"{spec.target} cannot be imported: {words(error)}", "--debug shows the traceback."
        ) from error


def _import_file(path: Path) -> ModuleType:
    """Import a file as what it is: a module of its package, or one that stands alone in its folder."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if parts[-1] == "__init__":
        parts.pop()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    name = ".".join(parts)
    known = sys.modules.get(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    ours = known is not None and getattr(known, "__file__", None) == str(path)
    if known is not None and ours and getattr(known, _DIGEST, digest) == digest:
        return known  # unchanged since it was loaded (or loaded by the program that we run in)
    if len(parts) > 1 and parts[0] not in sys.modules:
        return importlib.import_module(name)
    if (known is not None and not ours) or name in sys.stdlib_module_names:
        name = f"archlens_user_{path.stem}"  # another module has the name already: leave it alone
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        # From the source, not by the loader: a byte-code file of the same second and size would be taken
        # for that of the file as it is now.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    setattr(module, _DIGEST, digest)
    return module


def _found(spec: Spec, module: ModuleType) -> Any:
    found: Any = module
    for part in spec.factory.split("."):
        found = getattr(found, part, None)
    return found


def _factory(spec: Spec, module: ModuleType) -> Loaded:
    factory = _found(spec, module)
    if isinstance(factory, nn.Module):
        model = factory

        def build() -> nn.Module:
            return copied(model)

    elif callable(factory):
        options = values(spec.options)
        text = spec.text.partition("?")[0]

        def build() -> nn.Module:
            return called(factory, text, **options)

    else:
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ModelLoadError(
            f"{spec.target} has no function {spec.factory!r}",
            did_you_mean(spec.factory, names) if names else "It defines none.",
        )
    given = getattr(module, EXAMPLE, None)
    example = given if callable(given) else (lambda: given) if given is not None else None
    return Loaded(spec.text, spec.factory, DEFAULT_SIZE, build, example=example)
