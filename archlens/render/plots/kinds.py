"""The figures of `--plot`, by name: one list for the command line and for those who use the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from archlens.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from archlens.findings.comparison import Comparison
    from archlens.report import Report

ONE = ("growth", "boxes", "branches", "coverage", "stages")
"""Figures of one network."""

SEVERAL = ("growth", "cost", "miou", "stages")
"""Figures of a comparison."""

SUFFIXES = (".svg", ".png", ".pdf")


def check_figure(name: str, known: Sequence[str]) -> None:
    """Refuse an unknown figure before the long work starts.

    Raises:
        UsageError: It is none of the known ones.
    """
    if name not in known:
        raise UsageError(f"there is no figure {name!r}", did_you_mean(name, known))


def figure_of(report: Report, name: str, form: str, image: str | None = None) -> bytes:
    """One network's figure.

    Args:
        name: One of `ONE`.
        form: svg | png | pdf.
        image: For `boxes`: a picture to draw on instead of the synthetic street.

    Raises:
        UsageError: The network has not what the figure shows.
    """
    from archlens.render.plots import branches, costs, coverage, nested

    check_figure(name, ONE)
    makers: dict[str, Callable[[], bytes]] = {
        "growth": lambda: growth_of([report], [report.name], form),
        "boxes": lambda: nested.nested_picture(report, form, image=image),
        "branches": lambda: branches.branches_picture(report, form),
        "coverage": lambda: coverage.coverage_picture(report, form),
        "stages": lambda: costs.stages_picture([(report.name, costs.stage_costs(report))], form),
    }
    return makers[name]()


def figure_of_several(found: Comparison, name: str, form: str) -> bytes:
    """A comparison's figure, one of `SEVERAL`.

    Raises:
        UsageError: None of the networks has what the figure shows.
    """
    from archlens.render.plots import costs

    check_figure(name, SEVERAL)
    if name == "growth":
        return growth_of(found.reports, found.names, form)
    if name == "stages":
        pairs = zip(found.names, found.reports, strict=True)
        return costs.stages_picture([(label, costs.stage_costs(report)) for label, report in pairs], form)
    return costs.cost_picture(costs.cost_points(found), form, miou=name == "miou")


def growth_of(reports: Sequence[Report], names: Sequence[str], form: str) -> bytes:
    """The growth of one field or of several, overlaid.

    Raises:
        UsageError: None of the networks has a finite field.
    """
    from archlens.render.plots.growth import growth_line, growth_picture

    lines = [growth_line(report, name) for report, name in zip(reports, names, strict=True)]
    known = [line for line in lines if line is not None]
    if not known:
        raise UsageError("no layer has a finite field that could grow", "`archlens rf` names the reason.")
    return growth_picture(known, form)
