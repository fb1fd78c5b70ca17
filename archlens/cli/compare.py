"""`archlens compare`: networks side by side, at one input size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archlens.cli.options import At, Device, InputSize, Json, Models, Output, Settings
from archlens.errors import InputSizeError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from archlens.explain.comparison import Comparison

FORMATS = (".txt", ".json", ".csv", ".md", ".html")


def compare(
    models: Models,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    at: At = None,
    settings: Settings = None,
) -> None:
    """Set two or more networks side by side: what they cost, what a class-score cell sees, from where on.

    Without --input-size: at the first of their own sizes that all of them take.
    """
    from archlens.cli.output import check_output, emit
    from archlens.cli.work import command_line, report_of

    if len(models) < 2:
        raise UsageError("compare needs two networks or more", "As in: archlens compare fcn pspnet")
    check_output(FORMATS, json, output)
    size = input_size or common_size(models, settings or ())
    reports = []
    for model in models:
        report = report_of(model, input_size=size, device=device, at=at, settings=settings)
        size = size or "x".join(map(str, report.input_shape[1:]))
        reports.append(report)

    from archlens.explain import comparison as side_by_side
    from archlens.render import csv, markdown
    from archlens.render.comparison import comparison_table
    from archlens.render.json import dumps
    from archlens.render.table import plain

    result = side_by_side.compare(reports)
    asked = {"--input-size": input_size, "--at": at, "--set": settings}
    command = command_line("compare", models, asked, output)
    emit(
        {
            ".txt": lambda: plain(comparison_table(result)),
            ".json": lambda: dumps(result.to_dict()),
            ".csv": lambda: csv.records(
                {"name": name, **summary.to_json()}
                for name, summary in zip(result.names, result.summaries, strict=True)
            ),
            ".md": lambda: markdown.markdown(comparison_table(result)),
            ".html": lambda: _page(result, command),
        },
        json=json,
        output=output,
        screen=lambda console: _screen(result, console),
    )


def common_size(models: Sequence[str], settings: Sequence[str]) -> str | None:
    """The first of the zoo networks' own sizes that all of them take; None where none is of the zoo.

    Raises:
        InputSizeError: There is no such size; the hint lists the rules.
    """
    from archlens.spec import parse_spec
    from archlens.zoo.catalogue import find

    chosen = []
    for model in models:
        spec = parse_spec(model, settings)
        if spec.kind == "zoo":
            entry = find(spec.target)
            chosen.append((entry, entry.parse_options(spec.options)))
    for candidate, _ in chosen:
        try:
            for entry, options in chosen:
                entry.check_input(candidate.input_shape, options)
        except InputSizeError:
            continue
        return "x".join(map(str, candidate.input_shape))
    if not chosen:
        return None
    rules = "; ".join(f"{entry.name}: {entry.legal_sizes(options)}" for entry, options in chosen)
    raise InputSizeError(
        "none of these networks' own input sizes suits all of them",
        f"Give one with --input-size. Heights and widths: {rules}.",
    )


def _screen(result: Comparison, console: Console) -> None:
    from archlens.render.comparison import comparison_tables
    from archlens.render.table import draw

    for table in comparison_tables(result, console.width):
        draw(table, console)


def _page(result: Comparison, command: str) -> str:
    from archlens.render.html import html  # templates, scipy: only the page needs them

    return html(result, command)
