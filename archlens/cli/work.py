"""What most commands begin with: a report of the model that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from archlens.cli.progress import Progress
from archlens.spec import parse_size, parse_unit

if TYPE_CHECKING:
    from archlens.results import Report


def report_of(
    model: str,
    *,
    input_size: str | None = None,
    settings: Sequence[str] | None = None,
    unit: str | None = None,
    at: str | None = None,
    origin: str | None = None,
) -> Report:
    """Analyze a model with the shared options as they come from the command line.

    Options are read first: a malformed size must not wait for torch.
    """
    size = None if input_size is None else parse_size(input_size)
    where = None if unit is None else parse_unit(unit)
    with Progress() as progress:
        progress("loading torch")
        from archlens.pipeline import analyze

        return analyze(
            model, size, settings=settings or (), unit=where, at=at, origin=origin, progress=progress
        )
