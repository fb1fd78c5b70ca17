"""Results that can write themselves: to a file, to a terminal, into a notebook.

How a kind of result looks is decided in `archlens.render.forms`, above the results. It is looked up by name
when it is first asked for: a result knows no drawing, and reading one takes neither tables nor templates.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from archlens.errors import UsageError

Maker: TypeAlias = Callable[[], "str | bytes"]


class Shown:
    """A result with forms: a text for `print`, a table for notebooks, a file in the format of its suffix."""

    def _forms(self) -> Mapping[str, Maker]:
        found: Mapping[str, Maker] = import_module("archlens.render.forms").forms(self)
        return found

    def __str__(self) -> str:
        text = self._forms()[".txt"]()
        assert isinstance(text, str)
        return text.rstrip("\n")

    def _repr_html_(self) -> str:
        html: str = import_module("archlens.render.forms").notebook(self)
        return html

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the result in the format of the file's suffix; all of it or nothing.

        Returns:
            The path.

        Raises:
            UsageError: A suffix that this kind of result has no form for, or a file that cannot be written.
        """
        forms = self._forms()
        target = checked(path, forms)
        write_file(target, forms[target.suffix.lower()]())
        return target


def checked(name: object, suffixes: Iterable[str] = ()) -> Path:
    """The file of that name, if there can be one; without `suffixes` of any suffix.

    Raises:
        UsageError: No name of a file, a suffix that nothing is written as, or no folder to put it in.
    """
    text = os.fspath(name) if isinstance(name, (str, os.PathLike)) else None
    if not isinstance(text, str) or "\0" in text:
        raise UsageError(f"{name!r} is no name of a file", "Give it as text, as in report.json.")
    path, known = Path(text), tuple(suffixes)
    if os.path.basename(text) in ("", ".", "..") or os.path.isdir(text):  # Path takes d.txt/ for d.txt
        raise UsageError(f"{text} names a folder, not a file", "Add the file's name.")
    if known and path.suffix.lower() not in known:
        what = path.suffix or "a file without a suffix"
        raise UsageError(f"{text}: cannot write {what}", f"Use one of {', '.join(known)}.")
    if not os.path.isdir(path.parent):
        raise UsageError(f"{text}: there is no folder {path.parent}", "Make it first.")
    return path


def write_file(path: Path, content: str | bytes, folders: bool = False) -> None:
    """Write all of it or nothing: into a temporary file beside the target, then rename.

    Args:
        folders: Make the folders that are missing.

    Raises:
        UsageError: It cannot be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    name = ""
    try:
        if folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # /dev/null, a named pipe: nothing to rename onto
            path.write_bytes(data)
            return
        # A short name: with all of its own in it, the longest that a disk takes would be too long.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:32]}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp's files are private; a report is not
        os.replace(name, path)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, (OSError, ValueError)):  # a NUL in the name is no OSError
            why = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot write {path}: {why}", "Give another file.") from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
