"""What archlens claims of a network, as the witnesses are asked: which units a part of the image reaches."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.fields.status import Status, statuses
from archlens.analyses.fields.support import support
from archlens.analyses.fields.visible import NOTHING, Box, boxes
from archlens.graph import Graph, Node
from archlens.probes.verify.results import Disagreement

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Unit = tuple[int, ...]
Ends = tuple[tuple[int, ...], tuple[int, ...]]
SHOWN = 20  # disagreements kept for each check


@dataclass(frozen=True)
class Part:
    """A part of the image: a block of positions.

    Attributes:
        lo: First position along each axis.
        hi: Last position along each axis, inclusive.
        shape: Of the image's spatial axes.
        words: What it is, for a reader.
        axis: Of a half: the axis that its line runs across; else -1.
    """

    lo: Unit
    hi: Unit
    shape: Unit
    words: str
    axis: int = -1

    @cached_property
    def mask(self) -> Bools:
        """As a mask over the image's spatial axes."""
        return filled((self.lo, self.hi), self.shape)


def half(shape: Unit, axis: int, line: int, before: bool) -> Part:
    """All positions before a line across one axis, or from it on."""
    lo, hi = [0] * len(shape), [n - 1 for n in shape]
    if before:
        hi[axis] = line - 1
    else:
        lo[axis] = line
    side = f"before {line}" if before else f"from {line}"
    return Part(tuple(lo), tuple(hi), shape, f"positions {side} of axis {axis}", axis)


def pixel(shape: Unit, at: Sequence[int]) -> Part:
    """A single position."""
    where = tuple(int(p) for p in at)
    return Part(where, where, shape, f"pixel {','.join(map(str, where))}")


class Claims:
    """What archlens says of every unit of a graph, seen from its first input.

    Attributes:
        graph: The capture.
        sure: The status of each node's field.
        ends: Node id -> (lo, hi), each (axes, *positions), of the nodes that anything is said of.
        shape: The image's spatial axes.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sure = statuses(graph)
        self.boxes = boxes(graph)
        self.names = {n: layer.name for layer in graph.layers for n in layer.nodes}
        self.ends: dict[int, tuple[Ints, Ints]] = {}
        for node in graph.nodes:
            box, status = self.boxes[node.id], self.sure[node.id]
            if box is not None and box.lo and status is not None and status.word != "unknown":
                # A unit at a time would take longer than the runs.
                self.ends[node.id] = unit_boxes(box, node)
        self.shape = graph.nodes[graph.inputs[0]].map_size

    def layer(self, node: int) -> str:
        """The name of a node's layer."""
        return self.names.get(node, "input")

    def word(self, node: int) -> str:
        """`exact`, `bound`, `unknown`, or `none`: it does not depend on the image."""
        status = self.sure[node]
        return "none" if status is None else status.word

    def reached(self, node: int, part: Part) -> Bools:
        """(*positions) whether each unit's box holds any of a part of the image."""
        lo, hi = self.ends[node]
        return np.asarray(
            np.all([(lo[a] <= part.hi[a]) & (hi[a] >= part.lo[a]) for a in range(len(part.lo))], axis=0)
        )

    def edge(self, node: int, half: Part) -> Bools:
        """(*positions) the units of which a half image holds the very edge of the box, one position deep."""
        lo, hi = (ends[half.axis] for ends in self.ends[node])
        deep = np.minimum(hi, half.hi[half.axis]) - np.maximum(lo, half.lo[half.axis]) + 1
        return np.asarray(self.reached(node, half) & (deep == 1) & (lo < hi))

    def support(self, node: int, unit: Unit) -> Bools | None:
        """The pixels that one unit depends on."""
        return support(self.graph, node, unit)

    def box(self, node: int, unit: Unit) -> Ends | None:
        """One unit's box over its channels; None where it sees nothing."""
        box = self.boxes[node]
        return None if box is None else box.unit(self.graph.nodes[node], unit)

    def unknown(self) -> tuple[str, ...]:
        """The layers that archlens says nothing of, in words."""
        lost = [layer for layer in self.graph.layers if self.word(layer.output) == "unknown"]
        if not lost:
            return ()
        first = self.sure[lost[0].output]
        return (f"{len(lost)} layers from {lost[0].name} on are unknown ({first.reason if first else None})",)

    def drawn(self, rng: random.Random, count: int) -> list[tuple[int, Unit]]:
        """Units of layers spread over the depth, always of the last one; corners and random places."""
        nodes = [
            layer.output
            for layer in self.graph.layers
            if layer.output in self.ends and self.graph.nodes[layer.output].positions
        ]
        if not nodes or count < 1:
            return []
        steps = [round(k * (len(nodes) - 1) / max(1, count - 1)) for k in range(count)]
        out = []
        for k, step in enumerate(steps if count > 1 else [-1]):
            node = self.graph.nodes[nodes[step]]
            corner = k % 4 == 0
            at = (rng.choice((0, n - 1)) if corner else rng.randrange(n) for n in node.map_size)
            out.append((node.id, tuple(at)))
        return out

    def halves(self, rng: random.Random, cuts: int) -> list[Part]:
        """Both sides of random lines across each axis."""
        out = []
        for axis, n in enumerate(self.shape):
            for _ in range(cuts):
                line = rng.randrange(1, n) if n > 1 else 0
                out += [half(self.shape, axis, line, before) for before in (True, False)]
        return [p for p in out if all(a <= b for a, b in zip(p.lo, p.hi, strict=True))]


