"""Options that go with any command, before or after its name: `archlens rf net.py:make --timeout 60`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from archlens.errors import UsageError


@dataclass(frozen=True)
class Everywhere:
    """What was said.

    Attributes:
        debug: Show the traceback of an error.
        cache: Keep and reuse captures.
        timeout: Seconds that building and running a model may take; None: no limit.
        output_name: Output to take for the main one; None: `out`, or the first.
    """

    debug: bool = False
    cache: bool = True
    timeout: float | None = None
    output_name: str | None = None


current = Everywhere()
"""Of the command line that runs now; `take` sets it."""


def take(words: Sequence[str]) -> list[str]:
    """Take these options out of a command line, and join repeated input sizes, which is what several inputs
    are given by.

    Raises:
        UsageError: An option without its value, or a time that is none.
    """
    global current
    found, rest, sizes = Everywhere(), [], []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if name == "--debug":
            found = replace(found, debug=True)
        elif name == "--no-cache":
            found = replace(found, cache=False)
        elif name in ("--timeout", "--output-name", "--input-size"):
            if not equals:
                if not queue:
                    raise UsageError(f"{name} has no value", f"Write {name} VALUE.")
                value = queue.pop(0)
            if name == "--timeout":
                found = replace(found, timeout=_seconds(value))
            elif name == "--output-name":
                found = replace(found, output_name=value)
            else:
                sizes.append(value)
        elif word == "--":
            rest += [word, *queue]
            break
        else:
            rest.append(word)
    current = found
    if sizes:
        place = rest.index("--") if "--" in rest else len(rest)
        rest[place:place] = ["--input-size", ",".join(sizes)]
    return rest


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise UsageError(f"--timeout takes seconds, not {text!r}", "As in --timeout 60.")
    return value
