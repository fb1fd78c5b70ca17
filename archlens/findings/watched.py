"""What a project watches: its networks, the limits of their figures, and the changes that pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["warn", "error"]


@dataclass(frozen=True)
class Budget:
    """Limits of one figure; None is no limit."""

    figure: str
    minimum: float | None = None
    maximum: float | None = None
    level: Level = "error"


@dataclass(frozen=True)
class Watched:
    """A network that `archlens check` looks at."""

    name: str
    spec: str
    input_size: tuple[int, ...] | None = None
    options: tuple[str, ...] = ()
    budgets: tuple[Budget, ...] = ()
    allowed: Mapping[str, float] = field(default_factory=dict)
