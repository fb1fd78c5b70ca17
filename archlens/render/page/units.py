"""Visible boxes of every unit of every layer, packed for the page.

A layer's box is, per axis of the input, an array `lo` and an array `hi` over the layer's positions, of size 1
along those that it does not depend on. Many layers share one (a convolution, its batch norm, its ReLU):
arrays are pooled, written as differences, and what is left compresses to a few kilobytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.report import Report

MOST = 2**20
"""Numbers of one layer: the units of a map of 512 x 512 with boxes of their own. Beyond are the scores of
attention, windows x queries x keys: nobody points at their units, and they take minutes and gigabytes."""


def pack(data: Any) -> str:
    """Plain data as compressed JSON in base64: safe in a page whatever its texts are."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(squeezed.compress(text) + squeezed.flush()).decode("ascii")


def intervals(report: Report) -> dict[str, Any]:
    """Boxes of all layers in plain lists.

    Returns:
        `origin` (node id), `size` (of the origin's axes), `layers` and the pool of `arrays`. An entry of
        `layers` is None where no box is known, "many" where there are too many units to list them, else one
        [lo, hi] pair of pool indices an axis. An array is [shape, differences]; a unit that sees nothing has
        lo > hi.
    """
    start = report.graph.node_of(report.origin or "input")
    pool: dict[tuple[tuple[int, ...], bytes], int] = {}
    arrays: list[Any] = []

    def pooled(a: NDArray[Any]) -> int:
        values = np.ascontiguousarray(a, np.int64)
        key = (a.shape, hashlib.sha256(values.tobytes()).digest())
        if key not in pool:
            pool[key] = len(arrays)
            arrays.append([list(a.shape), np.diff(values.ravel(), prepend=0).tolist()])
        return pool[key]

    layers = [
        pairs if pairs is None or pairs == "many" else [[pooled(lo), pooled(hi)] for lo, hi in pairs]
        for pairs in report.study.unit_boxes(start.id, MOST)
    ]
    return {"origin": start.id, "size": start.map_size, "layers": layers, "arrays": arrays}
