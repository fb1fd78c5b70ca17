"""Holding what the analyses say against the oracle, unit by unit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from archlens.analyses.fields.status import statuses
from archlens.analyses.fields.visible import NOTHING, Box, boxes
from archlens.capture.run import capture_module
from archlens.graph import Graph, Node
from archlens.probes.verify.oracle import Bools, Oracle, positions


@dataclass
class Tally:
    """What was compared."""

    units: int = 0
    exact: int = 0
    bound: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    unplayed: dict[str, int] = field(default_factory=dict)
    bounds: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def unit_boxes(box: Box, node: Node) -> tuple[np.ndarray, np.ndarray]:
    """(axes, *positions) inclusive ends of every unit; lo > hi for units that see nothing."""
    los = [np.broadcast_to(a, node.shape) for a in box.lo]
    his = [np.broadcast_to(a, node.shape) for a in box.hi]
    empty = np.any([lo > hi for lo, hi in zip(los, his, strict=True)], axis=0)
    over = node.others
    lo = np.stack([np.where(empty, NOTHING, a).min(over) for a in los])
    hi = np.stack([np.where(empty, -NOTHING, a).max(over) for a in his])
    return lo, hi


def seen_boxes(seen: Bools, axes: int) -> tuple[np.ndarray, np.ndarray]:
    """The same from (*input spatial, *positions)."""
    los, his = [], []
    for a in range(axes):
        line = seen.any(axis=tuple(d for d in range(axes) if d != a))
        some = line.any(axis=0)
        los.append(np.where(some, line.argmax(axis=0), NOTHING))
        his.append(np.where(some, line.shape[0] - 1 - line[::-1].argmax(axis=0), -NOTHING))
    return np.stack(los), np.stack(his)


def alike(graph: Graph, other: Graph, batch: int) -> bool:
    """Whether two captures have the same nodes, but for the batch in front."""
    return len(graph.nodes) == len(other.nodes) and all(
        a.op == b.op and (b.shape == a.shape if batch == 1 else b.shape == (batch * a.shape[0], *a.shape[1:]))
        for a, b in zip(graph.nodes, other.nodes, strict=True)
        if a.shape
    )


def dependence(oracle: Oracle) -> dict[int, Bools]:
    """Who sees what, all at once, for networks with small inputs: node id -> (*input spatial, *unit
    positions), whether that unit depends on that pixel.

    An oracle made with a batch of as many as the input has pixels runs one impulse a batch entry; one made
    with a batch of 1 runs them one after the other.
    """
    nodes = oracle.graph.nodes
    shape = nodes[oracle.graph.inputs[0]].shape
    spatial = shape[2:]
    count = int(np.prod(spatial))
    assert shape[0] in (1, count)
    x = torch.eye(count, dtype=torch.float64).reshape(count, 1, *spatial).expand(count, *shape[1:])
    out: dict[int, Bools] = {}
    with torch.no_grad():
        if shape[0] == count:
            for node, value in oracle.forward(x.clone()).items():
                if value.ndim and value.shape[0] == count:
                    beyond = tuple(d for d in nodes[node].positions if d != 0)
                    lit = positions(value.numpy() != 0, (0, *beyond))
                    out[node] = lit.reshape(*spatial, *lit.shape[1:])
            return out
        for k in range(count):
            for node, value in oracle.forward(x[k : k + 1].clone()).items():
                lit = positions(value.numpy() != 0, nodes[node].positions)
                out.setdefault(node, np.zeros((count, *lit.shape), bool))[k] = lit
    return {node: lit.reshape(*spatial, *lit.shape[1:]) for node, lit in out.items()}


def compare(net: nn.Module, shape: tuple[int, ...], tally: Tally) -> tuple[Graph, dict[int, Bools]]:
    """Boxes of all units of all nodes against the oracle's."""
    axes = len(shape) - 2
    graph = capture_module(net, shape[1:])
    count = int(np.prod(shape[2:]))
    oracle = Oracle(net, (count, *shape[1:]))
    seen = dependence(oracle)
    if not alike(graph, oracle.graph, count):  # the batch changes what is called: impulses one by one
        oracle = Oracle(net, (1, *shape[1:]))
        seen = dependence(oracle)
        assert alike(graph, oracle.graph, 1)
    found, sure = boxes(graph), statuses(graph)
    for op, n in oracle.skipped.items():
        tally.unplayed[op] = tally.unplayed.get(op, 0) + n
    for node in graph.nodes:
        if node.id not in seen:
            continue
        box, status, there = found[node.id], sure[node.id], seen[node.id]
        if status is None or box is None:
            if status is not None and status.word == "unknown":
                tally.unknown[str(status.reason)] = tally.unknown.get(str(status.reason), 0) + 1
            elif there.any():
                tally.wrong.append(f"node {node.id} {node.op}: no box, but it depends on the input")
            continue
        if there.shape[axes:] != node.map_size:
            tally.unplayed["layout"] = tally.unplayed.get("layout", 0) + 1
            continue
        lo, hi = unit_boxes(box, node)
        lo2, hi2 = seen_boxes(there, axes)
        units = int(np.prod(lo.shape[1:]))
        tally.units += units
        same = (lo == lo2).all() and (hi == hi2).all()
        if same:
            tally.exact += units
        elif status.word == "bound":
            some = (lo2 <= hi2).all(axis=0)
            if ((lo <= lo2) & (hi >= hi2))[:, some].all():
                tally.bound += units
                tally.bounds[str(status.reason)] = tally.bounds.get(str(status.reason), 0) + 1
            else:
                tally.wrong.append(f"node {node.id} {node.op}: the bound is broken")
        else:
            bad = np.argwhere(((lo != lo2) | (hi != hi2)).any(axis=0))[0]
            at = (slice(None), *bad)
            tally.wrong.append(
                f"node {node.id} {node.op} {node.shape}: unit {tuple(bad)} of {len(graph.nodes)} nodes: said "
                f"{lo[at]}..{hi[at]}, is {lo2[at]}..{hi2[at]}"
            )
    return graph, seen


torch.set_num_threads(1)
