"""What a lowering rule gets and gives: one ATen call in, the geometry of its results out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple, Protocol, TypeAlias

import torch

from archlens.graph import Along, Edge, Full, Layout, Node, Reshape, Step


class Values(Protocol):
    """What is known of constants."""

    def value(self, tensor: torch.Tensor, /) -> torch.Tensor | None:
        """Its values, parameters counting as zero; None where they can't be had."""

    def fixed(self, tensor: torch.Tensor, /) -> torch.Tensor | None:
        """Its values; None also where parameters take part, which are others after training."""

    def pattern(self, tensor: torch.Tensor, /) -> torch.Tensor | None:
        """Where it can be other than zero, whatever the parameters; None where that can't be told."""

    def is_parameter(self, tensor: torch.Tensor, /) -> bool:
        """Whether it is a parameter as it stands: no element is zero for good."""

    def is_learnt(self, tensor: torch.Tensor, /) -> bool:
        """Whether parameters, or chance, take part in it."""


class _NothingKnown:
    def value(self, _: torch.Tensor) -> torch.Tensor | None:
        return None

    fixed = pattern = value

    def is_parameter(self, _: torch.Tensor) -> bool:
        return True

    is_learnt = is_parameter


NOTHING_KNOWN = _NothingKnown()


class Cut(NamedTuple):
    """What a mask of attention does to a tensor: before the softmax the constant that was added to each
    element, behind it which elements are left (the others are zero)."""

    values: torch.Tensor
    done: bool
    lost: bool = False  # it is there, and nobody knows where


@dataclass(frozen=True)
class Call:
    """One recorded operator call.

    Attributes:
        name: Operator without overload, `convolution` or `mylib::op`.
        args: Positional arguments, filled up to the schema (keyword arguments and defaults included).
        out: Results, tensors only.
        node_of: Tensor -> id of the node that it is, or None for constants and parameters.
        layout_of: Tensor -> its layout (None for constants).
        cut: Tensor -> what an attention mask does to it, where there is one.
        constants: What is known of tensors that do not depend on the input.
        names: What the schema calls the arguments.
        node: Id -> the node, for rules that must know where an argument comes from.
    """

    name: str
    args: tuple[Any, ...]
    out: tuple[torch.Tensor, ...]
    node_of: Callable[[torch.Tensor], int | None]
    layout_of: Callable[[torch.Tensor], Layout | None]
    cut: Callable[[torch.Tensor], Cut | None] = lambda _: None
    constants: Values = NOTHING_KNOWN
    names: tuple[str, ...] = ()
    node: Callable[[int], Node | None] = lambda _: None

    def given(self, name: str, default: Any = None) -> Any:
        """The argument of that name in the operator's schema: overloads put it at different positions."""
        value = self.args[self.names.index(name)] if name in self.names else None
        return default if value is None else value

    def depends(self, value: Any) -> bool:
        """Whether an argument is a tensor that depends on the input."""
        return isinstance(value, torch.Tensor) and self.node_of(value) is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first result."""
        return tuple(self.out[0].shape)

    def tensor(self, index: int) -> torch.Tensor:
        """Positional argument `index`, which must be a tensor."""
        value = self.args[index]
        assert isinstance(value, torch.Tensor)
        return value

    def edge(self, tensor: torch.Tensor, *steps: Step, gate: bool = False) -> tuple[Edge, ...]:
        """An edge from `tensor`, or none where it is a constant."""
        node = self.node_of(tensor)
        return () if node is None else (Edge(node, steps, gate),)


@dataclass(frozen=True)
class Lowered:
    """The geometry and the cost of one result of a call."""

    op: str
    edges: tuple[Edge, ...]
    macs: int = 0
    elementwise: int = 0
    attrs: Mapping[str, Any] = field(default_factory=dict)
    bound: str | None = None
    unknown: bool = False
    aside: bool = False  # seldom read (statistics of a norm): a node only where something reads it


Rule: TypeAlias = Callable[[Call], "Lowered | Sequence[Lowered | None] | None"]
"""A rule answers one `Lowered`, one for each result, or None where it does not understand the call."""


REWRITTEN = "which of its weights are zero for good is not known"
BY_VALUE = "which elements are read is up to the values"


def pair(value: Any, n: int, default: Sequence[int] = ()) -> tuple[int, ...]:
    """ATen's `int[n]` arguments: empty means the default, one value means the same on every axis."""
    values = tuple(int(v) for v in ([value] if isinstance(value, int) else value or default))
    return values * n if len(values) == 1 else values


def broadcast(source: Sequence[int], target: Sequence[int]) -> tuple[Step, ...]:
    """Steps that broadcast one shape to another by torch's rules."""
    steps: list[Step] = []
    shape = (1,) * (len(target) - len(source)) + tuple(source)
    if len(shape) != len(source):
        steps.append(Reshape(shape))
    steps += [Along(d, Full(), m) for d, (n, m) in enumerate(zip(shape, target, strict=True)) if n != m]
    return tuple(steps)


def spread(dim: int, size: int, fixed: bool = False) -> tuple[Step, ...]:
    """Steps that let every position along `dim` read the whole of it: reduce, then broadcast back."""
    return (Along(dim, Full(fixed), 1), Along(dim, Full(), size))


def everything(shape: Sequence[int], target: Sequence[int]) -> tuple[Step, ...]:
    """Steps that let every element of a result of shape `target` read the whole of a tensor of `shape`."""
    steps: list[Step] = [Along(d, Full(), 1) for d, n in enumerate(shape) if n != 1]
    if len(shape) != len(target):
        steps.append(Reshape((1,) * len(target)))
    return (*steps, *(Along(d, Full(), n) for d, n in enumerate(target) if n != 1))


def per_channel(call: Call, tensor: Any, gate: bool = False, dim: int = 1) -> tuple[Edge, ...]:
    """The edge of a vector with one element a channel, to a result whose channels are `dim`; none where the
    argument is absent or a constant."""
    if not call.depends(tensor):
        return ()
    shape = call.shape
    line = tuple(n if d == dim else 1 for d, n in enumerate(shape))
    return call.edge(tensor, Reshape(line), *broadcast(line, shape), gate=gate)


def numel(shape: Sequence[int]) -> int:
    """Number of elements."""
    return prod(shape)


def dims_of(value: Any, ndim: int) -> tuple[int, ...]:
    """Reduction dimensions, non-negative; None or empty means all."""
    if ndim == 0 or value is None or (not isinstance(value, int) and len(value) == 0):
        return tuple(range(ndim))
    return tuple(d % ndim for d in ([value] if isinstance(value, int) else value))
