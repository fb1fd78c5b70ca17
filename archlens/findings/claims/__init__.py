"""The findings, one file a subject. A finder takes the evidence and returns what it carries, often nothing.

To add one: a function here or in a file of its own, a line in COMPARED or EXPLAINED, and its sentence in
every catalogue (a test holds the catalogues against each other).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archlens.findings.claims import advice, cost, counterfactual, geometry, literature, paths, use
from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding

Finder = Callable[[Sequence[Evidence]], list[Finding]]

COMPARED: tuple[Finder, ...] = (
    use.reach_is_not_it,
    use.far_use,
    use.skips_dilute,
    geometry.growth_stops,
    paths.missing_path,
    paths.gap,
    paths.lenses_differ,
    paths.lenses_agree,
    paths.roles,
    counterfactual.module_cut,
    counterfactual.one_bin,
    counterfactual.undilated,
    geometry.degenerate,
    geometry.by_position,
    geometry.fixed_grid,
    geometry.by_size,
    geometry.resolution,
    cost.context,
    cost.time,
    cost.totals,
    literature.steps,
    literature.published,
)

EXPLAINED: tuple[Finder, ...] = (
    use.theory_and_use,
    use.skips_dilute,
    geometry.growth_stops,
    paths.lenses_differ,
    paths.lenses_agree,
    paths.roles,
    counterfactual.module_cut,
    counterfactual.one_bin,
    counterfactual.undilated,
    geometry.degenerate,
    geometry.by_position,
    geometry.fixed_grid,
    geometry.by_size,
    geometry.unproductive,
    geometry.overlap,
    geometry.field_of_view,
    cost.context,
    cost.time,
    advice.extensions,
    literature.published,
)


def find(evidence: Sequence[Evidence], finders: Sequence[Finder]) -> list[Finding]:
    """All findings, those that explain most first."""
    found = [finding for finder in finders for finding in finder(evidence)]
    return sorted(found, key=lambda f: -f.weight)
