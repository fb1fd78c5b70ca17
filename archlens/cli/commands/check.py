"""`archlens check`: budgets and baselines, for CI."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlens.cli.options import Output, Shared, complete_model, one_of

if TYPE_CHECKING:
    from archlens.findings.budgets import Check
    from archlens.findings.watched import Watched
    from archlens.report import Report
    from archlens.settings import Settings


FORMS = {"table": ".txt", "json": ".json", "markdown": ".md", "github": ".log", "junit": ".xml"}
"""What `--format` writes, and the suffix of a file that holds it."""


def check(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NETWORK...]",
            help="Networks of the settings by name; default all of them. A model that is not in the settings "
            "is held against its baseline only.",
            autocompletion=complete_model,
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", **one_of(*FORMS), help="For stdout; a file's suffix decides for it.")
    ] = "table",
    output: Output = None,
    update: Annotated[
        bool, typer.Option("--update-baseline", help="Write the baselines anew instead of holding to them.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Settings; default [tool.archlens].", show_default=False
        ),
    ] = None,
    *,
    shared: Shared,
) -> None:
    """Hold networks to their budgets and baselines; exit code 1 where one fails.

    Settings stand in [tool.archlens] of pyproject.toml or in archlens.toml (docs/ci.md).
    """
    from archlens import settings as project
    from archlens.cli.output import check_output, emit
    from archlens.errors import CheckFailed, UsageError
    from archlens.findings import budgets
    from archlens.render.text import checks as render
    from archlens.render.text.table import plain
    from archlens.showing import write_file

    check_output(tuple(FORMS.values()), False, output)
    found = project.find(Path.cwd(), config)
    networks = _chosen(found, models or [])
    if not networks:
        raise UsageError(
            "there is nothing to check", "Name a model, or list networks in [tool.archlens.networks]."
        )
    results: list[Check] = []
    for watched in networks:
        report, file = _report(found, watched, shared), _baseline_file(found, watched)
        if update:
            write_file(file, budgets.baseline_text(report), folders=True)
            print(f"wrote {file}", file=sys.stderr)
            continue
        held = budgets.check(report, watched, budgets.read_baseline(file))
        if not held:
            raise UsageError(
                f"{watched.name} has no budget, and no baseline in {file}",
                "Set a budget, or write the baseline with --update-baseline.",
            )
        results += held
    if update:
        return
    makers = {
        ".txt": lambda held: plain(render.check_table(held)),
        ".json": render.as_json,
        ".md": render.markdown,
        ".log": render.github,
        ".xml": render.junit,
    }
    order = sorted(makers, key=lambda suffix: suffix != FORMS[form])  # the first is for stdout
    emit({suffix: partial(makers[suffix], results) for suffix in order}, output=output)
    failed = [c for c in results if c.verdict == "fail"]
    if failed:
        why = render.sentence(failed[0])
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise CheckFailed(
            f"{len(failed)} of {len(results)} limits failed. {why}{more}",
            "If the change is meant, move the budget or run `archlens check --update-baseline`.",
        )


def _chosen(found: Settings, names: list[str]) -> list[Watched]:
    """The networks asked for; a model that the settings don't know is watched against its baseline."""
    from archlens.findings.figures import LIMITS
    from archlens.findings.watched import Watched

    known = {w.name: w for w in found.networks}
    if not names:
        return list(found.networks)
    every = dict.fromkeys(LIMITS, 0.0)
    return [known.get(n) or Watched(n, n, allowed={**every, **found.allowed}) for n in names]


def _report(found: Settings, watched: Watched, shared: Shared) -> Report:
    from archlens.cli.progress import ProgressLine
    from archlens.pipeline import analyze
    from archlens.spec import parse_size

    size = watched.input_size or (parse_size(found.input_size) if found.input_size else None)
    with ProgressLine() as progress:
        return analyze(watched.spec, size, settings=watched.options, progress=progress, **shared.asked)


def _baseline_file(found: Settings, watched: Watched) -> Path:
    folder = found.baselines or Path("reports/baselines")
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in watched.name)
    return folder / f"{plain}.json"
