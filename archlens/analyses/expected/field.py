"""The expected effective receptive field, in closed form.

Luo, Li, Urtasun & Zemel (NeurIPS 2016) measure the effective field as the gradient of a unit with respect to
the image, averaged over random weights. The average needs no sampling. Two walks give it:

* `forward/walk.py` goes from the image to the outputs and keeps for every node what its activations are like:
  mean, variance, covariances over distance (`Moments` in `state.py`). Slopes of activations need them.
* `backward/walk.py` goes from a unit back to the image and carries the energy of its gradient, E g(p)^2, and
  where neighbouring gradients are added up later, E g(p) g(p + lag) over a few lags (`Band` in `lags.py`).

`expected_erf` below puts them together; `shares.py`, `coherent.py` and `lens.py` ask further questions of the
same walks. Every result carries its assumptions; where an operation has no rule there is no map, and
`missing` names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.backward.walk import Band, reaches, walk_back, zero_lag
from archlens.analyses.expected.forward.state import Forward
from archlens.analyses.expected.forward.transfer import interpolates, role
from archlens.analyses.expected.summaries import far_share
from archlens.analyses.expected.use import no_rule
from archlens.graph import Graph, Node

Floats = NDArray[np.float64]
LARGE = 2**21
"""Cells of a map from which on memory counts more than speed or the last digits."""


@dataclass(frozen=True)
class ExpectedField:
    """The expected effective field of one unit.

    Attributes:
        node: Id of the node the unit belongs to.
        unit: One index for each of `node.positions`.
        origin: Id of the node that it looks at; the image by default.
        energy: Expected squared gradient, of the shape of the origin's spatial axes, normalised to sum 1;
            None where an operation has no rule, or where nothing reaches the unit.
        gain: The sum before normalisation: over the origin's positions and channels, mean over the unit's.
            Infinite where it is no number any more; the map is one all the same.
        centre: The unit's own centre in the origin, per axis, px.
        assumptions: What the expectation is taken over, in sentences.
        missing: Operations without a rule on the way, as "layer (op)".
    """

    node: int
    unit: tuple[int, ...]
    origin: int
    energy: Floats | None
    gain: float
    centre: tuple[float, ...]
    assumptions: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why there is no map."""
        return no_rule(self.missing) or "nothing reaches the unit"


def expected_erf(
    fwd: Forward, node: int, unit: Sequence[int] | None = None, origin: int | None = None
) -> ExpectedField:
    """The expected effective field of one unit of a node.

    Args:
        fwd: The network's moments, from `forward`; they hold what the expectation is taken over.
        node: Id of the unit's node.
        unit: One index for each of the node's position dimensions; default the middle, n // 2.
        origin: Id of the node to look at; default the image.
    """
    graph = fwd.graph
    origin = graph.inputs[0] if origin is None else origin
    unit = graph.nodes[node].middle if unit is None else tuple(unit)
    centre = fwd.walks.centre(node, unit, origin)
    missing = without_rule(fwd, node)
    said = assumptions(fwd, node)
    if missing:
        return ExpectedField(node, unit, origin, None, 0.0, centre, said, missing)
    found = walk_back(fwd, {node: delta(graph.nodes[node], unit)}, origin)
    arrived = found.get(origin)
    energy, total = (None, 0.0) if arrived is None else normalised(graph.nodes[origin], arrived)
    with np.errstate(over="ignore"):
        gain = total * float(np.exp(found.log_unit))
    return ExpectedField(node, unit, origin, energy, gain, centre, said)


@dataclass(frozen=True)
class BranchShare:
    """What one branch brings to a unit.

    Attributes:
        edge: (node, index of its edge): where the branch arrives.
        source: Id of the branch's last node.
        share: Of the energy that all given branches bring.
        far: Of the energy that they bring from outside the centred square of half the origin's side.
        far_of_own: Share of the branch's own energy that is far.
        field: The branch's own map, normalised to sum 1; None where it brings nothing.
    """

    edge: tuple[int, int]
    source: int
    share: float
    far: float
    far_of_own: float
    field: Floats | None


