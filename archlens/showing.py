"""Results that can write themselves: to a file, to a terminal, into a notebook.

How a kind of result looks is decided in `archlens.render.forms`, above the results. It is looked up by name
when it is first asked for: a result knows no drawing, and reading one takes neither tables nor templates.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
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
        target = Path(path)
        write_file(target, form_of(self._forms(), target.suffix.lower(), str(path))())
        return target


def form_of(forms: Mapping[str, Maker], suffix: str, name: str) -> Maker:
    """The maker of a suffix. Raises UsageError, which lists those that there are."""
    if suffix not in forms:
        what = suffix or "a file without a suffix"
        raise UsageError(f"{name}: cannot write {what}", f"Use one of {', '.join(forms)}.")
    return forms[suffix]


def write_file(path: Path, content: str | bytes) -> None:
    """Write all of it or nothing: into a temporary file beside the target, then rename.

    Raises:
        UsageError: The folder is missing or may not be written to.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if path.exists() and not path.is_file():  # /dev/null, a named pipe: nothing to rename onto
        path.write_bytes(data)
        return
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o666 & ~_umask())  # mkstemp's files are private; a report is not
        os.replace(name, path)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"cannot write {path}: {error.strerror}", "Give another file.") from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
