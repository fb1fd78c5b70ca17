"""The context module: who has one, what each branch does, and where the two lenses disagree."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.findings.evidence.paths import BranchEvidence, Paths
from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding


def wide(paths: Paths | None) -> bool:
    """Whether the module's branches differ by enough to count as context: a tenth of the map at least."""
    if paths is None or not paths.fork_map:
        return False
    cells = [b.cells for b in paths.branches]
    return max(cells) - min(cells) >= paths.fork_map[0] / 10


def missing_path(evidence: Sequence[Evidence]) -> list[Finding]:
    """Networks with a context module beside networks without one."""
    having = [e for e in evidence if wide(e.paths)]
    lacking = [e for e in evidence if not wide(e.paths)]
    if not having or not lacking:
        return []
    out = []
    for e in having:
        assert e.paths is not None
        out.append(
            Finding(
                "missing_path",
                {
                    "name": e.label,
                    "lacking": [a.label for a in lacking],
                    "module": e.paths.module,
                    "fork": e.paths.fork,
                    "map": e.paths.fork_map[0],
                    "count": len(e.paths.branches),
                    "branches": [{"name": b.name, "cells": b.cells} for b in e.paths.branches],
                    "global": [b.name for b in e.paths.branches if b.kind == "global"],
                },
                (e.paths.fork, e.paths.merge),
                "exact",
                85.5 if any(b.kind == "global" for b in e.paths.branches) else 85.0,
                "global" if any(b.kind == "global" for b in e.paths.branches) else "rates",
            )
        )
    return out


def gap(evidence: Sequence[Evidence]) -> list[Finding]:
    """A network without a context module against one with: how much of the difference is the module's, and
    how much remains when its branches are cut."""
    out = []
    for low in evidence:
        for high in evidence:
            if low is high or wide(low.paths) or not wide(high.paths):
                continue
            cut = next((c for c in high.counterfactuals if c.kind == "cut_all"), None)
            if cut is None or high.head is None or low.head is None:
                continue
            a, b, rest = low.head.coherent_far, high.head.coherent_far, cut.head_coherent
            energy = high.use.far
            own = low.use.far if low.deep is None or low.deep.share >= 0.5 else low.deep.far
            if None in (a, b, rest) or (b or 0) - (a or 0) < 0.05:
                continue
            if energy is None or own is None or cut.far is None:
                continue
            out.append(
                Finding(
                    "gap",
                    {
                        "low": low.label,
                        "high": high.label,
                        "module": high.paths.module if high.paths else "",
                        "left": cut.target,
                        "low_coherent": a,
                        "high_coherent": b,
                        "cut_coherent": rest,
                        "low_far": own,
                        "high_far": energy,
                        "cut_far": cut.far,
                        "trunk": _part(own, cut.far, energy),
                        "trunk_coherent": _part(a, rest, b),
                    },
                    (high.paths.merge,) if high.paths else (),
                    "assumed",
                    90 + 8 * ((b or 0) - (a or 0)),
                    "energy_less" if own >= energy else "",
                )
            )
    # With many networks one line for each of those with a module: against the closest without.
    best: dict[str, Finding] = {}
    for f in out:
        name = str(f.evidence["high"])
        if name not in best or f.weight > best[name].weight:
            best[name] = f
    return list(best.values())


def _part(low: float | None, between: float | None, high: float | None) -> float:
    """How much of the way from low to high is made by what lies between."""
    if low is None or between is None or high is None or high <= low:
        return 0.0
    return min(max((between - low) / (high - low), 0.0), 1.0)


def lenses_differ(evidence: Sequence[Evidence]) -> list[Finding]:
    """A branch that hardly counts in pixel energy and carries the coherent response, on the fork's map."""
    out = []
    for e in evidence:
        if e.paths is None or e.head is None or e.head.coherent_far is None or e.head.far is None:
            continue
        judged = [b for b in e.paths.branches if b.coherent is not None and b.head_share is not None]
        top = max(judged, key=lambda b: b.coherent or 0.0, default=None)
        if top is None or (top.coherent or 0) < 2 * (top.head_share or 0) or (top.coherent or 0) < 0.2:
            continue
        if e.head.coherent_far - e.head.far < 0.1:
            continue
        out.append(
            Finding(
                "lenses_differ",
                {
                    "name": e.label,
                    "branch": top.name,
                    "fork": e.paths.fork,
                    "share": top.head_share,
                    "far_share": top.head_far,
                    "coherent": top.coherent,
                    "far": e.head.far,
                    "coherent_far": e.head.coherent_far,
                    "gathering": e.head.gathering,
                },
                (top.name,),
                "assumed",
                80 + 10 * (e.head.coherent_far - e.head.far),
            )
        )
    return out


def lenses_agree(evidence: Sequence[Evidence]) -> list[Finding]:
    """From the image, through the whole trunk, the lenses agree: random weights leave nothing coherent."""
    items = [
        {"name": e.label, "far": e.use.far, "coherent": e.use.coherent_far}
        for e in evidence
        if e.use.far is not None
        and e.use.coherent_far is not None
        and e.use.far > 0.01
        and abs(e.use.coherent_far - e.use.far) < 0.05
    ]
    apart = [
        e
        for e in evidence
        if e.head is not None
        and e.head.coherent_far is not None
        and e.head.far is not None
        and abs(e.head.coherent_far - e.head.far) >= 0.1
    ]
    if not items or not apart:
        return []
    return [Finding("lenses_agree", {"items": items}, (), "assumed", 50)]


def roles(evidence: Sequence[Evidence]) -> list[Finding]:
    """Each branch's share, of all and of far energy; which one does least for its cost."""
    out = []
    for e in evidence:
        if not wide(e.paths) or e.paths is None or any(b.share is None for b in e.paths.branches):
            continue
        items = [
            {
                "name": b.name,
                "cells": b.cells,
                "window": list(b.window),
                "read": b.read,
                "density": b.density,
                "share": b.share,
                "far": b.far,
                "coherent": b.coherent,
            }
            for b in e.paths.branches
        ]
        top: BranchEvidence = max(e.paths.branches, key=lambda b: b.far or 0.0)
        out.append(
            Finding(
                "roles",
                {"name": e.label, "module": e.paths.module, "items": items, "top": top.name, "far": top.far},
                tuple(b.name for b in e.paths.branches),
                "assumed",
                58,
            )
        )
    return out
