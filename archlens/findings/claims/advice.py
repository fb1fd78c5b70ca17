"""What would extend a network's context, at what cost: computed, not guessed."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding


def extensions(evidence: Sequence[Evidence]) -> list[Finding]:
    """The additions that were tried, with what they change."""
    out = []
    for e in evidence:
        for c in e.counterfactuals:
            if c.kind not in ("image_pooling", "double_rate", "fit_rates"):
                continue
            if c.far is None or e.use.far is None or c.side95 is None or e.use.sides is None:
                continue
            if c.kind == "double_rate" and (c.field is None or not e.reach.sizes):
                continue  # a field that is global or not known grows by no figure
            before = e.head.coherent_far if e.head is not None else None
            moved = abs(c.far - e.use.far) + abs((c.head_coherent or 0) - (before or 0))
            out.append(
                Finding(
                    "advice",
                    {
                        "name": e.label,
                        "target": c.target.split(", ") if c.kind == "fit_rates" else c.target,
                        "rate": c.rate,
                        "field": max(e.reach.sizes, default=None),
                        "new_field": c.field,
                        "field_kind": c.field_kind,
                        "far": e.use.far,
                        "new_far": c.far,
                        "side95": e.use.sides[95],
                        "new_side95": c.side95,
                        "coherent": before,
                        "new_coherent": c.head_coherent,
                        "macs": c.macs - e.cost.macs,
                        "macs_share": e.cost.share(c.macs - e.cost.macs),
                        "params": c.params - e.cost.params,
                    },
                    tuple(c.target.split(", ")),
                    "assumed",
                    82 + 5 * min(moved, 1.0) if moved > 0.01 else 49,
                    c.kind,
                )
            )
    return out
