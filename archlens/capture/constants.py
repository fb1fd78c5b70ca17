"""What does not depend on the input: position tables, masks of shifted windows, re-parametrised weights.

It is computed for real, unless parameters take part that have no values: then on the meta device, and how it
was made is kept, so that the values of a mask can be had when they matter (`value`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from archlens.capture.rows import Rows


def tensors_in(values: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested lists and tuples, in order."""
    for v in values:
        if isinstance(v, torch.Tensor):
            yield v
        elif isinstance(v, (list, tuple)):
            yield from tensors_in(v)


def to_meta(value: Any) -> Any:
    """Arguments of a call with every tensor and device on meta."""
    return _mapped(value, lambda t: t if t.is_meta else t.to("meta"), "meta")


def _mapped(value: Any, change: Callable[[torch.Tensor], Any], device: str) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(v, change, device) for v in value)
    if isinstance(value, dict):
        return {
            k: torch.device(device) if k == "device" and v is not None else _mapped(v, change, device)
            for k, v in value.items()
        }
    return value


@contextmanager
def values_kept() -> Iterator[None]:
    """Numbers that a model writes down stay numbers: `torch.tensor([1, 2], device=x.device)` would lose them
    on a meta device before any operator is called."""
    originals = {name: getattr(torch, name) for name in ("tensor", "as_tensor")}

    def real(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def made(data: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
            if str(kwargs.get("device")) == "meta" and not isinstance(data, torch.Tensor):
                kwargs["device"] = "cpu"
            return make(data, *args, **kwargs)

        return made

    for name, make in originals.items():
        setattr(torch, name, real(make))
    try:
        yield
    finally:
        for name, make in originals.items():
            setattr(torch, name, make)


class Constants:
    """Runs what does not depend on the input and remembers what parameters it is made of."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._names: dict[int, frozenset[str]] = {}
        self._made: dict[int, tuple[Any, Any, Any, int]] = {}
        self._values: dict[int, torch.Tensor | None] = {}

    def run(
        self,
        func: Any,
        factory: bool,
        args: Any,
        kwargs: Any,
        inputs: list[torch.Tensor],
        constant: Callable[[torch.Tensor], bool],
        keep: bool,
    ) -> Any:
        """The call's result. New tensors are made on the CPU, whatever device the input pretends to be on,
        unless they are to `keep` theirs."""
        if not keep and (str(kwargs.get("device")) == "meta" or (inputs and factory)):
            kwargs = {**kwargs, "device": torch.device("cpu")}
        values = [t for t in inputs if constant(t)]
        if any(t.is_meta for t in values) and any(not t.is_meta for t in values):
            args, kwargs = to_meta(args), to_meta(kwargs)
        return func(*args, **kwargs)

    def parameters(self, tensors: Iterable[torch.Tensor]) -> frozenset[str]:
        """Names of the parameters that constants are, or are made of."""
        names: set[str] = set()
        for t in tensors:
            own = self.rows.parameter_name(t)
            names |= {own} if own else self._names.get(id(t), frozenset())
        return frozenset(names)

    def note(
        self, func: Any, args: Any, kwargs: Any, results: list[torch.Tensor], inputs: list[torch.Tensor]
    ) -> frozenset[str]:
        """Remember what a result is made of; answers the parameters in it."""
        names = self.parameters(inputs)
        if names:
            for index, t in enumerate(results):
                self._names[id(t)] = names
                if t.is_meta:
                    self._made[id(t)] = (func, args, kwargs, index)
        return names

    def value(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """A constant's values; parameters count as zero. None where they can't be had."""
        if not tensor.is_meta:
            return tensor.detach()
        if id(tensor) in self._values:
            return self._values[id(tensor)]
        value: torch.Tensor | None = None
        if self.rows.parameter_name(tensor) is not None:
            value = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
        elif id(tensor) in self._made:
            func, args, kwargs, index = self._made[id(tensor)]
            try:
                out = func(*_mapped(args, self._known, "cpu"), **_mapped(kwargs, self._known, "cpu"))
                value = list(tensors_in((out,)))[index]
            except (RuntimeError, NotImplementedError, ValueError):
                value = None  # an input that is not known, or a write into an expanded zero
        self._values[id(tensor)] = value
        return value

    def _known(self, tensor: torch.Tensor) -> torch.Tensor:
        value = self.value(tensor)
        if value is None:
            raise ValueError("no values")
        return value
