"""Counterfactuals: the same network with something cut, undilated, flattened or added, analysed again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from archlens.analyses.expected.summaries import centred_sides, far_share
from archlens.analyses.expected.use import far_part
from archlens.analyses.fields.degeneration import degeneration
from archlens.analyses.structure.edit import bins_to_one, cut, set_rate
from archlens.analyses.structure.extend import add_image_pooling
from archlens.graph import AdaptivePool, Along, Graph
from archlens.study import Study


@dataclass(frozen=True)
class Counterfactual:
    """An edited network.

    Attributes:
        kind: cut | cut_all | undilate | one_bin | image_pooling | double_rate | fit_rates.
        target: The branch, module or layer that was edited; of cut_all, the branch that is left.
        field_kind, field: Of its cell: the theoretical field, or the finite local path beside it.
        seen: Mean share of the image's area that a cell sees.
        side95: Side of the centred square with 95 % of the pixel energy, px.
        far: Share of the pixel energy that is far.
        head_coherent: Far share of the coherent response, from the map that the head reads.
        params, macs: Of the edited network.
        rate: The new rate, where one was set.
    """

    kind: str
    target: str
    field_kind: str
    field: int | None
    seen: float | None
    side95: float | None
    far: float | None
    head_coherent: float | None
    params: int
    macs: int
    rate: int | None = None


def counterfactuals(s: Study, extend: bool = False) -> tuple[Counterfactual, ...]:
    """Every edit that applies to this network; with `extend` also what would add context."""
    out: list[Counterfactual] = []
    module = s.module
    if module is not None:
        out += [without(s, {b.name}) for b in module.branches]
        others = {b.name for b in module.branches} - {module.narrowest.name}
        out.append(without(s, others, "cut_all", module.narrowest.name))
        if any(_bins(s.graph, n) for b in module.branches for n in b.nodes):
            out.append(analysed(s, "one_bin", module.name, bins_to_one(s.graph, module)))
    if s.rates:  # in a context module all rates at once; without one, the head's
        target = module.name if module is not None else s.name(s.rates[-1])
        out.append(analysed(s, "undilate", target, set_rate(s.graph, s.rates)))
    return (*out, *_extensions(s)) if extend else tuple(out)


def without(s: Study, names: Collection[str], kind: str = "cut", target: str = "") -> Counterfactual:
    """The network without some branches of its context module.

    The geometry and the costs are those of the edited graph. Its energy and its responses are sums over the
    branches that are left: branches add up without cross terms, and all that lies behind the merge only
    scales them alike. (A test holds these sums against a walk over the edited graph.)
    """
    assert s.module is not None
    graph = cut(s.graph, s.module, names)
    kept = [b.name not in names for b in s.module.branches]
    energy = sum(
        (b.share * b.field for b, k in zip(s.branch_shares, kept, strict=False) if k and b.field is not None),
        start=np.zeros(()),
    )
    far = side = None
    if energy.ndim and s.branch_shares:
        centre = s.centre(s.cell)
        far, side = far_share(energy, centre), centred_sides(energy, centre, (0.95,))[0]
    answers = [a for a, k in zip(s.branch_responses, kept, strict=False) if k]
    coherent = far_part(sum(f for f, _ in answers), sum(n for _, n in answers))
    return _figures(
        Study(graph, edited_from=s), kind, target or ", ".join(sorted(names)), far, side, coherent
    )


def analysed(s: Study, kind: str, target: str, graph: Graph) -> Counterfactual:
    """An edited graph, walked again. Nodes up to the map that the head reads must be the same ones."""
    other = Study(graph, edited_from=s)
    use = other.lens.use(other.cell)
    coherent = None
    if s.head_input is not None and use.known:
        far, near = other.lens.responses(other.cell, s.head_input)
        coherent = far_part(far, near)
    return _figures(other, kind, target, use.far, None if use.sides is None else use.sides[95], coherent)


def _figures(
    s: Study, kind: str, target: str, far: float | None, side: float | None, coherent: float | None
) -> Counterfactual:
    field = s.fields()[s.cell]
    path = field[0].path if field else None
    return Counterfactual(
        kind,
        target,
        field[0].kind if field else "unknown",
        path.size if path else None,
        None if s.coverage is None else s.coverage.mean,
        side,
        far,
        coherent,
        s.graph.params,
        sum(n.macs for n in s.graph.nodes),
    )


def _extensions(s: Study) -> list[Counterfactual]:
    """An image-level branch where there is none; twice the last rate; rates that fit the map."""
    out = []
    whole = any(f is not None and f[0].kind == "global" for n, f in enumerate(s.fields()) if n in s.needed)
    at = s.head_input
    if not whole and at is not None and len(s.graph.nodes[at].shape) - len(s.graph.nodes[at].positions) == 2:
        out.append(analysed(s, "image_pooling", s.name(at), add_image_pooling(s.graph, at)))
    if s.last is not None and s.module is None:
        graph = set_rate(s.graph, {s.last.node}, lambda r: 2 * r)
        out.append(analysed(s, "double_rate", s.name(s.last.node), graph))
    worn = [n for n in s.rates if (d := degeneration(s.graph, n)) and d.centre < d.taps]
    if worn and s.module is not None:
        fit = fitting_rate(s.graph, worn)
        names = ", ".join(s.name(n) for n in worn)
        out.append(replace(analysed(s, "fit_rates", names, set_rate(s.graph, worn, fit)), rate=fit))
    return out


def fitting_rate(graph: Graph, nodes: Collection[int]) -> int:
    """The largest rate at which a 3x3 keeps all taps at the centre of these nodes' maps."""
    sides = [side for n in nodes if (d := degeneration(graph, n)) is not None for side in d.map]
    return max(1, (min(sides) - 1) // 2)


def _bins(graph: Graph, node: int) -> bool:
    return any(
        isinstance(step, Along) and isinstance(step.geometry, AdaptivePool)
        for e in graph.nodes[node].edges
        for step in e.steps
    )
