"""Two or more networks at one input size: their figures side by side, a reading, and the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archlens.errors import InputSizeError
from archlens.explain.figures import Figures, figures
from archlens.explain.reading import reading
from archlens.results import GENERATOR, SCHEMA_VERSION, Report


@dataclass(frozen=True)
class Comparison:
    """What `archlens compare` shows.

    Attributes:
        input_shape: With the batch, (1, C, H, W).
        names: One a network; as it was asked for, told apart where two are the same.
        reports: The networks.
        summaries: Their figures.
        reading: Sentences on the figures.
        findings: {"id", "claim", "evidence", "layers", "confidence"} each.
    """

    input_shape: tuple[int, ...]
    names: tuple[str, ...]
    reports: tuple[Report, ...]
    summaries: tuple[Figures, ...]
    reading: tuple[str, ...]
    findings: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self, graph: bool = True) -> dict[str, Any]:
        """Contract form; `graph=False` leaves the captured graphs out."""
        return {
            "schema_version": SCHEMA_VERSION,
            "generator": GENERATOR,
            "input_shape": list(self.input_shape),
            "models": [
                {**report.to_dict(graph), "summary": summary.to_json()}
                for report, summary in zip(self.reports, self.summaries, strict=True)
            ],
            "reading": list(self.reading),
            "findings": [dict(finding) for finding in self.findings],
        }


def compare(reports: Sequence[Report]) -> Comparison:
    """Set reports side by side.

    Raises:
        InputSizeError: They are not at one input size.
    """
    shapes = {report.input_shape for report in reports}
    if len(shapes) != 1:
        sizes = " and ".join(sorted("x".join(map(str, shape[1:])) for shape in shapes))
        raise InputSizeError(
            f"the networks are at different input sizes, {sizes}",
            "Give one that all of them take with --input-size, as in 3x513x513.",
        )
    shape = shapes.pop()
    names = _told_apart([report.spec for report in reports])
    summaries = tuple(figures(report) for report in reports)
    return Comparison(
        input_shape=shape,
        names=names,
        reports=tuple(reports),
        summaries=summaries,
        reading=tuple(reading(list(zip(names, summaries, strict=True)), shape[2:])),
    )


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """`a`, `a:2`, ... where a name comes again."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return tuple(out)
