"""Visible boxes of every unit of every layer, packed for the page.

A layer's box is, per axis of the input, an array `lo` and an array `hi` over the layer's positions, of size 1
along those that it does not depend on. Many layers share one (a convolution, its batch norm, its ReLU):
arrays are pooled, written as differences, and what is left compresses to a few kilobytes.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.report import Report


def pack(data: Any) -> str:
    """Plain data as compressed JSON in base64: safe in a page whatever its texts are."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(squeezed.compress(text) + squeezed.flush()).decode("ascii")


def intervals(report: Report) -> dict[str, Any]:
    """Boxes of all layers in plain lists.

    Returns:
        `origin` (node id), `size` (of the origin's axes), `layers` and the pool of `arrays`. An entry of
        `layers` is None where no box is known, else one [lo, hi] pair of pool indices an axis. An array is
        [shape, differences]; a unit that sees nothing has lo > hi.
    """
    start = report.graph.node_of(report.origin or "input")
    pool: dict[str, int] = {}
    arrays: list[Any] = []

    def pooled(a: NDArray[Any]) -> int:
        entry = [list(a.shape), np.diff(a.ravel(), prepend=0).tolist()]
        key = json.dumps(entry)
        if key not in pool:
            pool[key] = len(arrays)
            arrays.append(entry)
        return pool[key]

    layers = [
        None if pairs is None else [[pooled(lo), pooled(hi)] for lo, hi in pairs]
        for pairs in report.study.unit_boxes(start.id)
    ]
    return {"origin": start.id, "size": start.map_size, "layers": layers, "arrays": arrays}
