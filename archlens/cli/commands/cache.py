"""`archlens cache`: the captures kept in the user's cache directory."""

from __future__ import annotations

from typing import Annotated

import typer

from archlens.cli.options import Json, Output, one_of


def cache(
    action: Annotated[
        str,
        typer.Argument(
            **one_of("info", "clear"), help="info: where it is and what it holds; clear: empty it."
        ),
    ],
    json: Json = False,
    output: Output = None,
) -> None:
    """Show or empty the cache of captured networks.

    Captures of zoo and installed packages' networks are kept, so that a second look does not wait for
    torch; a user's own files are captured each time. The slow figures of a comparison are kept for any
    network, under its graph. ARCHLENS_CACHE_DIR puts the cache elsewhere, --no-cache leaves it out.
    """
    from json import dumps

    from archlens import cache as captures
    from archlens.cli.output import emit
    from archlens.words import count, memory

    found = captures.clear() if action == "clear" else captures.contents()
    done = "removed" if action == "clear" else "holds"
    emit(
        {
            ".txt": lambda: (
                f"{found.folder} {done} {count(found.entries, 'entry', 'entries')}, {memory(found.bytes)}"
            ),
            ".json": lambda: dumps(
                {
                    "folder": str(found.folder),
                    "entries": found.entries,
                    "bytes": found.bytes,
                    "action": action,
                }
            ),
        },
        json=json,
        output=output,
    )
