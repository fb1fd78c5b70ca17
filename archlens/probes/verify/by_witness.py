"""archlens' fields held to the network itself: no unit may answer to what archlens says that it does not see.

Parts of the image are changed, half images and single pixels, by several draws of both signs on dense images
(see `witness`), and every unit of the watched layers is looked at. What answers must lie inside what archlens
says, exact or bound. A unit that does not answer proves nothing: at the edges of boxes they are counted.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from archlens.graph import Graph
from archlens.probes.verify.claims import SHOWN, Bools, Claims, Part, Unit, half, pixel
from archlens.probes.verify.witness import Witness
from archlens.progress import Say
from archlens.words import count, duration, number

ROOM = 2**29
"""Bytes of one image's values that are kept to hold changed ones against; layers beyond are not watched."""
FEWEST = 4
"""Parts of the image below which rather draws are saved than parts."""


@dataclass(frozen=True)
class Broken:
    """A unit that answers to what archlens says that it does not see."""

    node: int
    unit: Unit
    part: Part


@dataclass
class Hearing:
    """What the network itself was asked and answered.

    Attributes:
        claims: What archlens says.
        drawn: Single units whose supports are held to it too: (node, unit) -> pixels.
        checked: Answers of units that were held to their boxes, and of drawn ones to their supports.
        bounds: How many of those are of bounds.
        layers: Of which layers.
        broken: The first of each layer that lies outside.
        left_out: What was not asked, and why.
    """

    claims: Claims
    drawn: dict[int, list[tuple[Unit, Bools]]]
    checked: int = 0
    bounds: int = 0
    layers: set[str] = field(default_factory=set)
    broken: list[Broken] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _outside: dict[tuple[int, int, str], Bools] = field(default_factory=dict)
    _edges: dict[tuple[int, int], tuple[Bools, Bools]] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many answers lie outside."""
        return sum(int(bad.sum()) for bad in self._outside.values())

    @property
    def failed_bounds(self) -> int:
        """How many of those are of bounds."""
        return sum(
            int(bad.sum()) for (_, node, _), bad in self._outside.items() if self.claims.word(node) == "bound"
        )

    @property
    def edges(self) -> int:
        """Units at the very edge of whose box something was changed."""
        return sum(int(edge.sum()) for edge, _ in self._edges.values())

    @property
    def silent(self) -> int:
        """How many of those never answered."""
        return sum(int((edge & ~seen).sum()) for edge, seen in self._edges.values())

    def take(self, index: int, part: Part, node: int, moved: Bools) -> None:
        """Hold the answers of one node's units, in one draw, to what archlens says."""
        word = self.claims.word(node)
        if word == "unknown" or (word != "none" and node not in self.claims.ends):
            return
        said = np.zeros_like(moved) if word == "none" else self.claims.reached(node, part)
        self._hold(index, part, node, "box", said, moved)
        for unit, support in self.drawn.get(node, ()):
            own = np.zeros_like(moved)
            own[unit] = True
            inside = np.ones_like(moved) if (support & part.mask).any() else ~own
            self._hold(index, part, node, f"support {unit}", inside, moved, 1)
        if word == "exact" and part.axis >= 0:
            known = self._edges.get((index, node))
            edge, seen = known or (self.claims.edge(node, part), np.zeros_like(moved))
            self._edges[index, node] = edge, seen | (moved & edge)

    def _hold(
        self, index: int, part: Part, node: int, what: str, said: Bools, moved: Bools, size: int | None = None
    ) -> None:
        key, bad = (index, node, what), moved & ~said
        if key not in self._outside:
            many = moved.size if size is None else size
            self.checked += many
            self.bounds += many if self.claims.word(node) == "bound" else 0
            self.layers.add(self.claims.layer(node))
            self._outside[key] = np.zeros((), bool)
        if bad.any():
            self._outside[key] = self._outside[key] | bad
            if len(self.broken) < SHOWN and all(b.node != node for b in self.broken):
                self.broken.append(Broken(node, tuple(int(u) for u in np.argwhere(bad)[0]), part))


