"""A street-like scene, drawn from numbers: what boxes are shown on where the user gives no image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.errors import UsageError

Picture = NDArray[np.float64]

SKY, FAR, ROAD, WALK = (0.80, 0.88, 0.95), (0.93, 0.95, 0.97), (0.42, 0.43, 0.46), (0.66, 0.64, 0.62)
HOUSES = ((0.78, 0.68, 0.58), (0.66, 0.70, 0.74), (0.83, 0.77, 0.66), (0.60, 0.60, 0.66))
HORIZON = 0.46


def street(height: int, width: int) -> Picture:
    """The scene in (H, W, 3), 0 to 1: houses towards a vanishing point, a road, cars, a walker, a tree."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    y, x = (y + 0.5) / height, (x + 0.5) / width
    out = np.empty((height, width, 3))
    out[:] = np.array(SKY) + (np.array(FAR) - np.array(SKY)) * np.clip(y / HORIZON, 0, 1)[..., None]

    def paint(where: Any, colour: Sequence[float]) -> None:
        out[where] = colour

    away = np.abs(x - 0.5)  # distance from the vanishing point: what is near is far from the middle
    below = y - HORIZON
    paint(below > 0, WALK)
    for side in (-1, 1):
        for index, (near, far) in enumerate(((0.50, 0.34), (0.33, 0.22), (0.21, 0.14), (0.13, 0.08))):
            house = (np.sign(x - 0.5) == side) & (away <= near) & (away > far)
            tall = away * (0.92 - 0.1 * ((index + (side > 0)) % 3))
            wall = house & (y > HORIZON - tall) & (below < away * 0.32)
            paint(wall, HOUSES[(index + (side > 0)) % len(HOUSES)])
            column = ((away - far) / (near - far) * 3) % 1
            row = ((y - HORIZON) / np.maximum(away, 1e-6) * 5) % 1
            panes = (column > 0.3) & (column < 0.7) & (row > 0.35) & (row < 0.75)
            paint(wall & panes & (below < away * 0.05), (0.34, 0.40, 0.47))
    road = (below > 0) & (away < 0.02 + below * 0.72)
    paint(road, ROAD)
    depth = 0.05 / np.maximum(below, 1e-3)
    paint(road & (away < 0.004 + below * 0.012) & ((depth * 6) % 1 < 0.5), (0.93, 0.92, 0.86))
    paint((below > 0) & (np.abs(away - 0.02 - below * 0.72) < 0.004 + below * 0.015), (0.82, 0.81, 0.79))

    def box(left: float, top: float, right: float, bottom: float, colour: Sequence[float]) -> None:
        paint((x >= left) & (x < right) & (y >= top) & (y < bottom), colour)

    def disc(cx: float, cy: float, radius: float, colour: Sequence[float]) -> None:
        aspect = height / width
        paint(((x - cx) / aspect) ** 2 + (y - cy) ** 2 < radius**2, colour)

    box(0.60, 0.585, 0.83, 0.70, (0.70, 0.20, 0.16))  # a car on the right
    box(0.64, 0.52, 0.79, 0.60, (0.76, 0.27, 0.22))
    box(0.66, 0.535, 0.77, 0.59, (0.72, 0.82, 0.88))
    for cx in (0.655, 0.775):
        disc(cx, 0.70, 0.032, (0.12, 0.12, 0.13))
    box(0.435, 0.475, 0.505, 0.53, (0.22, 0.36, 0.60))  # one far ahead
    box(0.445, 0.485, 0.495, 0.505, (0.72, 0.82, 0.88))
    for cx in (0.45, 0.49):
        disc(cx, 0.53, 0.010, (0.12, 0.12, 0.13))
    box(0.155, 0.42, 0.173, 0.72, (0.36, 0.27, 0.20))  # a tree
    for cx, cy, radius in ((0.165, 0.33, 0.11), (0.115, 0.39, 0.08), (0.22, 0.38, 0.08)):
        disc(cx, cy, radius, (0.36, 0.52, 0.33))
    box(0.292, 0.60, 0.307, 0.74, (0.18, 0.20, 0.30))  # a walker
    box(0.312, 0.60, 0.327, 0.74, (0.18, 0.20, 0.30))
    box(0.284, 0.49, 0.335, 0.62, (0.90, 0.72, 0.20))
    disc(0.309, 0.462, 0.026, (0.85, 0.68, 0.56))
    return out


def background(size: Sequence[int], image: str | None = None) -> Picture:
    """The user's image at the input's size, or the street.

    Raises:
        UsageError: The image cannot be read.
    """
    height, width = size
    if image is None:
        return street(height, width)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(Path(image)) as opened:
            small = opened.convert("RGB").resize((width, height))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UsageError(f"{image} cannot be read as an image: {error}", "Give a JPEG or PNG.") from error
    return np.asarray(small, np.float64) / 255
