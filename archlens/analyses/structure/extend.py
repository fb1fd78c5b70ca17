"""What would extend a network's context: the same graph with something added.

`add_image_pooling` is the image-level feature of ParseNet (Liu, Rabinovich & Berg 2015) and of DeepLabv3's
ASPP in its cheapest form: the map's mean, through a 1x1 with as many channels, added to every position.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from archlens.graph import Along, Edge, Full, Graph, Layer, Node, Resize, Window
from archlens.graph.layouts import carry

NAME = "image_pooling"


def add_image_pooling(graph: Graph, at: int) -> Graph:
    """The graph with an image-level branch added to a feature map; its readers read the sum.

    Args:
        graph: The captured network.
        at: Node with a batch, a channel dimension and positions, such as (N, C, H, W).
    """
    here = graph.nodes[at]
    spatial = here.positions
    channels = here.shape[1]
    normalised = any(n.op == "batch_norm" for n in graph.nodes)
    added: list[Node] = []
    layers: list[Layer] = []

    def add(op: str, edge: Edge, shape: tuple[int, ...], params: int = 0, **fields: object) -> int:
        source = here if edge.source == at else added[edge.source - at - 1]
        layout, now = source.layout, source.shape
        for step in edge.steps:
            layout, now = carry(layout, now, step)
        new = at + 1 + len(added)
        size = prod(shape)
        added.append(
            Node(new, op, shape, layout, (edge,), bytes=4 * size, storage=_free(graph) + len(added), **fields)  # type: ignore[arg-type]
        )
        layers.append(Layer(f"{NAME}.{op}", op, (new,), NAME, params=params))
        return new

    one = tuple(1 if d in spatial else n for d, n in enumerate(here.shape))
    pooled = add(
        "mean", Edge(at, tuple(Along(d, Full(), 1) for d in spatial)), one, elementwise=prod(here.shape)
    )
    weight = [channels, channels, *(1 for _ in spatial)]
    mixed = add(
        "conv2d",
        Edge(pooled, (Along(1, Full(), channels), *(Along(d, Window(1), 1) for d in spatial))),
        one,
        channels**2,
        macs=channels**2,
        attrs={"weight": weight, "groups": 1, "bias": False, "transposed": False, "frozen": False},
    )
    if normalised:
        mixed = add(
            "batch_norm", Edge(mixed), one, 2 * channels, elementwise=prod(one), attrs={"affine": True}
        )
    active = add("relu", Edge(mixed), one, elementwise=prod(one), attrs={"function": "relu", "constants": []})
    wide = add(
        "interpolate",
        Edge(active, tuple(Along(d, Resize("linear", True), here.shape[d]) for d in spatial)),
        here.shape,
        elementwise=prod(here.shape),
        attrs={"mode": "linear", "align_corners": True},
    )
    total = at + 1 + len(added)
    added.append(
        Node(
            total, "add", here.shape, here.layout, (Edge(at), Edge(wide)), elementwise=prod(here.shape),
            bytes=here.bytes, storage=_free(graph) + len(added),
        )
    )  # fmt: skip
    layers.append(Layer(f"{NAME}.add", "add", (total,), NAME))
    return _inserted(graph, at, added, layers)


def _free(graph: Graph) -> int:
    return 1 + max(n.storage for n in graph.nodes)


def _inserted(graph: Graph, at: int, added: list[Node], layers: list[Layer]) -> Graph:
    """The graph with these nodes behind `at`; all that read `at` read the last of them."""
    shift = len(added)

    def moved(n: int) -> int:
        return n if n <= at else n + shift

    later = [
        replace(
            n,
            id=n.id + shift,
            edges=tuple(
                replace(e, source=at + shift if e.source == at else moved(e.source)) for e in n.edges
            ),
        )
        for n in graph.nodes[at + 1 :]
    ]
    old = [replace(r, nodes=tuple(moved(n) for n in r.nodes)) for r in graph.layers]
    place = next((i for i, r in enumerate(old) if r.output > at), len(old))
    return replace(
        graph,
        nodes=(*graph.nodes[: at + 1], *added, *later),
        layers=(*old[:place], *layers, *old[place:]),
        inputs=tuple(moved(n) for n in graph.inputs),
        outputs={k: (at + shift if n == at else moved(n)) for k, n in graph.outputs.items()},
        params=graph.params + sum(r.params for r in layers),
        param_bytes=graph.param_bytes + 4 * sum(r.params for r in layers),
    )
