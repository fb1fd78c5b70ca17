"""The coherent response: what a unit answers to a change that is the same all over a region.

Pixel energy adds up squared gradients one pixel at a time; an object that is covered, or a wall painted
another colour, changes a whole region at once. Then the gradients of a region add up before they are
squared. A globally pooled branch hands the same small gradient to every pixel: in pixel energy it hardly
counts, in the coherent response it does.

Batch statistics are constants here, as in evaluation: the gradient through them would add a faint uniform
part, which a large region adds up. Those of one image are followed. Of globally pooled branches over natural
images the figures are upper estimates, two to three times too high, behind norms over places up to twice
(docs/expected_erf.md).

A tangent walk, forwards: the change of a channel's value at p has second moment D(p), and at two places p, q
the product of the changes has expectation a(p) a(q). Two maps a node, for one pattern in the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.backward.attention import followed
from archlens.analyses.expected.backward.walk import reaches, statistics_factors, winner_slope
from archlens.analyses.expected.coherent_attention import attended
from archlens.analyses.expected.field import LARGE, delta
from archlens.analyses.expected.forward import flattening, norms, transfer
from archlens.analyses.expected.forward.activations import Activation, pair, single
from archlens.analyses.expected.forward.gates import Chain
from archlens.analyses.expected.forward.mixing import image_mean
from archlens.analyses.expected.forward.state import Forward, Moments
from archlens.analyses.expected.forward.transfer import (
    ShapedStep,
    carrying,
    fan_in,
    function,
    renames,
    role,
    scale,
    shaped_steps,
)
from archlens.analyses.expected.forward.walk import carried, deviation, slope_of_power
from archlens.analyses.fields.taps import Taps, matrix
from archlens.analyses.fields.visible import reshape_like
from archlens.graph import Along, Edge, Full, Graph, Node, Permute, Reshape

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Tangent:
    """Second moment of the change at a place, and its amplitude across places; shaped like the node with
    size 1 along channels, and one region after the other along a last dimension.

    Behind a norm whose statistics run over places, `across` has a second set of regions behind the first:
    what comes through the statistics, which is independent of what comes from place to place.
    """

    own: Floats
    across: Floats

    @property
    def together(self) -> Floats:
        """The part of `own` that places have in common."""
        regions = self.own.shape[-1]
        squared = self.across**2
        return squared if squared.shape[-1] == regions else squared[..., :regions] + squared[..., regions:]

    @property
    def amplitude(self) -> Floats:
        """The amplitude across places, both sets of regions as one."""
        return self.across if self.across.shape[-1] == self.own.shape[-1] else np.sqrt(self.together)


def respond(
    fwd: Forward,
    node: int,
    unit: Sequence[int],
    regions: Sequence[Bools],
    origin: int,
    only: Mapping[int, frozenset[int]],
) -> list[float]:
    """A unit's answer to a pattern that is 1 on a region and 0 elsewhere, for each of some regions.

    Args:
        fwd: The network's moments.
        node, unit: Id of the unit's node; one index for each of its position dimensions.
        regions: Masks over the origin's spatial axes.
        origin: Id of the node that is changed.
        only: Node id -> indices of its edges that count (all, where absent); see `cut`.

    Returns:
        Expected square of the gradient's sum over the region, summed over the origin's channels, mean over
        the unit's.
    """
    if len(regions) > 1 and regions[0].size > LARGE:  # two at once cost a dozen more maps of memory
        return [respond(fwd, node, unit, [region], origin, only)[0] for region in regions]
    graph = fwd.graph
    start = graph.nodes[origin]
    channels = float(np.prod([n for d, n in enumerate(start.shape) if d not in start.positions]))
    shape = [n if d in start.positions else 1 for d, n in enumerate(start.shape)]
    pattern = np.stack([r.astype(float).reshape(shape) for r in regions], axis=-1)  # in any one channel
    tangents: dict[int, _Tangent] = {origin: _Tangent(pattern / channels, pattern / np.sqrt(channels))}
    wanted = _wanted(graph, node, reaches(graph, origin))
    last = {e.source: n.id for n in graph.nodes[: node + 1] if n.id in wanted for e in n.edges}
    last.update(
        {s: max(last[s], n) for n, part in fwd.attention.items() if n in wanted for s in part.sources}
    )
    within = {n for part in fwd.attention.values() for n in part.inner}
    for n in graph.nodes[origin + 1 : node + 1]:
        if n.id not in wanted or n.id in within:
            continue
        if n.id in fwd.attention:
            part = fwd.attention[n.id]
            pairs = [
                tangents.get(s) if f else None
                for s, f in zip(part.sources, followed(part, only), strict=True)
            ]
            answers = attended(fwd, n, part, [None if p is None else (p.own, p.amplitude) for p in pairs])
            if answers is not None:
                tangents[n.id] = _Tangent(*(_over_channels(n, v) for v in answers))
            for s in part.sources:
                if last[s] == n.id:
                    tangents.pop(s, None)
            continue
        edges = [
            (k, e)
            for k in carrying(n)
            if (e := n.edges[k]).source in tangents and (n.id not in only or k in only[n.id])
        ]
        if edges:
            tangents[n.id] = _node(fwd, n, edges, tangents)
        for _, e in edges:
            if last[e.source] == n.id:
                tangents.pop(e.source, None)
    if node not in tangents:
        return [0.0] * len(regions)
    (energy,) = delta(graph.nodes[node], unit).values()
    values = np.broadcast_to(tangents[node].own, (*energy.shape, len(regions)))[energy > 0].sum(0)
    return [float(value) * channels for value in values]


def _wanted(graph: Graph, node: int, dependent: list[bool]) -> set[int]:
    """Nodes on the way from the origin to `node`."""
    out = {node}
    for n in reversed(graph.nodes[: node + 1]):
        if n.id in out:
            out.update(e.source for e in n.edges if dependent[e.source])
    return out


def _node(fwd: Forward, node: Node, edges: list[tuple[int, Edge]], tangents: dict[int, _Tangent]) -> _Tangent:
    """A node's change is the sum of what its edges bring; branches are independent."""
    parts = [_edge(fwd, node, k, e, tangents[e.source]) for k, e in edges]
    chain = fwd.at(node.id).chain if node.op == "add" else None  # what renames a sum has its chain, too
    ties = [1.0 if chain is None or k != chain.skip else _tied(fwd, node, chain) for k, _ in edges]
    own = _over_channels(node, np.asarray(sum(p.own * c for p, c in zip(parts, ties, strict=True))))
    most = max(p.across.shape[-1] for p in parts)
    each = [_widened(p.across, most) * c for p, c in zip(parts, ties, strict=True)]
    across = np.sqrt(_over_channels(node, np.asarray(sum(a**2 for a in each))))
    if most > own.shape[-1]:
        # Behind a norm over places what is outside the region answers the other way round.
        across = np.where(_over_channels(node, np.asarray(sum(each))) < 0, -across, across)
    return _Tangent(own, across)


