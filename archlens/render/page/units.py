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

from archlens.analyses.fields.visible import NOTHING, Box, boxes
from archlens.graph import Graph, Node

Ints = NDArray[np.int64]


def pack(data: Any) -> str:
    """Plain data as compressed JSON in base64: safe in a page whatever its texts are."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(squeezed.compress(text) + squeezed.flush()).decode("ascii")


def intervals(graph: Graph, origin: int | None = None) -> dict[str, Any]:
    """Boxes of all layers in plain lists.

    Returns:
        `origin` (node id), `size` (of the origin's axes), `layers` and the pool of `arrays`. An entry of
        `layers` is None where no box is known, else one [lo, hi] pair of pool indices an axis. An array is
        [shape, differences]; a unit that sees nothing has lo > hi.
    """
    start = graph.inputs[0] if origin is None else origin
    found = boxes(graph, start)
    pool: dict[str, int] = {}
    arrays: list[Any] = []

    def pooled(a: Ints) -> int:
        entry = [list(a.shape), np.diff(a.ravel(), prepend=0).tolist()]
        key = json.dumps(entry)
        if key not in pool:
            pool[key] = len(arrays)
            arrays.append(entry)
        return pool[key]

    layers: list[Any] = []
    for layer in graph.layers:
        box = found[layer.output]
        if box is None:
            layers.append(None)
            continue
        pairs = _over_positions(box, graph.nodes[layer.output])
        layers.append([[pooled(lo), pooled(hi)] for lo, hi in pairs])
    node = graph.nodes[start]
    return {
        "origin": start,
        "size": [node.shape[d] for d in node.positions],
        "layers": layers,
        "arrays": arrays,
    }


def _over_positions(box: Box, node: Node) -> list[tuple[Ints, Ints]]:
    """(lo, hi) per axis over the node's positions: the hull over its channels.

    One axis that says lo > hi makes a unit empty. Where channels differ in that, the emptiness of one axis
    has to mask the others before the hull; else the axes stay apart, and small.
    """
    channels = tuple(d for d in range(len(node.shape)) if d not in node.positions)
    empty: NDArray[np.bool_] = np.zeros([1] * len(node.shape), bool)
    for lo, hi in zip(box.lo, box.hi, strict=True):
        empty = empty | (lo > hi)
    mixed = any(empty.shape[d] > 1 for d in channels) and bool(empty.any())
    out = []
    for lo, hi in zip(box.lo, box.hi, strict=True):
        if mixed:
            lo, hi = np.where(empty, NOTHING, lo), np.where(empty, -NOTHING, hi)
        out.append((lo.min(axis=channels).astype(np.int64), hi.max(axis=channels).astype(np.int64)))
    return out
