"""What context costs."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.explain.finding import Finding
from archlens.explain.records import Evidence


def context(evidence: Sequence[Evidence]) -> list[Finding]:
    """The context module, with and without the convolution that fuses its branches."""
    out = []
    for e in evidence:
        c = e.cost
        if c.module_macs is None or c.module_params is None:
            continue
        out.append(
            Finding(
                "cost",
                {
                    "name": e.label,
                    "module": e.paths.module if e.paths else "",
                    "macs": c.module_macs,
                    "macs_share": c.module_macs / c.macs,
                    "params": c.module_params,
                    "fusion": c.fusion,
                    "fusion_macs": c.fusion_macs,
                    "fusion_share": c.fusion_macs / c.macs,
                    "fusion_params": c.fusion_params,
                    "total": c.macs,
                },
                (c.fusion,) if c.fusion else (),
                "exact",
                64,
                "fusion" if c.fusion else "",
            )
        )
    return out


def totals(evidence: Sequence[Evidence]) -> list[Finding]:
    """All networks' costs, cheapest first, with the field and the far share that they buy."""
    if len(evidence) < 2:
        return []
    items = [
        {
            "name": e.label,
            "macs": e.cost.macs,
            "params": e.cost.params,
            "coherent": e.head.coherent_far if e.head is not None else None,
        }
        for e in sorted(evidence, key=lambda e: e.cost.macs)
    ]
    return [Finding("totals", {"items": items}, (), "assumed", 42)]
