"""Holding a small network to the rule-free witness: all pixels against all units of all nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from archlens.analyses.fields.status import statuses
from archlens.analyses.fields.support import support
from archlens.analyses.fields.visible import boxes
from archlens.capture.run import capture_module
from archlens.graph import Graph
from archlens.probes.verify.claims import unit_boxes
from archlens.probes.verify.witness import Witness

torch.set_num_threads(1)


class Net(nn.Module):
    """A function and the modules that it calls."""

    def __init__(self, function: Callable[..., Any], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *x: torch.Tensor) -> Any:
        return self.function(*x, *self.parts)


@dataclass
class Held:
    """What came of it."""

    graph: Graph
    word: str  # of the output: exact, bound, unknown, none
    missed: list[str] = field(default_factory=list)  # a unit answers to what archlens says it does not see
    unseen: list[str] = field(default_factory=list)  # said to be exact, and no draw made the unit answer
    units: int = 0
    tight: float = 1.0  # share of the output's (pixel, unit) pairs inside the boxes that answered


def hold(net: nn.Module, *sizes: Sequence[int], draws: int = 24, first: int = 2, origin: int = 0) -> Held:
    """Every pixel against every unit, until all that is said to see it has answered or no draw is left."""
    graph = capture_module(net, sizes if len(sizes) > 1 else sizes[0])
    witness = Witness(net, sizes, draws=draws)
    same = [(n.op, n.shape) for n in graph.nodes] == [(n.op, n.shape) for n in witness.graph.nodes]
    if not same:
        graph = witness.graph
    start = graph.inputs[origin]
    said, sure = boxes(graph, start), statuses(graph, start)
    ends = {n.id: unit_boxes(b, n) for n in graph.nodes if (b := said[n.id]) is not None and b.lo}
    spatial = graph.nodes[start].map_size
    output = next(iter(graph.outputs.values()), None)
    status = None if output is None else sure[output]
    held = Held(graph, "none" if status is None else status.word)
    seen: dict[int, np.ndarray] = {}
    for pixel in np.ndindex(*spatial):
        where = np.zeros(spatial, bool)
        where[pixel] = True
        left = {n for n in ends if (s := sure[n]) is not None and s.word == "exact"}
        for turn, answer in enumerate(witness.answers(where, origin)):
            for node, moved in answer.items():
                if node not in seen:
                    seen[node] = np.zeros((*spatial, *moved.shape), bool)
                seen[node][pixel] |= moved
            left = {n for n in left if n in seen and (inside(ends[n], pixel) & ~seen[n][pixel]).any()}
            if turn + 1 >= first and not left:
                break
    for node in graph.nodes:
        there, word = seen.get(node.id), sure[node.id]
        if there is None or node.id == start:
            continue
        if word is None:
            if there.any():
                held.missed.append(f"{node.id} {node.op} {node.shape}: said not to depend")
            continue
        if word.word == "unknown" or node.id not in ends:
            continue
        _compare(held, graph, start, node.id, there, ends[node.id], word.word)
    return held


def inside(ends: tuple[np.ndarray, np.ndarray], pixel: Sequence[int]) -> np.ndarray:
    """(*positions) whether a pixel lies in each unit's box."""
    lo, hi = ends
    return np.all([(lo[a] <= p) & (hi[a] >= p) for a, p in enumerate(pixel)], axis=0)


def _compare(
    held: Held, graph: Graph, start: int, index: int, there: np.ndarray, ends: Any, word: str
) -> None:
    node = graph.nodes[index]
    axes = len(ends[0])
    spatial = there.shape[:axes]
    for unit in np.ndindex(*node.map_size):
        lit = there[(..., *unit)]
        held.units += 1
        box = np.zeros(spatial, bool)
        lo, hi = ends[0][(slice(None), *unit)], ends[1][(slice(None), *unit)]
        if (lo <= hi).all():
            box[tuple(slice(a, b + 1) for a, b in zip(lo, hi, strict=True))] = True
        at = f"{node.id} {node.op} {node.shape} unit {unit}"
        if (lit & ~box).any():
            held.missed.append(f"{at}: box {lo}..{hi}, answers to {np.argwhere(lit & ~box)[0]}")
            return
        if word == "exact":
            places = np.argwhere(lit)
            hull = (places.min(0), places.max(0)) if len(places) else None
            empty = not box.any()
            if (hull is None) != empty or (hull and not ((hull[0] == lo).all() and (hull[1] == hi).all())):
                held.unseen.append(f"{at}: box {lo}..{hi}, answers in {hull}")
                return
    unit = node.middle
    exact = support(graph, index, unit, start) if axes == len(node.positions) else None
    if exact is not None and exact.shape == spatial and (there[(..., *unit)] & ~exact).any():
        held.missed.append(f"{node.id} {node.op}: the support of {unit} leaves out what answers")
