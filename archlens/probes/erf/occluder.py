"""The occluder: where it goes, what it covers, and how its discrepancies become a map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
Fill = Literal["noise", "zero"]


@dataclass(frozen=True)
class Occluder:
    """The patch: `size` px a side, moved by `stride` px.

    Filled with noise of the image's own mean and variance, drawn anew at each place, or with zeros (the mean
    image of the training set where inputs are centred).
    """

    size: int = 11
    stride: int = 3
    fill: Fill = "noise"

    def places(self, n: int) -> list[int]:
        """First pixels of the patch along an axis of n px: all inside, the last one flush with the end."""
        last = n - self.size
        steps = list(range(0, last + 1, self.stride))
        return steps if steps[-1] == last else [*steps, last]


@dataclass
class Canvas:
    """Re-centred maps of one channel: pixel (H - 1 + dy, W - 1 + dx) is (dy, dx) px from the centre."""

    total: Floats
    seen: Floats
    images: int = 0

    @classmethod
    def blank(cls, sizes: Sequence[int]) -> Canvas:
        """Nothing seen yet; room for a unit at any place of the input."""
        shape = tuple(2 * n - 1 for n in sizes)
        return cls(np.zeros(shape), np.zeros(shape))

    def add(self, painted: Floats, centre: Sequence[float]) -> None:
        """Count a map of a unit that is centred there; NaN pixels were not seen."""
        known = np.isfinite(painted)
        here, there = self._overlap(painted.shape, centre)
        self.total[here] += np.where(known, painted, 0.0)[there]
        self.seen[here] += known[there]
        self.images += 1

    def laid(self, sizes: Sequence[int], centre: Sequence[float]) -> Floats:
        """The average as seen by a unit that is centred there, over the input."""
        out = np.zeros(tuple(sizes))
        here, there = self._overlap(tuple(sizes), centre)
        out[there] = self.mean()[here]
        return out

    def _overlap(
        self, sizes: Sequence[int], centre: Sequence[float]
    ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where the input lies on the canvas, and the part of it that does: a unit whose centre is beyond
        the border (padding) reaches past the canvas."""
        here, there = [], []
        for n, m, room in zip(sizes, centre, self.total.shape, strict=True):
            # Half-integers always the same way: rounding to even would shift every other unit.
            first = n - 1 - math.floor(m + 0.5)
            low, high = max(0, first), min(room, first + n)
            here.append(slice(low, high))
            there.append(slice(low - first, high - first))
        return tuple(here), tuple(there)

    def mean(self) -> Floats:
        """The average, over the images in which a pixel was inside."""
        return np.divide(self.total, self.seen, out=np.zeros_like(self.total), where=self.seen > 0)


def patched(
    picture: Tensor,
    occluder: Occluder,
    places: Sequence[tuple[int, int]],
    batch_size: int,
    generator: torch.Generator,
) -> Iterator[Tensor]:
    """Batches of the image with the patch at each place."""
    s = occluder.size
    channels = picture.shape[0]
    spread = picture.float().std().cpu() if occluder.fill == "noise" else torch.zeros(())
    middle = picture.float().mean((1, 2)).cpu().view(-1, 1, 1) if occluder.fill == "noise" else 0.0
    for start in range(0, len(places), batch_size):
        group = places[start : start + batch_size]
        batch = picture.repeat(len(group), 1, 1, 1)
        fill = middle + torch.randn((len(group), channels, s, s), generator=generator) * spread
        fill = fill.to(batch)
        for i, (y, x) in enumerate(group):
            batch[i, :, y : y + s, x : x + s] = fill[i]
        yield batch


def paint(
    values: Floats, places: Sequence[tuple[int, int]], occluder: Occluder, sizes: Sequence[int]
) -> Floats:
    """A value for each place of the patch -> a map over the input: each pixel takes the nearest place's.

    Nearest by the patch's centre. Pixels nearer to the border than half a patch and half a stride have no
    place of their own and are NaN: nothing was measured there.
    """
    rows = sorted({y for y, _ in places})
    columns = sorted({x for _, x in places})
    grid = np.full((len(rows), len(columns)), np.nan)
    line = {y: i for i, y in enumerate(rows)}
    post = {x: i for i, x in enumerate(columns)}
    for (y, x), v in zip(places, values, strict=True):
        grid[line[y], post[x]] = v
    index, inside = [], []
    for starts, n in zip((rows, columns), sizes, strict=True):
        middles = np.array(starts) + (occluder.size - 1) / 2
        away = np.abs(np.arange(n)[:, None] - middles[None, :])
        index.append(away.argmin(1))
        inside.append(away.min(1) <= occluder.stride / 2)
    out: Floats = grid[np.ix_(index[0], index[1])]
    out[~(inside[0][:, None] & inside[1][None, :])] = np.nan
    return out


def equivalent_side(mean: Floats, threshold: float) -> float:
    """Side of the square with the area above `threshold` times a map's peak; NaN for a map of zeros."""
    peak = mean.max(initial=0.0)
    return math.sqrt(float((mean > threshold * peak).sum())) if peak > 0 else float("nan")
