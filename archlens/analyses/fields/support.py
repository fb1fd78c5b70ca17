"""The support: exactly which positions one unit reads, with all holes.

The (or, and) semiring, backwards from one unit. A set is a bool array broadcastable to its node's shape,
with size 1 along every dimension on which it does not depend: (1, 1, H, W) for an ordinary feature map, since
a convolution reads all channels alike. Sets are two-dimensional, because a union of products is no product;
emptiness of a branch at some places, channels taken apart, tokens folded back: all come out exact.

Memory: a set takes a byte a position, a resize for a moment eight. Each is freed as soon as all its edges are
followed, so a DeepLab at 4097 x 4097 stays within a few hundred megabytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.fields.taps import pattern, reads
from archlens.analyses.fields.theoretical import Field, axes_of
from archlens.analyses.fields.visible import reshape_like
from archlens.graph import (
    Along,
    Full,
    Geometry,
    Graph,
    Keep,
    Node,
    Pad,
    Permute,
    Reshape,
    Roll,
    Slice,
    Step,
    TransposedWindow,
    Window,
)
from archlens.graph.masks import unpack

Bools = NDArray[np.bool_]
MOST_PHASES = 64  # beyond it (resizes by odd factors) the phases are too many to be looked at one by one


def support(graph: Graph, node_id: int, unit: Sequence[int], origin: int | None = None) -> Bools | None:
    """Which positions of the origin one unit depends on, over all its channels and all the origin's.

    Args:
        graph: The captured network.
        node_id: The unit's node.
        unit: One index for each of the node's `positions`.
        origin: Node to measure from; default the first input.

    Returns:
        The shape of the origin's positions, (H, W) for an image; None where an operation that is not
        understood lies on the way. All False for a unit that sees nothing.
    """
    origin = graph.inputs[0] if origin is None else origin
    start = graph.nodes[origin]
    sets: dict[int, Bools] = {node_id: at_unit(graph.nodes[node_id], unit)}
    below = descendants(graph, origin)
    for index in range(node_id, origin, -1):
        lit = sets.pop(index, None)
        if lit is None or not below[index] or not lit.any():
            continue
        node = graph.nodes[index]
        if node.unknown is not None:
            return None
        for edge in node.edges:
            if edge.source < origin or not below[edge.source]:
                continue
            read = backward(lit, graph.nodes[edge.source].shape, edge.steps)
            known = sets.get(edge.source)
            sets[edge.source] = read if known is None else known | read
    return on_positions(start, sets.get(origin))


def support_phases(
    graph: Graph, node_id: int, field: Field | None, origin: int | None = None
) -> dict[tuple[int, ...], Bools | None]:
    """The supports of one unit of each phase, nearest to the middle of the map.

    Behind a resize or a transposed convolution what a unit sees depends on its phase: its index modulo the
    field's period.

    Args:
        field: The node's theoretical field.

    Returns:
        Unit -> support; only the central unit where the field has no phases, too many, or no period.
    """
    node = graph.nodes[node_id]
    periods = _periods(graph, node_id, field, origin)
    if int(np.prod(periods)) > MOST_PHASES:
        periods = [1] * len(periods)
    units: list[tuple[int, ...]] = [()]
    for period, dim in zip(periods, node.positions, strict=True):
        first = max(0, min((node.shape[dim] - period + 1) // 2, node.shape[dim] - period))
        units = [(*u, first + p) for u in units for p in range(period)]
    return {u: support(graph, node_id, u, origin) for u in units}


def phases_of(graph: Graph, node_id: int, field: Field | None, origin: int | None = None) -> int:
    """How many kinds of unit a map has: 1 where the field does not depend on the phase."""
    return int(np.prod(_periods(graph, node_id, field, origin)))


def _periods(graph: Graph, node_id: int, field: Field | None, origin: int | None) -> list[int]:
    """The field's period along each position dimension; 1 where it has none."""
    node, start = graph.nodes[node_id], graph.nodes[graph.inputs[0] if origin is None else origin]
    paths = {axis: f.path for axis, f in zip(axes_of(start), field or (), strict=False)}
    periods = [1] * len(node.positions)
    for k, dim in enumerate(node.positions):
        axes = {a.axis for a in node.layout[dim] if a.axis >= 0}
        if len(axes) == 1 and (path := paths.get(axes.pop())) is not None:
            periods[k] = min(path.period, node.shape[dim])
    return periods


def at_unit(node: Node, unit: Sequence[int]) -> Bools:
    """The set of one unit, over all channels: size 1 along every other dimension."""
    lit = np.zeros([node.shape[d] if d in node.positions else 1 for d in range(len(node.shape))], bool)
    where: list[int | slice] = [slice(None)] * lit.ndim
    for dim, index in zip(node.positions, unit, strict=True):
        where[dim] = index
    lit[tuple(where)] = True
    return lit


