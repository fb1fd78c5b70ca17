"""The impulse oracle: what a unit really depends on, found by running the network, not by knowing it.

The linear positive twin of a network (see `twin_ops`) is run in float64. A positive input pixel reaches
exactly the units whose field holds it: they are non-zero. Two uses:

* `Oracle.forward(x)`: every layer's values for a batch of impulses (or for any set of lit pixels);
* `Oracle.support(node, unit)`: one unit's whole support in one backward pass.

The twin does what the recorded ATen calls do to real tensors: views alias, in-place writes overwrite. It
shares no geometry with `archlens.capture`, which only says which node each tensor is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archlens.capture.inputs import Inputs
from archlens.probes.verify.player import Player, Take
from archlens.probes.verify.tape import Tape, record

Bools = NDArray[np.bool_]


class Oracle:
    """The twin of one network at one input shape.

    Attributes:
        graph: The capture that node ids refer to (at `shape`, batch included).
        skipped: Operators without a rule -> how many calls; what depends on them has no values.
    """

    def __init__(
        self,
        model: nn.Module,
        shape: Sequence[int] | Inputs,
        *others: Sequence[int],
        device: torch.device | None = None,
    ) -> None:
        """Record the network's calls.

        Args:
            model: Left as it is.
            shape: Of the input, batch included; or all that the network is called with.
            others: Shapes of further inputs, which stay dark.
            device: Where the twin is played; default the CPU.
        """
        self.device = device or torch.device("cpu")
        self.tape: Tape = record(model, shape if isinstance(shape, Inputs) else [shape, *others])
        self.graph = self.tape.graph
        self.skipped: dict[str, int] = {}

    def forward(
        self, x: Tensor, keep: Collection[int] | None = None, origin: int | None = None
    ) -> dict[int, Tensor]:
        """Run the twin and keep values.

        Args:
            x: Values >= 0 of the input, or of node `origin`, float64, its full shape.
            keep: Nodes whose values are wanted; default all.
            origin: Node to start from instead of the input: its own value is replaced.

        Returns:
            Node id -> value, in the node's shape. Nodes behind an operator without a rule are missing.
        """
        values: dict[int, Tensor] = {}

        def take(node: int, value: Tensor, written: bool) -> None:
            if keep is None or node in keep:
                # Views that are written later must not change what was seen here.
                values[node] = value.clone() if written else value

        self.watch(x, take, origin)
        return values

    def watch(self, x: Tensor, take: Take, origin: int | None = None) -> None:
        """Run the twin and show each node's value once to `take(node, value, whether it may be written
        later)`; nothing is kept longer than the run needs it."""
        player = Player(self.tape, take, origin, x)
        self.skipped = player.skipped
        with _on(self.device):
            player.play(x)

    def support(self, node: int, unit: Sequence[int], origin: int | None = None) -> Bools | None:
        """Which input positions one unit depends on, over all its channels and all the input's.

        Args:
            node: Node id.
            unit: One index for each of the node's `positions`.
            origin: Node to measure from, instead of the first input.

        Returns:
            (*spatial) of the origin; None where an operator on the way has no rule.
        """
        return next(self.supports([(node, unit)], origin))

    def supports(
        self, asked: Sequence[tuple[int, Sequence[int]]], origin: int | None = None
    ) -> Iterator[Bools | None]:
        """The same for several units, in order: one forward pass, and a backward pass for each."""
        start = self.graph.nodes[self.graph.inputs[0] if origin is None else origin]
        x = torch.ones(start.shape, dtype=torch.float64, device=self.device, requires_grad=True)
        sums: dict[int, Tensor] = {}

        def take(node: int, value: Tensor, _: bool) -> None:
            for index, (wanted, unit) in enumerate(asked):
                if wanted == node:
                    where: list[int | slice] = [slice(None)] * value.ndim
                    for dim, at in zip(self.graph.nodes[node].positions, unit, strict=True):
                        where[dim] = at
                    sums[index] = value[tuple(where)].sum()

        with torch.enable_grad():
            self.watch(x, take, origin)
        for index in range(len(asked)):
            if index not in sums:
                yield None
                continue
            grad = None
            if sums[index].requires_grad:
                with _on(self.device):
                    (grad,) = torch.autograd.grad(sums[index], x, retain_graph=True, allow_unused=True)
            lit = np.zeros(start.shape, bool) if grad is None else grad.cpu().numpy() != 0
            yield positions(lit, start.positions)


def _on(device: torch.device) -> AbstractContextManager[Any]:
    """What a rule makes lies on the device. cuDNN stays out there: some of its algorithms turn exact zeros
    into small numbers, and a zero is what the oracle reads."""
    if device.type == "cpu":
        return nullcontext()
    stack = ExitStack()
    stack.enter_context(device)
    stack.enter_context(torch.backends.cudnn.flags(enabled=False))
    return stack


def positions(lit: Bools, dims: Sequence[int]) -> Bools:
    """Any over all dimensions but `dims`."""
    over = tuple(d for d in range(lit.ndim) if d not in dims)
    return np.asarray(lit.any(axis=over))
