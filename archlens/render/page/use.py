"""The expected effective field of the centre class-score cell, as the page shows it."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.field import expected_erf
from archlens.analyses.expected.lens import SETTING
from archlens.analyses.expected.summaries import Summary, summarise
from archlens.report import Report

SIDE = 128
"""Cells a side of the map in the page: what a screen can show of it."""

BRIGHTEST = 235

FLOOR = 1e-4
"""Share of the brightest cell below which nothing is drawn."""


@dataclass(frozen=True)
class Use:
    """What the cell really uses under random weights.

    Attributes:
        energy: Share of the gradient's energy a pixel, (H, W); sum 1.
        summary: Its squares and its far share.
        assumptions: What the expectation is taken over, in sentences.
    """

    energy: NDArray[np.float64]
    summary: Summary
    assumptions: tuple[str, ...]

    def shades(self) -> NDArray[np.uint8]:
        """The map in at most SIDE cells a side, 0 to BRIGHTEST on a logarithmic scale."""
        cells = self.energy
        for axis in range(2):
            n = cells.shape[axis]
            edges = np.unique(np.linspace(0, n, min(n, SIDE) + 1).round().astype(int))
            cells = np.add.reduceat(cells, edges[:-1], axis=axis) / np.diff(edges).reshape(
                [-1 if a == axis else 1 for a in range(2)]
            )
        scaled = np.log10(np.maximum(cells / cells.max(), FLOOR) / FLOOR) / -np.log10(FLOOR)
        shades: NDArray[np.uint8] = (scaled * BRIGHTEST).round().astype(np.uint8)
        return shades

    def thumbnail(self) -> dict[str, Any]:
        """The map for the explorer."""
        shades = self.shades()
        return {"size": list(shades.shape), "values": shades.ravel().tolist()}

    def png(self, colour: tuple[int, int, int]) -> str:
        """The map as a data URL: one colour, the shade in its opacity. Always the same bytes."""
        shades = self.shades()
        pixels = np.empty((*shades.shape, 4), np.uint8)
        pixels[..., :3] = colour
        pixels[..., 3] = shades
        rows = b"".join(b"\0" + row.tobytes() for row in pixels)
        header = struct.pack(">IIBBBBB", shades.shape[1], shades.shape[0], 8, 6, 0, 0, 0)
        parts = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
        return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode("ascii")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def use(report: Report) -> Use | None:
    """The expected field of the report's class-score cell; None where it has no rule, or no picture."""
    index = report.graph.layer_index().get(report.class_score)
    if index is None or report.origin is not None:
        return None
    found = expected_erf(report.graph, report.graph.layers[index].output, setting=SETTING)
    if found.energy is None or found.energy.ndim != 2:
        return None
    return Use(found.energy, summarise(found.energy, found.centre), found.assumptions)
