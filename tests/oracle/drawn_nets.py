"""Random networks: every drawn step is checked for legality on real zeros, so any draw gives a network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from drawn_mixing import (
    activation,
    add,
    gate,
    hollow,
    in_place,
    norm,
    ordered,
    residual,
    shared,
    shuffle_channels,
    tokens,
)  # fmt: skip
from drawn_parts import RUNNING, Draw, Drawn, Illegal, Made, Maker
from drawn_spatial import (
    adaptive,
    avg_pool,
    conv,
    crop,
    flip,
    fold,
    interpolate,
    max_pool,
    pad,
    pixel_shuffle,
    pixel_unshuffle,
    roll,
    transposed,
    unfold,
)  # fmt: skip

LARGEST = 22  # positions an axis
CHANNELS = 8


TWO = {"add"}
STEPS: dict[str, Callable[..., Made]] = {
    "conv": conv, "conv2": conv, "transposed": transposed, "max_pool": max_pool, "avg_pool": avg_pool,
    "adaptive": adaptive, "interpolate": interpolate, "interpolate2": interpolate, "crop": crop, "pad": pad,
    "roll": roll, "flip": flip, "pixel_shuffle": pixel_shuffle, "pixel_unshuffle": pixel_unshuffle,
    "unfold": unfold, "fold": fold, "residual": residual, "hollow": hollow, "shared": shared, "gate": gate,
    "norm": norm, "activation": activation, "in_place": in_place, "shuffle_channels": shuffle_channels,
    "tokens": tokens, "ordered": ordered, "add": add, "add2": add,
}  # fmt: skip
TWO |= {"add2"}


def network(draw: Draw, n: int, steps: int) -> tuple[Drawn, tuple[int, ...]]:
    """A network for n spatial axes and the shape of its input, (1, C, *spatial)."""
    sizes = {1: list(range(5, 20)), 2: list(range(4, 13)), 3: list(range(3, 6))}[n]
    shape = (1, draw([1, 2, 3]), *(draw(sizes) for _ in range(n)))
    net = Drawn()
    RUNNING[:] = [net]
    seen = [torch.zeros(shape)]
    for _ in range(steps):
        made = None
        for _ in range(4):
            name = draw(sorted(STEPS))
            sources = (draw(range(max(0, len(seen) - 4), len(seen))),)
            if name in TWO:
                sources += (draw(range(max(0, len(seen) - 4), len(seen))),)
            maker = Maker(draw, n, net)
            try:
                function, words = STEPS[name](maker, *(seen[s] for s in sources))
                out = function(*(seen[s].clone() for s in sources))
            except (Illegal, RuntimeError, ValueError, IndexError):
                maker.undo()
                continue
            small = all(1 <= m <= LARGEST for m in out.shape[2:]) and 1 <= out.shape[1] <= CHANNELS
            if out.ndim != n + 2 or not small or out.shape[0] != 1:
                maker.undo()
                continue
            made = (f"{name} {words}", function, sources)
            break
        if made is None:
            continue
        net.steps.append(made)
        seen.append(out)
        # In-place steps changed the clone only; the network changes the value itself.
    return net.eval(), shape
