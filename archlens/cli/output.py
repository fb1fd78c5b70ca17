"""Where results go: stdout or a file, in one of a command's formats. Everything else goes to stderr.

A command hands over one maker a format, by suffix, and only the one that is asked for is called:

    emit({".txt": lambda: ..., ".json": lambda: ..., ".csv": lambda: ...}, json=json, output=output)

".txt" is the plain form for pipes and files. A terminal gets `screen` instead, if there is one.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer

from archlens.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from archlens.render.text.table import Table
    from archlens.report import Report

Maker: TypeAlias = Callable[[], "str | bytes"]
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
    if output is None or output == "-":
        if screen is not None and not json and sys.stdout.isatty():
            _draw(screen)
        else:
            _to_stdout(formats[".json" if json else next(iter(formats))]())
        return
    path = Path(output)
    suffix = ".json" if json else path.suffix.lower()
    if suffix not in formats:
        known = ", ".join(formats)
        raise UsageError(
            f"{output}: cannot write {suffix or 'a file without a suffix'}", f"Use one of {known}."
        )
    write_file(path, formats[suffix]())


def check_output(formats: tuple[str, ...], json: bool, output: str | None) -> None:
    """Refuse a suffix or a folder that cannot be written *before* the long work starts.

    Raises:
        UsageError: As `emit` does.
    """
    if output is None or output == "-":
        return
    path = Path(output)
    if not json and path.suffix.lower() not in formats:
        raise UsageError(
            f"{output}: cannot write {path.suffix or 'a file without a suffix'}",
            f"Use one of {', '.join(formats)}.",
        )
    if not path.parent.is_dir():
        raise UsageError(f"{output}: there is no folder {path.parent}", "Make it first.")


REPORT_FORMATS = (".txt", ".json", ".csv", ".md")
"""What a table of layers can be written as."""


def emit_report(
    report: Report, table: Table, *, json: bool, output: str | None, layer: str | None = None
) -> None:
    """Write a report: JSON is all of it, with its graph; CSV every layer; text and Markdown the table."""
    from archlens.render.text import csv, markdown
    from archlens.render.text.table import draw, plain

    emit(
        {
            ".txt": lambda: plain(table),
            ".json": report.to_json,
            ".csv": lambda: csv.layers(report, None if layer is None else [layer]),
            ".md": lambda: markdown.markdown(table),
        },
        json=json,
        output=output,
        screen=lambda console: draw(table, console),
    )


def write_file(path: Path, content: str | bytes) -> None:
    """Write all of it or nothing: into a temporary file beside the target, then rename.

    Raises:
        UsageError: The folder is missing or may not be written to.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.exists() and not path.is_file():  # /dev/null, a named pipe: nothing to rename onto
        path.write_bytes(data)
        return
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", "Give another file to -o.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp's files are private; a report is not
        os.replace(name, path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"cannot write {path}: {error.strerror}", "Give another file to -o.") from error
        raise


def colour(stream: object = None) -> bool:
    """Whether a stream takes colour: a terminal, and NO_COLOR is not set."""
    stream = sys.stdout if stream is None else stream
    is_terminal = bool(getattr(stream, "isatty", lambda: False)())
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _draw(screen: Screen) -> None:
    from rich.console import Console

    # color_system=None leaves no escapes at all: with NO_COLOR alone rich still writes bold.
    console = Console(color_system="auto" if colour() else None, highlight=False, soft_wrap=False)
    try:
        screen(console)
        sys.stdout.flush()
    except BrokenPipeError:
        _pipe_closed()


def _to_stdout(content: str | bytes) -> None:
    try:
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content if content.endswith("\n") else content + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _pipe_closed()


def _pipe_closed() -> None:
    """The reader (`| head`) has had enough: leave quietly, and let no flush at exit complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(PIPE_CLOSED)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
