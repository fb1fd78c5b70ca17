"""The impulse oracle: what a unit really depends on, found by running the network, not by knowing it.

The linear positive twin of a network (see `twin_ops`) is run in float64. A positive input pixel reaches exactly
the units whose field holds it: they are non-zero. Two uses:

* `Oracle.forward(x)`: every layer's values for a batch of impulses (or for any set of lit pixels);
* `Oracle.support(node, unit)`: one unit's whole support in one backward pass.

The twin does what the recorded ATen calls do to real tensors: views alias, in-place writes overwrite. It
shares no geometry with `archlens.capture`, which only says which node each tensor is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archlens.probes.tape import Entry, Tape, record, storage, tensors
from archlens.probes.twin_ops import CUT, OPS, SELF, Constant, NotPlayed, cubic, matmul, split

Bools = NDArray[np.bool_]
KEEPS_MASK = {"add", "sub", "mul", "div", "clone", "_to_copy", "dropout", "contiguous", "alias", "detach"}


class Oracle:
    """The twin of one network at one input shape.

    Attributes:
        graph: The capture that node ids refer to (at `shape`, batch included).
        skipped: Operators without a rule -> how many calls; what depends on them has no values.
    """

    def __init__(self, model: nn.Module, shape: Sequence[int], *others: Sequence[int]) -> None:
        """Record the network's calls.

        Args:
            model: Left as it is.
            shape: Of the input, batch included.
            others: Shapes of further inputs, which stay dark.
        """
        self.tape: Tape = record(model, [shape, *others])
        self.graph = self.tape.graph
        self.skipped: dict[str, int] = {}

    def forward(
        self, x: Tensor, keep: Collection[int] | None = None, origin: int | None = None
    ) -> dict[int, Tensor]:
        """Run the twin.

        Args:
            x: Values >= 0 of the input, or of node `origin`, float64, its full shape.
            keep: Nodes whose values are wanted; default all.
            origin: Node to start from instead of the input: its own value is replaced.

        Returns:
            Node id -> value, in the node's shape. Nodes behind an operator without a rule are missing.
        """
        player = _Player(self.tape, keep, origin, x)
        self.skipped = player.skipped
        return player.play(x)

    def support(self, node: int, unit: Sequence[int], origin: int | None = None) -> Bools | None:
        """Which input positions one unit depends on, over all its channels and all the input's.

        Args:
            node: Node id.
            unit: One index for each of the node's `positions`.
            origin: Node to measure from, instead of the first input.

        Returns:
            (*spatial) of the origin; None where the node does not depend on it or an operator on the way has
            no rule.
        """
        start = self.graph.nodes[self.graph.inputs[0] if origin is None else origin]
        x = torch.full(start.shape, 1.0, dtype=torch.float64, requires_grad=True)
        with torch.enable_grad():
            values = self.forward(x, {node}, origin)
            value = values.get(node)
            if value is None or not value.requires_grad:
                return None
            where: list[int | slice] = [slice(None)] * value.ndim
            for dim, index in zip(self.graph.nodes[node].positions, unit, strict=True):
                where[dim] = index
            (grad,) = torch.autograd.grad(value[tuple(where)].sum(), x, allow_unused=True)
        if grad is None:
            grad = torch.zeros_like(x)
        return positions(grad.detach().numpy() != 0, start.positions)

    def dependence(self) -> dict[int, Bools]:
        """Who sees what, all at once, for networks with small inputs: one impulse a batch entry.

        The oracle must have been made with a batch of as many as the input has pixels.

        Returns:
            Node id -> (*input spatial, *unit positions): whether that unit depends on that pixel.
        """
        shape = self.graph.nodes[self.graph.inputs[0]].shape
        spatial = shape[2:]
        count = int(np.prod(spatial))
        if shape[0] != count:
            raise ValueError(f"a batch of {count} impulses is needed, not {shape[0]}")
        x = torch.eye(count, dtype=torch.float64).reshape(count, 1, *spatial).expand(shape).clone()
        out = {}
        with torch.no_grad():
            for node, value in self.forward(x).items():
                if value.ndim and value.shape[0] == count:
                    lit = positions(value.numpy() != 0, (0, *self._beyond_batch(node)))
                    out[node] = lit.reshape(*spatial, *lit.shape[1:])
        return out

    def _beyond_batch(self, node: int) -> tuple[int, ...]:
        return tuple(d for d in self.graph.nodes[node].positions if d != 0)


def positions(lit: Bools, dims: Sequence[int]) -> Bools:
    """Any over all dimensions but `dims`."""
    over = tuple(d for d in range(lit.ndim) if d not in dims)
    return np.asarray(lit.any(axis=over))


class _Player:
    """Plays a tape with real tensors under the twin's arithmetic."""

    def __init__(self, tape: Tape, keep: Collection[int] | None, origin: int | None, start: Tensor) -> None:
        self.tape = tape
        self.keep = keep
        self.origin = None if origin is None or origin in tape.graph.inputs else origin
        self.start = start
        self.env: dict[int, Tensor | None] = {}  # None: behind an operator without a rule
        self.bases: dict[int, Tensor] = {}
        self.masks: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}
        self.skipped: dict[str, int] = {}
        self.lost: set[int] = set()  # storages

    def play(self, x: Tensor) -> dict[int, Tensor]:
        """See `Oracle.forward`."""
        for k, given in enumerate(self.tape.inputs):
            lit = k == 0 and self.origin is None
            # A copy: networks may write into their input.
            value = x * 1.0 if lit else torch.zeros(given.shape, dtype=torch.float64)
            self.env[id(given)] = value
            self._note(self.tape.graph.inputs[k], given)
        for entry in self.tape.entries:
            if any(storage(t) in self.tape.dynamic for t in (*tensors(entry.args), *entry.outs)):
                self._step(entry)
                for node, t in entry.nodes:
                    self._note(node, t)
        return self.values

    def _note(self, node: int, tensor: Tensor) -> None:
        """Keep a node's value where it first comes to light."""
        value = self._lookup(tensor)
        if value is None or node in self.values:
            return
        if node == self.origin:
            with torch.no_grad():
                value.zero_()
            value += self.start
        if self.keep is None or node in self.keep:
            # Views that are written later must not change what was seen here.
            self.values[node] = value.clone() if storage(tensor) in self.tape.written else value

    def _lookup(self, tensor: Tensor) -> Tensor | None:
        if storage(tensor) in self.lost:
            return None
        if id(tensor) not in self.env:  # a buffer of the model that becomes dependent: dark until written
            self.env[id(tensor)] = torch.zeros(tensor.shape, dtype=torch.float64)
        return self.env[id(tensor)]

    def _step(self, entry: Entry) -> None:
        name = entry.name
        base = name[:-1] if entry.writes else name
        try:
            results = self._results(entry, base)
        except NotPlayed:
            self.skipped[name] = self.skipped.get(name, 0) + 1
            self.lost |= {storage(t) for t in entry.outs}
            return
        if results is None:  # behind an operator without a rule
            self.lost |= {storage(t) for t in entry.outs}
            return
        if entry.writes:
            target = self._lookup(entry.outs[0])
            assert target is not None
            target.copy_(results[0])
            return
        for t, value in zip(entry.outs, results, strict=False):
            if tuple(value.shape) != tuple(t.shape) and value.numel() and t.numel():
                raise AssertionError(f"{name}: captured {tuple(t.shape)}, really {tuple(value.shape)}")
            self.env[id(t)] = value

    def _results(self, entry: Entry, base: str) -> Sequence[Tensor] | None:
        shapes = [tuple(t.shape) for t in entry.outs]
        if base in ("fill", "zero") or not any(
            storage(t) in self.tape.dynamic for t in tensors(entry.args)
        ):
            return self._made(entry, base, shapes)
        args = self._resolved(entry.args)
        if any(a is None and b is not None for a, b in zip(args, entry.args, strict=True)):
            return None
        if base == "copy":
            source = args[1]
            return [source if isinstance(source, Tensor) else torch.zeros((), dtype=torch.float64)]
        if base in ("split", "split_with_sizes", "unbind"):
            return split(args, shapes, base)
        if base in SELF:
            return self._itself(entry)
        if base == "upsample_bicubic2d":
            return [cubic(args, shapes[0], vec=entry.func._overloadname == "vec")]
        mask = self._mask(entry, base, args, shapes[0])
        if base in ("bmm", "mm", "baddbmm") and mask is not None:
            return [matmul(args, shapes[0], mask)]
        rule = OPS.get(base)
        if rule is None:
            raise NotPlayed
        if base == "_softmax" or base == "_log_softmax" or base == "_safe_softmax":
            rule = None
        out = rule(args, shapes[0]) if rule is not None else None
        return [out] if isinstance(out, Tensor) else out
