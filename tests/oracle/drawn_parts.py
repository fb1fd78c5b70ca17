"""What random networks are made of: choices, parts, steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn


class Draw(Protocol):
    """Where choices come from: Hypothesis, or a random generator."""

    def __call__(self, options: Sequence[Any]) -> Any: ...


RUNNING: list[Drawn] = []  # whose parts a step calls: networks are copied, their steps are not


class Part:
    """A module of the network that is running, by its index."""

    def __init__(self, index: int, module: nn.Module) -> None:
        self.index, self.words = index, repr(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return RUNNING[0].parts[self.index](*args, **kwargs)

    def __repr__(self) -> str:
        return self.words


Step = tuple[str, Callable[..., Tensor], tuple[int, ...]]


class Drawn(nn.Module):
    """Steps on a growing list of values; the last one is the output."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        self.steps: list[Step] = []

    def forward(self, x: Tensor) -> Tensor:
        RUNNING[:] = [self]
        values = [x]
        for _, function, sources in self.steps:
            values.append(function(*(values[s] for s in sources)))
        return values[-1]

    def text(self) -> str:
        """The network in words, for the report of a failure."""
        return "\n".join(f"v{k + 1} = {name} of {sources}" for k, (name, _, sources) in enumerate(self.steps))


class Illegal(Exception):
    """This step does not fit here."""


class Maker:
    """What a step needs to be made: choices, the number of axes, a place for modules."""

    def __init__(self, draw: Draw, n: int, net: Drawn) -> None:
        self.draw, self.n, self.net = draw, n, net
        self.before = len(net.parts)

    def ints(self, *options: int) -> tuple[int, ...]:
        return tuple(self.draw(options) for _ in range(self.n))

    def module(self, module: nn.Module) -> Part:
        self.net.parts.append(module)
        return Part(len(self.net.parts) - 1, module)

    def undo(self) -> None:
        while len(self.net.parts) > self.before:
            del self.net.parts[-1]

    def op(self, name: str) -> Any:
        """`conv` -> nn.Conv2d."""
        return getattr(nn, f"{name}{self.n}d")


Made = tuple[Callable[..., Tensor], Any]
