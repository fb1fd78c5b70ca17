"""What is being done, on stderr, for steps that take long enough to wonder."""

from __future__ import annotations

import re
import sys
import threading
import time
from types import TracebackType

PATIENCE = 1.0
"""Seconds before a step is worth a line in a log."""
AGAIN = 15.0
"""Seconds before a count is worth another one."""


class ProgressLine:
    """Says what is going on, when it lasts.

    On a terminal each step replaces the last one and the line is gone at the end. Elsewhere a step gets a
    line of its own once it has lasted a second, and one that only counts on ("3 of 20") another one every
    quarter of a minute, so that logs stay short.

        with ProgressLine() as progress:
            analyze(..., progress=progress)
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._shown = False
        self._last = ("", 0.0)

    def __call__(self, step: str) -> None:
        """Begin a step."""
        self._stop()
        self._timer = threading.Timer(0.1 if self._terminal else PATIENCE, self._show, (step,))
        self._timer.daemon = True
        self._timer.start()

    def count(self, done: int, every: int) -> None:
        """Say how far a measurement is."""
        self(f"measuring: {done} of {every}")

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _show(self, step: str) -> None:
        with self._lock:
            kind, now = re.sub(r"\d+", "", step), time.monotonic()
            if not self._terminal and kind == self._last[0] and now < self._last[1] + AGAIN:
                return
            self._last = kind, now
            text = f"{step} ..."
            sys.stderr.write(f"\r\x1b[2K{text}" if self._terminal else f"{text}\n")
            sys.stderr.flush()
            self._shown = True

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._lock:
            if self._shown and self._terminal:
                sys.stderr.write("\r\x1b[2K")
                sys.stderr.flush()
            self._shown = False
