"""`archlens cache`: the captures kept in the user's cache directory."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from archlens.cli.options import Json, Output


class Action(str, enum.Enum):
    """What to do with the cache."""

    info = "info"
    clear = "clear"


def cache(
    action: Annotated[Action, typer.Argument(help="info: where it is and what it holds; clear: empty it.")],
    json: Json = False,
    output: Output = None,
) -> None:
    """Show or empty the cache of captured networks.

    Captures of zoo and installed packages' networks are kept, so that a second look does not wait for
    torch; a user's own files never are. ARCHLENS_CACHE_DIR puts the cache elsewhere, --no-cache leaves it
    out.
    """
    from json import dumps

    from archlens import cache as captures
    from archlens.cli.output import emit

    found = captures.clear() if action is Action.clear else captures.contents()
    done = "removed" if action is Action.clear else "holds"
    emit(
        {
            ".txt": lambda: f"{found.folder} {done} {found.entries} captures, {found.bytes / 1000:,.0f} kB",
            ".json": lambda: dumps(
                {
                    "folder": str(found.folder),
                    "entries": found.entries,
                    "bytes": found.bytes,
                    "action": action.value,
                }
            ),
        },
        json=json,
        output=output,
    )
