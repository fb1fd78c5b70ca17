"""What may be seen against what is used."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import log2

from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding


def reach_is_not_it(evidence: Sequence[Evidence]) -> list[Finding]:
    """Two networks whose finite paths span nearly the same, and of which one uses, or gathers, far more."""
    best: Finding | None = None
    for a, b in combinations(evidence, 2):
        if not a.reach.sizes or not b.reach.sizes or a.head is None or b.head is None:
            continue
        first, second = max(a.reach.sizes), max(b.reach.sizes)
        ratio = max(first, second) / min(first, second)
        here, there = a.head.coherent_far, b.head.coherent_far
        if ratio > 1.25 or here is None or there is None or abs(here - there) < 0.1:
            continue
        low, high = sorted((a, b), key=lambda e: e.head.coherent_far or 0.0 if e.head else 0.0)
        weight = 88.0 + 10 * abs(here - there)
        if best is None or weight > best.weight:
            best = Finding(
                "reach_is_not_it",
                {
                    "low": low.label,
                    "high": high.label,
                    "low_field": max(low.reach.sizes),
                    "high_field": max(high.reach.sizes),
                    "difference": abs(first - second),
                    "image": low.reach.image,
                    "low_share": low.reach.share,
                    "high_share": high.reach.share,
                    "low_coherent": low.head.coherent_far if low.head else None,
                    "high_coherent": high.head.coherent_far if high.head else None,
                },
                (),
                "assumed",
                weight,
            )
    return [] if best is None else [best]


def far_use(evidence: Sequence[Evidence]) -> list[Finding]:
    """How much of what each cell uses lies far away."""
    known = [e for e in evidence if e.use.far is not None and e.use.sides is not None]
    if len(known) < 2:
        return []
    items = []
    for e in known:
        stream = e.deep if e.deep is not None and e.deep.share < 0.5 else None
        assert e.use.sides is not None
        items.append(
            {
                "name": e.label,
                "far": e.use.far if stream is None else stream.far,
                "side95": e.use.sides[95] if stream is None else stream.side95,
                "field": max(e.reach.sizes, default=e.reach.image),
                "deep": stream is not None,
            }
        )
    items.sort(key=lambda i: -float(i["far"] or 0.0))
    most, least = float(items[0]["far"] or 0.0), float(items[-1]["far"] or 0.0)
    return [
        Finding(
            "far_use",
            {
                "image": known[0].reach.image,
                "items": items,
                "deep": [i["name"] for i in items if i["deep"]],
            },
            (),
            "assumed",
            60 + min(25.0, 5 * abs(log2(max(most, 1e-6) / max(least, 1e-6)))),
            "deep" if any(i["deep"] for i in items) else "",
        )
    ]


def skips_dilute(evidence: Sequence[Evidence]) -> list[Finding]:
    """A decoder whose finer maps outweigh the deep one."""
    out = []
    for e in evidence:
        deep = e.deep
        if deep is None or deep.share >= 0.5:
            continue
        finer = max((s for s in e.streams if not s.deep), key=lambda s: s.share)
        out.append(
            Finding(
                "skips_dilute",
                {
                    "name": e.label,
                    "finer": finer.layer,
                    "finer_share": finer.share,
                    "deep": deep.layer,
                    "deep_share": deep.share,
                    "side95": (e.use.sides or {}).get(95),
                    "deep_side95": deep.side95,
                    "deep_far": deep.far,
                    "far": e.use.far,
                },
                (finer.layer, deep.layer),
                "assumed",
                74 + 10 * (1 - deep.share),
            )
        )
    return out


def theory_and_use(evidence: Sequence[Evidence]) -> list[Finding]:
    """One network: the field that it may see, and the part that it uses."""
    out = []
    for e in evidence:
        if e.use.sides is None or not (e.reach.sizes or e.reach.global_from):
            continue
        kind = "" if e.reach.global_from is None else ("global" if e.reach.sizes else "whole")
        out.append(
            Finding(
                "theory_and_use",
                {
                    "name": e.label,
                    "field": max(e.reach.sizes, default=None),
                    "image": e.reach.image,
                    "share": e.reach.share,
                    "side50": e.use.sides[50],
                    "side95": e.use.sides[95],
                    "far": e.use.far,
                    "global_from": e.reach.global_from,
                    "border": e.use.border,
                },
                (e.reach.global_from,) if e.reach.global_from else (),
                "assumed",
                95,
                kind,
            )
        )
    return out
