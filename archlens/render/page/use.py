"""The expected effective field of the centre class-score cell, as the page shows it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.render.plots.canvas import thinned
from archlens.report import Report

SIDE = 128
"""Cells a side of the map in the page: what a screen can show of it."""

BRIGHTEST = 235

FLOOR = 1e-4
"""Share of the brightest cell below which nothing is drawn."""


@dataclass(frozen=True)
class Shades:
    """A map in at most SIDE cells a side, 0 to BRIGHTEST on a logarithmic scale."""

    values: NDArray[np.uint8]

    def thumbnail(self) -> dict[str, Any]:
        """The map for the explorer."""
        return {"size": list(self.values.shape), "values": self.values.ravel().tolist()}

    def png(self, colour: tuple[int, int, int]) -> str:
        """The map as a data URL: one colour, the shade in its opacity. Always the same bytes."""
        from PIL import Image

        pixels = np.empty((*self.values.shape, 4), np.uint8)
        pixels[..., :3] = colour
        pixels[..., 3] = self.values
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG", optimize=True)
        return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def shades(report: Report) -> Shades | None:
    """Those of the report's class-score cell; None where it has no rule, or no picture."""
    if report.class_score == "input" or report.origin is not None:
        return None
    energy = report.study.cell_field.energy
    if energy is None or energy.ndim != 2:
        return None
    cells = thinned(energy, SIDE)
    scaled = np.log10(np.maximum(cells / cells.max(), FLOOR) / FLOOR) / -np.log10(FLOOR)
    return Shades((scaled * BRIGHTEST).round().astype(np.uint8))
