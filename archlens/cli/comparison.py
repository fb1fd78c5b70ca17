"""What `compare`, `explain` and `report` share: a comparison from the command line, and writing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from archlens.cli.model import check_device, command_line, numbers_of, size_of
from archlens.cli.options import Shared
from archlens.cli.output import check_output, emit
from archlens.cli.progress import ProgressLine

if TYPE_CHECKING:
    from archlens.findings.comparison import Comparison

FORMATS = (".txt", ".json", ".csv", ".md", ".html")

Asked = Mapping[str, "str | Sequence[str] | None"]
"""The options that change the result, by flag: what a page shows to be made again."""


def show(
    command: str,
    models: Sequence[str],
    asked: Asked,
    shared: Shared,
    *,
    device: str,
    json: bool,
    output: str | None,
    full: bool,
    lang: str,
    measure: bool,
    also: Callable[[Comparison], None] = lambda _: None,
) -> None:
    """Analyze, find and write; `also` is called with the result before it is written."""
    check_output(FORMATS, json, output)
    everything = full or json or (output or "").endswith((".json", ".html"))
    result = compared(models, asked, shared, device, lang, measure, everything)
    also(result)
    from archlens.render.forms import comparison_forms, draw_comparison

    line = command_line(command, [*models, *(["--profile"] if measure else [])], asked, output)
    emit(
        comparison_forms(result, full, line),
        json=json,
        output=output,
        screen=lambda console: draw_comparison(result, full, console),
    )


def compared(
    models: Sequence[str],
    asked: Asked,
    shared: Shared,
    device: str,
    lang: str,
    measure: bool,
    everything: bool,
) -> Comparison:
    """The comparison that the options ask for; `everything`: at other sizes too, or those of --sizes."""
    given, sides = asked["--input-size"], asked["--sizes"]
    size = size_of([given] if isinstance(given, str) else given)
    check_device(device)
    wanted = numbers_of(str(sides), "--sizes", "321,513,713,1025") if sides else None
    with ProgressLine() as progress:
        progress("loading archlens")
        from archlens.comparing import SIDES, CompareOptions, gathered

        at = asked["--at"]
        options = CompareOptions(
            input_size=size,
            settings=tuple(asked["--set"] or ()),
            at=at if isinstance(at, str) else None,
            cuts=tuple(asked["--cut"] or ()),
            sides=(SIDES if everything else ()) if wanted is None else wanted,
            lang=lang,
            profile=measure,
            device=device,
            progress=progress,
            count=progress.count,
            **shared.asked,
        )
        return gathered(models, options)
