"""`archlens report`: one offline HTML page of one network or of several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from archlens.cli.networks import Cut, Lang, Measure, Sizes
from archlens.cli.options import MODEL_HELP, At, Device, InputSize, Json, Output, Settings, complete_model
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
    settings: Settings = None,
    cut: Cut = None,
    sizes: Sizes = None,
    lang: Lang = "en",
    measure: Measure = False,
    lineage: Annotated[bool, typer.Option("--lineage", help="The lineage, FCN to DeepLabv3+.")] = False,
) -> None:
    """Write one HTML page: findings, numbers, what every unit sees, graph, layers. It needs no network.

    As in: archlens report pspnet -o pspnet.html
    """
    from archlens.cli.commands.compare import common_size
    from archlens.cli.model import command_line
    from archlens.cli.networks import SIZES, gathered, parse_sides
    from archlens.cli.output import check_output, emit
    from archlens.findings.evidence.published import LINEAGE

    if bool(models) == lineage:
        raise UsageError(
            "report takes networks, or --lineage", "As in: archlens report fcn pspnet -o context.html"
        )
    if output is None and not json and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal", "Give it a file with -o FILE.html.")
    check_output(FORMATS, json, output)
    chosen: Sequence[str] = LINEAGE if lineage else models or ()
    size = input_size or (common_size(chosen, settings or ()) if len(chosen) > 1 else None)
    asked = {
        "--input-size": input_size, "--at": at, "--set": settings, "--cut": cut, "--sizes": sizes,
        "--lang": None if lang == "en" else lang,
    }  # fmt: skip
    sides = parse_sides(sizes or SIZES)
    result = gathered(chosen, asked, device, size, sides, lang, measure)

    from archlens.render.page.page import html
    from archlens.render.text.json import dumps

    words = [*(["--lineage"] if lineage else chosen), *(["--profile"] if measure else [])]
    command = command_line("report", words, asked, output)
    emit(
        {
            ".html": lambda: html(result, command),
            ".json": lambda: (
                result.reports[0].to_json() if len(result.reports) == 1 else dumps(result.to_dict())
            ),
        },
        json=json,
        output=output,
    )
