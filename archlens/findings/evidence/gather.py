"""Gathers the evidence about one network: one function a kind (paths, counterfactuals and sizes have files of
their own)."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.analyses.expected.summaries import centred_sides
from archlens.analyses.fields.coverage import coverage
from archlens.analyses.fields.degeneration import degeneration
from archlens.analyses.fields.theoretical import receptive_fields
from archlens.analyses.structure.edit import dilated
from archlens.analyses.structure.fov import field_of_view
from archlens.analyses.structure.growth import first_covering
from archlens.analyses.structure.tiling import Tiling, tiling
from archlens.analyses.structure.unproductive import unproductive
from archlens.findings.evidence.by_size import at_size
from archlens.findings.evidence.counterfactual import counterfactuals
from archlens.findings.evidence.measured import measured
from archlens.findings.evidence.paths import paths
from archlens.findings.evidence.published import about
from archlens.findings.evidence.records import (
    Cost,
    Dilated,
    Evidence,
    GrowthEvidence,
    Overlap,
    Productive,
    Reach,
    ResolutionEvidence,
    StageGrowth,
    Stream,
)
from archlens.report import Report
from archlens.study import Subject


def gather(
    report: Report,
    label: str,
    family: str | None = None,
    sized: Sequence[Report] = (),
    counterfactual: bool = True,
    extend: bool = False,
) -> Evidence:
    """All evidence about one network.

    Args:
        report: The network at the input size of the comparison.
        label: How to call it.
        family: Which member of the lineage it is.
        sized: Reports of the same network at other input sizes.
        counterfactual: Whether to edit the graph and analyse it again.
        extend: Whether to try additions too (an image-level branch, other rates).
    """
    subject = Subject.of_report(report)
    use = subject.lens.use(subject.cell)
    head_input = subject.head_input
    head = None if head_input is None else subject.lens.use(subject.cell, origin=head_input)
    streams = _streams(subject)
    cost = _cost(subject)
    return Evidence(
        label=label,
        name=report.name,
        family=family,
        reach=_reach(subject),
        use=use,
        head=head,
        head_input=None if head_input is None else subject.name(head_input),
        head_cells=_head_cells(subject),
        head_map=0 if head_input is None else max(map_sides(subject, head_input), default=0),
        streams=streams,
        growth=_growth(subject),
        paths=paths(subject),
        counterfactuals=counterfactuals(subject, extend) if counterfactual else (),
        degeneration=_degeneration(subject),
        resolution=_resolution(subject),
        cost=cost,
        productive=_productive(subject),
        overlap=_overlap(subject),
        sizes=tuple(at_size(r) for r in sized),
        published=about(family),
        time=measured(report, {subject.name(n) for n in subject.module_nodes}, cost.fusion),
    )


# ------------------------------------------------------------------ one kind each


def _reach(s: Subject) -> Reach:
    field = s.fields[s.cell]
    axis = field[0] if field else None
    path = axis.path if axis else None
    side = s.image[0] if s.image else 0
    covering = first_covering(s.way, side)
    whole = next(
        (n for n in sorted(s.needed) if (f := s.fields[n]) and f[0].kind == "global" and f[0].source == n),
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
        seen=coverage(s.graph, s.cell, s.boxes[s.cell]),
        fov=field_of_view(s.graph, s.cell),
    )


def map_sides(s: Subject, node: int) -> tuple[int, ...]:
    """Sides of a node's map, cells."""
    return tuple(s.graph.nodes[node].shape[d] for d in s.graph.nodes[node].positions)


def _head_cells(s: Subject) -> tuple[int, ...]:
    if s.module is not None:
        return tuple(b.extent for b in s.module.branches)
    if s.head_input is None or s.last is None:
        return ()
    field = receptive_fields(s.graph, s.head_input)[s.last.node]
    return (field[0].path.size,) if field and field[0].path else ()


def _growth(s: Subject) -> GrowthEvidence:
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


def _degeneration(s: Subject) -> tuple[Dilated, ...]:
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


def _resolution(s: Subject) -> ResolutionEvidence | None:
    found = s.resolution
    if found is None:
        return None
    cell = s.graph.nodes[s.cell]
    return ResolutionEvidence(
        found.deepest,
        s.name(found.deepest_node),
        found.cell,
        tuple(cell.shape[d] for d in cell.positions),
        tuple((s.name(k.source), k.stride) for k in found.skips),
    )


def _cost(s: Subject) -> Cost:
    params, macs = s.graph.params, sum(n.macs for n in s.graph.nodes)
    module = s.module
    if module is None:
        return Cost(params, macs, None, None, None, 0, 0)
    own = s.costs(s.module_nodes)
    fusion = _fusion(s, module.merge)
    fused = (0, 0) if fusion is None else s.costs(set(s.graph.layers[s.of[fusion]].nodes))
    return Cost(params, macs, *own, None if fusion is None else s.name(fusion), *fused)


def _fusion(s: Subject, merge: int) -> int | None:
    """The convolution that reads the merge, through pointwise operations."""
    readers = s.graph.consumers()
    node = merge
    while len(readers[node]) == 1 and node != s.cell:
        node = readers[node][0]
        if "weight" in s.graph.nodes[node].attrs:
            return node
        if s.graph.nodes[node].op not in ("batch_norm", "relu", "identity", "dropout"):
            return None
    return None


def _streams(s: Subject) -> tuple[Stream, ...]:
    edges = s.streams
    if not edges:
        return ()
    centre = s.lens.centre(s.cell)
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


def _named(s: Subject, node: int) -> int:
    """The layer to call a stream by: the one with weights, not the crop or the resize behind it."""
    while "weight" not in s.graph.nodes[node].attrs or s.graph.nodes[node].op.startswith("conv_transpose"):
        if len(s.graph.nodes[node].edges) != 1:
            break
        node = s.graph.nodes[node].edges[0].source
    return node


def _productive(s: Subject) -> Productive:
    found = unproductive(s.graph, s.fields, s.boxes, s.cell)
    side = s.image[0] if s.image else 0
    return Productive(
        tuple(s.name(u.node) for u in found),
        s.name(found[0].node) if found else None,
        found[0].before if found else None,
        tuple(s.name(u.node) for u in found if u.everywhere),
        sum(u.shortest >= side for u in found),
        sum(s.graph.nodes[u.node].macs for u in found),
    )


def _overlap(s: Subject) -> Overlap | None:
    found: Tiling | None = tiling(s.fields, s.output)
    if found is None:
        return None
    return Overlap(
        found.before,
        found.after,
        found.multiple,
        found.exact,
        None if found.source is None else s.name(found.source),
    )
