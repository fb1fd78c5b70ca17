"""What norms divide by. Behind a concat each channel is divided by the deviation of its own part: batch norm
always, group and instance norm where no group has channels of two parts.

So the law behind such a norm is the mean of its parts' own, and on the way back each edge of the concat gets
its own factor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from archlens.analyses.expected.forward import norms
from archlens.analyses.expected.forward.mixing import image_mean
from archlens.analyses.expected.forward.state import EPS, Forward, Moments, blended, finest
from archlens.analyses.expected.forward.transfer import renames, role, shaped_steps
from archlens.graph import Along, Edge, Graph, Node, Slice


@dataclass(frozen=True)
class Way:
    """A part of what a norm reads: an edge of a concat, as its node and index, the edge's source, the share
    of the norm's channels that it fills, and the variance that they are divided by."""

    concat: int
    index: int
    source: int
    share: float
    variance: float


def batch_norm(walk: Forward, node: Node) -> Moments:
    """The law behind a batch norm."""
    if deviates_not(walk, node):
        return walk.at(node.edges[0].source)
    return _law(walk, node, node.edges[0].source)


def layer_norm(walk: Forward, node: Node) -> Moments:
    """The law behind a norm of the image itself."""
    return _law(walk, node, node.edges[0].source)


def deviation(walk: Forward, node: Node) -> float:
    """The variance that a norm divides by; of several parts that by which the mean of them is divided."""
    if deviates_not(walk, node):
        return 1.0
    return _deviation(walk, node, node.edges[0].source)


def ways(
    walk: Forward,
    node: Node,
    only: Mapping[int, frozenset[int]] | None = None,
    held: Collection[int] = (),
) -> list[Way]:
    """The parts that a norm reads; empty where it does not read a concat.

    Args:
        only: Node id -> indices of its edges that are followed (all, where absent).
        held: Nodes that are not taken apart.
    """
    if role(node) not in ("batch_norm", "layer_norm") or deviates_not(walk, node):
        return []
    return _ways(walk, node, node.edges[0].source, only or {}, held)


def deviates_not(walk: Forward, node: Node) -> bool:
    """Whether a norm divides by 1: batch norm of a fresh network in evaluation."""
    return role(node) == "batch_norm" and walk.premises.statistics == "frozen"


def beside(walk: Forward, node: Node, source: int) -> Node | None:
    """The concat that a norm's input is, where each of its parts is divided by its own deviation."""
    graph = walk.graph
    concat = graph.nodes[source]
    while renames(concat) or _same_shape(graph, concat):
        concat = graph.nodes[concat.edges[0].source]
    if concat.op != "cat" or role(concat) != "linear" or len(concat.edges) < 2:
        return None
    counts = [_channels(graph, e) for e in concat.edges]
    if any(c is None for c in counts):
        return None
    if role(node) == "batch_norm":
        return concat
    group = norms.over(node).channels
    return concat if norms.over(node).dims and all(c is not None and c % group == 0 for c in counts) else None


def share(graph: Graph, concat: Node, edge: Edge) -> float:
    """Of a concat's channels, those that an edge fills."""
    counts = [_channels(graph, e) or 0 for e in concat.edges]
    return (_channels(graph, edge) or 0) / sum(counts)


def _same_shape(graph: Graph, node: Node) -> bool:
    """Whether a reshape is to the shape that there was: instance norms have one before them."""
    return node.op == "reshape" and graph.nodes[node.edges[0].source].shape == node.shape


def _channels(graph: Graph, edge: Edge) -> int | None:
    """Channels that an edge brings to a concat of them; None where it moves anything else."""
    if len(edge.steps) != 1:
        return None
    (taken,) = shaped_steps(graph, edge)
    if taken.positional or not isinstance(taken.step, Along) or not isinstance(taken.step.geometry, Slice):
        return None
    return taken.before[taken.step.dim]


def _ways(
    walk: Forward, node: Node, source: int, only: Mapping[int, frozenset[int]], held: Collection[int]
) -> list[Way]:
    concat = beside(walk, node, source)
    if concat is None or any(n in held for n in (source, concat.id)):
        return []
    out: list[Way] = []
    for k, edge in enumerate(concat.edges):
        part = share(walk.graph, concat, edge)
        inner = _ways(walk, node, edge.source, only, held)
        if concat.id in only and k not in only[concat.id]:
            continue
        out += [replace(w, share=w.share * part) for w in inner]
        if beside(walk, node, edge.source) is None or not inner:
            out.append(Way(concat.id, k, edge.source, part, _deviation(walk, node, edge.source)))
    return out


def _deviation(walk: Forward, node: Node, source: int) -> float:
    concat = beside(walk, node, source)
    if concat is not None:
        each = (share(walk.graph, concat, e) / _deviation(walk, node, e.source) for e in concat.edges)
        return 1 / sum(each)
    law = walk.at(source)
    if role(node) == "layer_norm":
        return norms.deviation(walk, node, law)
    return law.variance - _removed(walk, law, walk.graph.nodes[source]) + EPS


def _law(walk: Forward, node: Node, source: int) -> Moments:
    """The law of a norm of one node, or of the parts of one."""
    concat = beside(walk, node, source)
    if concat is None:
        law = walk.at(source)
        if role(node) == "layer_norm":
            return norms.layer_norm(walk, node, law)
        return _batch_norm(walk, law, source)
    parts = [_law(walk, node, e.source) for e in concat.edges]
    shares = [share(walk.graph, concat, e) for e in concat.edges]
    cov = np.sum([s * p.cov for s, p in zip(shares, parts, strict=True)], axis=0)
    return Moments(0.0, cov, finest(parts), blended(parts, shares))


def _batch_norm(walk: Forward, law: Moments, source: int) -> Moments:
    common = _removed(walk, law, walk.graph.nodes[source])
    cov = (law.cov - common) / (law.variance - common + EPS)
    lean = law.lean or tuple(np.ones_like(p) for p in law.profile)
    profile = []
    for own, part in zip(law.profile, lean, strict=True):
        line = np.maximum(law.second * own - common * (2 * part - 1), 1e-3 * law.second)
        profile.append(line / line.mean())
    return Moments(0.0, cov, law.jump, tuple(profile))


def _removed(walk: Forward, law: Moments, node: Node) -> float:
    """What batch statistics take away: the variance common to all images of the batch."""
    if walk.premises.batch is None:
        return law.common
    return law.common + (image_mean(walk, law, node) - law.common) / walk.premises.batch
