"""A graph, and each walk over it made once: whoever asks again gets the same answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeVar

from archlens.analyses.fields.status import Status, statuses
from archlens.analyses.fields.support import Bools, support
from archlens.analyses.fields.theoretical import Field, receptive_fields
from archlens.analyses.fields.visible import Box, boxes, channels_taken_apart
from archlens.graph import Graph

T = TypeVar("T")


class Walks:
    """A graph with its fields, boxes and statuses, seen from the image or from another node.

    What is kept is small: a box holds a few arrays of rows and columns, a field a few numbers a node.
    """

    def __init__(self, graph: Graph, edited_from: Walks | None = None) -> None:
        """
        Args:
            edited_from: Walks over the graph that this one was made from: what both begin with is not walked
                again.
        """
        self.graph, self._before = graph, edited_from
        self._kept: dict[tuple[Callable[..., object], int], object] = {}

    def _once(self, walk: Callable[..., T], origin: int | None) -> T:
        start = self.graph.inputs[0] if origin is None else origin
        if (walk, start) not in self._kept:
            known = None if self._before is None else self._before._kept.get((walk, start))
            if isinstance(known, list) and walk is not statuses:
                self._kept[walk, start] = walk(self.graph, start, known[: self._in_common])
            else:
                self._kept[walk, start] = walk(self.graph, start)
        found: T = self._kept[walk, start]  # type: ignore[assignment]
        return found

    @cached_property
    def _in_common(self) -> int:
        """How many nodes this graph and the one that it was made from begin with: the same, and their
        channels read alike."""
        if self._before is None:
            return 0
        pairs = zip(self.graph.nodes, self._before.graph.nodes, strict=False)
        apart = zip(channels_taken_apart(self.graph), channels_taken_apart(self._before.graph), strict=False)
        same = (a == b and x == y for (a, b), (x, y) in zip(pairs, apart, strict=True))
        return next((k for k, alike in enumerate(same) if not alike), len(self.graph.nodes))

    def fields(self, origin: int | None = None) -> list[Field | None]:
        """The theoretical field of every node (`theoretical`)."""
        return self._once(receptive_fields, origin)

    def boxes(self, origin: int | None = None) -> list[Box | None]:
        """What every unit of every node reaches (`visible`)."""
        return self._once(boxes, origin)

    def statuses(self, origin: int | None = None) -> list[Status | None]:
        """How sure both are (`status`)."""
        return self._once(statuses, origin)

    def seen(
        self, node: int, unit: Sequence[int] | None = None, origin: int | None = None
    ) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The visible box of one unit, (lo, hi) per axis, inclusive; None where it sees nothing or that is
        not known. Default: the centre unit."""
        box, here = self.boxes(origin)[node], self.graph.nodes[node]
        return None if box is None else box.unit(here, here.middle if unit is None else unit)

    def support(
        self, node: int, unit: Sequence[int] | None = None, origin: int | None = None
    ) -> Bools | None:
        """Exactly which positions of the origin one unit reads, as `support.support` gives them."""
        return support(self.graph, node, self.graph.nodes[node].middle if unit is None else unit, origin)

    def centre(
        self, node: int, unit: Sequence[int] | None = None, origin: int | None = None
    ) -> tuple[float, ...]:
        """A unit's own centre in the origin, px: of its theoretical field, else (its local path, a global or
        varying field) of the finite path beside it, else of what it sees, else the origin's middle."""
        target = self.graph.nodes[node]
        start = self.graph.nodes[self.graph.inputs[0] if origin is None else origin]
        middle = tuple((n - 1) / 2 for n in start.map_size)
        field = self.fields(origin)[node]
        if field is None:
            return middle
        at = target.middle if unit is None else unit
        # A field has an entry for each axis that runs along one of the origin's dimensions: a flattened map
        # has two along one, and no lattice of its own.
        axes = [[a.axis for a in start.layout[d] if a.axis >= 0] for d in start.positions]
        entries = iter(field)
        out: list[float] = []
        for k, along in enumerate(axes):
            own = [next(entries) for _ in along]
            dim = target.axis_dim(along[0]) if len(along) == 1 else None
            path = own[0].path if dim in target.positions else None
            centre = None if path is None or dim is None else path.centre(at[target.positions.index(dim)])
            if centre is not None:
                out.append(float(centre))
            else:
                seen = self.seen(node, at, origin)
                out.append(middle[k] if seen is None else (seen[0][k] + seen[1][k]) / 2)
        return tuple(out)