def branch_shares(
    fwd: Forward,
    branches: int | Sequence[tuple[int, int]],
    node: int,
    unit: Sequence[int] | None = None,
    origin: int | None = None,
) -> list[BranchShare]:
    """How a unit's expected energy divides among branches: one backward walk a branch; shares add up to 1.

    Args:
        fwd: The network's moments.
        branches: A merge node (its branches are those of `incoming`), or edges as (node, edge index).
        node: Id of the unit's node, at or behind the merge.
        unit, origin: As in `expected_erf`.

    Returns:
        One entry a branch, in the order given; empty where an operation has no rule.
    """
    graph = fwd.graph
    origin = graph.inputs[0] if origin is None else origin
    unit = graph.nodes[node].middle if unit is None else tuple(unit)
    edges = incoming(graph, branches) if isinstance(branches, int) else list(branches)
    if without_rule(fwd, node):
        return []
    centre = fwd.walks.centre(node, unit, origin)
    through = [_energy_through(fwd, edge, node, unit, origin, all_edges=edges) for edge in edges]
    units = [unit_ for m, unit_ in through if m is not None]
    maps = [m if m is None else m * np.exp(unit_ - max(units)) for m, unit_ in through]
    totals = [0.0 if m is None else float(m.sum()) for m in maps]
    fars = [0.0 if m is None else far_share(m, centre) * t for m, t in zip(maps, totals, strict=True)]
    whole, far = sum(totals) or 1.0, sum(fars) or 1.0
    return [
        BranchShare(
            edge=e,
            source=graph.nodes[e[0]].edges[e[1]].source,
            share=t / whole,
            far=f / far,
            far_of_own=f / t if t else 0.0,
            field=None if m is None or not t else _kept(np.divide(m, t, out=m)),
        )
        for e, m, t, f in zip(edges, maps, totals, fars, strict=True)
    ]


def _kept(field: Floats) -> Floats:
    """A map that is kept for long: of images beyond 1448 px in single precision, for memory."""
    return field.astype(np.float32 if field.size > LARGE else float, copy=False)


def incoming(graph: Graph, merge: int) -> list[tuple[int, int]]:
    """The edges that arrive at a merge. A sum of sums (a + b + c is two additions) counts as one merge."""
    out: list[tuple[int, int]] = []
    readers = graph.consumers
    node = graph.nodes[merge]
    for index, edge in enumerate(node.edges):
        source = graph.nodes[edge.source]
        inner = source.op == node.op == "add" and len(source.edges) > 1 and len(readers[source.id]) == 1
        if inner:
            out += incoming(graph, source.id)
        else:
            out.append((merge, index))
    return out


def _energy_through(
    fwd: Forward,
    edge: tuple[int, int],
    node: int,
    unit: Sequence[int],
    origin: int,
    all_edges: Sequence[tuple[int, int]],
) -> tuple[Floats | None, float]:
    """The energy map of the origin along paths that use one edge of a cut, and none of the others; and the
    logarithm of its unit."""
    graph = fwd.graph
    only = cut(graph, edge, all_edges, node)
    found = walk_back(fwd, {node: delta(graph.nodes[node], unit)}, origin, only)
    arrived = found.get(origin)
    return None if arrived is None else spatial(graph.nodes[origin], arrived), found.log_unit


def cut(
    graph: Graph, edge: tuple[int, int], cuts: Sequence[tuple[int, int]], node: int
) -> dict[int, frozenset[int]]:
    """Edges to follow so that all paths from `node` run through `edge`: its merge's other edges are left out,
    and so is every path that goes round the merge."""
    merge, index = edge
    after = reaches(graph, merge)
    only: dict[int, frozenset[int]] = {merge: frozenset([index])}
    for n in graph.nodes[merge + 1 : node + 1]:
        if after[n.id]:
            taken = frozenset(k for k, e in enumerate(n.edges) if after[e.source])
            only[n.id] = taken - frozenset(k for m, k in cuts if m == n.id and (m, k) != edge)
    return only


# ------------------------------------------------------------------ helpers


