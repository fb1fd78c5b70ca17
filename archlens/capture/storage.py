"""Which node a tensor is, through views and in-place writes.

A view shares its base's storage, and a write through any of them changes all. So a tensor is known by its
storage, the steps that lead from the storage's base tensor to it, and the version of the storage that it
was last seen at. When the storage has been written since, the tensor is read anew through its steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from archlens.graph import Along, Edge, Permute, Reshape, Roll, Slice, Step, TransposedWindow
from archlens.graph.masks import Bools, pack


class MakeNode(Protocol):
    """Adds a node that no call made and answers its id."""

    def __call__(
        self,
        op: str,
        shape: tuple[int, ...],
        edges: tuple[Edge, ...],
        unknown: str | None = None,
        bound: str | None = None,
    ) -> int: ...


Region = tuple[range, ...]


@dataclass
class Buffer:
    """One storage: the node that its base tensor is now, and how often it was written."""

    shape: tuple[int, ...]
    node: int | None
    version: int = 0
    written: list[Region | None] = field(default_factory=list)
    fresh: bool = False  # it held nothing of the input before the first of `written`


@dataclass
class Value:
    """What is known of one tensor object."""

    buffer: Buffer
    steps: tuple[Step, ...] | None
    node: int | None
    version: int
    home: int = 0
    make: Callable[[], int] | None = None  # its node, where that is made when it is first asked for


class Tensors:
    """The tensors seen so far. They are kept alive, so their identities stay theirs."""

    def __init__(self, make_node: MakeNode) -> None:
        self._make_node = make_node
        self._values: dict[int, Value] = {}
        self._alive: list[torch.Tensor] = []
        self._order: dict[int, int] = {}
        self._at_home: dict[int, list[torch.Tensor]] = {}  # storage -> the tensors seen in it

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return id(tensor) in self._values

    def node(self, tensor: torch.Tensor) -> int | None:
        """The node that a tensor is now, or None for a constant."""
        value = self._values.get(id(tensor))
        if value is None or value.home != home(tensor):
            value = self._behind_our_back(tensor)
            if value is None:
                return None
        buffer = value.buffer
        if value.make is not None:
            make, value.make = value.make, None
            value.node = buffer.node = make()
        if value.version == buffer.version:
            return value.node
        if value.steps == ():
            value.node = buffer.node
        elif buffer.node is None:
            value.node = None
        elif value.steps is None:
            edges = (Edge(buffer.node),)
            lost = "a view whose base was written, or that was made without a call (.data)"
            value.node = self._make_node("view", tuple(tensor.shape), edges, unknown=lost)
        else:
            value.node = self._make_node("view", tuple(tensor.shape), (Edge(buffer.node, value.steps),))
        value.version = buffer.version
        return value.node

    def _behind_our_back(self, tensor: torch.Tensor) -> Value | None:
        """What a tensor is that came about without a call (`.data`): another one's storage tells."""
        for other in self._at_home.get(home(tensor), ()):
            known = self._values[id(other)]
            if known.home != home(tensor):
                continue
            if self.node(other) is None:
                return None
            same = other.shape == tensor.shape and other.stride() == tensor.stride()
            if same and other.storage_offset() == tensor.storage_offset():
                self._keep(tensor, Value(known.buffer, known.steps, known.node, known.version))
            else:
                self.view(tensor, other, None, None)
                self._values[id(tensor)].version = -1  # read anew, and lost
            return self._values[id(tensor)]
        self._values.pop(id(tensor), None)
        return None

    def peek(self, tensor: torch.Tensor) -> int | None:
        """The node that a tensor was last known to be, if its storage was not written since. Makes none."""
        value = self._values.get(id(tensor))
        return None if value is None or value.version != value.buffer.version else value.node

    def new(self, tensor: torch.Tensor, node: int | None) -> None:
        """A fresh result with a storage of its own."""
        buffer = Buffer(tuple(tensor.shape), node)
        self._keep(tensor, Value(buffer, (), node, 0))

    def later(self, tensor: torch.Tensor, make: Callable[[], int]) -> None:
        """A fresh result whose node is made when it is first asked for."""
        self.new(tensor, None)
        self._values[id(tensor)].make = make

    def view(
        self, tensor: torch.Tensor, base: torch.Tensor, steps: tuple[Step, ...] | None, node: int | None
    ) -> None:
        """A view of `base`, read through `steps`."""
        if id(base) not in self._values:
            self.new(base, None)
        parent = self._values[id(base)]
        chain = None if steps is None or parent.steps is None else parent.steps + steps
        self._keep(tensor, Value(parent.buffer, chain, node, parent.buffer.version))

    def turn(self, tensor: torch.Tensor, steps: tuple[Step, ...] | None, node: int) -> None:
        """`tensor` is looked at in another way from now on (`unsqueeze_`)."""
        if id(tensor) not in self._values:
            self.new(tensor, None)
        value = self._values[id(tensor)]
        value.steps = None if steps is None or value.steps is None else value.steps + steps
        value.node, value.version = node, value.buffer.version

    def replace(self, tensor: torch.Tensor, node: int) -> None:
        """`tensor` was handed over for a result (`out=`), and may have been given another size."""
        value = self._values.get(id(tensor))
        if value is None or (value.steps == () and value.buffer.shape != tuple(tensor.shape)):
            self.new(tensor, node)
        else:
            self.write(tensor, node)

    def write(self, tensor: torch.Tensor, node: int) -> None:
        """`tensor` was overwritten in place and is `node` now; so is its storage, in part or whole."""
        if id(tensor) not in self._values:
            self.new(tensor, None)
        value = self._values[id(tensor)]
        buffer = value.buffer
        buffer.version += 1
        if value.steps == ():
            buffer.node, buffer.written, buffer.fresh = node, [], False
        else:
            self._scatter(value, node)
        value.node, value.version = node, buffer.version

    def _scatter(self, value: Value, node: int) -> None:
        buffer = value.buffer
        back = None if value.steps is None else inverse(value.steps, buffer.shape)
        if back is None:
            edges = (Edge(node),) + ((Edge(buffer.node),) if buffer.node is not None else ())
            buffer.node = self._make_node("copy", buffer.shape, edges, unknown="a write through a view")
            return
        region = _region(value.steps or (), buffer.shape)
        edges = (Edge(node, back),)
        bound = None
        if buffer.node is not None and not (region is not None and _whole(region, buffer.shape)):
            kept: tuple[Step, ...] = ()
            if region is None:
                bound = "what a partial write replaced is still counted"
            elif not buffer.fresh or any(w is None or not _disjoint(region, w) for w in buffer.written):
                kept = (pack(_outside(region, buffer.shape)),)
            edges = (Edge(buffer.node, kept), *edges)
        buffer.fresh = buffer.fresh or buffer.node is None
        buffer.written.append(region)
        buffer.node = self._make_node("copy", buffer.shape, edges, bound=bound)

    def _keep(self, tensor: torch.Tensor, value: Value) -> None:
        value.home = home(tensor)
        self._values[id(tensor)] = value
        self._alive.append(tensor)
        self._at_home.setdefault(value.home, []).append(tensor)

    def storage(self, tensor: torch.Tensor) -> int:
        """A stable small number for the tensor's storage."""
        value = self._values[id(tensor)]
        return self._order.setdefault(id(value.buffer), len(self._order))


