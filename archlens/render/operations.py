"""An operation in a few characters, from its geometry: `conv 3x3 d12 s2`, `max_pool 3x3 s2`, `bilinear`."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.graph import (
    AdaptivePool,
    Along,
    Full,
    Geometry,
    Node,
    Pad,
    Resize,
    Slice,
    TransposedWindow,
    Window,
)
from archlens.report import LayerReport, Report

# Shorter than the vocabulary's names where a table is narrow; the JSON keeps the vocabulary.
_SHORT = {
    "conv1d": "conv",
    "conv2d": "conv",
    "conv3d": "conv",
    "conv_transpose1d": "deconv",
    "conv_transpose2d": "deconv",
    "conv_transpose3d": "deconv",
    "max_pool1d": "max",
    "max_pool2d": "max",
    "max_pool3d": "max",
    "avg_pool1d": "avg",
    "avg_pool2d": "avg",
    "avg_pool3d": "avg",
    "adaptive_avg_pool1d": "avg to",
    "adaptive_avg_pool2d": "avg to",
    "adaptive_max_pool2d": "max to",
    "batch_norm": "bn",
    "interpolate": "",
}


def operation(report: Report, row: LayerReport) -> str:
    """What a layer does, with its kernel (rows x columns), dilation `d`, stride `s` and groups `g`.

    Numbers that are 1 are left out, and so are paddings: the receptive field's `start` shows them.
    """
    graph = report.graph
    layer = graph.layers[graph.layer_index[row.name]]
    node = next((graph.nodes[n] for n in layer.nodes if graph.nodes[n].op == layer.op), report.node(row))
    name = _SHORT.get(layer.op, layer.op)
    groups = node.attrs.get("groups", 1)
    if name in ("conv", "deconv") and isinstance(groups, int) and groups > 1:
        name = ("dw" if groups == node.shape[1] else "grouped ") + name
    details = _details(node)
    if name == "mean" and details:  # what adaptive pooling to one cell comes down to
        name = "avg to"
    if name.endswith(" to") and not details:  # taken apart into other steps
        details = "x".join(map(str, report.node(row).shape[2:]))
    return " ".join(part for part in (name, details) if part) or layer.op


def _details(node: Node) -> str:
    steps = _spatial(node)
    windows = [s.geometry for s in steps if isinstance(s.geometry, (Window, TransposedWindow))]
    if windows:
        return _window(windows)
    geometries = [s.geometry for s in steps]
    if geometries and all(isinstance(g, (AdaptivePool, Full)) for g in geometries):
        return "x".join(str(s.size) for s in steps)
    resizes = [g for g in geometries if isinstance(g, Resize)]
    if resizes:
        mode = f"bi{resizes[0].mode}" if resizes[0].mode in ("linear", "cubic") else resizes[0].mode
        return mode + (" corners" if resizes[0].align_corners else "")
    return ""


def _spatial(node: Node) -> list[Along]:
    """The steps along the input's axes, once a dimension; of the first edge that has any."""
    for edge in node.edges:
        found = {
            step.dim: step
            for step in edge.steps
            if isinstance(step, Along) and step.dim >= 2 and not isinstance(step.geometry, (Pad, Slice))
        }
        if found:
            return [found[dim] for dim in sorted(found)]
    return []


def _window(windows: Sequence[Geometry]) -> str:
    def per_axis(attribute: str) -> list[int]:
        return [getattr(w, attribute) for w in windows]

    parts = ["x".join(map(str, per_axis("kernel")))]
    for letter, attribute in (("d", "dilation"), ("s", "stride")):
        values = per_axis(attribute)
        if any(v != 1 for v in values):
            parts.append(letter + (str(values[0]) if len(set(values)) == 1 else "x".join(map(str, values))))
    return " ".join(parts)
