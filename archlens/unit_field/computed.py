"""`support` and `expected` fields, and their transposes: what one position means to every unit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.forward.state import Premises
from archlens.analyses.expected.lens import Lens
from archlens.analyses.expected.shares import expected_shares
from archlens.analyses.expected.summaries import luo_sigma, summarise
from archlens.analyses.expected.use import no_rule
from archlens.analyses.fields.gridding import gridding
from archlens.analyses.fields.projective import projective
from archlens.analyses.fields.status import Status
from archlens.analyses.fields.support import MOST_PHASES, phases_of, support_phases
from archlens.study import Study
from archlens.unit_field.result import FieldMap

APART = "it does not depend on it"


def support_field(base: FieldMap, study: Study, node: int, start: int, phases: bool) -> FieldMap:
    """Exactly which positions the unit reads; with `phases` how that differs from unit to unit."""
    sure = study.statuses(start)[node]
    if sure is None or sure.word == "unknown":
        return replace(base, reason=APART if sure is None else sure.reason)
    mask = study.support(node, base.unit, start)
    assert mask is not None  # only an operation that is not understood makes it so
    return replace(_covered(base, mask, sure), details=_phases(study, node, start) if phases else {})


def _phases(study: Study, node: int, start: int) -> dict[str, Any]:
    """How the support differs from phase to phase: `phases`, one entry a unit; empty where it does not."""
    field = study.fields(start)[node]
    count = phases_of(study.graph, node, field, start)
    if count <= 1:
        return {}
    if count > MOST_PHASES:
        return {"phase_count": count, "phases": []}
    entries = []
    for unit, mask in support_phases(study.graph, node, field, start).items():
        assert mask is not None
        found = gridding(mask)
        entries.append(
            {
                "unit": list(unit),
                "pixels": int(mask.sum()),
                "box": list(found.span),
                "density": found.density,
                "largest_gap": list(found.largest_gap),
            }
        )
    return {"phase_count": count, "phases": entries}


def _covered(base: FieldMap, mask: NDArray[np.bool_], sure: Status) -> FieldMap:
    """A field that is a set of positions, with how it lies in its box."""
    found = gridding(mask)
    summary = {
        "pixels": int(mask.sum()),
        "density": found.density,
        "lines": list(found.lines),
        "largest_gap": list(found.largest_gap),
        "holes": found.holes,
    }
    return replace(base, map=mask, summary=summary, status=sure.word, reason=sure.reason)


def expected_field(base: FieldMap, study: Study, node: int, start: int, premises: Premises) -> FieldMap:
    """With what weight the unit reads them, for random weights."""
    found = Lens(study, premises).field(node, base.unit, start)
    if found.energy is None:
        return replace(base, reason=found.reason, assumptions=found.assumptions)
    if not found.energy.ndim:
        return replace(
            base, reason="it is read from a layer without positions", assumptions=found.assumptions
        )
    summary = summarise(found.energy, found.centre)
    figures: dict[str, Any] = {
        **{f"erf_{share}": side for share, side in summary.sides.items()},
        **{f"erf_{share}_relative": side for share, side in summary.relative.items()},
        "far_share": summary.far,
        "sigma": list(summary.sigma),
        "luo_sigma": luo_sigma(study.graph, node),
        "border_share": summary.border,
        "replknet_area_ratio": summary.area_ratio,
    }
    cut = ("the border cuts a part of the field off: its sides are too small",)
    return _assumed(base, found.energy, figures, found.assumptions, cut if summary.hits_border else ())


def projective_field(base: FieldMap, study: Study, node: int, start: int, premises: Premises) -> FieldMap:
    """Which units the position `base.unit` of `start` can reach, and by `expected` its share in each."""
    sure = study.statuses(start)[node]
    base = replace(base, details={"projective": True}, reason=APART if sure is None else sure.reason)
    mask = projective(study.graph, base.unit, start, keep=[node]).get(node)
    if sure is None or mask is None:
        return base
    reached = _covered(base, mask, sure)
    if base.method == "support":
        return reached
    found = expected_shares(Lens(study, premises).moments, node, base.unit, start)
    known = {key: reached.summary[key] for key in ("pixels", "density")}
    if found.shares is None:
        reason = no_rule(found.missing) or APART
        return replace(base, summary=known, reason=reason, assumptions=found.assumptions)
    top = np.unravel_index(int(found.shares.argmax()), found.shares.shape)
    figures = {
        **known,
        "largest_share": float(found.shares.max()),
        "largest_unit": [int(i) for i in top],
        "total": float(found.shares.sum()),
    }
    return _assumed(reached, found.shares, figures, found.assumptions)


def _assumed(
    base: FieldMap,
    values: NDArray[Any],
    figures: dict[str, Any],
    assumptions: tuple[str, ...],
    notes: tuple[str, ...] = (),
) -> FieldMap:
    return replace(
        base, map=values, summary=figures, status="assumed", reason="random weights",
        assumptions=assumptions, notes=notes,
    )  # fmt: skip
