"""How much of the image each unit of a layer sees, by position: corner, edge, centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.fields.visible import Box
from archlens.graph import Graph

Shares = NDArray[np.float64]


@dataclass(frozen=True)
class Coverage:
    """Shares of the image's area inside the visible box.

    Attributes:
        corner, edge, centre: Of the unit in the first corner, in the middle of the first border, in the
            middle.
        mean, least: Over all units of the map.
        whole: Share of units that see all of the image.
    """

    corner: float
    edge: float
    centre: float
    mean: float
    least: float
    whole: float


def places(sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The units meant by corner, edge and centre: `n // 2` is a centre."""
    middle = tuple(n // 2 for n in sizes)
    return {"corner": (0,) * len(sizes), "edge": (0, *middle[1:]), "centre": middle}


def seen_shares(graph: Graph, node: int, box: Box, origin: int | None = None) -> Shares:
    """Share of the origin's area in each unit's box, shaped like the node's positions; the most over
    channels."""
    origin = graph.inputs[0] if origin is None else origin
    here, start = graph.nodes[node], graph.nodes[origin]
    sides = start.map_size
    share = np.ones((1,) * len(here.shape))
    for lo, hi, side in zip(box.lo, box.hi, sides, strict=True):
        share = share * np.clip(hi.astype(np.int64) - lo + 1, 0, None) / side
    share = np.broadcast_to(
        share, np.broadcast_shapes(share.shape, _positions_only(here.shape, here.positions))
    )
    others = tuple(d for d in range(share.ndim) if d not in here.positions)
    return np.asarray(share.max(axis=others), dtype=np.float64)


def coverage(graph: Graph, node: int, box: Box | None, origin: int | None = None) -> Coverage | None:
    """What the units of a node see of the image; None where that is unknown or there are no positions."""
    if box is None or not graph.nodes[node].positions:
        return None
    share = seen_shares(graph, node, box, origin)
    at = places(share.shape)
    return Coverage(
        corner=float(share[at["corner"]]),
        edge=float(share[at["edge"]]),
        centre=float(share[at["centre"]]),
        mean=float(share.mean()),
        least=float(share.min()),
        whole=float((share >= 1).mean()),
    )


def _positions_only(shape: Sequence[int], positions: Sequence[int]) -> tuple[int, ...]:
    return tuple(n if d in positions else 1 for d, n in enumerate(shape))
