"""Building a model without spending time or memory on the values of its weights.

Factories of other packages are built on the CPU, since many compute index tables and masks while they are
built, some even run parts of themselves. Their parameters are allocated, which costs nothing until memory is
touched, the functions that would fill them with random numbers do nothing, and at the end each parameter is
put on the meta device, in place, so that ties between layers survive. Buffers keep their values.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import swap_tensors

from archlens.capture.load.loaded import Loaded

_LARGE = 1024  # elements; smaller tensors are filled as asked, it costs nothing
_RANDOM = {
    torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_, torch.Tensor.exponential_,
    torch.Tensor.bernoulli_, torch.Tensor.cauchy_, torch.Tensor.log_normal_,
}  # fmt: skip
# What initialisers do to a parameter afterwards (truncated normals: scale, shift, clip).
_TOUCHING = {
    torch.Tensor.mul_, torch.Tensor.add_, torch.Tensor.div_, torch.Tensor.clamp_, torch.Tensor.fill_,
    torch.Tensor.zero_,
}  # fmt: skip
_INIT = {f for name, f in vars(nn.init).items() if name.endswith("_") and callable(f)}


class _NoFilling(TorchFunctionMode):
    """Leaves large parameters unfilled."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = args[0] if args else (kwargs or {}).get("tensor")
        large = isinstance(first, torch.Tensor) and first.numel() > _LARGE and first.is_floating_point()
        if large and (func in _RANDOM or (isinstance(first, nn.Parameter) and func in _TOUCHING | _INIT)):
            return first
        return func(*args, **(kwargs or {}))


def build_weightless(loaded: Loaded) -> nn.Module:
    """The model without values, its parameters on the meta device."""
    if loaded.plain:
        with torch.device("meta"):
            return loaded.build()
    with _no_initialisers(), _NoFilling():
        model = loaded.build()
    return drop_values(model)


@contextmanager
def _no_initialisers() -> Iterator[None]:
    """torch's own initialisers leave large tensors alone. Truncated normals draw until all values fit, which
    never ends on values that nobody draws, so they are stopped at the door."""
    names = [n for n in vars(nn.init) if n.startswith("_no_grad_")]
    originals = {n: getattr(nn.init, n) for n in names}

    def lazy(fill: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def filled(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            return tensor if tensor.numel() > _LARGE else fill(tensor, *args, **kwargs)

        return filled

    for n, original in originals.items():
        setattr(nn.init, n, lazy(original))
    try:
        yield
    finally:
        for n, original in originals.items():
            setattr(nn.init, n, original)


def drop_values(model: nn.Module) -> nn.Module:
    """Put all parameters on the meta device, in place: whoever holds one holds it still."""
    for parameter in list(model.parameters()):
        if parameter.is_meta:
            continue
        empty = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
        try:
            swap_tensors(parameter, empty)  # type: ignore[no-untyped-call]
        except (RuntimeError, AttributeError):  # something refers to it weakly (recurrent layers do)
            return copy_to_meta(model)
    return model


def copy_to_meta(model: nn.Module) -> nn.Module:
    """A copy whose parameters have no values; shared parameters stay shared, buffers keep their values."""
    memo: dict[int, Any] = {}
    for p in model.parameters():
        memo[id(p)] = nn.Parameter(p.detach().to("meta"), requires_grad=p.requires_grad)
    return copied(model, memo, "meta")


def copied(model: nn.Module, memo: dict[int, Any] | None = None, device: str | None = None) -> nn.Module:
    """A deep copy. Weights made of other parameters at each call (weight norm, pruning) are no leaves,
    which torch does not copy: they are copied as they stand, on `device` where one is given.

    Args:
        memo: Identity of an object -> what takes its place in the copy.
    """
    memo = {} if memo is None else memo
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                own = value.detach()
                memo[id(value)] = own.clone() if device is None else own.to(device)
    twin: nn.Module = copy.deepcopy(model, memo)
    return twin