def home(tensor: torch.Tensor) -> int:
    """The storage that a tensor lives in."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # sparse and the like have none
        return 0


def inverse(steps: tuple[Step, ...], shape: tuple[int, ...]) -> tuple[Step, ...] | None:
    """Steps that put a view's elements back where they lie in its base; None where that can't be said."""
    out: list[Step] = []
    for step in steps:
        match step:
            case Reshape(new):
                out.append(Reshape(shape))
                shape = new
            case Permute(dims):
                out.append(Permute(tuple(dims.index(d) for d in range(len(dims)))))
                shape = tuple(shape[d] for d in dims)
            case Along(dim, Slice(start, stride), size) if stride > 0:
                out.append(Along(dim, TransposedWindow(1, stride, -start), shape[dim]))
                shape = (*shape[:dim], size, *shape[dim + 1 :])
            case Along(dim, Roll(shift), _):
                out.append(Along(dim, Roll(-shift), shape[dim]))
            case _:
                return None
    return tuple(reversed(out))


def _region(steps: tuple[Step, ...], shape: tuple[int, ...]) -> Region | None:
    """The positions of the base that a chain of slices covers, a range a dimension."""
    block = [range(n) for n in shape]
    for k, step in enumerate(steps):
        match step:
            case Along(dim, Slice(start, stride), size) if stride > 0:
                block[dim] = block[dim][start::stride][:size]
            case Reshape() | Permute():
                # Fine when nothing is cut afterwards: the block is known already.
                if any(isinstance(s, Along) for s in steps[k + 1 :]):
                    return None
            case _:
                return None
    return tuple(block)


def _whole(region: Region, shape: tuple[int, ...]) -> bool:
    return all(len(r) == n for r, n in zip(region, shape, strict=True))


def _disjoint(a: Region, b: Region) -> bool:
    """Whether two blocks share no element; strided ones count by their ends, which is safe."""
    return any(not p or not q or p[-1] < q[0] or q[-1] < p[0] for p, q in zip(a, b, strict=True))


def _outside(region: Region, shape: tuple[int, ...]) -> Bools:
    """True where a write left the base as it was; size 1 along dimensions that it covers wholly."""
    sizes = [1 if len(r) == n else n for r, n in zip(region, shape, strict=True)]
    kept = np.ones(sizes, bool)
    where = (
        slice(None) if m == 1 else slice(r.start, r.stop, r.step) for r, m in zip(region, sizes, strict=True)
    )
    kept[tuple(where)] = False
    return kept
