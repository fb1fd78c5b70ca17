"""`archlens report`: one offline HTML page of one network or of several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from archlens.cli.comparison import compared
from archlens.cli.model import command_line
from archlens.cli.options import (
    MODEL_HELP,
    At,
    Cut,
    Device,
    InputSize,
    Json,
    Lang,
    Measure,
    Output,
    Set,
    Shared,
    Sides,
    complete_model,
)
from archlens.cli.output import check_output, emit
from archlens.errors import UsageError

FORMATS = (".html", ".json")


def report(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...", help=MODEL_HELP, autocompletion=complete_model, show_default=False
        ),
    ] = None,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    at: At = None,
    settings: Set = None,
    cut: Cut = None,
    sizes: Sides = None,
    lang: Lang = "en",
    measure: Measure = False,
    lineage: Annotated[bool, typer.Option("--lineage", help="The lineage, FCN to DeepLabv3+.")] = False,
    *,
    shared: Shared,
) -> None:
    """Write one HTML page: findings, numbers, what every unit sees, graph, layers. It needs no network.

    As in: archlens report pspnet -o pspnet.html
    """
    from archlens.findings.evidence.published import LINEAGE

    if bool(models) == lineage:
        raise UsageError(
            "report takes networks, or --lineage", "As in: archlens report fcn pspnet -o context.html"
        )
    if output is None and not json and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal", "Give it a file with -o FILE.html.")
    check_output(FORMATS, json, output)
    chosen: Sequence[str] = LINEAGE if lineage else models or ()
    asked = {
        "--input-size": input_size, "--at": at, "--set": settings, "--cut": cut, "--sizes": sizes,
        "--lang": None if lang == "en" else lang,
    }  # fmt: skip
    result = compared(chosen, asked, shared, device, lang, measure, everything=True)
    from archlens.render.forms import comparison_forms

    words = [*(["--lineage"] if lineage else chosen), *(["--profile"] if measure else [])]
    forms = comparison_forms(result, True, command_line("report", words, asked, output))
    alone = result.reports[0].to_json if len(result.reports) == 1 else forms[".json"]
    emit({".html": forms[".html"], ".json": alone}, json=json, output=output)
