"""The visible box: what every unit of every node reaches at this input size.

The (min, max) semiring, forwards.

A node's box is, for each axis of the origin, a pair of integer arrays `lo`, `hi`, shaped like the node with
size 1 along every dimension that they do not depend on: for an ordinary feature map `lo` of the height is
(1, 1, H, 1). Both ends are inclusive. A unit that reads nothing has lo > hi on every axis that says so;
one such axis makes the unit empty, so where nodes merge the emptiness of one axis masks the others.

The hull of a union of products is the product of hulls, so one pass gives the exact box of all units.

Where rows meet columns every unit has a box of its own: an attention's scores, of windows x queries x keys.
Such a hull is not worked out (`Hull`): its parts are followed on one by one, until a sum over the keys makes
it small again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.fields.taps import reads
from archlens.graph import Along, Full, Geometry, Graph, Keep, Node, Permute, Reshape, Slice, Step
from archlens.graph.masks import unpack

Ints = NDArray[np.int32]
NOTHING = np.int32(2**30)  # lo of an empty unit; its hi is -NOTHING
MOST = 2**20  # numbers in one array of a hull that is worked out although its parts are much smaller


@dataclass(frozen=True)
class Box:
    """Per origin axis: inclusive `lo` and `hi`, broadcastable to the node's shape."""

    lo: tuple[Ints, ...]
    hi: tuple[Ints, ...]

    def unit(self, node: Node, unit: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The box of one unit over all its channels: (lo, hi) per axis, or None where it reads nothing.

        Args:
            unit: One index for each of `node.positions`.
        """
        where: list[int | slice] = [slice(None)] * len(node.shape)
        for dim, index in zip(node.positions, unit, strict=True):
            where[dim] = index
        lows, highs, empty = [], [], np.zeros((), bool)
        for lo, hi in zip(self.lo, self.hi, strict=True):
            at = tuple(
                (0 if isinstance(w, int) else w) if n == 1 else w
                for w, n in zip(where, lo.shape, strict=True)
            )
            lows.append(lo[at])
            highs.append(hi[at])
            empty = empty | (lo[at] > hi[at])
        if bool(np.all(empty)):
            return None
        low = tuple(int(np.where(empty, NOTHING, v).min()) for v in lows)
        high = tuple(int(np.where(empty, -NOTHING, v).max()) for v in highs)
        return low, high


class Hull(Box):
    """The hull of boxes that vary along different dimensions, kept as these: small, where it is not.

    Its `lo` and `hi` are worked out whenever they are asked for.
    """

    parts: tuple[Box, ...]

    def __init__(self, parts: tuple[Box, ...]) -> None:
        object.__setattr__(self, "parts", parts)

    @property
    def lo(self) -> tuple[Ints, ...]:
        """Of all parts together."""
        return _joined(self.parts).lo

    @property
    def hi(self) -> tuple[Ints, ...]:
        """Of all parts together."""
        return _joined(self.parts).hi

    def unit(self, node: Node, unit: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """As of any box, out of those of the parts."""
        found = [seen for part in self.parts if (seen := part.unit(node, unit)) is not None]
        if not found:
            return None
        lows, highs = zip(*found, strict=True)
        return tuple(map(min, zip(*lows, strict=True))), tuple(map(max, zip(*highs, strict=True)))


def boxes(graph: Graph, origin: int | None = None, known: Sequence[Box | None] = ()) -> list[Box | None]:
    """The box of every node, in origin pixels (or units of another node).

    Args:
        graph: The captured network.
        origin: Node to measure from; default the first input.
        known: The boxes of the first nodes, from a graph that begins with the same ones.

    Returns:
        One entry a node: None where the node does not depend on the origin, or where an operation that is
        not understood lies between.
    """
    origin = graph.inputs[0] if origin is None else origin
    out: list[Box | None] = [*known, *[None] * (len(graph.nodes) - len(known))]
    lost = [False] * len(graph.nodes)
    apart = channels_taken_apart(graph)
    for node in graph.nodes:
        if node.id == origin:
            out[node.id] = _start(node)
            continue
        reached = [e for e in node.edges if out[e.source] is not None]
        lost[node.id] = any(lost[e.source] for e in node.edges) or (
            node.unknown is not None and bool(reached)
        )
        if lost[node.id] or not reached or node.id < len(known):
            continue
        parts = []
        for edge in reached:
            box = out[edge.source]
            assert box is not None
            steps = edge.steps if apart[node.id] else _without_places(graph.nodes[edge.source], edge.steps)
            parts += [follow(piece, graph.nodes[edge.source].shape, steps) for piece in _pieces(box, steps)]
        out[node.id] = merge(parts, node.shape)
    return [None if gone else box for box, gone in zip(out, lost, strict=True)]


def channels_taken_apart(graph: Graph) -> list[bool]:
    """Whether any reader of a node looks at some of its channels only, now or further on.

    A concat puts each piece at its own channels. Where every reader mixes all channels (a convolution, a
    linear layer), which piece lies where makes no difference, and the hull over channels is exact.
    """
    out = [False] * len(graph.nodes)
    for node in reversed(graph.nodes):
        for edge in node.edges:
            source = graph.nodes[edge.source]
            if _selects(source, edge.steps) or (out[node.id] and not _mixes(source, edge.steps)):
                out[edge.source] = True
    return out


def _selects(source: Node, steps: tuple[Step, ...]) -> bool:
    """Whether an edge reads channels one by one or in part."""
    positions = source.positions
    for step in steps:
        if not isinstance(step, Along):
            return True  # a reshape or permutation may take channels apart: don't try to tell
        if step.dim not in positions and not isinstance(step.geometry, Full) and not _places(source, step):
            return True
    return False


def _mixes(source: Node, steps: tuple[Step, ...]) -> bool:
    """Whether an edge reads all channels for each of its results."""
    return any(
        isinstance(s, Along)
        and s.dim not in source.positions
        and s.dim > 0
        and isinstance(s.geometry, Full)
        and source.shape[s.dim] > 1
        for s in steps[:1]
    )


def _places(source: Node, step: Along) -> bool:
    """Whether a step only puts all channels of its source at an offset, as a concat does."""
    g = step.geometry
    if not isinstance(g, Slice) or g.step != 1:
        return False
    return g.start <= 0 and step.size >= source.shape[step.dim] - g.start


def _without_places(source: Node, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of a concat's edge with all channels of the piece everywhere, instead of at their offset."""
    if len(steps) != 1 or not isinstance(steps[0], Along) or steps[0].dim in source.positions:
        return steps
    return (replace(steps[0], geometry=Full()),) if _places(source, steps[0]) else steps


def _start(node: Node) -> Box:
    """Every unit of the origin sees itself."""
    axes = []
    for dim in node.positions:
        shape = [1] * len(node.shape)
        shape[dim] = node.shape[dim]
        axes.append(np.arange(node.shape[dim], dtype=np.int32).reshape(shape))
    return Box(tuple(axes), tuple(axes))


def follow(box: Box, shape: tuple[int, ...], steps: tuple[Step, ...]) -> Box:
    """Carry a box through the steps of one edge."""
    lo, hi = list(box.lo), list(box.hi)
    for step in steps:
        match step:
            case Along(dim, geometry, size):
                for axis in _concerned(lo, dim, geometry, shape[dim], size):
                    lo[axis], hi[axis] = _along(lo[axis], hi[axis], dim, geometry, shape[dim], size)
                shape = (*shape[:dim], size, *shape[dim + 1 :])
            case Reshape(new):
                lo = [reshape_like(a, shape, new) for a in lo]
                hi = [reshape_like(a, shape, new) for a in hi]
                shape = new
            case Permute(dims):
                lo = [a.transpose(dims) for a in lo]
                hi = [a.transpose(dims) for a in hi]
                shape = tuple(shape[d] for d in dims)
            case Keep():
                kept = unpack(step)
                lo = [np.where(kept, a, NOTHING) for a in lo]
                hi = [np.where(kept, a, -NOTHING) for a in hi]
    return Box(tuple(lo), tuple(hi))


def _concerned(lo: list[Ints], dim: int, geometry: Geometry, n_in: int, n_out: int) -> list[int]:
    """The axes whose arrays a geometry changes: those that vary along the dimension.

    Where rows read nothing, one axis that says so is enough to make the unit empty; if none varies along
    this dimension, the first has to.
    """
    vary = [axis for axis, a in enumerate(lo) if a.shape[dim] != 1]
    if vary or not lo or isinstance(geometry, Full) or n_in == 1:
        return vary if vary else list(range(len(lo)))
    return [] if bool((reads(geometry, n_in, n_out) >= 0).any(axis=1).all()) else [0]


def _along(lo: Ints, hi: Ints, dim: int, geometry: Geometry, n_in: int, n_out: int) -> tuple[Ints, Ints]:
    if isinstance(geometry, Full):
        return lo.min(axis=dim, keepdims=True), hi.max(axis=dim, keepdims=True)
    index = reads(geometry, n_in, n_out)
    if n_in == 0:
        empty = (*lo.shape[:dim], n_out, *lo.shape[dim + 1 :])
        return np.full(empty, NOTHING), np.full(empty, -NOTHING)
    if lo.shape[dim] == 1 and n_in != 1:
        # The same for all positions along this dimension: only rows without any tap change something.
        some = (index >= 0).any(axis=1)
        if some.all():
            return lo, hi
        mask = some.reshape([-1 if d == dim else 1 for d in range(lo.ndim)])
        return np.where(mask, lo, NOTHING), np.where(mask, hi, -NOTHING)
    low = np.moveaxis(lo, dim, -1)[..., index]
    high = np.moveaxis(hi, dim, -1)[..., index]
    if (index < 0).any():
        low, high = np.where(index < 0, NOTHING, low), np.where(index < 0, -NOTHING, high)
    return np.moveaxis(low.min(axis=-1), -1, dim), np.moveaxis(high.max(axis=-1), -1, dim)


def merge(parts: Sequence[Box], shape: tuple[int, ...]) -> Box:
    """The hull of several boxes, unit by unit; empty units of one part don't widen it."""
    if len(parts) == 1:
        return parts[0]
    masked = [_mask_empty(p) for p in parts]
    if _grows(masked):
        masked = _fewest([_squeezed(part, len(shape)) for part in masked])
        if _grows(masked):
            return Hull(tuple(masked))
    return _squeezed(_joined(masked), len(shape))


def _fewest(parts: Sequence[Box]) -> list[Box]:
    """Parts with the same hull: those of one shape join without growing, and one inside another goes."""
    alike: dict[tuple[tuple[int, ...], ...], list[Box]] = {}
    for part in parts:
        alike.setdefault(tuple(a.shape for a in part.lo), []).append(part)
    left = [_joined(group) for group in alike.values()]
    for part in tuple(left):
        others = [other for other in left if other is not part and not _grows((part, other))]
        if any(_covers(other, part) for other in others):
            left = [other for other in left if other is not part]
    return left


def _covers(box: Box, other: Box) -> bool:
    ends = zip(box.lo, box.hi, other.lo, other.hi, strict=True)
    return all(bool((lo <= low).all() and (hi >= high).all()) for lo, hi, low, high in ends)


def _pieces(box: Box, steps: Sequence[Step]) -> tuple[Box, ...]:
    """What is followed in place of a box: the parts of a hull, unless a mask makes each as large as all."""
    if not isinstance(box, Hull):
        return (box,)
    return (_joined(box.parts),) if any(isinstance(step, Keep) for step in steps) else box.parts


def _squeezed(box: Box, ndim: int) -> Box:
    pairs = [_squeeze_both(low, high, ndim) for low, high in zip(box.lo, box.hi, strict=True)]
    return Box(tuple(p[0] for p in pairs), tuple(p[1] for p in pairs))


def _grows(parts: Sequence[Box]) -> bool:
    """Whether the hull of boxes takes much more room than they do."""
    for arrays in zip(*(part.lo for part in parts), strict=True):
        together = math.prod(np.broadcast_shapes(*(a.shape for a in arrays)))
        if together > max(MOST, 4 * sum(a.size for a in arrays)):
            return True
    return False


def _joined(parts: Sequence[Box]) -> Box:
    """The hull, worked out; none of the parts is empty on one axis only."""
    axes = range(len(parts[0].lo))
    return Box(
        tuple(reduce(np.minimum, [part.lo[axis] for part in parts]) for axis in axes),
        tuple(reduce(np.maximum, [part.hi[axis] for part in parts]) for axis in axes),
    )


def _squeeze_both(lo: Any, hi: Any, ndim: int) -> tuple[Any, Any]:
    """Size 1 along every dimension on which neither end depends: both keep one shape, walks rely on it."""
    for dim in range(ndim):
        low, high = _squeeze(lo, dim), _squeeze(hi, dim)
        if low.shape[dim] == high.shape[dim] == 1:
            lo, hi = low, high
    return lo, hi


def _mask_empty(box: Box) -> Box:
    """Make a unit that is empty on one axis empty on all."""
    empties = [lo > hi for lo, hi in zip(box.lo, box.hi, strict=True)]
    if not any(bool(e.any()) for e in empties):
        return box
    # A piece of a concat is empty for whole channels: keep that a vector, not a map.
    for dim in range(empties[0].ndim):
        empties = [_squeeze(e, dim) for e in empties]
    empty = empties[0]
    for other in empties[1:]:
        empty = empty | other
    return Box(
        tuple(np.where(empty, NOTHING, a) for a in box.lo),
        tuple(np.where(empty, -NOTHING, a) for a in box.hi),
    )


def _squeeze(a: Any, dim: int) -> Any:
    """Size 1 along `dim` where all positions agree."""
    if a.shape[dim] <= 1:
        return a
    first = a.take([0], axis=dim)
    return first if bool((a == first).all()) else a


def reshape_like(a: Any, shape: tuple[int, ...], new: tuple[int, ...]) -> Any:
    """Reshape an array that stands for one of `shape` (size 1: independent of it) to stand for `new`.

    Dimensions are matched in groups of equal product; only groups that the array depends on are expanded.
    """
    full, target = expanded(a.shape, shape, new)
    return np.broadcast_to(a, full).reshape(target)


def expanded(
    own: tuple[int, ...], shape: tuple[int, ...], new: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For `reshape_like` of an array with shape `own`: what it is broadcast to, and then reshaped to."""
    target: list[int] = []
    source: list[int] = []
    i = j = 0
    while i < len(shape) or j < len(new):
        i2, j2 = i + 1 if i < len(shape) else i, j + 1 if j < len(new) else j
        p, q = _product(shape[i:i2]), _product(new[j:j2])
        while p != q or (i2 < len(shape) and shape[i2] == 1) or (j2 < len(new) and new[j2] == 1):
            if p < q or (p == q and i2 < len(shape) and shape[i2] == 1):
                p *= shape[i2]
                i2 += 1
            else:
                q *= new[j2]
                j2 += 1
        flat = all(n == 1 for n in own[i:i2])
        source += [1] * (i2 - i) if flat else list(shape[i:i2])
        target += [1] * (j2 - j) if flat else list(new[j:j2])
        i, j = i2, j2
    return tuple(source), tuple(target)


def _product(values: Sequence[int]) -> int:
    out = 1
    for v in values:
        out *= v
    return out


def over_positions(box: Box, node: Node) -> list[tuple[Ints, Ints]]:
    """(lo, hi) per axis over the node's positions: the hull over its channels.

    One axis that says lo > hi makes a unit empty. Where channels differ in that, the emptiness of one axis
    has to mask the others before the hull; else the axes stay apart, and small.
    """
    empty = np.zeros([1] * len(node.shape), bool)
    for lo, hi in zip(box.lo, box.hi, strict=True):
        empty = empty | (lo > hi)
    mixed = any(empty.shape[d] > 1 for d in node.others) and bool(empty.any())
    out = []
    for lo, hi in zip(box.lo, box.hi, strict=True):
        if mixed:
            lo, hi = np.where(empty, NOTHING, lo), np.where(empty, -NOTHING, hi)
        out.append((lo.min(axis=node.others), hi.max(axis=node.others)))
    return out
