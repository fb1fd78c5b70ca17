"""One error tree. Each error knows its exit code and carries a hint: what to do next.

The command line prints `message` and `hint` and leaves with `exit_code`; a library user catches
`ArchlensError` or one of its children. A message names what was wrong and where, a hint what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArchlensError(Exception):
    """Base of every error that archlens raises on purpose."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ArchlensError):
    """A malformed option, size, unit or file name."""


class UnknownModelError(ArchlensError):
    """A model spec that names nothing."""


class OptionError(ArchlensError):
    """A network option that does not exist, or a value that it does not take."""


class InputSizeError(ArchlensError):
    """An input size that the network cannot take; the hint names the nearest legal ones."""


class ModelLoadError(ArchlensError):
    """The model could not be built, imported or read."""


class TraceError(ArchlensError):
    """The model was built, and its forward pass failed."""


class WeightsError(ArchlensError):
    """A checkpoint that cannot be read or does not fit the model."""


class DeviceError(ArchlensError):
    """A device that was asked for and is not there, or ran out of memory."""


class LayerError(ArchlensError):
    """A layer or a unit that the network does not have."""


class ReportError(ArchlensError):
    """A saved report that cannot be read."""


class CheckFailed(ArchlensError):
    """A check, a verification or a comparison that was asked to fail did fail."""

    exit_code = 1


class MissingPackageError(ArchlensError):
    """A feature needs a package that is not installed; the hint names the extra."""


MOST_NAMED = 12
"""Words that a hint lists in full."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known words, and how many there are; all of them where they are few and
    none is near."""
    plain = {k.lower(): k for k in known}
    many = len(plain) > MOST_NAMED

    def near(cutoff: float) -> list[str]:
        close = difflib.get_close_matches(word.lower(), plain, 3, cutoff)
        starts = [k for k in plain if word and k.startswith(word.lower()) and k not in close]
        return [plain[k] for k in (close + starts)[:3]]

    if close := near(0.5):
        return f"Did you mean {' or '.join(close)}?" + (f" There are {len(plain)}." if many else "")
    if many:
        return f"There are {len(plain)}, none of them near; the nearest: {', '.join(near(0))}."
    return "Known: " + ", ".join(plain.values()) + "."
