"""By input size: where a rate degenerates, where a trunk stops covering the image. Geometry only."""

from __future__ import annotations

from dataclasses import dataclass

from archlens.analyses.fields.coverage import coverage
from archlens.findings.evidence.paths import widest_window
from archlens.report import Report
from archlens.study import Subject


@dataclass(frozen=True)
class RateAtSize:
    """A branch's (or the head's) widest dilated window on its map at one input size."""

    layer: str
    rate: int
    map: int
    taps: int
    mean_taps: float
    centre_taps: int


@dataclass(frozen=True)
class AtSize:
    """A network at one input size.

    Attributes:
        side: Of the input, px.
        field: Theoretical field of the cell along its finite ways, px.
        trunk: That of the map that the head reads, px.
        trunk_share: The same over the image's side: below 1 the trunk does not cover the image.
        seen, least: Mean and least share of the image's area that a cell sees.
        rates: The head's dilated windows.
        macs: At this size.
    """

    side: int
    field: int | None
    trunk: int | None
    trunk_share: float | None
    seen: float | None
    least: float | None
    rates: tuple[RateAtSize, ...]
    macs: int


def at_size(report: Report) -> AtSize:
    """The figures of a report that depend on the input size."""
    s = Subject.of_report(report)
    side = s.image[0] if s.image else 0
    field = s.fields[s.cell]
    path = field[0].path if field else None
    trunk = None
    if s.head_input is not None and (read := s.fields[s.head_input]) and read[0].path is not None:
        trunk = read[0].path.size
    found = coverage(s.graph, s.cell, s.boxes[s.cell])
    rates = []
    for b in s.module.branches if s.module else ():
        window = widest_window(s, b)
        if window is not None and window.rate > 1:
            rates.append(
                RateAtSize(b.name, window.rate, window.map[0], window.taps, window.mean_taps, window.centre)
            )
    return AtSize(
        side,
        path.size if path else None,
        trunk,
        trunk / side if trunk is not None and side else None,
        found.mean if found else None,
        found.least if found else None,
        tuple(rates),
        report.totals["macs"],
    )
