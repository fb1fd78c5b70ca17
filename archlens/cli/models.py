"""`archlens models`: the lineage."""

from __future__ import annotations

from archlens.cli.options import Json, Output


def models(json: Json = False, output: Output = None) -> None:
    """List the networks of the zoo, in the order of the lineage."""
    from archlens.cli.output import emit
    from archlens.zoo.catalogue import CATALOGUE

    emit({".txt": lambda: "\n".join(e.name for e in CATALOGUE)}, json=json, output=output)
