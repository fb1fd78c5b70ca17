"""The expected effective field of the centre class-score cell, as the page shows it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.report import Report


@dataclass(frozen=True)
class Heat:
    """A map in few cells a side, on a logarithmic scale."""

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


def heat(report: Report) -> Heat | None:
    """That of the report's class-score cell; None where it has no rule, or no picture."""
    if report.class_score == "input" or report.origin is not None:
        return None
    found = report.study.shades
    return None if found is None else Heat(np.frombuffer(found.values, np.uint8).reshape(found.size))
