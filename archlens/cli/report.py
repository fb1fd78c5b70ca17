"""`archlens report`: one offline HTML page of one network or of several."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from archlens.cli.options import MODEL_HELP, At, Device, InputSize, Json, Output, Settings, complete_model
from archlens.errors import UsageError

FORMATS = (".html", ".json")
LINEAGE = ("fcn", "deeplabv1", "dilatednet", "deeplabv2", "pspnet", "deeplabv3", "deeplabv3plus")


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
    lineage: Annotated[bool, typer.Option("--lineage", help="The lineage, FCN to DeepLabv3+.")] = False,
) -> None:
    """Write one HTML page: findings, numbers, what every unit sees, graph, layers. It needs no network.

    As in: archlens report pspnet -o pspnet.html
    """
    from archlens.cli.compare import common_size
    from archlens.cli.output import check_output, emit
    from archlens.cli.work import command_line, report_of

    if bool(models) == lineage:
        raise UsageError(
            "report takes networks, or --lineage", "As in: archlens report fcn pspnet -o context.html"
        )
    if output is None and not json and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal", "Give it a file with -o FILE.html.")
    check_output(FORMATS, json, output)
    chosen: Sequence[str] = LINEAGE if lineage else models or ()
    size = input_size or (common_size(chosen, settings or ()) if len(chosen) > 1 else None)
    reports = []
    for model in chosen:
        made = report_of(model, input_size=size, device=device, at=at, settings=settings)
        size = size or "x".join(map(str, made.input_shape[1:]))
        reports.append(made)

    from archlens.explain.comparison import compare
    from archlens.render.html import html
    from archlens.render.json import dumps

    result = compare(reports)
    command = command_line(
        "report", ["--lineage"] if lineage else chosen,
        {"--input-size": input_size, "--at": at, "--set": settings}, output,
    )  # fmt: skip
    emit(
        {
            ".html": lambda: html(result, command),
            ".json": lambda: reports[0].to_json() if len(reports) == 1 else dumps(result.to_dict()),
        },
        json=json,
        output=output,
    )
