"""How slow work says how far it is: callbacks, which the command line draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Say: TypeAlias = Callable[[str], None]
"""Called with a few words before each slow step."""

Count: TypeAlias = Callable[[int, int], None]
"""Called with (steps done, all steps) within one."""


def silent(_: str) -> None:
    """Says nothing."""


def uncounted(_done: int, _all: int) -> None:
    """Counts nothing."""
