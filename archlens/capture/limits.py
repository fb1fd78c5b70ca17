"""A time limit for other people's code: a factory or a forward pass that never returns."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from archlens.errors import ModelLoadError, UsageError


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Stop what runs inside after so many seconds; None or 0 is no limit.

    It works where signals do: in the main thread of a POSIX system. Elsewhere there is no limit.

    Raises:
        UsageError: A limit below 0.
        ModelLoadError: The time is up.
    """
    if seconds is not None and not 0 <= seconds < math.inf:
        raise UsageError(f"a time limit of {seconds} s", "Give seconds, 0 for none.")
    usable = hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()
    if not seconds or not usable:
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _TimeIsUp:
        raise ModelLoadError(
            f"the model was not built and run within {seconds:g} s",
            "Raise --timeout, or look for what keeps its code busy.",
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _TimeIsUp(BaseException):
    """Passes through whatever `except Exception` the code inside has."""
