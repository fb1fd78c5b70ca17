"""The expected effective field of the centre class-score cell, as the page shows it."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from archlens.report import Report
from archlens.shades import Shades


def shades(report: Report) -> Shades | None:
    """Those of the report's class-score cell; None where it has no rule, or no picture."""
    if report.class_score == "input" or report.origin is not None:
        return None
    return report.study.shades


def thumbnail(used: Shades) -> dict[str, Any]:
    """The map for the explorer."""
    return {"size": list(used.size), "values": list(used.values)}


def png(used: Shades, colour: tuple[int, int, int]) -> str:
    """The map as a data URL: one colour, the shade in its opacity. Always the same bytes."""
    from PIL import Image

    pixels = np.empty((*used.size, 4), np.uint8)
    pixels[..., :3] = colour
    pixels[..., 3] = np.frombuffer(used.values, np.uint8).reshape(used.size)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")