def _widened(across: Floats, size: int) -> Floats:
    """Amplitudes with a second set of regions, of which there is nothing yet."""
    if across.shape[-1] == size:
        return across
    return np.concatenate([across, np.zeros_like(across)], axis=-1)


def _over_channels(node: Node, values: Floats) -> Floats:
    """Mean over the channels: a reshape may have told them apart, or made them of places."""
    return np.asarray(values.mean(node.others, keepdims=True)) if values.ndim else values


def _tied(fwd: Forward, node: Node, chain: Chain) -> float:
    """How much steeper the activation of a residual sum is where the identity carries something."""
    f = _reading(fwd.graph, node.id)
    return 1.0 if f is None else chain.tied(f)


def _reading(graph: Graph, node: int) -> Activation | None:
    """The activation that reads a sum, or another name of it."""
    for reader in (graph.nodes[n] for n in graph.consumers[node]):
        if role(reader) == "activation":
            return function(reader)
        if renames(reader) and (f := _reading(graph, reader.id)) is not None:
            return f
    return None


def _edge(fwd: Forward, node: Node, index: int, edge: Edge, t: _Tangent) -> _Tangent:
    kind = role(node)
    law = fwd.at(edge.source)
    steps = shaped_steps(fwd.graph, edge)
    if kind == "random":
        return _random(fwd, node, steps, t)
    if kind == "max_pool":
        return _max_pool(fwd, node, steps, t)
    for taken in steps:
        t = _step(node, taken, t)
    if kind in ("batch_norm", "layer_norm"):
        return _norm(fwd, node, t)
    own, across = _slopes(fwd, node, index, law)
    factor = scale(node, index) ** 2
    return _Tangent(t.own * own * factor, t.across * np.sqrt(max(across, 0.0) * factor))


