"""Gathers the evidence about one network: one function a kind (paths, counterfactuals and sizes have files of
their own)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archlens import cache
from archlens.analyses.expected.summaries import centred_sides
from archlens.analyses.fields.degeneration import degeneration
from archlens.analyses.structure.edit import dilated
from archlens.analyses.structure.growth import first_covering
from archlens.findings.evidence.by_size import at_size
from archlens.findings.evidence.counterfactual import counterfactuals
from archlens.findings.evidence.measured import measured
from archlens.findings.evidence.paths import paths
from archlens.findings.evidence.published import about
from archlens.findings.evidence.records import (
    Cost,
    Dilated,
    Evidence,
    Expected,
    GrowthEvidence,
    Overlap,
    Productive,
    Reach,
    ResolutionEvidence,
    StageGrowth,
    Stream,
)
from archlens.report import Report
from archlens.study import Study


def gather(
    report: Report,
    label: str,
    family: str | None = None,
    sized: Sequence[Study] = (),
    extend: bool = False,
    use_cache: bool = False,
) -> Evidence:
    """All evidence about one network.

    Args:
        report: The network at the input size of the comparison.
        label: How to call it.
        family: Which member of the lineage it is.
        sized: The same network at other input sizes.
        extend: Whether the counterfactuals try additions too (an image-level branch, other rates).
        use_cache: Whether what is expected may come from the cache, and go there.
    """
    study = report.study
    known = expected(study, extend, use_cache)
    head_input = study.head_input
    cost = _cost(study)
    return Evidence(
        label=label,
        name=report.name,
        family=family,
        reach=_reach(study),
        use=known.use,
        head=known.head,
        head_input=None if head_input is None else study.name(head_input),
        head_cells=_head_cells(study),
        head_map=0 if head_input is None else max(study.graph.nodes[head_input].map_size, default=0),
        streams=known.streams,
        growth=_growth(study),
        paths=known.paths,
        counterfactuals=known.counterfactuals,
        degeneration=_degeneration(study),
        resolution=_resolution(study),
        cost=cost,
        productive=_productive(study),
        overlap=_overlap(study),
        sizes=tuple(map(at_size, sized)),
        published=about(family),
        time=measured(report, {study.name(n) for n in study.module_nodes}, cost.fusion),
    )


def expected(s: Study, extend: bool = False, use_cache: bool = False) -> Expected:
    """What stands on expected energies: seconds of walks, or what an earlier run kept of the same graph."""
    wanted = cache.figures_key(s.graph, s.cell, s.output, extend) if use_cache else None
    if wanted is not None and (kept := cache.load(wanted, _read)) is not None:
        s.use, s.curve, s.shades = kept.use, kept.curve, kept.shades  # for tables and pages
        return kept
    found = Expected(s.use, s.head_use, _streams(s), paths(s), counterfactuals(s, extend), s.curve, s.shades)
    if wanted is not None:
        cache.store(wanted, unstructured(found))
    return found


def unstructured(found: Expected) -> Any:
    """As JSON takes it."""
    import msgspec

    return msgspec.to_builtins(found, str_keys=True)


def _read(kept: Any) -> Expected:
    import msgspec

    return msgspec.convert(kept, Expected, str_keys=True)


# ------------------------------------------------------------------ one kind each


def _reach(s: Study) -> Reach:
    field = s.fields()[s.cell]
    axis = field[0] if field else None
    path = axis.path if axis else None
    side = s.image[0] if s.image else 0
    covering = first_covering(s.way, side)
    whole = next(
        (n for n in sorted(s.needed) if (f := s.fields()[n]) and f[0].kind == "global" and f[0].source == n),
        None,
    )
    return Reach(
        image=side,
        kind=axis.kind if axis else "unknown",
        sizes=path.sizes if path else (),
        share=path.size / side if path and side else None,
        covers_from=s.name(covering.node) if covering else None,
        covers_at=covering.after if covering else None,
        global_from=None if whole is None else s.name(whole),
        seen=s.coverage,
        fov=s.fov,
    )


def _head_cells(s: Study) -> tuple[int, ...]:
    if s.module is not None:
        return tuple(b.extent for b in s.module.branches)
    if s.head_input is None or s.last is None:
        return ()
    field = s.fields(s.head_input)[s.last.node]
    return (field[0].path.size,) if field and field[0].path else ()


def _growth(s: Study) -> GrowthEvidence:
    layers = s.graph.layers
    return GrowthEvidence(
        tuple(
            StageGrowth(
                g.name, layers[g.first].name, layers[g.last].name, g.before, g.after, g.jump, g.macs,
                g.macs_per_pixel,
            )
            for g in s.stages
            if g.added > 0
        ),
        s.name(s.last.node) if s.last else None,
        s.last.after if s.last else None,
        sum(g.added for g in s.way if g.resamples),
    )  # fmt: skip


def _degeneration(s: Study) -> tuple[Dilated, ...]:
    out = []
    for node in dilated(s.graph, s.needed):
        found = degeneration(s.graph, node)
        if found is not None and found.map:
            out.append(
                Dilated(
                    s.name(node), found.rate, found.map[0], found.taps, found.mean_taps, found.full,
                    found.corner, found.centre,
                )
            )  # fmt: skip
    return tuple(out)


def _resolution(s: Study) -> ResolutionEvidence | None:
    found = s.resolution
    if found is None:
        return None
    cell = s.graph.nodes[s.cell]
    return ResolutionEvidence(
        found.deepest,
        s.name(found.deepest_node),
        found.cell,
        cell.map_size,
        tuple((s.name(k.source), k.stride) for k in found.skips),
    )


def _cost(s: Study) -> Cost:
    params, macs = s.graph.params, sum(n.macs for n in s.graph.nodes)
    module = s.module
    if module is None:
        return Cost(params, macs, None, None, None, 0, 0)
    own = s.costs(s.module_nodes)
    fusion = _fusion(s, module.merge)
    fused = (0, 0) if fusion is None else s.costs(set(s.graph.layers[s.graph.layer_of[fusion]].nodes))
    return Cost(params, macs, *own, None if fusion is None else s.name(fusion), *fused)


def _fusion(s: Study, merge: int) -> int | None:
    """The convolution that reads the merge, through pointwise operations."""
    readers = s.graph.consumers
    node = merge
    while len(readers[node]) == 1 and node != s.cell:
        node = readers[node][0]
        if "weight" in s.graph.nodes[node].attrs:
            return node
        if s.graph.nodes[node].op not in ("batch_norm", "relu", "identity", "dropout"):
            return None
    return None


def _streams(s: Study) -> tuple[Stream, ...]:
    edges = s.streams
    if not edges:
        return ()
    centre = s.centre(s.cell)
    return tuple(
        Stream(
            s.name(_named(s, share.source)),
            share.share,
            share.far_of_own,
            None if share.field is None else centred_sides(share.field, centre, (0.95,))[0],
            k == 0,
        )
        for k, share in enumerate(s.lens.shares(edges, s.cell))
    )


def _named(s: Study, node: int) -> int:
    """The layer to call a stream by: the one with weights, not the crop or the resize behind it."""
    while "weight" not in s.graph.nodes[node].attrs or s.graph.nodes[node].op.startswith("conv_transpose"):
        if len(s.graph.nodes[node].edges) != 1:
            break
        node = s.graph.nodes[node].edges[0].source
    return node


def _productive(s: Study) -> Productive:
    found = s.unproductive
    side = s.image[0] if s.image else 0
    return Productive(
        tuple(s.name(u.node) for u in found),
        s.name(found[0].node) if found else None,
        found[0].before if found else None,
        tuple(s.name(u.node) for u in found if u.everywhere),
        sum(u.shortest >= side for u in found),
        sum(s.graph.nodes[u.node].macs for u in found),
    )


def _overlap(s: Study) -> Overlap | None:
    found = s.tiling
    if found is None:
        return None
    return Overlap(
        found.before,
        found.after,
        found.multiple,
        found.exact,
        None if found.source is None else s.name(found.source),
    )
