"""archlens' fields held to the network's linear positive twin (see `oracle`).

* `reach`:   the visible box of every unit of every layer. The twin is run on images that are lit up to a
  random line and dark beyond: a unit answers exactly if its box reaches the lit part. Few runs, all units.
* `box` and `support`: single units, drawn at random and at the corners: all pixels that they depend on, from
  a backward pass through the twin, bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from archlens.probes.verify.claims import Claims, Part, Tally, Unit, filled, hull
from archlens.probes.verify.oracle import Bools, Oracle, positions
from archlens.progress import Say


def lit_units(oracle: Oracle, where: Bools, nodes: frozenset[int] | None = None) -> dict[int, Bools]:
    """Node id -> (*positions) whether each unit sees any of the image's `where`, as the twin says.

    Args:
        oracle: The twin.
        where: A mask over the image's spatial axes.
        nodes: Which nodes are wanted; default all.
    """
    graph = oracle.graph
    start = graph.nodes[graph.inputs[0]]
    mask = torch.as_tensor(np.ascontiguousarray(where), dtype=torch.float64)
    shape = [n if d in start.positions else 1 for d, n in enumerate(start.shape)]
    x = mask.reshape(shape).expand(start.shape).contiguous().to(oracle.device)
    out: dict[int, Bools] = {}

    def take(node: int, value: Tensor, _: bool) -> None:
        if nodes is None or node in nodes:
            out[node] = positions(value.cpu().numpy() != 0, graph.nodes[node].positions)

    with torch.no_grad():
        oracle.watch(x, take)
    return out


def reach(
    claims: Claims, oracle: Oracle, parts: Sequence[Part], end: float, progress: Say
) -> tuple[Tally, tuple[str, ...]]:
    """For every unit of every layer, whether it reaches across a line; and what there was no time for."""
    tally, late = Tally(claims), 0
    for k, part in enumerate(parts):
        if k and time.monotonic() > end:
            late += 1
            continue
        progress(f"lighting {part.words}")
        for node, found in lit_units(oracle, part.mask, frozenset(claims.ends)).items():
            status = claims.sure[node]
            if status is not None:
                tally.part(node, status, part, found)
    return tally, (f"{late} of {len(parts)} half images: the time was up",) if late else ()


def single(
    claims: Claims, oracle: Oracle, asked: Sequence[tuple[int, Unit]], end: float, progress: Say
) -> tuple[Tally, Tally, tuple[str, ...]]:
    """Boxes and supports of single units, and what there was no time for.

    Args:
        claims: What archlens says.
        oracle: The twin.
        asked: Node ids and units.
        end: When to begin no further unit, on the monotonic clock.
        progress: Called with a few words.
    """
    box, support = Tally(claims), Tally(claims)
    late = 0
    progress(f"following {len(asked)} units back")
    answers = oracle.supports(asked)
    for node, unit in asked:
        if time.monotonic() > end:
            late += 1
            continue
        there, said, status = next(answers), claims.support(node, unit), claims.sure[node]
        if there is None or said is None or status is None:
            continue
        support.unit(node, status, unit, said, there)
        ends = claims.box(node, unit)
        box.unit(node, status, unit, filled(ends, there.shape), filled(hull(there), there.shape))
    return box, support, (f"{late} of {len(asked)} units: the time was up",) if late else ()


def unplayed(oracle: Oracle) -> tuple[str, ...]:
    """What the twin could not play, in words."""
    return tuple(
        f"behind {op} ({n} {'call' if n == 1 else 'calls'}): the twin has no rule for it"
        for op, n in sorted(oracle.skipped.items())
    )