@dataclass(frozen=True)
class Doubt:
    """Where the twin says another thing than archlens, as a question for the network itself.

    Attributes:
        node: Of the unit.
        unit: Its index.
        said: The pixels that archlens says it sees, of those asked about.
        found: The pixels that the twin says it sees, of those asked about.
        wrong: The two, in words.
    """

    node: int
    unit: Unit
    said: Bools
    found: Bools
    wrong: Disagreement


@dataclass
class Tally:
    """Adds up one check."""

    claims: Claims
    checked: int = 0
    agreed: int = 0
    bounds: int = 0
    layers: set[str] = field(default_factory=set)
    doubts: list[Doubt] = field(default_factory=list)

    def part(self, node: int, status: Status, part: Part, found: Bools) -> None:
        """All units of a node: whether a part of the image reaches them. A bound may say more than is so."""
        said = self.claims.reached(node, part)
        bad = (found & ~said) if status.word == "bound" else (said != found)
        self._add(node, status, bad.size, int(bad.sum()))
        if bad.any() and self._room(node):
            unit = tuple(int(u) for u in np.argwhere(bad)[0])
            whole, none = part.mask, np.zeros_like(part.mask)
            at = f"unit {','.join(map(str, unit))} sees {part.words}: "
            words = Disagreement(self.claims.layer(node), f"{at}{bool(said[unit])}", str(bool(found[unit])))
            self.doubts.append(
                Doubt(node, unit, whole if said[unit] else none, whole if found[unit] else none, words)
            )

    def unit(self, node: int, status: Status, unit: Unit, said: Bools, found: Bools) -> None:
        """All pixels of one unit."""
        bad = (found & ~said) if status.word == "bound" else (said != found)
        self._add(node, status, 1, int(bad.any()))
        if bad.any() and self._room(node):
            at = f"unit {','.join(map(str, unit))}: "
            words = Disagreement(
                self.claims.layer(node), f"{at}{int(said.sum())} positions", f"{int(found.sum())} positions"
            )
            self.doubts.append(Doubt(node, unit, said, found, words))

    def _add(self, node: int, status: Status, count: int, failed: int) -> None:
        self.layers.add(self.claims.layer(node))
        self.checked += count
        self.agreed += count - failed
        self.bounds += count - failed if status.word == "bound" else 0

    def _room(self, node: int) -> bool:
        """One a layer, and not too many."""
        return len(self.doubts) < SHOWN and all(d.node != node for d in self.doubts)


def unit_boxes(box: Box, node: Node) -> tuple[Ints, Ints]:
    """(axes, *positions) inclusive ends of every unit, over its channels; lo > hi where it sees nothing."""
    los = [np.broadcast_to(a, node.shape) for a in box.lo]
    his = [np.broadcast_to(a, node.shape) for a in box.hi]
    empty = np.any([lo > hi for lo, hi in zip(los, his, strict=True)], axis=0)
    over = node.others
    lo = np.stack([np.where(empty, NOTHING, a).min(over) for a in los])
    hi = np.stack([np.where(empty, -NOTHING, a).max(over) for a in his])
    return lo, hi


def hull(lit: Bools) -> Ends | None:
    """The box of a mask; None of an empty one."""
    places = np.argwhere(lit)
    return None if not len(places) else (tuple(places.min(0)), tuple(places.max(0)))


def filled(ends: Ends | None, shape: Unit) -> Bools:
    """A box as a mask."""
    out = np.zeros(shape, bool)
    if ends is not None:
        out[tuple(slice(lo, hi + 1) for lo, hi in zip(*ends, strict=True))] = True
    return out
