"""The projective field with weights: how much one pixel matters to every unit of a layer.

A unit's expected field divides 1 among the pixels that it sees. Here the pixel is held fast: what it gets of
each unit's 1. The same walk as in `expected_erf`, made once for all units and then turned round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.backward.lags import zero_lag
from archlens.analyses.expected.backward.transposed import Recorded
from archlens.analyses.expected.backward.walk import walk_back
from archlens.analyses.expected.field import assumptions, without_rule
from archlens.analyses.expected.forward.state import Forward
from archlens.analyses.fields.support import at_unit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedShares:
    """What one position of the origin brings to the units of a node.

    Attributes:
        node: Id of the units' node.
        origin: Id of the node that the position belongs to.
        unit: The position: one index for each of the origin's positions.
        shares: Of each unit's expected energy, the part that lies on the position [0..1], over the node's
            positions; None where an operation has no rule. 0 where the unit sees nothing at all.
        assumptions: What the expectation is taken over, in sentences.
        missing: Operations without a rule on the way, as "layer (op)".
    """

    node: int
    origin: int
    unit: tuple[int, ...]
    shares: Floats | None
    assumptions: tuple[str, ...]
    missing: tuple[str, ...] = ()


def expected_shares(
    fwd: Forward, node: int, unit: Sequence[int], origin: int | None = None
) -> ExpectedShares:
    """How much of every unit's expected field lies on one position of the origin.

    Args:
        fwd: The network's moments, from `forward`.
        node: Id of the units' node.
        unit: One index for each of the origin's positions.
        origin: Default the image.
    """
    graph = fwd.graph
    origin = graph.inputs[0] if origin is None else origin
    said = assumptions(fwd, node)
    if missing := without_rule(fwd, node, origin):
        return ExpectedShares(node, origin, tuple(unit), None, said, missing)
    units, start = graph.nodes[node], graph.nodes[origin]
    shape = [n if d in units.positions else 1 for d, n in enumerate(units.shape)]
    seed: Any = Recorded(np.ones(shape))
    arrived: Any = walk_back(fwd, {node: {zero_lag(units): seed}}, origin).get(origin)
    if arrived is None:
        return ExpectedShares(node, origin, tuple(unit), None, said)
    of_pixel = arrived.transposed(at_unit(start, unit).astype(float), seed)
    of_all = arrived.transposed(np.ones(arrived.shape), seed)
    shares = np.divide(of_pixel, of_all, out=np.zeros_like(of_all), where=of_all > 0)
    shown = units.map_size
    return ExpectedShares(node, origin, tuple(unit), shares.reshape(shown), said)
