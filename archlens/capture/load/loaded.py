"""What every kind of spec is loaded to, and what the loaders share."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from torch import nn

from archlens.errors import ArchlensError, ModelLoadError, did_you_mean

DEFAULT_SIZE = (3, 513, 513)


def anything(_: tuple[int, ...]) -> None:
    """Any size may do; the forward pass will tell."""


@dataclass(frozen=True)
class Loaded:
    """A model that can be built, without or with values.

    Attributes:
        spec: As asked for.
        name: The model's own name.
        input_size: Its own default, (C, *spatial).
        build: Makes the module. Called without values for a capture (`weightless`), plainly for a live run.
        check: Raises InputSizeError where an input size (C, *spatial) is not legal.
        example: Makes the inputs that it is called with, where they are not one image of `input_size`: a
            tensor, a tuple of positional ones, or a dict.
        plain: Built of plain torch modules and no tables of values, so that `torch.device("meta")` serves.
    """

    spec: str
    name: str
    input_size: tuple[int, ...]
    build: Callable[[], nn.Module]
    check: Callable[[tuple[int, ...]], None] = anything
    example: Callable[[], Any] | None = None
    plain: bool = False


@contextmanager
def quiet() -> Iterator[None]:
    """What a model prints is no result of ours: it goes to stderr."""
    with redirect_stdout(sys.stderr):
        yield


def called(factory: Callable[..., Any], spec: str, **options: Any) -> nn.Module:
    """Call a factory; whatever goes wrong in it becomes one sentence.

    Raises:
        ModelLoadError: It raised, left with SystemExit, lacks arguments, or returned no module.
    """
    _check_arguments(factory, spec, options)
    try:
        with quiet():
            model = factory(**options)
    except ArchlensError:
        raise
    except SystemExit as error:
        raise ModelLoadError(
            f"{spec} tried to end the program (SystemExit {error.code})",
            "Give a function that returns the model, without a command line of its own.",
        ) from error
    except Exception as error:
        raise ModelLoadError(
            f"{spec} could not be built: {words(error)}", "--debug shows the traceback."
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelLoadError(
            f"{spec} returned {type(model).__name__}, not a torch.nn.Module", "Return the model itself."
        )
    return model


def _check_arguments(factory: Callable[..., Any], spec: str, options: Mapping[str, Any]) -> None:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        names = set(options)
    else:
        names = {n for n, p in parameters.items() if p.kind is not p.POSITIONAL_ONLY}
    for key in options:
        if key not in names:
            raise ModelLoadError(f"{spec}: there is no argument {key!r}", did_you_mean(key, sorted(names)))
    missing = [
        n
        for n, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and n not in options
    ]
    if missing:
        query = "&".join(f"{n}=..." for n in missing)
        raise ModelLoadError(
            f"{spec} needs arguments: {', '.join(missing)}", f"Give them as in '{spec}?{query}'."
        )


def value(text: str) -> Any:
    """An option's text as a Python value: numbers, true/false, none, comma-separated tuples, else itself."""
    known: dict[str, Any] = {"true": True, "false": False, "none": None}
    if text.lower() in known:
        return known[text.lower()]
    if "," in text:
        return tuple(value(part) for part in text.split(",") if part)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def values(options: Mapping[str, str]) -> dict[str, Any]:
    """All options of a spec as Python values."""
    return {key: value(text) for key, text in options.items()}


def words(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
