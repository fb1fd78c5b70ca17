"""What `compare` and `explain` share: reports at one size and at others, cuts, and showing the findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from archlens.errors import ArchlensError, InputSizeError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from archlens.findings.comparison import Comparison
    from archlens.report import Report

Cut = Annotated[
    list[str] | None,
    typer.Option(
        "--cut",
        metavar="[N:]EDIT",
        help="Edit a network first: a branch to cut (ppm.bin1), all, LAYER=RATE, rates=1, bins=1. Of several "
        "networks the last one, or the N-th. Repeatable.",
        show_default=False,
    ),
]
Sizes = Annotated[
    str | None,
    typer.Option(
        "--sizes",
        metavar="N,N",
        help="Square input sizes to compare across. Default: 321,513,713,1025, in --full and --json.",
        show_default=False,
    ),
]
Full = Annotated[bool, typer.Option("--full", help="Everything, not just the essentials.")]
Lang = Annotated[
    str,
    typer.Option(
        "--lang",
        envvar="ARCHLENS_LANG",
        show_envvar=False,
        metavar="en|ko",
        help="Language of the findings.",
        autocompletion=lambda: ["en", "ko"],
    ),
]

Measure = Annotated[
    bool,
    typer.Option(
        "--profile", help="Run the networks on --device too: latency and memory, layer by layer, beside MACs."
    ),
]

FORMATS = (".txt", ".json", ".csv", ".md", ".html")
SIZES = "321,513,713,1025"

Asked = Mapping[str, "str | Sequence[str] | None"]


def show(
    command: str,
    models: Sequence[str],
    asked: Asked,
    *,
    device: str,
    json: bool,
    output: str | None,
    full: bool,
    lang: str,
    size: str | None,
    measure: bool = False,
    also: Callable[[Comparison], None] = lambda _: None,
) -> None:
    """Analyze, find and write. `asked` are the options that change the result, by name; `also` is called with
    the result before it is written."""
    from archlens.cli.model import command_line
    from archlens.cli.output import check_output, emit

    check_output(FORMATS, json, output)
    wanted = asked["--sizes"] or (
        SIZES if full or json or (output or "").endswith((".json", ".html")) else ""
    )
    sides = parse_sides(str(wanted))
    result = gathered(models, asked, device, size, sides, lang, measure)
    also(result)

    from archlens.render.text import csv, findings, markdown
    from archlens.render.text.comparison import comparison_table
    from archlens.render.text.json import dumps
    from archlens.render.text.table import plain

    line = command_line(command, [*models, *(["--profile"] if measure else [])], asked, output)
    emit(
        {
            ".txt": lambda: plain(comparison_table(result, full)) + "\n" + findings.text(result, full),
            ".json": lambda: dumps(result.to_dict()),
            ".csv": lambda: csv.records(
                {"name": name, **summary.to_json()}
                for name, summary in zip(result.names, result.summaries, strict=True)
            ),
            ".md": lambda: markdown.markdown(comparison_table(result)) + "\n" + findings.markdown(result),
            ".html": lambda: _page(result, line),
        },
        json=json,
        output=output,
        screen=lambda console: _screen(result, full, console),
    )


def gathered(
    models: Sequence[str],
    asked: Asked,
    device: str,
    size: str | None,
    sides: Sequence[int],
    lang: str,
    measure: bool = False,
) -> Comparison:
    """The networks analyzed, run where that is asked for, cut, and set side by side."""
    from archlens.cli.progress import Progress
    from archlens.findings.language import catalogue

    catalogue(lang)  # a wrong language must not wait for the work
    reports: list[Report] = []
    for model in models:
        report = _report(model, asked, device, size)
        size = size or "x".join(map(str, report.input_shape[1:]))
        reports.append(_timed(report, model, asked, device) if measure else report)
    sized = [
        _sized(model, report, sides, asked, device) for model, report in zip(models, reports, strict=True)
    ]
    for index, edit in _edits(asked["--cut"] or (), reports):
        reports[index] = _edited(reports[index], edit)
        sized[index] = [_edited(report, edit) for report in sized[index]]

    from archlens.findings.comparison import compare

    with Progress() as progress:
        return compare(reports, sized=sized if sides else (), lang=lang, progress=progress)


def _report(model: str, asked: Asked, device: str, size: str | None) -> Report:
    from archlens.cli.model import report_of

    at = asked["--at"]
    return report_of(
        model,
        input_size=size,
        device=device,
        at=at if isinstance(at, str) else None,
        settings=_settings(asked),
    )


def _settings(asked: Asked) -> Sequence[str]:
    found = asked["--set"]
    return found if isinstance(found, (list, tuple)) else ()


def _timed(report: Report, model: str, asked: Asked, device: str) -> Report:
    from archlens.cli.progress import Progress
    from archlens.spec import parse_spec

    spec = parse_spec(model, _settings(asked))
    with Progress() as progress:
        progress("loading torch")
        from archlens.unit_field.measured import timed

        return timed(
            report,
            spec,
            device,
            progress,
            lambda done, every: progress(f"measuring {report.name}: {done} of {every}"),
        )


def _sized(model: str, report: Report, sides: Sequence[int], asked: Asked, device: str) -> list[Report]:
    """The network at other square sizes; those that it cannot take are replaced by the nearest that it can,
    and a saved report has only its own."""
    if model.endswith(".json"):
        return [report]
    out = {report.input_shape: report}
    for side in sides:
        shape = (*report.input_shape[:2], *(side for _ in report.input_shape[2:]))
        if shape in out:
            continue
        for length in _legal(report.spec, side):
            try:
                found = _report(
                    model, asked, device, "x".join(map(str, (shape[1], *(length for _ in shape[2:]))))
                )
            except InputSizeError:
                continue
            except ArchlensError:
                break  # the network has one size of its own
            out[found.input_shape] = found
            break
    return [out[shape] for shape in sorted(out, key=lambda s: s[2:])]


def _legal(spec: str, side: int) -> tuple[int, ...]:
    """The side itself, or for a network of the zoo the nearest legal ones."""
    from archlens.spec import parse_spec
    from archlens.zoo.catalogue import find

    try:
        parsed = parse_spec(spec)
        entry = find(parsed.target) if parsed.kind == "zoo" else None
    except ArchlensError:
        entry = None
    if entry is None:
        return (side,)
    return entry.legal_sizes(entry.parse_options(parsed.options)).nearest(side) or (side,)


def _edits(cuts: str | Sequence[str], reports: Sequence[Report]) -> list[tuple[int, str]]:
    """(index of the network, edit) of each --cut."""
    out = []
    for text in [cuts] if isinstance(cuts, str) else cuts:
        number, colon, edit = text.partition(":")
        if colon and number.isdigit():
            if not 1 <= int(number) <= len(reports):
                raise UsageError(
                    f"--cut {text}: there is no network {number}", f"Networks: 1 to {len(reports)}."
                )
            out.append((int(number) - 1, edit))
        else:
            out.append((len(reports) - 1, text))
    return out


def _edited(report: Report, edit: str) -> Report:
    """The report of the edited network; its name says what was edited."""
    from archlens.findings.edits import edited
    from archlens.pipeline import describe

    spec = f"{report.spec}[{edit}]" if "=" in edit else f"{report.spec}[-{edit}]"
    made = describe(edited(report.graph, edit), spec, report.name)
    lost = ["not measured: an edited graph has nothing to run"] if "measured" in report.extra else []
    return replace(made, notes=(*report.notes, f"edited: {edit}", *lost))


def parse_sides(text: str) -> list[int]:
    """The side lengths of --sizes.

    Raises:
        UsageError: Not whole numbers.
    """
    parts = [p for p in text.split(",") if p.strip()]
    if not all(p.strip().isdigit() and int(p) > 0 for p in parts):
        raise UsageError(f"--sizes {text}: not whole numbers", f"As in --sizes {SIZES}.")
    return [int(p) for p in parts]


def _screen(result: Comparison, full: bool, console: Console) -> None:
    from rich.text import Text

    from archlens.render.text import findings
    from archlens.render.text.comparison import comparison_tables
    from archlens.render.text.table import draw

    for table in comparison_tables(result, console.width, full):
        draw(table, console)
    console.print()
    for line in findings.lines(result, full, min(console.width, findings.WIDTH)):
        console.print(Text(line))


def _page(result: Comparison, command: str) -> str:
    from archlens.render.page.page import html  # templates, scipy: only the page needs them

    return html(result, command)
