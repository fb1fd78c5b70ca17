"""`archlens models`: the lineage. Answers from the catalogue and a generated file; builds nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlens.cli.options import Json, Output, complete_model

if TYPE_CHECKING:
    from archlens.zoo.entry import Entry

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A network, to see its options.",
        autocompletion=complete_model,
        show_default=False,
    ),
]


def models(name: Name = None, json: Json = False, output: Output = None) -> None:
    """List the networks of the zoo, in the order of the lineage; with NAME, the options of one."""
    from archlens.cli.output import emit_table
    from archlens.render.text.csv import records
    from archlens.render.text.json import dumps
    from archlens.render.text.lineage import lineage_table, options_table
    from archlens.render.text.markdown import markdown
    from archlens.render.text.table import plain
    from archlens.zoo.catalogue import CATALOGUE, find

    rows = [row_of(entry) for entry in (CATALOGUE if name is None else [find(name)])]
    table = lineage_table(rows) if name is None else options_table(rows[0])
    formats = {
        ".txt": lambda: plain(table),
        ".json": lambda: dumps(rows),
        ".csv": lambda: records({**row, "options": [o["name"] for o in row["options"]]} for row in rows),
        ".md": lambda: markdown(table),
    }
    emit_table(table, formats, json, output)


def row_of(entry: Entry) -> dict[str, Any]:
    """A network as `models --json` writes it."""
    from archlens.zoo.costs import zoo_figures

    cost = zoo_figures()[entry.name]
    return {
        "name": entry.name,
        "aliases": list(entry.aliases),
        "year": entry.year,
        "paper": entry.paper,
        "params": cost.params,
        "macs": cost.macs,
        "input_shape": [1, *entry.input_shape],
        "options": [
            {
                "name": option.name,
                "kind": option.kind,
                "default": option.default,
                "choices": list(option.choices),
                "allowed": option.allowed,
                "help": option.help,
            }
            for option in entry.options
        ],
        "title": entry.title,
        "venue": entry.venue,
        "mechanism": entry.mechanism,
        "note": entry.notes,
        "sizes": str(entry.legal_sizes()),
    }
