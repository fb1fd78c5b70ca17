"""Where results go: stdout or a file, in one of a command's formats. Everything else goes to stderr.

A command hands over one maker a format, by suffix, and only the one that is asked for is called:

    emit({".txt": lambda: ..., ".json": lambda: ..., ".csv": lambda: ...}, json=json, output=output)

".txt" is the plain form for pipes and files. A terminal gets `screen` instead, if there is one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import typer

from archlens.errors import UsageError
from archlens.showing import Maker, checked, write_file

if TYPE_CHECKING:
    from rich.console import Console

    from archlens.render.text.table import Table

Screen: TypeAlias = "Callable[[Console], None]"

PIPE_CLOSED = 141
"""What a shell reports for a program that writes to a closed pipe (128 + SIGPIPE)."""


def emit(
    formats: Mapping[str, Maker],
    *,
    json: bool = False,
    output: str | None = None,
    screen: Screen | None = None,
) -> None:
    """Write a result where it was asked for.

    Args:
        formats: Suffix -> maker of the text (or bytes). The first one is the command's default.
        json: `--json`: JSON, whatever the suffix.
        output: `-o`: a file, or "-" for stdout; None is stdout too.
        screen: Draws on a terminal; used when stdout is one and no format was asked for.

    Raises:
        UsageError: A suffix that the command does not write, or a file that cannot be written.
    """
    if output is not None and output != "-":
        path = checked(output, () if json else formats)
        write_file(path, formats[".json" if json else path.suffix.lower()]())
    elif sys.stdout is None:
        raise UsageError("there is no standard output to write to", "Give a file with -o.")
    elif screen is not None and not json and sys.stdout.isatty():
        _draw(screen)
    else:
        _to_stdout(formats[".json" if json else next(iter(formats))]())


def emit_table(table: Table, formats: Mapping[str, Maker], json: bool, output: str | None) -> None:
    """Write a result whose screen is a table, as `emit` does."""
    from archlens.render.text.table import draw

    emit(formats, json=json, output=output, screen=lambda console: draw(table, console))


def check_output(formats: tuple[str, ...], json: bool, output: str | None) -> None:
    """Refuse what cannot be written *before* the long work starts.

    Raises:
        UsageError: As `emit` does.
    """
    if output is not None and output != "-":
        checked(output, () if json else formats)


REPORT_FORMATS = (".txt", ".json", ".csv", ".md")
"""What a table of layers can be written as."""


def colour(stream: object = None) -> bool:
    """Whether a stream takes colour: a terminal, and NO_COLOR is not set."""
    stream = sys.stdout if stream is None else stream
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _draw(screen: Screen) -> None:
    from rich.console import Console

    # color_system=None leaves no escapes at all: with NO_COLOR alone rich still writes bold.
    console = Console(color_system="auto" if colour() else None, highlight=False, soft_wrap=False)
    with _written():
        screen(console)


def _to_stdout(content: str | bytes) -> None:
    with _written():
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content if content.endswith("\n") else content + "\n")


@contextmanager
def _written() -> Iterator[None]:
    """All of it reaches stdout, or the command ends. A reader that has had enough (`| head`) is no fault."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        # What is still held back must not be tried again, and complained of, at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(PIPE_CLOSED) from error
        raise UsageError(
            f"cannot write to standard output: {error.strerror}", "Give a file with -o."
        ) from error
