"""The tables of `models`: the whole lineage, or one network with its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archlens.render.text.table import Column, Table
from archlens.spec import spelled
from archlens.words import by, si

Row = dict[str, Any]
"""One network, as `models --json` writes it, and what its paper is called."""


def lineage_table(rows: Sequence[Row]) -> Table:
    """Every network under its paper. Names that are also called by a short one say so."""
    groups: list[tuple[int, str]] = []
    cells = []
    for index, row in enumerate(rows):
        heading = f"{row['title']} ({row['venue']}, {row['paper']})"
        if not groups or groups[-1][1] != heading:
            groups.append((index, heading))
        cells.append(
            (
                "\n".join([row["name"], *(f"  = {alias}" for alias in row["aliases"])]),
                str(row["year"]),
                row["mechanism"],
                si(row["params"]),
                si(row["macs"]),
                by(row["input_shape"][1:]),
                "" if _differs(row) else row["note"],
            )
        )
    return Table(
        title="The networks of the zoo",
        columns=(
            Column("name"),
            Column("year"),
            Column("context from", narrow=24),
            Column("params", right=True),
            Column("MACs", right=True),
            Column("at", drop=2),
            Column("note", drop=1, narrow=36),
        ),
        rows=tuple(cells),
        notes=(
            *_differing(rows),
            "MACs at the default input; FLOPs = 2 MACs. A name after = is a short one.",
            "`archlens models NAME` shows a network's options.",
        ),
        groups=tuple(groups),
    )


def _differs(row: Row) -> bool:
    """Whether torchvision has another network of a like name: that must not fall to a narrow terminal."""
    return "torchvision" in row["note"]


def _differing(rows: Sequence[Row]) -> list[str]:
    """Those notes, each once, after the names that they are about."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if _differs(row):
            names.setdefault(row["note"], []).append(row["name"])
    return [f"{', '.join(about)}: {note}" for note, about in names.items()]


def options_table(row: Row) -> Table:
    """What one network lets one choose."""
    cells = [
        (o["name"], "depends" if o["default"] is None else spelled(o["default"]), o["allowed"], o["help"])
        for o in row["options"]
    ]
    also = f", also called {' and '.join(row['aliases'])}" if row["aliases"] else ""
    first = row["options"][0]["name"] if row["options"] else "KEY"
    return Table(
        title=f"{row['name']}{also}",
        columns=(
            Column("option"),
            Column("default"),
            Column("allowed", narrow=20),
            Column("what it is", narrow=28),
        ),
        rows=tuple(cells),
        notes=(
            f"{row['title']}, {row['venue']}, {row['paper']} ({row['year']}).",
            f"Context from: {row['mechanism']}.",
            f"{si(row['params'])} parameters, {si(row['macs'])} MACs at {by(row['input_shape'][1:])}.",
            f"Heights and widths: {row['sizes']}.",
            *([row["note"]] if row["note"] else []),
            f"Set an option as in '{row['name']}?{first}=VALUE' or with --set {first}=VALUE.",
        ),
    )
