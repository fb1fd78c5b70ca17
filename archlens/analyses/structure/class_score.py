"""The class-score cell: where a dense-prediction network decides, before it is blown up to the image's size.

From the output, walk back over crops, resizes, pads, final activations and class-to-class transposed
convolutions to the layer that first has the classes as its channels at that resolution: FCN-8s' fused sum,
DeepLab's sum of branches, PSPNet's last 1x1.
"""

from __future__ import annotations

from collections.abc import Iterable

from archlens.errors import LayerError
from archlens.graph import Along, Graph, Node

_MOVES = {
    "interpolate", "crop", "slice", "pad", "copy", "identity", "dropout", "view", "reshape", "flatten",
    "select", "permute",
}  # fmt: skip
_FINAL = {"softmax", "sigmoid", "hardsigmoid", "log_sigmoid", "tanh", "log", "clamp"}
"""Activations that turn scores into probabilities or a bounded value: the decision lies before them. A ReLU
is none: behind a network without classes it ends the last block, and is part of it."""
_SCALES = {"mul", "div", "add", "sub"}
"""By a number: a temperature, a depth in metres."""
_CHOICES = {"argmax", "max"}


def main_output(graph: Graph) -> int:
    """Node id of the output that is meant by default: the one called `out`, else the first.

    A query network (DETR, MaskFormer) names the classes of its queries first, which lie nowhere in the image;
    its masks do. So where the first output has no positions, it is the first that is a map, if there is one;
    the grids that a detector's boxes are made of are features, and no answer.
    """
    if "out" in graph.outputs:
        return graph.outputs["out"]
    found = list(graph.outputs.values())
    if not found:
        raise LayerError(
            f"no output of {graph.name} depends on its input", "There is nothing to be seen of it."
        )
    if has_places(graph.nodes[found[0]]):
        return found[0]
    axes = range(len(graph.nodes[graph.inputs[0]].positions))
    grids = graph.ancestors(found[0]) if graph.nodes[found[0]].positions else ()
    return next((n for n in found if _is_map(graph.nodes[n], axes) and n not in grids), found[0])


def has_places(node: Node) -> bool:
    """Whether any dimension runs along the image in order: queries mixed with its tokens do not, nor do the
    tokens of several maps one after the other, as detectors answer."""
    placed = ([a for a in node.layout[d] if a.axis != -1] for d in node.positions)
    return any(all(a.axis >= 0 and a.stride for a in atoms) for atoms in placed)


def _is_map(node: Node, axes: Iterable[int]) -> bool:
    """Whether each axis of the image has a dimension of its own, in order: flattened tokens are no map."""
    own = {atoms[0].axis for atoms in node.layout if len(atoms) == 1 and atoms[0].stride == 1}
    return own.issuperset(axes)


def class_score(graph: Graph, output: int | None = None) -> int:
    """Node id of the class-score cell's layer.

    Args:
        graph: The captured network.
        output: Node id of the output to start from; default the main one.
    """
    node = graph.nodes[main_output(graph) if output is None else output]
    learnt: Node | None = None  # the last trained transposed convolution that was walked over
    while len({edge.source for edge in node.edges}) == 1:  # a softmax reads its source twice
        source = graph.nodes[node.edges[0].source]
        if source.op == "input" or not _passes(node, source):
            break
        if node.op.startswith("conv_transpose") and not node.attrs.get("frozen"):
            learnt = node
        node = source
    # Behind a block of a trunk that is as wide as there are classes, it is that which scores them.
    block = node.attrs.get("function") is not None or node.op.endswith(("_norm", "pool2d"))
    return learnt.id if learnt is not None and block else node.id


def _passes(node: Node, source: Node) -> bool:
    """Whether `node` only carries the scores of `source` elsewhere."""
    if len(source.positions) < len(node.positions):
        return False
    if node.op in _CHOICES and channels(node) == 1 < channels(source):  # the class itself, or its score
        return bool(node.positions) and not _over_places(node, source)
    if channels(source) != channels(node):
        return False
    if node.op.startswith("conv_transpose"):
        weight = node.attrs["weight"]  # (in, out / groups, k, k)
        return bool(weight[0] == weight[1] * node.attrs["groups"])
    if node.op in _SCALES:
        return len(node.edges) == 1 and node.attrs.get("constant") is not None
    return node.op in _MOVES or (node.op in _FINAL and not _over_places(node, source))


def _over_places(node: Node, source: Node) -> bool:
    """Whether it compares the places of a map with each other, as attention does, and not the classes."""
    steps = (step for edge in node.edges for step in edge.steps[:1])
    return any(isinstance(step, Along) and step.dim in source.positions for step in steps)


def channels(node: Node) -> int:
    """Number of channels: all elements of a unit, batch aside."""
    total = 1
    for d, n in enumerate(node.shape):
        if d not in node.positions:
            total *= n
    return total
