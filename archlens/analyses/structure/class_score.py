"""The class-score cell: where a dense-prediction network decides, before it is blown up to the image's size.

From the output, walk back over crops, resizes, pads, final activations and class-to-class transposed
convolutions to the layer that first has the classes as its channels at that resolution: FCN-8s' fused sum,
DeepLab's sum of branches, PSPNet's last 1x1.
"""

from __future__ import annotations

from archlens.graph import Graph, Node

_PASSED = {
    "interpolate", "crop", "slice", "pad", "copy", "identity", "dropout", "softmax", "sigmoid", "view",
    "reshape", "flatten", "log_softmax", "select", "permute",
}  # fmt: skip


def main_output(graph: Graph) -> int:
    """Node id of the output that is meant by default: the one called `out`, else the first."""
    return graph.outputs["out"] if "out" in graph.outputs else next(iter(graph.outputs.values()))


def class_score(graph: Graph, output: int | None = None) -> int:
    """Node id of the class-score cell's layer.

    Args:
        graph: The captured network.
        output: Node id of the output to start from; default the main one.
    """
    node = graph.nodes[main_output(graph) if output is None else output]
    while len(node.edges) == 1:
        source = graph.nodes[node.edges[0].source]
        if source.op == "input" or not _passes(node, source):
            break
        node = source
    return node.id


def _passes(node: Node, source: Node) -> bool:
    """Whether `node` only carries the scores of `source` elsewhere."""
    if channels(source) != channels(node) or len(source.positions) < len(node.positions):
        return False
    if node.op.startswith("conv_transpose"):
        weight = node.attrs["weight"]  # (in, out / groups, k, k)
        return bool(weight[0] == weight[1] * node.attrs["groups"])
    return node.op in _PASSED


def channels(node: Node) -> int:
    """Number of channels: all elements of a unit, batch aside."""
    total = 1
    for d, n in enumerate(node.shape):
        if d not in node.positions:
            total *= n
    return total
