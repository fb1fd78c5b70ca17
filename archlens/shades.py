"""What a picture shows of a map: fewer cells, and shades of them. Plain numbers; nothing is drawn here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 128
"""Cells a side: what a screen can show of a map."""
BRIGHTEST = 235
FLOOR = 1e-4
"""Share of the brightest cell below which nothing is drawn."""


@dataclass(frozen=True)
class Shades:
    """A map of two axes in at most SIDE cells a side: a byte each, 0 to BRIGHTEST on a logarithmic scale."""

    size: tuple[int, ...]
    values: bytes


def shaded(energy: NDArray[np.float64] | None) -> Shades | None:
    """The shades of a map; None where there is none, or of other axes."""
    if energy is None or energy.ndim != 2:
        return None
    cells = thinned(energy, SIDE)
    scaled = np.log10(np.maximum(cells / cells.max(), FLOOR) / FLOOR) / -np.log10(FLOOR)
    levels = (scaled * BRIGHTEST).round().astype(np.uint8)
    return Shades(levels.shape, levels.tobytes())


def thinned(values: Any, most: int = 200) -> Any:
    """A map in at most `most` cells a side (means of blocks)."""
    cells = np.asarray(values, float)
    for axis in range(cells.ndim):
        n = cells.shape[axis]
        edges = np.arange(0, n + 1 if n <= most else n, -(-n // most))  # blocks of one size: no moiré
        edges = edges if edges[-1] == n else np.append(edges, n)
        shape = [-1 if a == axis else 1 for a in range(cells.ndim)]
        cells = np.add.reduceat(cells, edges[:-1], axis=axis) / np.diff(edges).reshape(shape)
    return cells
