"""What does not depend on the input: position tables, masks of shifted windows, re-parametrised weights.

It is computed for real, unless parameters take part that have no values: then on the meta device, and how it
was made is kept, so that the values of a mask can be had when they matter (`value`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from archlens.capture.forms import tensors_in
from archlens.capture.rows import Rows
from archlens.capture.storage import home


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
        # Parameters that the network changes when it runs: written to, or others put in their place.
        self._written: set[int] = set()
        self._homes = {id(p): home(p) for p in rows.model.parameters()}
        self._chance: dict[int, torch.Tensor] = {}  # what random numbers take part in, other ones each run
        # by how parameters are drawn (`_evaluated`): tensor -> values, None where they can't be had
        self._values: tuple[dict[int, torch.Tensor | None], ...] = ({}, {}, {})

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
        if torch.Tag.nondeterministic_seeded in func.tags or self.by_chance(inputs):
            self._chance |= {id(t): t for t in results}
        if names and func._schema.is_mutable:
            self._written |= {home(t) for t in results}
        if names:
            for index, t in enumerate(results):
                self._names[id(t)] = names
                self._made[id(t)] = (func, args, kwargs, index)
                for known in self._values:
                    known.pop(id(t), None)
        return names

    def by_chance(self, tensors: Iterable[torch.Tensor]) -> bool:
        """Whether random numbers take part in any of them."""
        return any(id(t) in self._chance for t in tensors)

    # -------------------------------------------------------------- what rules ask

    def is_parameter(self, tensor: torch.Tensor) -> bool:
        """Whether it is a parameter as it stands: no element is zero for good."""
        stands = self._homes.get(id(tensor)) == home(tensor)
        return stands and self.rows.parameter_name(tensor) is not None and home(tensor) not in self._written

    def is_learnt(self, tensor: torch.Tensor) -> bool:
        """Whether parameters, or chance, take part in it."""
        return id(tensor) in self._chance or bool(self.parameters([tensor]))

    def value(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """A constant's values; parameters count as zero. None where they can't be had, as those of chance."""
        return None if id(tensor) in self._chance else self._evaluated(tensor, 0)

    def fixed(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """A constant's values; None also where parameters take part, which are others after training."""
        return None if self.parameters([tensor]) else self.value(tensor)

    def pattern(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Where a constant can be other than zero, whatever the parameters: of two sets of random ones, where
        either is. None where that can't be told."""
        if self.is_parameter(tensor) or id(tensor) in self._chance:
            return torch.ones((), dtype=torch.bool).expand(tensor.shape)
        if self.rows.parameter_name(tensor) is not None:  # `weight.data = weight * mask`
            return None
        if not self.parameters([tensor]):
            known = self._evaluated(tensor, 0)
            return None if known is None else known != 0
        tries = [self._evaluated(tensor, k) for k in (1, 2)]
        return None if tries[0] is None or tries[1] is None else (tries[0] != 0) | (tries[1] != 0)

    def _evaluated(self, tensor: torch.Tensor, draw: int) -> torch.Tensor | None:
        """Values with parameters zero (draw 0) or random."""
        own = id(tensor) not in self._made or not self.parameters([tensor])
        if self.is_parameter(tensor):
            return self._drawn(tensor, draw)
        if own:
            return None if tensor.is_meta else tensor.detach()
        known = self._values[draw]
        if id(tensor) not in known:
            func, args, kwargs, index = self._made[id(tensor)]
            known[id(tensor)] = None  # while it is asked for: an in-place call is made of its own result

            def values(t: torch.Tensor) -> torch.Tensor:
                found = self._evaluated(t, draw)
                if found is None:
                    raise ValueError("no values")
                return found

            try:
                out = func(*_mapped(args, values, "cpu"), **_mapped(kwargs, values, "cpu"))
                known[id(tensor)] = list(tensors_in((out,)))[index]
            except (RuntimeError, NotImplementedError, ValueError):
                pass  # an input that is not known
        return known[id(tensor)]

    def _drawn(self, parameter: torch.Tensor, draw: int) -> torch.Tensor:
        if draw == 0 or not parameter.is_floating_point():
            return torch.zeros(parameter.shape, dtype=parameter.dtype)
        known = self._values[draw]
        if id(parameter) not in known:
            rng = torch.Generator().manual_seed(draw)
            noise = torch.randn(parameter.shape, generator=rng, dtype=torch.float32)
            known[id(parameter)] = noise.to(parameter.dtype)
        found = known[id(parameter)]
        assert found is not None
        return found
