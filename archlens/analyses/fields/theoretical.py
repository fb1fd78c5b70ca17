"""The theoretical receptive field of every node: kind, size, jump, start, per axis.

Kinds, from best to worst known:

* `local`   - a size (or one per phase) that does not depend on where the unit is;
* `varies`  - it depends on the position in another way (adaptive bins, attention windows, branches whose
  jumps drift apart); its sizes are those over the positions of this map;
* `global`  - the whole input, whatever its size (a global mean, attention over all tokens);
* `unknown` - an operation that is not understood lies on the way.

Beside the last three the finite *local path* is kept: the field over all paths that avoid the node that
made it so. Borders are ignored: beyond the crop this field says "may see"; the visible box says what a unit
does see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from archlens.analyses.fields import drift, lattice
from archlens.analyses.fields.drift import Drift, Listed, Path
from archlens.analyses.fields.lattice import POINT, Lattice
from archlens.graph import (
    AdaptivePool,
    Along,
    Edge,
    Full,
    Geometry,
    Graph,
    Keep,
    Layout,
    Node,
    Pad,
    Slice,
    TransposedWindow,
    Window,
)
from archlens.graph.layouts import along, carry, is_ordered

Kind = Literal["local", "varies", "global", "unknown"]
_MOVES = ("copy", "crop", "slice", "view", "select")  # what a map that is being put together passes through
_ORDER: tuple[Kind, ...] = ("local", "varies", "global", "unknown")


@dataclass(frozen=True)
class AxisField:
    """The field along one axis.

    Attributes:
        kind: See the module.
        path: The field itself where `local`; else the finite local path, if there is one.
        binned: Whether the path goes through bins that divide the map: a window here, another one at another
            size of the image.
        whole: The field itself where it `varies` with bins, whose size is the image's: no finite path.
        source: Id of the node that made it global or varying or unknown.
        aligned: Whether the branches merged at this very node agree on jump and centre.
        cover: Share of the positions that the path speaks for, where a map is put together from pieces.
        inner: Whether that piece keeps clear of both ends of the map.
    """

    kind: Kind
    path: Path | None
    source: int | None = None
    aligned: bool = True
    cover: float = 1.0
    inner: bool = False
    whole: Listed | None = None
    binned: bool = False

    @property
    def finite(self) -> bool:
        """Whether the field itself is of a size that does not depend on the image's."""
        return self.kind == "local" or (self.kind == "varies" and self.whole is None)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The distinct sizes of the field itself, ascending; empty where it is not known or without end."""
        if self.kind in ("global", "unknown"):
            return ()
        seen = self.whole or self.path
        return () if seen is None else seen.sizes


Field = tuple[AxisField, ...]


def receptive_fields(
    graph: Graph, origin: int | None = None, known: Sequence[Field | None] = ()
) -> list[Field | None]:
    """The theoretical field of every node, seen from the input or from another node.

    Args:
        known: The fields of the first nodes, from a graph that begins with the same ones.

    Returns:
        Per node one `AxisField` an axis of the origin; None where it does not depend on the origin.
    """
    origin = graph.inputs[0] if origin is None else origin
    start = graph.nodes[origin]
    axes = axes_of(start)
    spans = [start.axis_dim(a) for a in axes]
    out: list[Field | None] = [*known, *[None] * (len(graph.nodes) - len(known))]
    for node in graph.nodes[len(known) :]:
        if node.id == origin:
            out[node.id] = tuple(AxisField("local", POINT) for _ in axes)
            continue
        parts = [(e, f) for e in node.edges if (f := out[e.source]) is not None]
        if not parts:
            continue
        if node.unknown is not None:
            out[node.id] = tuple(AxisField("unknown", None, node.id) for _ in axes)
            continue
        fields = []
        for k, axis in enumerate(axes):
            branches = [_follow(graph, node, e, f[k], axis) for e, f in parts]
            extent = start.shape[span] if (span := spans[k]) is not None else 1
            fields.append(_merge(branches, node, axis, extent))
        out[node.id] = tuple(fields)
    return out


def axes_of(origin: Node) -> list[int]:
    """The axes that fields seen from a node have, in their order: those of the input that its layout runs
    along."""
    return [atom.axis for dim in origin.positions for atom in origin.layout[dim] if atom.axis >= 0]


def _follow(graph: Graph, node: Node, edge: Edge, field: AxisField, axis: int) -> AxisField:
    """Carry one axis of a field through the steps of an edge."""
    here = graph.nodes[edge.source]
    shape, layout = here.shape, here.layout
    masked = any(isinstance(step, Keep) for step in edge.steps)
    if node.op not in _MOVES and (field.cover != 1.0 or field.inner):
        field = replace(field, cover=1.0, inner=False)
    for step in edge.steps:
        if isinstance(step, Along) and any(a.axis == axis for a in layout[step.dim]):
            field = _along(field, step, layout, axis, shape[step.dim], node.id, masked)
        layout, shape = carry(layout, shape, step)
    if field.path is not None and layout != node.layout and _dims(layout, axis) != _dims(node.layout, axis):
        return _worse(field, "varies", node.id)  # another branch brings this axis along another dimension
    return field


def _dims(layout: Layout, axis: int) -> list[int]:
    return [d for d, atoms in enumerate(layout) if any(a.axis == axis for a in atoms)]


def _along(
    field: AxisField, step: Along, layout: Layout, axis: int, n_in: int, node: int, masked: bool
) -> AxisField:
    """One axis of a field through one geometry along the dimension that carries it."""
    here = layout[step.dim]
    own = next(a for a in here if a.axis == axis)
    whole = sum(a.axis == axis for atoms in layout for a in atoms) == 1 and own.stride == 1
    if isinstance(step.geometry, Full):
        if not whole or masked:
            return _worse(field, "varies", node)
        if n_in == 1 and step.size > 1:  # a broadcast: the same field for every position
            return field if field.kind != "local" else _worse(field, "varies", node)
        if not step.geometry.fixed:
            return _worse(field, "global", node)
        geometry: Geometry = Window(own.size)  # a linear layer over a flattened map
    elif whole and len(here) == 1:
        geometry = step.geometry
    elif whole and isinstance(step.geometry, (Slice, Pad)):
        # Tokens put in front of flattened positions, or taken away again: the positions stay.
        kept = is_ordered(along(here, step.geometry, n_in, step.size))
        return field if kept else _worse(field, "varies", node)
    else:
        return _worse(field, "varies", node)
    before = field.path
    if before is None:
        return replace(field, whole=_listed(geometry, field, n_in, step.size))
    path = drift.apply(geometry, before, n_in, step.size)
    field = _place(field, geometry, n_in, step.size)
    if path is not None:
        binned = field.binned or (isinstance(geometry, AdaptivePool) and step.size != n_in)
        bins = _listed(geometry, field, n_in, step.size)
        return replace(field, path=path, whole=bins, binned=binned)
    worse = _worse(field, "varies", node)
    if not isinstance(geometry, AdaptivePool) or worse.kind != "varies":
        return worse
    return replace(worse, whole=drift.listed(geometry, field.whole or before, n_in, step.size))


def _listed(geometry: Geometry, field: AxisField, n_in: int, n_out: int) -> Listed | None:
    return None if field.whole is None else drift.listed(geometry, field.whole, n_in, n_out)


def _place(field: AxisField, geometry: Geometry, n_in: int, n_out: int) -> AxisField:
    """How much of the map a piece covers that is put at its place in it."""
    match geometry:
        case Slice(start, 1):
            first, end = max(-start, 0), min(n_in - start, n_out)
        case TransposedWindow(1, 1, padding, _):
            first, end = max(-padding, 0), min(n_in - padding, n_out)
        case _:
            return field
    share = max(end - first, 0) / n_out
    return replace(field, cover=field.cover * share, inner=first > 0 and end < n_out)


def _worse(field: AxisField, kind: Kind, node: int) -> AxisField:
    """The path through `node` is no longer finite; a kind that was worse already keeps its source."""
    if _ORDER.index(field.kind) >= _ORDER.index(kind):
        return replace(field, path=None, whole=None)
    return AxisField(kind, None, node)


def _merge(branches: Sequence[AxisField], node: Node, axis: int, extent: int) -> AxisField:
    """The hull of several branches."""
    if len(branches) == 1:
        return branches[0] if branches[0].aligned else replace(branches[0], aligned=True)
    worst = max(branches, key=lambda b: _ORDER.index(b.kind))
    pieces = [b for b in branches if b.path is not None and b.cover < 1]
    if pieces and len({b.path for b in branches}) > 1 and sum(b.cover for b in branches) < 1.001:
        return _put_together(branches, worst, node)
    found = [b for b in branches if b.path is not None]
    # Beside a path of a size of its own, bins are left out: they are the image's.
    kept = [b for b in found if not b.binned] or found
    paths = [b.path for b in kept if b.path is not None]
    dim = node.axis_dim(axis)
    units = node.shape[dim] if dim is not None else 1
    if len(kept) < len(found) and worst.kind == "local":
        worst = AxisField("varies", None, node.id)
    whole = _whole(branches, worst, units)
    binned = bool(kept) and kept[0].binned
    if not paths:
        return AxisField(worst.kind, None, worst.source, whole=whole)
    path = drift.united(paths, units, Fraction(extent, units))
    covers = [b.cover for b in branches]
    cover = sum(covers) if sum(covers) <= 1 else max(covers)
    if isinstance(path, Drift):
        kind, source = ("varies", node.id) if worst.kind == "local" else (worst.kind, worst.source)
        return AxisField(kind, path, source, False, cover, whole=whole, binned=binned)
    aligned = lattice.agree([b.path for b in found if isinstance(b.path, Lattice)])
    return AxisField(worst.kind, path, worst.source, aligned, cover, whole=whole, binned=binned)


def _whole(branches: Sequence[AxisField], worst: AxisField, units: int) -> Listed | None:
    """The hull of branches of which some go through bins; None where there are none, or where one is lost."""
    seen = [b.whole or b.path for b in branches]
    known = [s for s in seen if s is not None]
    bins = worst.kind == "varies" and any(b.whole is not None or b.binned for b in branches)
    return drift.over(known, units) if bins and len(known) == len(seen) else None


def _put_together(branches: Sequence[AxisField], worst: AxisField, node: Node) -> AxisField:
    """A map made of disjoint pieces, each with a field of its own.

    Where one piece is most of the map and the others lie at its ends, it is the map and they are its border
    (a circular pad): borders are ignored here. Else the field depends on the piece.
    """
    cover: dict[Path | None, float] = {}
    for b in branches:
        cover[b.path] = cover.get(b.path, 0.0) + b.cover
    main = max(cover, key=lambda path: cover[path])
    border = all(not b.inner for b in branches if b.path != main)
    total = sum(cover.values())
    if main is not None and border and cover[main] > 0.5:
        return AxisField(worst.kind, main, worst.source, cover=total)
    if worst.kind == "local":
        return AxisField("varies", None, node.id, False, total)
    return AxisField(worst.kind, None, worst.source, False, total)