def _norm(fwd: Forward, node: Node, t: _Tangent) -> _Tangent:
    """Division by the deviation, which a coherent change may share with the images: see `flattening`."""
    factor: Floats = np.asarray(statistics_factors(fwd, node)[0] / deviation(fwd, node))
    if role(node) == "layer_norm":
        if norms.over(node).dims:
            t = _through_statistics(fwd, node, t)
        factor = factor / norms.local(fwd, node)[..., None]
    flat = fwd.flat.get(node.id, flattening.NONE)
    own = np.maximum(flat.energy * t.own + (flat.coherent - flat.energy) * t.together, 0.0)
    return _Tangent(own * factor, t.across * np.sqrt(flat.coherent * factor))


def _through_statistics(fwd: Forward, node: Node, t: _Tangent) -> _Tangent:
    """A change of a whole region moves the mean and the deviation that all places of a group share:
    dy = dx - mean(dx) - y mean(y dx), with means over the n values of the group.

    Of its k channels one is the value's own: there dx and its means go together. The others bring what is
    independent of it: the mean everywhere alike, the deviation in proportion to y, whose values at two places
    go together by r, mostly for the channels' constants.
    """
    statistics, law = norms.over(node), fwd.at(node.id)
    k, dims = statistics.channels, statistics.dims
    r = float(np.clip(image_mean(fwd, law, node, dims) / max(law.variance, 1e-12), 0.0, 1.0))
    regions = t.own.shape[-1]
    across = _widened(t.across, 2 * regions)
    mean = across.mean(dims, keepdims=True)
    loose = np.maximum(t.own - t.together, 0.0).mean(dims, keepdims=True) / statistics.places
    squared = mean[..., :regions] ** 2 + mean[..., regions:] ** 2
    here = across * mean
    tied = (here[..., :regions] + here[..., regions:]) * (1 + r) / k
    own = t.own - 2 * tied + (1 + r) * squared / k + loose * 2 / k
    kept = across - mean * (1 + r) / k
    others = squared * ((1 - 1 / k) + r * r) / k + loose * (1 + r) / k
    kept[..., regions:] = np.sqrt(kept[..., regions:] ** 2 + others)
    return _Tangent(np.maximum(own, (kept**2).reshape(*kept.shape[:-1], 2, regions).sum(-2)), kept)


def _far(values: Floats) -> float:
    """A function of the lag, averaged over the table's lags beyond 0."""
    return float(values[1:].mean()) if len(values) > 1 else float(values[0])


def _slopes(fwd: Forward, node: Node, index: int, law: Moments) -> tuple[float, float]:
    """E f'^2 at one place, E f' f' at two."""
    kind = role(node)
    if kind == "activation":
        f = function(node)
        assert f is not None
        one = single(f, law.mean, law.variance)[2]
        two = _far(pair(f, law.mean, law.variance, law.cov[1:], slope=True))
        if law.chain is not None:
            slope = law.chain.through(f).slope
            return slope, two * (slope / one) ** 2
        return one, two
    if kind in ("product", "divide") and len(node.edges) == 1:
        c = node.attrs.get("constant")
        factor = 1.0 if c is None else float(c) ** (2 if kind == "product" else -2)
        return factor, factor
    if kind == "product":
        if node.edges[0].source == node.edges[1].source and node.edges[0].steps == node.edges[1].steps:
            return 2 * law.second, 2 * (_far(law.cov[1:]) + law.mean**2)
        other = carried(fwd, node, node.edges[1 - index])
        return other.second, _far(other.cov[1:]) + other.mean**2
    if kind == "divide":
        top, bottom = (fwd.at(e.source) for e in node.edges)
        if index == 0:
            return 1 / bottom.mean**2, 1 / bottom.mean**2
        return top.second / bottom.mean**4, (_far(top.cov[1:]) + top.mean**2) / bottom.mean**4
    if kind == "power":
        factor = slope_of_power(law, float(node.attrs["constant"]))
        return factor, factor
    return 1.0, 1.0


