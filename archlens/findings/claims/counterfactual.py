"""What is lost when something is taken away."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding


def module_cut(evidence: Sequence[Evidence]) -> list[Finding]:
    """All branches but the narrowest cut; and the one whose loss costs most."""
    out = []
    for e in evidence:
        whole = next((c for c in e.counterfactuals if c.kind == "cut_all"), None)
        singles = [c for c in e.counterfactuals if c.kind == "cut" and c.far is not None]
        if whole is None or whole.far is None or whole.side95 is None or e.use.far is None or not singles:
            continue
        assert e.use.sides is not None
        worst = min(singles, key=lambda c: c.far or 0.0)
        before = e.head.coherent_far if e.head is not None else None
        out.append(
            Finding(
                "module_cut",
                {
                    "name": e.label,
                    "left": whole.target,
                    "far": e.use.far,
                    "cut_far": whole.far,
                    "side95": e.use.sides[95],
                    "cut_side95": whole.side95,
                    "coherent": before,
                    "cut_coherent": whole.head_coherent,
                    "worst": worst.target,
                    "worst_far": worst.far,
                    "macs": e.cost.macs - whole.macs,
                    "macs_share": e.cost.share(e.cost.macs - whole.macs),
                    "params": e.cost.params - whole.params,
                },
                (worst.target,),
                "assumed",
                66 + 20 * max(e.use.far - whole.far, 0.0),
            )
        )
    return out


def one_bin(evidence: Sequence[Evidence]) -> list[Finding]:
    """A pyramid's bins against one global bin, beside what the paper measured."""
    out = []
    for e in evidence:
        flat = next((c for c in e.counterfactuals if c.kind == "one_bin"), None)
        if flat is None or flat.far is None or e.use.far is None:
            continue
        out.append(
            Finding(
                "one_bin",
                {
                    "name": e.label,
                    "far": e.use.far,
                    "one_far": flat.far,
                    "coherent": e.head.coherent_far if e.head else None,
                    "one_coherent": flat.head_coherent,
                },
                (flat.target,),
                "assumed",
                57,
                ("published_" if e.family == "pspnet" else "") + ("more" if flat.far > e.use.far else "less"),
            )
        )
    return out


def undilated(evidence: Sequence[Evidence]) -> list[Finding]:
    """The head's rates set to 1."""
    out = []
    for e in evidence:
        flat = next((c for c in e.counterfactuals if c.kind == "undilate"), None)
        if flat is None or flat.far is None or flat.side95 is None or e.use.far is None or not e.reach.sizes:
            continue
        assert e.use.sides is not None
        if e.use.far - flat.far < 0.01 and flat.field == max(e.reach.sizes):
            continue
        out.append(
            Finding(
                "undilated",
                {
                    "name": e.label,
                    "target": flat.target,
                    "field": max(e.reach.sizes),
                    "flat_field": flat.field,
                    "far": e.use.far,
                    "flat_far": flat.far,
                    "side95": e.use.sides[95],
                    "flat_side95": flat.side95,
                },
                (flat.target,),
                "assumed",
                55 + 20 * max(e.use.far - flat.far, 0.0),
            )
        )
    return out
