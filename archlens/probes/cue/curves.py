"""Accuracy against distance, and what is read off it: isotonic regression, the reach, and their uncertainty.

Images are the unit of chance: all cells of an image see the same cue, so intervals are drawn over images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archlens.trained import CHANCE, FEWEST_IMAGES, RESAMPLES, resampled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEARNT = 0.8
"""What the lower end of the near accuracy has to reach."""


@dataclass(frozen=True)
class Hits:
    """What the cells of some images answered.

    Attributes:
        edges: (bins + 1,) of the distance bins, px.
        hits, cells: (images, bins) right answers, and answers.
        inner_hits, inner_cells: The same over cells whose box the image's border does not cut.
        near, far, beyond, inside: (images, 2) right answers and answers of cells at most half a patch away,
            more than a quarter of the side away, whose box misses the patch, whose box does not.
    """

    edges: Floats
    hits: Ints
    cells: Ints
    inner_hits: Ints
    inner_cells: Ints
    near: Ints
    far: Ints
    beyond: Ints
    inside: Ints

    def joined(self, other: Hits) -> Hits:
        """Those of two sets of images."""
        pairs = ((getattr(self, n), getattr(other, n)) for n in list(vars(self))[1:])
        return Hits(self.edges, *(np.concatenate(p) for p in pairs))


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval over images; `images` stand behind it."""

    value: float
    low: float
    high: float
    images: int


@dataclass(frozen=True)
class Reach:
    """How far a cue carries.

    Attributes:
        value: px; None where the accuracy never falls half-way to chance.
        low, high: 95 % interval over images; None where it is open.
    """

    value: float | None
    low: float | None
    high: float | None


def accuracy(parts: Ints, seed: int = 0) -> Interval | None:
    """Accuracy of (images, 2) right answers and answers; None where fewer than `FEWEST_IMAGES` answer."""
    answering = parts[parts[:, 1] > 0]
    if len(answering) < FEWEST_IMAGES:
        return None
    sums = resampled(len(answering), seed) @ answering
    low, high = np.percentile(sums[:, 0] / sums[:, 1], (2.5, 97.5))
    hits, cells = answering.sum(0)
    return Interval(float(hits / cells), float(low), float(high), len(answering))


def curve(hits: Ints, cells: Ints) -> tuple[Floats, Ints]:
    """(bins,) accuracy, NaN where too few images answer; and how many do."""
    images = (cells > 0).sum(0)
    total = cells.sum(0)
    values = np.full(len(images), np.nan)
    enough = images >= FEWEST_IMAGES
    values[enough] = hits.sum(0)[enough] / total[enough]
    return values, images


def falling(values: Floats, weights: Floats) -> Floats:
    """The non-increasing sequence that is nearest by weighted squares: pool adjacent violators."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        blocks.append((float(value), float(weight), 1))
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (a, u, m), (b, v, n) = blocks[-2:]
            blocks[-2:] = [((a * u + b * v) / (u + v), u + v, m + n)]
    return np.repeat([b[0] for b in blocks], [b[2] for b in blocks])


def crossing(middles: Floats, values: Floats, weights: Floats, level: float) -> float | None:
    """The first distance at which the falling curve is at `level`, between bins' middles; None where it stays
    above."""
    known = np.isfinite(values) & (weights > 0)
    at, line = middles[known], falling(values[known], weights[known])
    below = np.flatnonzero(line <= level)
    if not len(below):
        return None
    k = int(below[0])
    if k == 0:
        return float(at[0])
    share = (line[k - 1] - level) / (line[k - 1] - line[k])
    return float(at[k - 1] + share * (at[k] - at[k - 1]))


def half_way(near: float) -> float:
    """The accuracy in the middle of near and chance."""
    return (near + CHANCE) / 2


def reach(found: Hits, seed: int = 0) -> Reach:
    """Where the curve falls half-way from near to chance, and its interval over images."""
    values, images = curve(found.hits, found.cells)
    middles = (found.edges[:-1] + found.edges[1:]) / 2
    near = found.near.sum(0)
    value = crossing(middles, values, images.astype(float), half_way(near[0] / max(near[1], 1)))
    draws = resampled(len(found.hits), seed)
    hits, cells, nears = draws @ found.hits, draws @ found.cells, draws @ found.near
    enough, again = images >= FEWEST_IMAGES, []
    for k in range(RESAMPLES):
        line = np.where(enough, hits[k] / np.maximum(cells[k], 1), np.nan)
        again.append(
            crossing(middles, line, images.astype(float), half_way(nears[k, 0] / max(nears[k, 1], 1)))
        )
    ends = np.percentile([np.inf if a is None else a for a in again], (2.5, 97.5), method="nearest")
    low, high = (None if np.isinf(e) else float(e) for e in ends)
    return Reach(value, low, high)


def learnt(near: Interval | None) -> bool:
    """Whether a network has learnt to name the cue where it stands before it."""
    return near is not None and near.low >= LEARNT
