"""DeepLab's published "field of view", derived.

The papers' FOV column (DeepLabv1 Table 2, DeepLabv2 Table 1) is another convention than the theoretical
field: the network with VGG-16's plain 2x2 pools, less twice the padding that plain VGG-16 has accumulated at
pool5 (90 px a side). The released nets' padded 3x3 pools have other figures; both are worth seeing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from archlens.analyses.fields.lattice import POINT, apply
from archlens.analyses.fields.theoretical import receptive_fields
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.edit import map_windows, windows
from archlens.graph import Graph, Node, Window

VGG16 = (2, 2, 3, 3, 3)  # 3x3 convolutions a stage, each padded by 1; a 2x2 pool at stride 2 ends it


@dataclass(frozen=True)
class FieldOfView:
    """DeepLab's convention beside the network's own field, pixels."""

    published: int
    plain: int
    released: int


def vgg16_padding() -> int:
    """Padding that plain VGG-16 has accumulated at pool5: 90."""
    lattice = POINT
    for convs in VGG16:
        for geometry in (*(Window(3, 1, 1) for _ in range(convs)), Window(2, 2)):
            step = apply(geometry, lattice, 0, 0)
            assert step is not None
            lattice = step
    return lattice.padding


def field_of_view(walks: Walks, node: int) -> FieldOfView | None:
    """The FOV of a node behind a VGG-16 trunk; None for another trunk, or a field of several sizes."""
    graph = walks.graph
    chain = _chain(graph, node)
    pools = [n for n in chain if n.op == "max_pool2d"]
    if chain and len(pools) == len(VGG16) and _convs(chain, pools) == VGG16:
        changed = {p.id: 2 for p in pools[:-1]} | {
            n.id: 1 for n in chain if n.op == "avg_pool2d" and n.id > pools[-1].id
        }
        plain_graph = map_windows(graph, set(changed), lambda n, w: replace(w, kernel=changed[n], padding=0))
        plain, own = receptive_fields(plain_graph)[node], walks.fields()[node]
        if plain and own and plain[0].path and own[0].path and len(own[0].path.sizes) == 1:
            size = plain[0].path.size
            return FieldOfView(size - 2 * vgg16_padding(), size, own[0].path.size)
    return None


def _chain(graph: Graph, node: int) -> list[Node]:
    """The nodes before a node, in order; at a merge (score maps that are summed) the last one's."""
    out = []
    while graph.nodes[node].edges:
        out.append(graph.nodes[node])
        node = max(e.source for e in graph.nodes[node].edges)
    return out[::-1]


def _convs(chain: list[Node], pools: list[Node]) -> tuple[int, ...]:
    """3x3 convolutions before each pool."""
    ends = [0, *(p.id for p in pools)]
    return tuple(
        sum(n.op == "conv2d" and low < n.id < high and all(w.kernel == 3 for w in windows(n)) for n in chain)
        for low, high in pairwise(ends)
    )
