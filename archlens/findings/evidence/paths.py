"""Paths: each branch of the context module by itself."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from archlens.analyses.expected.use import far_part
from archlens.analyses.fields.coverage import coverage
from archlens.analyses.fields.visible import Box
from archlens.analyses.structure.context import Branch
from archlens.study import Study

if TYPE_CHECKING:  # it takes scipy along, which paths that were kept are read without
    from archlens.analyses.expected.field import BranchShare


@dataclass(frozen=True)
class BranchEvidence:
    """One branch, seen by the centre cell unless said otherwise.

    Attributes:
        name: Of the branch.
        kind: local | varies (a fixed grid's bins) | global, seen from the fork.
        cells: Cells of the fork's map that it may read, along the first axis, and
        window: along each.
        field: Pixels of the image along the first axis; None where it is not finite.
        read: Cells of the fork's map that it reads from the centre, holes and padding aside.
        density: The same over all cells of its window.
        rate: Dilation of its widest window, or None.
        taps, mean_taps, centre_taps, corner_taps: Of that window: all, valid on average over the map, at the
            centre, at the corner; None without a window.
        windows: Different windows among the rows of the map: as many as rows for a sliding window, few for a
            fixed grid, 1 for the whole map.
        seen_centre, seen_corner: Share of the image's area that it sees.
        share: Of the cell's pixel energy.
        far: Of the cell's far pixel energy.
        far_of_own: Far share of the branch's own pixel energy.
        head_share, head_far: share and far, counted on the fork's map.
        coherent: Of the cell's response to a coherent change of the far part of the fork's map.
        params, macs: Its cost.
    """

    name: str
    kind: str
    cells: int
    window: tuple[int, ...]
    field: int | None
    read: int | None
    density: float | None
    rate: int | None
    taps: int | None
    mean_taps: float | None
    centre_taps: int | None
    corner_taps: int | None
    windows: int | None
    seen_centre: float | None
    seen_corner: float | None
    share: float | None
    far: float | None
    far_of_own: float | None
    head_share: float | None
    head_far: float | None
    coherent: float | None
    params: int
    macs: int


@dataclass(frozen=True)
class Paths:
    """The context module: its name, the map that it reads, where it ends, its branches."""

    module: str
    fork: str
    fork_field: int | None
    fork_map: tuple[int, ...]
    merge: str
    branches: tuple[BranchEvidence, ...]

    def branch(self, name: str) -> BranchEvidence | None:
        """The branch of that name."""
        return next((b for b in self.branches if b.name == name), None)


def paths(s: Study) -> Paths | None:
    """The branches of the context module, or None without one."""
    module = s.module
    if module is None:
        return None
    none = [None] * len(module.branches)
    shares: list[BranchShare | None] = [*s.branch_shares] or [*none]
    inside: list[BranchShare | None] = [*s.lens.shares(s.branch_edges, s.cell, module.fork)] or [*none]
    far = [answer for answer, _ in s.branch_responses]
    coherent: list[float | None] = [far_part(f, sum(far) - f) for f in far] or [*none]
    fork = s.graph.nodes[module.fork]
    field = s.fields()[module.fork]
    return Paths(
        module.name,
        s.name(module.fork),
        field[0].path.size if field and field[0].path else None,
        fork.map_size,
        s.name(module.merge),
        tuple(
            _branch(s, b, share, head, c)
            for b, share, head, c in zip(module.branches, shares, inside, coherent, strict=True)
        ),
    )


def _branch(
    s: Study, b: Branch, share: BranchShare | None, head: BranchShare | None, coherent: float | None
) -> BranchEvidence:
    window = s.widest_window(b)
    seen = coverage(s.graph, b.end, s.boxes()[b.end])
    params, macs = s.costs(set(b.nodes))
    assert s.module is not None
    read = s.lens.cells_read(b.end, s.module.fork) if b.nodes else 1
    return BranchEvidence(
        name=b.name,
        kind=b.kind,
        cells=b.extent,
        window=b.extents,
        field=b.field[0].path.size if b.field[0].finite and b.field[0].path else None,
        read=read,
        density=None if read is None or not prod(b.extents) else read / prod(b.extents),
        rate=None if window is None else window.rate,
        taps=None if window is None else window.taps,
        mean_taps=None if window is None else window.mean_taps,
        centre_taps=None if window is None else window.centre,
        corner_taps=None if window is None else window.corner,
        windows=_windows(s.boxes(s.module.fork)[b.end]),
        seen_centre=None if seen is None else seen.centre,
        seen_corner=None if seen is None else seen.corner,
        share=None if share is None else share.share,
        far=None if share is None else share.far,
        far_of_own=None if share is None else share.far_of_own,
        head_share=None if head is None else head.share,
        head_far=None if head is None else head.far,
        coherent=coherent,
        params=params,
        macs=macs,
    )


def _windows(box: Box | None) -> int | None:
    """Different boxes among the positions of the first axis."""
    if box is None:
        return None
    lo, hi = np.broadcast_arrays(box.lo[0], box.hi[0])
    return len({(int(a), int(b)) for a, b in zip(lo.ravel(), hi.ravel(), strict=True)})
