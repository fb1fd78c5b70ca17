"""The expected effective field beside the theoretical one, for many layers of a report at once.

The laws of the activations are worked out once; each layer then costs one walk back from its centre unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from archlens.analyses.expected.field import expected_erf
from archlens.analyses.expected.forward.walk import Setting, forward
from archlens.analyses.expected.summaries import summarise
from archlens.report import Report

SHARES = (0.5, 0.95)


def with_erf(
    report: Report, names: Iterable[str], progress: Callable[[str], None] = lambda _: None
) -> Report:
    """The report with `erf` in the rows asked for: {"erf_50", "erf_95" (px), "status", "reason"}.

    A layer with an operation that has no rule before it says `unknown` and which; no figure is made up.
    """
    origin = report.graph.inputs[0]
    if report.origin is not None:
        origin = next(x.output for x in report.graph.layers if x.name == report.origin)
    laws = forward(report.graph, Setting())
    node_of = {layer.name: layer.output for layer in report.graph.layers}
    wanted = set(names)
    rows = []
    for row in report.layers:
        if row.name in wanted and row.rf is not None:
            progress(f"effective field of {row.name}")
            found = expected_erf(report.graph, node_of[row.name], None, origin, moments=laws)
            figures: dict[str, object] = {
                "erf_50": None,
                "erf_95": None,
                "status": "assumed",
                "reason": "random weights",
            }
            if found.energy is None:
                reason = "no rule for " + ", ".join(found.missing) if found.missing else "nothing reaches it"
                figures |= {"status": "unknown", "reason": reason}
            else:
                sides = summarise(found.energy, found.centre).sides
                figures |= {f"erf_{round(100 * s)}": sides[s] for s in SHARES}
            row = replace(row, extra={**row.extra, "erf": figures})
        rows.append(row)
    return replace(report, layers=tuple(rows))
