"""What context costs: in arithmetic, and in milliseconds where it was run."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding


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


def time(evidence: Sequence[Evidence]) -> list[Finding]:
    """Milliseconds of each network that was run, and the context module's part of them."""
    out = []
    for e in evidence:
        t = e.time
        if t is None:
            continue
        numbers: dict[str, object] = {
            "name": e.label,
            "device": t.device,
            "dtype": t.dtype,
            "batch": t.batch_size,
            "latency": t.latency,
        }
        variant = ""
        share = t.share(t.module_seconds)
        if share is not None and e.paths is not None and e.cost.module_macs:
            variant = "module"
            numbers |= {
                "module": e.paths.module,
                "module_seconds": t.module_seconds,
                "module_share": share,
                "macs_share": e.cost.share(e.cost.module_macs),
            }
            if t.fusion_seconds is not None:
                variant = "fusion"
                numbers |= {
                    "fusion": e.cost.fusion,
                    "fusion_seconds": t.fusion_seconds,
                    "fusion_share": t.share(t.fusion_seconds),
                    "fusion_macs_share": e.cost.share(e.cost.fusion_macs),
                }
        layers = (e.cost.fusion,) if variant == "fusion" and e.cost.fusion else ()
        out.append(Finding("time", numbers, layers, "measured", 66 if variant else 41, variant))
    return out
