"""`archlens diff`: two versions of a network."""

from __future__ import annotations

from typing import Annotated

import typer

from archlens.cli.options import InputSize, Json, Output, Shared, complete_model

_HELP = "A model spec, or a report saved with `archlens report` or `--json`."


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_HELP, autocompletion=complete_model)],
    new: Annotated[str, typer.Argument(metavar="NEW", help=_HELP, autocompletion=complete_model)],
    input_size: InputSize = None,
    json: Json = False,
    output: Output = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where they differ.")] = False,
    *,
    shared: Shared,
) -> None:
    """Show which layers were added, removed or changed, and what that did to costs and fields.

    Layers are matched by name first, then by operation and shape.
    """
    from archlens.cli.model import report_of
    from archlens.cli.output import check_output, emit_table
    from archlens.errors import CheckFailed
    from archlens.findings import diff as compare
    from archlens.render.forms import diff_forms
    from archlens.render.text.diffs import diff_table

    check_output((".txt", ".json", ".md"), json, output)
    found = compare.diff(*(report_of(model, shared, input_size=input_size) for model in (old, new)))
    emit_table(diff_table(found), diff_forms(found), json, output)
    if exit_code and not found.same:
        raise CheckFailed(f"{old} and {new} differ", "Leave --exit-code out to look only.")