def on_positions(node: Node, lit: Bools | None) -> Bools:
    """A set as an array over a node's positions: any over all other dimensions."""
    shape = node.map_size
    if lit is None:
        return np.zeros(shape, bool)
    over = tuple(d for d in range(lit.ndim) if d not in node.positions)
    return np.broadcast_to(lit.any(axis=over), shape).copy()


def descendants(graph: Graph, origin: int) -> list[bool]:
    """Which nodes depend on the origin at all (itself included)."""
    out = [False] * len(graph.nodes)
    for node in graph.nodes:
        out[node.id] = node.id == origin or any(out[e.source] for e in node.edges)
    return out


def shapes_along(shape: tuple[int, ...], steps: Sequence[Step]) -> list[tuple[int, ...]]:
    """The tensor's shape before each step, and after the last."""
    out = [shape]
    for step in steps:
        match step:
            case Along(dim, _, size):
                shape = (*shape[:dim], size, *shape[dim + 1 :])
            case Reshape(new):
                shape = new
            case Permute(dims):
                shape = tuple(shape[d] for d in dims)
        out.append(shape)
    return out


def backward(lit: Bools, shape: tuple[int, ...], steps: Sequence[Step]) -> Bools:
    """What a set of results reads, through the steps of one edge.

    Args:
        lit: The set, broadcastable to the result's shape.
        shape: Of the source.
        steps: Of the edge.
    """
    shapes = shapes_along(shape, steps)
    for step, before, after in zip(reversed(steps), shapes[-2::-1], shapes[:0:-1], strict=True):
        match step:
            case Along(dim, geometry, size):
                lit = _back(lit, dim, geometry, before[dim], size)
            case Reshape():
                lit = reshape_like(lit, after, before)
            case Permute(dims):
                lit = lit.transpose(np.argsort(dims))
            case Keep():
                lit = lit & unpack(step)
    return lit


def _back(lit: Bools, dim: int, geometry: Geometry, n_in: int, n_out: int) -> Bools:
    if isinstance(geometry, Full):
        return np.asarray(lit.any(axis=dim, keepdims=True))
    if n_in == 0 or n_out == 0:
        return np.zeros((*lit.shape[:dim], n_in, *lit.shape[dim + 1 :]), bool)
    if lit.shape[dim] == 1 and n_out != 1:
        # The same for all results along this dimension: whatever any of them reads is read.
        index = reads(geometry, n_in, n_out)
        read = np.zeros(n_in, bool)
        read[index[index >= 0]] = True
        return lit if read.all() else lit & read.reshape([-1 if d == dim else 1 for d in range(lit.ndim)])
    match geometry:
        case Window(kernel, stride, padding, dilation):
            return _scatter(lit, dim, n_in, stride, [t * dilation - padding for t in range(kernel)])
        case Slice(start, step) if step > 0:
            return _scatter(lit, dim, n_in, step, [start])
        case Pad(before, "constant"):
            return _scatter(lit, dim, n_in, 1, [-before])
        case TransposedWindow(kernel, stride, padding, dilation):
            return _gather(lit, dim, n_in, stride, [t * dilation - padding for t in range(kernel)])
        case Roll(shift):
            return np.roll(lit, -shift, dim)
    return pattern(geometry, n_in, n_out).apply_transposed(lit.astype(float), dim) > 0


def _scatter(lit: Bools, dim: int, n_in: int, stride: int, offsets: Sequence[int]) -> Bools:
    """Result i reads inputs i * stride + offset."""
    out = np.zeros((*lit.shape[:dim], n_in, *lit.shape[dim + 1 :]), bool)
    to, given = np.moveaxis(out, dim, 0), np.moveaxis(lit, dim, 0)
    for offset in offsets:
        first = max(0, -(offset // stride))  # the first result whose tap lies inside
        last = min(len(given) - 1, (n_in - 1 - offset) // stride)
        if first <= last:
            to[first * stride + offset : last * stride + offset + 1 : stride] |= given[first : last + 1]
    return out


def _gather(lit: Bools, dim: int, n_in: int, stride: int, offsets: Sequence[int]) -> Bools:
    """Input j is read by results j * stride + offset."""
    out = np.zeros((*lit.shape[:dim], n_in, *lit.shape[dim + 1 :]), bool)
    to, given = np.moveaxis(out, dim, 0), np.moveaxis(lit, dim, 0)
    for offset in offsets:
        first = max(0, -(offset // stride))
        last = min(n_in - 1, (len(given) - 1 - offset) // stride)
        if first <= last:
            to[first : last + 1] |= given[first * stride + offset : last * stride + offset + 1 : stride]
    return out
