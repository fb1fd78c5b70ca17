"""The numbers of the page side by side: a figure a row, a network a column, each set against the first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archlens.findings.comparison import Comparison
from archlens.findings.figures import FIGURES, GROUPS, Group
from archlens.words import NONE, percent, points, signed, times


@dataclass(frozen=True)
class Row:
    """One figure: its label, what it means, and a (text, difference) pair a network."""

    label: str
    note: str
    cells: tuple[tuple[str, str], ...]


def number_rows(result: Comparison) -> list[tuple[str, list[Row]]]:
    """Groups of rows with their headings. What no network has is left out."""
    networks = list(zip(result.reports, result.evidence, strict=True))
    groups: dict[str, list[Row]] = {}
    for figure in FIGURES:
        texts = [figure.words(*network) for network in networks] if figure.shown else []
        if all(text == NONE for text in texts):
            continue
        values = [figure.number(*network) for network in networks]
        against = points_apart if figure.share else difference
        said = (against(values[0], value) if i else "" for i, value in enumerate(values))
        row = Row(figure.label, figure.note, tuple(zip(texts, said, strict=True)))
        groups.setdefault(_heading(result, figure.group), []).append(row)
    return list(groups.items())


def _heading(result: Comparison, group: Group) -> str:
    """The group's; of measured figures also where and how, where all are alike."""
    ways = {e.time.how for e in result.evidence if e.time is not None}
    return f"{GROUPS[group]} {ways.pop()}" if group == "measured" and len(ways) == 1 else GROUPS[group]


def points_apart(first: float | None, value: float | None) -> str:
    """How a share stands to the first network's: `+12.0 points`, `same`."""
    if first is None or value is None:
        return ""
    gap = 100 * (value - first)
    return "same" if abs(gap) < 0.05 else points(gap)


def difference(first: float | None, value: float | None) -> str:
    """How a value stands to the first network's: `+12.0 %`, `× 3.4`, `÷ 5.0`, `same`."""
    if first is None or value is None:
        return ""
    if value == first:
        return "same"
    if not first or not value or not math.isfinite(first) or not math.isfinite(value):
        return ""
    ratio = value / first
    if 0.5 < ratio < 2:
        return signed(percent(ratio - 1))
    return f"× {times(ratio)}" if ratio > 1 else f"÷ {times(1 / ratio)}"
