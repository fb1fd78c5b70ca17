"""A run written down: every ATen call of a network, so that it can be played again with other arithmetic.

The calls are noted while the network is captured, on the meta device; the capture says which graph node each
tensor is, and nothing else is taken from it. What the calls *do* is for the player to say (`oracle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archlens.capture.forms import filled, tensors_in
from archlens.capture.inputs import Inputs
from archlens.capture.process import unfused_attention
from archlens.capture.rows import Rows
from archlens.capture.run import copy_to_meta
from archlens.capture.trace import FACTORIES, Tracer, named
from archlens.graph import Graph


@dataclass
class Recorded:
    """One ATen call.

    Attributes:
        func: The overload that was called.
        name: Operator without namespace and overload.
        args: All arguments by position, keyword ones and defaults filled in.
        given: Positional and keyword arguments as they were given, to call `func` again.
        outs: Result tensors (for in-place calls, the target itself).
        shapes: Of the results, as they were then: some are looked at in another way later.
        nodes: (node id, tensor) pairs that the capture knew after the call.
    """

    func: Any
    name: str
    args: tuple[Any, ...]
    given: tuple[tuple[Any, ...], dict[str, Any]]
    outs: list[Tensor]
    shapes: list[tuple[int, ...]]
    nodes: list[tuple[int, Tensor]] = field(default_factory=list)

    @property
    def view(self) -> bool:
        """Whether its results share the storage of its first argument."""
        returns = self.func._schema.returns
        return bool(returns) and returns[0].alias_info is not None and not self.writes

    @property
    def writes(self) -> bool:
        """Whether the call changes its first argument."""
        return bool(self.func._schema.is_mutable) and self.name.endswith("_")


@dataclass
class Tape:
    """All calls of one run. Tensors are kept alive, so their identities stay theirs."""

    graph: Graph
    entries: list[Recorded]
    inputs: list[Tensor]
    home: dict[int, int]  # tensor -> its storage, by identities
    dynamic: set[int]  # storages that hold something input-dependent at some time
    written: set[int]  # storages that some call writes to
    parameters: dict[int, Tensor]  # tensor of the meta copy, by identity -> the network's own
    _made: dict[int, Recorded] = field(default_factory=dict)  # constant, by identity -> the call that made it

    def storage(self, tensor: Tensor) -> int:
        """Identity of a tensor's storage."""
        return self.home.get(id(tensor)) or _storage(tensor)

    def constant(self, tensor: Tensor) -> Tensor | None:
        """The value that a constant of the run has in the network itself, parameters included; None where it
        cannot be told: buffers that are written to."""
        if not tensor.is_meta:
            return tensor
        if id(tensor) in self.parameters:
            return self.parameters[id(tensor)]
        if not self._made:
            self._made.update((id(t), e) for e in self.entries for t in e.outs)
        entry = self._made.get(id(tensor))
        if entry is None or entry.writes or self.storage(tensor) in self.dynamic | self.written:
            return None

        def real(value: Any) -> Any:
            if isinstance(value, Tensor):
                return self.constant(value)
            return type(value)(map(real, value)) if isinstance(value, (list, tuple)) else value

        args = tuple(map(real, entry.given[0]))
        if len(list(tensors_in(args))) < len(list(tensors_in(entry.given[0]))):
            return None
        results = list(tensors_in((entry.func(*args, **entry.given[1]),)))
        return results[[id(t) for t in entry.outs].index(id(tensor))]


class _Notes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes each call on its way to the tracer."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tracer = tracer
        self.entries: list[Recorded] = []
        self.home: dict[int, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        full = filled(func._schema, args, kwargs)
        out = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        outs = list(tensors_in((out,)))
        shapes = [tuple(t.shape) for t in outs]
        entry = Recorded(func, name, full, (tuple(args), dict(kwargs)), outs, shapes)
        if entry.view and isinstance(full[0], Tensor):
            # A view that the capture moved to the meta device is still a view.
            for t in entry.outs:
                self.home[id(t)] = self.home.get(id(full[0]), _storage(full[0]))
        for t in (*tensors_in(full), *entry.outs):
            if (node := self.tracer.tensors.peek(t)) is not None:
                entry.nodes.append((node, t))
        self.entries.append(entry)
        return out


def record(
    model: nn.Module,
    shapes: Sequence[Sequence[int]] | Inputs,
    *,
    name: str = "model",
) -> Tape:
    """Capture a network together with its calls.

    Args:
        model: Left as it is.
        shapes: Of each positional input, batch included; or all that it is called with.
        name: Of the graph.
    """
    twin = copy_to_meta(model)
    twin.eval()
    rows = Rows(twin)
    tracer = Tracer(rows, real=False)
    given = _floats(twin, shapes) if not isinstance(shapes, Inputs) else shapes.meta()
    inputs = [t for _, t in given.tensors()]
    ids = [tracer.add_input(t, given.axes(t), key) for key, t in given.tensors()]
    notes = _Notes(tracer)
    with torch.no_grad(), unfused_attention(), rows.listening(), tracer, notes:
        out = twin(*given.args, **given.kwargs)
    ends = list(named(out))
    outputs = {key: node for key, t in ends if (node := tracer.tensors.node(t)) is not None}
    if notes.entries:  # tensors that were written through another view are read anew only here
        known = [(node, t) for _, t in ends if (node := tracer.tensors.node(t)) is not None]
        notes.entries[-1].nodes += known
    graph = rows.graph(name, tracer.nodes, ids, outputs)
    own: dict[int, Tensor] = {id(t): p for t, p in zip(twin.parameters(), model.parameters(), strict=True)}
    tape = Tape(graph, notes.entries, inputs, notes.home, {_storage(t) for t in inputs}, set(), own)
    for entry in tape.entries:
        if entry.name in FACTORIES:
            continue  # dependent only if something dependent is written into it later
        if any(tape.storage(t) in tape.dynamic for t in tensors_in(entry.args)):
            tape.dynamic |= {tape.storage(t) for t in entry.outs}
            if entry.writes:
                tape.written |= {tape.storage(t) for t in entry.outs}
    return tape


def _floats(model: nn.Module, shapes: Sequence[Sequence[int]]) -> Inputs:
    """Images in the model's own precision."""
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    return Inputs(tuple(torch.empty(tuple(s), device="meta", dtype=dtype) for s in shapes), {})


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
