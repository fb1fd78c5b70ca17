"""The figures that budgets and baselines name, read off a report. `settings.FIGURES` says what each is.

A figure that cannot be known (an operation without a rule, a field that does not exist) is None; a check of
it is then neither passed nor failed but unknown, and said so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from archlens.analyses.expected.field import expected_erf
from archlens.analyses.expected.summaries import summarise
from archlens.findings.figures import Figures, figures
from archlens.report import Report

_EFFECTIVE = {"erf_25": 0.25, "erf_50": 0.5, "erf_75": 0.75, "erf_95": 0.95}


def gauge(report: Report, wanted: Iterable[str]) -> dict[str, float | None]:
    """The wanted figures, in the order asked for. The effective field is only computed when asked for."""
    names = list(dict.fromkeys(wanted))
    plain = figures(report)
    effective = _effective(report) if any(n in _EFFECTIVE or n == "far_share" for n in names) else {}
    return {name: effective[name] if name in effective else _plain(report, plain, name) for name in names}


def _plain(report: Report, found: Figures, name: str) -> float | None:
    match name:
        case "params" | "macs" | "elementwise" | "param_bytes" | "layers" | "reach":
            value = getattr(found, name)
            return None if value is None else float(value)
        case "flops":
            return float(report.totals["flops"])
        case "peak_memory":
            return float(found.peak_activation_bytes)
        case "receptive_field":
            if found.field_kind == "global":
                return math.inf
            return _smallest(found.field)
        case "local_field":
            return _smallest(found.local_field or found.field)
        case "visible_field":
            return _smallest(found.visible_field)
        case "output_stride":
            return _smallest(found.output_stride)
        case "deepest_stride":
            return _smallest(found.deepest_stride)
    return None


def _smallest(values: Iterable[float | None] | None) -> float | None:
    known = [float(v) for v in values or () if v is not None]
    return min(known, default=None)


def _effective(report: Report) -> dict[str, float | None]:
    node = next(row.output for row in report.graph.layers if row.name == report.class_score)
    found = expected_erf(report.graph, node)
    if found.energy is None:
        return dict.fromkeys((*_EFFECTIVE, "far_share"))
    summary = summarise(found.energy, found.centre)
    return {**{name: summary.sides[share] for name, share in _EFFECTIVE.items()}, "far_share": summary.far}