def delta(node: Node, unit: Sequence[int]) -> Band:
    """A gradient of 1 at one channel of a unit, any of them: a mean over its channels."""
    shape = [n if d in node.positions else 1 for d, n in enumerate(node.shape)]
    where = [0] * len(shape)
    for dim, index in zip(node.positions, unit, strict=True):
        if not 0 <= index < node.shape[dim]:
            raise IndexError(f"unit {tuple(unit)} lies outside the map {tuple(node.shape)}")
        where[dim] = index
    start = np.zeros(shape)
    channels = np.prod([n for d, n in enumerate(node.shape) if d not in node.positions], initial=1.0)
    start[tuple(where)] = 1.0 / float(channels)
    return {zero_lag(node): start}


def spatial(node: Node, energy: Floats) -> Floats:
    """A map over the node's positions: summed over its channels."""
    channels = float(np.prod([n for d, n in enumerate(node.shape) if d not in node.positions]))
    return np.asarray(energy).reshape(node.map_size) * channels


def normalised(node: Node, energy: Floats) -> tuple[Floats | None, float]:
    """The map with sum 1, and its sum."""
    values = spatial(node, energy)
    total = float(values.sum())
    return (values / total, total) if 0 < total < np.inf else (None, 0.0)


def without_rule(fwd: Forward, node: int) -> tuple[str, ...]:
    """Operations without a rule that the unit's field depends on, as "layer (op)"; also those before the
    origin, since the moments of all earlier nodes matter."""
    graph, seen = fwd.graph, fwd.graph.ancestors(node)
    missing = {n: op for n, op in fwd.missing.items() if n in seen}
    if not missing and fwd.nodes[node] is None:  # scores and weights of an attention
        missing[node] = graph.nodes[node].op
    return tuple(dict.fromkeys(f"{graph.name_of(n)} ({op})" for n, op in missing.items()))


def assumptions(fwd: Forward, node: int) -> tuple[str, ...]:
    """What the figures rest on, in sentences for a reader."""
    premises = fwd.premises
    nodes = [fwd.graph.nodes[n] for n in fwd.graph.ancestors(node)]
    said = [
        f"Random weights: independent, zero mean, variance {premises.gain:g} / fan-in, no biases; "
        "not the field of trained weights."
    ]
    if premises.images == "white":
        said.append("Images of white noise.")
    else:
        said.append("Images of 1/f noise, correlated over distance as photographs are.")
    if any(n.op == "batch_norm" for n in nodes):
        if premises.statistics == "frozen":
            said.append("Batch norm as the identity: a fresh network in evaluation mode.")
        else:
            count = "many" if premises.batch is None else str(premises.batch)
            said.append(f"Batch norm divides by its input's own deviation, over {count} images.")
    if any(role(n) == "layer_norm" for n in nodes):
        said.append("Layer, group and instance norm divide by the image's own deviation.")
    if any(n.id in fwd.attention for n in nodes):
        said.append("What constants add to tokens and to attention scores, as positions, counts as zero.")
        said.append(
            "Through many layers of attention in windows (Swin) sides came out up to 40 % below those of "
            "sampled networks (docs/expected_erf.md)."
        )
    if any(n.op.startswith("conv_transpose") and interpolates(n) for n in nodes):
        said.append("Frozen class-to-class transposed convolutions hold bilinear weights.")
    if any(role(n) == "product" and len(n.edges) == 1 and n.attrs.get("constant") is None for n in nodes):
        said.append("Learned scales count as 1.")
    if any(n.op == "prelu" for n in nodes):
        said.append("PReLU has its usual first slope, 0.25.")
    if _called_again(fwd.graph, nodes):
        said.append("Each call of a layer that is called more than once has weights of its own here.")
    return tuple(said)


def _called_again(graph: Graph, nodes: Sequence[Node]) -> bool:
    """Whether random weights are used at more than one node."""
    of = graph.layer_of
    own = (graph.layers[of[n.id]] for n in nodes if role(n) == "random" and n.id in of)
    names = [layer.name.rpartition(":") for layer in own]
    return any(base and turn.isdigit() for base, _, turn in names)
