"""What a model is called with: one image by default, or several inputs, signals, tokens, dicts of tensors.

Every tensor has spatial axes, the dimensions that receptive fields run along: all after channels of a
floating-point tensor (N, C, *spatial), all after the batch of an integer one (N, *positions).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archlens.capture.load.loaded import Loaded, quiet, words
from archlens.errors import ModelLoadError, UsageError

Sizes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Inputs:
    """Arguments of one call of a model.

    Attributes:
        args: Positional ones; tensors may be nested in lists, tuples and dicts.
        kwargs: Keyword ones.
        signals: Ids of two-dimensional floating-point tensors whose second dimension is an axis.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    signals: frozenset[int] = frozenset()

    def tensors(self) -> list[tuple[str, torch.Tensor]]:
        """Each tensor once, with the key or keyword that it is passed under ("" without one)."""
        seen: dict[int, tuple[str, torch.Tensor]] = {}
        for name, t in (*_walk(self.args, ""), *_walk(self.kwargs, "")):
            seen.setdefault(id(t), (name, t))
        return list(seen.values())

    def axes(self, tensor: torch.Tensor) -> tuple[int, ...]:
        """Spatial dimensions of a tensor of these inputs."""
        if not (tensor.is_floating_point() or tensor.is_complex()) or id(tensor) in self.signals:
            return tuple(range(1, tensor.ndim))
        return tuple(range(2, tensor.ndim))

    def on(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Inputs:
        """The same inputs with every tensor changed."""
        known: dict[int, torch.Tensor] = {}

        def once(t: torch.Tensor) -> torch.Tensor:
            return known.setdefault(id(t), change(t))

        args, kwargs = _changed(self.args, once), _changed(dict(self.kwargs), once)
        return Inputs(args, kwargs, frozenset(id(known[i]) for i in self.signals if i in known))

    def meta(self) -> Inputs:
        """Without values."""
        return self.on(lambda t: t if t.is_meta else t.to("meta"))

    def real(self, device: torch.device, seed: int | None = None) -> Inputs:
        """With values: where there are none, zeros, or noise of a seed."""
        rng = None if seed is None else torch.Generator().manual_seed(seed)

        def value(t: torch.Tensor) -> torch.Tensor:
            if not t.is_meta:
                return t.to(device)
            if rng is None or not t.is_floating_point():
                return torch.zeros(t.shape, dtype=t.dtype, device=device)
            return torch.randn(t.shape, generator=rng).to(device, t.dtype)

        return self.on(value)

    def describe(self) -> str:
        """Sizes in the form of --input-size."""
        return ", ".join("x".join(map(str, t.shape[1:])) for _, t in self.tensors())


def from_sizes(sizes: Sequence[Sequence[int]], model: nn.Module) -> Inputs:
    """Inputs of these sizes (C, *spatial), in the model's own precision; a single number is a sequence: of
    tokens where the model looks them up, else of samples."""
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    tokens = any(isinstance(m, (nn.Embedding, nn.EmbeddingBag)) for m in model.modules())
    made, signals = [], set()
    for size in sizes:
        sequence = len(size) == 1
        kind = torch.int64 if sequence and tokens else dtype
        t = torch.empty((1, *size), device="meta", dtype=kind)
        made.append(t)
        if sequence:
            signals.add(id(t))
    return Inputs(tuple(made), {}, frozenset(signals))


def from_example(example: Any, model: nn.Module) -> Inputs:
    """Inputs as given: a tensor, a tuple of positional arguments, or a dict, whose keys are keyword
    arguments if forward takes them and the one positional argument otherwise.

    Raises:
        UsageError: No tensor in it.
    """
    if isinstance(example, Inputs):
        return example
    if isinstance(example, Mapping):
        named = {str(k): v for k, v in example.items()}
        inputs = Inputs((), named) if _takes(model, named) else Inputs((dict(example),), {})
    elif isinstance(example, tuple):
        inputs = Inputs(example, {})
    else:
        inputs = Inputs((example,), {})
    if not inputs.tensors():
        raise UsageError(
            f"an example input of type {type(example).__name__} holds no tensor",
            "Give a tensor, a tuple of arguments, or a dict of them.",
        )
    return inputs


def own_example(loaded: Loaded, model: nn.Module) -> Inputs:
    """What a loaded model says that it is called with.

    Raises:
        ModelLoadError: Its example_input raised.
    """
    assert loaded.example is not None
    try:
        with quiet():
            example = loaded.example()
    except Exception as error:
        raise ModelLoadError(
            f"example_input of {loaded.spec} failed: {words(error)}", "--debug shows the traceback."
        ) from error
    return from_example(example, model)


def _takes(model: nn.Module, named: Mapping[str, Any]) -> bool:
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return False
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return True
    return set(named) <= {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}


def _walk(value: Any, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, v in value.items():
            yield from _walk(v, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _walk(v, name)


def _changed(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {k: _changed(v, change) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_changed(v, change) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