def parts(
    claims: Claims, halves: Sequence[Part], drawn: Sequence[tuple[int, Unit]], rng: random.Random
) -> list[Part]:
    """What of the image is changed, each once: half images up to random lines; for each drawn unit, the
    deepest first, a corner of its box, the half image that holds one edge of it, a pixel just outside of it.
    In turn, so that the first few are of both kinds."""
    out: list[Part] = []
    axes = range(len(claims.shape))
    for node, unit in reversed(drawn):
        ends = claims.box(node, unit)
        if ends is None or not claims.shape:
            out.append(pixel(claims.shape, [rng.randrange(n) for n in claims.shape]))
            continue
        lo, hi = ends
        out.append(pixel(claims.shape, [rng.choice((lo[a], hi[a])) for a in axes]))
        axis = rng.choice(axes)
        if lo[axis] + 1 < claims.shape[axis]:
            out.append(half(claims.shape, axis, lo[axis] + 1, True))
        beyond = [(a, p) for a in axes for p in (lo[a] - 1, hi[a] + 1) if 0 <= p < claims.shape[a]]
        if beyond:
            axis, place = rng.choice(beyond)
            out.append(pixel(claims.shape, [place if a == axis else rng.randint(lo[a], hi[a]) for a in axes]))
    turns = (part for pair in zip_longest(halves, out) for part in pair if part is not None)
    return list(dict.fromkeys(turns))


def hear(
    claims: Claims,
    witness: Witness,
    asked: Sequence[Part],
    drawn: Sequence[tuple[int, Unit]],
    end: float,
    progress: Say,
) -> Hearing:
    """Change each part of the image in each draw, and hold every watched unit's answer to its box.

    Args:
        claims: What archlens says.
        witness: The network; what it watches is set here.
        asked: Parts of the image, the most telling first.
        drawn: Nodes and units whose supports are compared as well.
        end: When to begin no further run, on the monotonic clock.
        progress: Called with a few words.
    """
    supports: dict[int, list[tuple[Unit, Bools]]] = {}
    for node, unit in drawn:
        if time.monotonic() < end and (there := claims.support(node, unit)) is not None:
            supports.setdefault(node, []).append((unit, there))
    hearing = Hearing(claims, supports)
    outputs = [layer.output for layer in claims.graph.layers]
    nodes = watched(claims.graph, outputs, [n for n, _ in drawn])
    if len(nodes) < len(outputs):
        lost = len(outputs) - len(nodes)
        hearing.left_out.append(f"{lost} of {len(outputs)} layers: there is no room for their values")
    witness.watch(nodes)
    began = time.monotonic()
    progress("running the network itself")
    witness.drawn(0)
    each = max(time.monotonic() - began, 1e-6)
    draws, many = affordable(len(asked), witness.draws, int((end - time.monotonic()) / each))
    lost = 0
    for turn in range(draws):
        progress(f"changing {count(many, 'part')} of image {turn + 1} of {draws}")
        for index, part in enumerate(asked[:many]):
            if time.monotonic() > end and (turn or index >= many // 2):
                lost += 1
                continue
            for node, moved in witness.answer(turn, part.mask).items():
                hearing.take(index, part, node, moved)
        witness.forget(turn)
    if many < len(asked) or draws < witness.draws:
        hearing.left_out.append(
            f"{number(len(asked) - many)} of {count(len(asked), 'part')} of the image and "
            f"{witness.draws - draws} of {witness.draws} draws: a run takes {duration(each)}"
        )
    if lost:
        hearing.left_out.append(f"{lost} of {count(draws * many, 'run')}: the time was up")
    return hearing


def affordable(asked: int, draws: int, runs: int) -> tuple[int, int]:
    """How many draws, and how many parts of the image in each, `runs` further runs are enough for."""
    if runs < 1:
        return 0, 0
    many = min(asked, max(FEWEST, runs // draws - 1))
    return min(draws, max(1, (runs + 1) // (many + 1))), min(many, runs)


def watched(graph: Graph, outputs: Sequence[int], first: Collection[int]) -> frozenset[int]:
    """The layers' results, or as many, spread over the depth, as there is room for; `first` before others."""
    size = {n: 8 * int(np.prod(graph.nodes[n].shape)) for n in outputs}
    if sum(size.values()) <= ROOM:
        return frozenset(outputs)
    stride = 2
    while stride < len(outputs) and sum(size[n] for n in outputs[::-stride]) > ROOM:
        stride += 1
    kept, room = set(outputs[::-stride]), ROOM - sum(size[n] for n in outputs[::-stride])
    for node in first:
        if node in size and node not in kept and size[node] <= room:
            kept.add(node)
            room -= size[node]
    return frozenset(kept)
