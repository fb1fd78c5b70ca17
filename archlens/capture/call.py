"""What a lowering rule gets and gives: one ATen call in, the geometry of its results out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import torch

from archlens.graph import Along, Edge, Full, Layout, Reshape, Step


@dataclass(frozen=True)
class Call:
    """One recorded operator call.

    Attributes:
        name: Operator without overload, `convolution` or `mylib::op`.
        args: Positional arguments, filled up to the schema (keyword arguments and defaults included).
        out: Results, tensors only.
        node_of: Tensor -> id of the node that it is, or None for constants and parameters.
        layout_of: Tensor -> its layout (None for constants).
        kept: Tensor -> mask of its elements that an attention mask leaves, where there is one.
        value: Constant -> its values (parameters count as zero), or None where they can't be had.
    """

    name: str
    args: tuple[Any, ...]
    out: tuple[torch.Tensor, ...]
    node_of: Callable[[torch.Tensor], int | None]
    layout_of: Callable[[torch.Tensor], Layout | None]
    kept: Callable[[torch.Tensor], torch.Tensor | None] = lambda _: None
    value: Callable[[torch.Tensor], torch.Tensor | None] = lambda _: None

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


Rule: TypeAlias = Callable[[Call], "Lowered | Sequence[Lowered | None] | None"]
"""A rule answers one `Lowered`, one for each result, or None where it does not understand the call."""


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


def numel(shape: Sequence[int]) -> int:
    """Number of elements."""
    return prod(shape)


def dims_of(value: Any, ndim: int) -> tuple[int, ...]:
    """Reduction dimensions, non-negative; None or empty means all."""
    if value is None or (not isinstance(value, int) and len(value) == 0):
        return tuple(range(ndim))
    return tuple(d % ndim for d in ([value] if isinstance(value, int) else value))
