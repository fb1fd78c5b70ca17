"""How a measurement says how far it is: a callback, which the command line draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (steps done, all steps)."""


def quiet(_done: int, _total: int) -> None:
    """No progress bar."""