def _random(fwd: Forward, node: Node, steps: Sequence[ShapedStep], t: _Tangent) -> _Tangent:
    """Own taps add up squared; across places equal taps meet, taken at the window's mean amplitude."""
    channels = fan_in(node)
    own, across, taps = t.own, t.across, 1.0
    for taken in steps:
        step = taken.step
        if not isinstance(step, Along):
            own, across = _moved(taken, own), _moved(taken, across)
        elif taken.positional:
            n_in = taken.before[step.dim]
            if isinstance(step.geometry, Full):
                own = _expand(own, step.dim, n_in).sum(step.dim, keepdims=True)
                across = _expand(across, step.dim, n_in).sum(step.dim, keepdims=True)
                count: float = n_in
            else:
                a = matrix(step.geometry, n_in, step.size)
                own, across = _apply(a, own, step.dim), _apply(a, across, step.dim)
                count = step.geometry.kernel if hasattr(step.geometry, "kernel") else 1
                if node.attrs.get("transposed"):
                    count /= getattr(step.geometry, "stride", 1)
            taps *= count
        else:  # channels that a reshape told apart: the layer's own are one again
            own, across = own.mean(step.dim, keepdims=True), _rms(across, step.dim)
    gain = fwd.premises.gain
    return _Tangent(own * gain / taps, across / taps * np.sqrt(gain)) if channels else t


def _rms(values: Floats, dim: int) -> Floats:
    return values if values.shape[dim] == 1 else np.asarray(np.sqrt((values**2).mean(dim, keepdims=True)))


def _max_pool(fwd: Forward, node: Node, steps: Sequence[ShapedStep], t: _Tangent) -> _Tangent:
    """The winner is any of the window's values; it is likelier than they to be on the steep side."""
    own, across = t.own, t.across
    along = [s for s in steps if isinstance(s.step, Along) and s.positional]
    factor = winner_slope(fwd, fwd.graph.nodes[node.edges[0].source], along)
    for taken in steps:
        step = taken.step
        if isinstance(step, Along) and taken.positional:
            n_in = taken.before[step.dim]
            a = transfer.ones(matrix(step.geometry, n_in, step.size))
            count = np.maximum(a.row_sums, 1)
            shape = [-1 if d == step.dim else 1 for d in range(own.ndim)]
            own = _apply(a, own, step.dim) / count.reshape(shape)
            across = _apply(a, across, step.dim) / count.reshape(shape)
        elif not isinstance(step, Along):
            own, across = _moved(taken, own), _moved(taken, across)
    return _Tangent(own * factor, across * factor)


def _step(node: Node, taken: ShapedStep, t: _Tangent) -> _Tangent:
    """A fixed linear step: amplitudes add up, what is left of the energy adds up squared."""
    step = taken.step
    if not isinstance(step, Along):
        return _Tangent(_moved(taken, t.own), _moved(taken, t.across))
    n_in = taken.before[step.dim]
    a = transfer.weights(node, step, n_in)
    if not taken.positional:
        if isinstance(step.geometry, Full) and n_in == 1:
            return t
        share = a.squares / step.size
        return _Tangent(
            t.own.mean(step.dim, keepdims=True) * share, _rms(t.across, step.dim) * np.sqrt(share)
        )
    if node.op in ("pixel_shuffle", "pixel_unshuffle", "unfold", "fold") and hasattr(step.geometry, "kernel"):
        a = matrix(step.geometry, n_in, step.size)
        if node.op in ("pixel_unshuffle", "unfold"):  # each channel reads one of the window's places
            a = a.times(1.0 / step.geometry.kernel)
    moved = _Tangent(t.own, _apply(a, t.across, step.dim))
    loose = np.maximum(t.own - t.together, 0.0)
    return replace(moved, own=moved.together + _apply(transfer.squared(a), loose, step.dim))


def _moved(taken: ShapedStep, values: Floats) -> Floats:
    last = values.shape[-1]
    if isinstance(taken.step, Permute):
        return np.transpose(values, (*taken.step.dims, values.ndim - 1))
    if not isinstance(taken.step, Reshape):
        return values
    out: Floats = reshape_like(values, (*taken.before, last), (*taken.after, last))
    return out


def _expand(values: Floats, dim: int, size: int) -> Floats:
    return values if values.shape[dim] == size else np.repeat(values, size, axis=dim)


def _apply(a: Taps, values: Floats, dim: int) -> Floats:
    return a.apply(_expand(values, dim, a.shape[1]), dim)
