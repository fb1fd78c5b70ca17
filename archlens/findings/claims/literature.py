"""The papers' own measurements, and the lineage told step by step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from archlens.findings.evidence.published import LINEAGE, Ablation, about
from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding


def published(evidence: Sequence[Evidence]) -> list[Finding]:
    """What was measured about each family, one finding a measurement."""
    families = dict.fromkeys(e.family for e in evidence if e.family is not None)
    return [
        Finding(
            "published",
            _entry(a),
            (),
            "published",
            39 + min(abs(a.gain), 10) / 10,
            "removed" if a.what == "image_pooling_removed" else "",
        )
        for family in families
        for a in about(family)
    ]


def steps(evidence: Sequence[Evidence]) -> list[Finding]:
    """From each member of the DeepLab lineage to the next: what changed, in field, use, resolution and cost,
    beside the ablation of that step."""
    told = [f for f in LINEAGE if f in ("fcn", "deeplabv1", "deeplabv2", "deeplabv3", "deeplabv3plus")]
    chain = [e for family in told for e in evidence if e.family == family]
    chain = [e for i, e in enumerate(chain) if i == 0 or chain[i - 1].family != e.family]
    out = []
    for number, (a, b) in enumerate(pairwise(chain)):
        if a.use.far is None or b.use.far is None or a.use.sides is None or b.use.sides is None:
            continue
        if not a.head_cells or not b.head_cells:
            continue
        if not a.reach.sizes or not b.reach.sizes or a.resolution is None or b.resolution is None:
            continue
        deep = a.deep if a.deep is not None and a.deep.share < 0.5 else None
        ablation = _step(b.family)
        out.append(
            Finding(
                "step",
                {
                    "before": a.label,
                    "after": b.label,
                    "field": max(a.reach.sizes),
                    "new_field": max(b.reach.sizes),
                    "far": a.use.far if deep is None else deep.far,
                    "new_far": b.use.far,
                    "side95": a.use.sides[95] if deep is None else deep.side95,
                    "new_side95": b.use.sides[95],
                    "cells": list(a.head_cells),
                    "new_cells": list(b.head_cells),
                    "map": a.head_map,
                    "new_map": b.head_map,
                    "stride": a.resolution.cell or a.resolution.deepest,
                    "new_stride": b.resolution.cell or b.resolution.deepest,
                    "deepest": a.resolution.deepest,
                    "new_deepest": b.resolution.deepest,
                    "macs": a.cost.macs,
                    "new_macs": b.cost.macs,
                    "params": a.cost.params,
                    "new_params": b.cost.params,
                    "measured": [] if ablation is None else [_entry(ablation)],
                },
                (),
                "assumed",
                # In the lineage's order, one after the other.
                (89.5 if len(chain) > 3 else 71) - number * 0.1,
            )
        )
    return out


_MEASURED = {
    "deeplabv1": "field_of_view",
    "deeplabv2": "aspp",
    "deeplabv3": "image_pooling",
    "deeplabv3plus": "decoder",
}


def _step(family: str | None) -> Ablation | None:
    return next((a for a in about(family) if a.what == _MEASURED.get(family or "")), None)


def _entry(a: Ablation) -> dict[str, object]:
    return {
        "family": a.family,
        "what": a.what,
        "before": a.without,
        "after": a.with_,
        "gain": a.gain,
        "setting": a.setting,
        "source": a.source,
    }
