"""Counterfactual graphs: the same network with a branch cut, a rate or a pyramid's bins set to 1.

Pure functions from a graph to a graph. What is cut off is removed, and where a concat grows narrower the
convolution that reads it loses those input channels, so costs follow. Map sizes never change: a window that
gets another rate keeps its centre (its padding is adjusted, and may become negative).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import prod

from archlens.analyses.structure.context import ContextModule
from archlens.graph import AdaptivePool, Along, Edge, Full, Graph, Layer, Node, Slice, Step, Window, ancestors


def cut(graph: Graph, module: ContextModule, names: Collection[str]) -> Graph:
    """The graph without these branches of its context module."""
    drops = {(b.merge, b.position) for b in module.branches if b.name in names}
    return drop_edges(graph, drops)


def cut_all(graph: Graph, module: ContextModule) -> Graph:
    """The graph with only the narrowest branch of its context module left."""
    return cut(graph, module, {b.name for b in module.branches} - {module.narrowest.name})


def drop_edges(graph: Graph, drops: Collection[tuple[int, int]]) -> Graph:
    """The graph without these edges, each (node, index), and without what only they needed."""
    nodes = list(graph.nodes)
    lost = set(drops)
    narrowed: list[tuple[int, int]] = []  # (concat, dimension)
    for node in graph.nodes:
        kept = [
            e
            for i, e in enumerate(node.edges)
            if (node.id, i) not in lost
            and (e.source, -1) not in lost  # -1: the source reads nothing any more
        ]
        if len(kept) == len(node.edges):
            continue
        if not kept:
            lost.add((node.id, -1))
        nodes[node.id] = replace(node, edges=tuple(kept))
        if node.op == "cat" and kept:
            nodes[node.id], dim = _narrow_concat(graph, nodes[node.id])
            narrowed.append((node.id, dim))
    params: dict[int, int] = {}
    for concat, dim in narrowed:
        trial = _shrink(graph, nodes, concat, dim)
        if trial is None:  # its channels are used in a way that we don't follow: they stay, and read nothing
            nodes[concat] = replace(graph.nodes[concat], edges=_kept_as_is(graph.nodes[concat], lost))
        else:
            nodes, saved = trial
            params.update(saved)
    return prune(graph, nodes, params)


def set_rate(graph: Graph, which: Collection[int], rate: int | Callable[[int], int] = 1) -> Graph:
    """The graph with another dilation in these nodes' windows; `rate` may be a function of the old one.

    The padding is adjusted, so that map sizes and the windows' centres stay.
    """
    change = rate if callable(rate) else (lambda _: rate)

    def redilate(_: int, old: Window) -> Window:
        new = change(old.dilation) if old.kernel > 1 else old.dilation
        # An even kernel's centre lies between two positions; half a position is rounded down.
        return replace(old, dilation=new, padding=old.padding + (old.kernel - 1) * (new - old.dilation) // 2)

    return map_windows(graph, which, redilate)


def dilated(graph: Graph, among: Collection[int] | None = None) -> list[int]:
    """Nodes with a window of more than one tap at a rate above 1."""
    return [
        n.id
        for n in graph.nodes
        if (among is None or n.id in among) and any(w.dilation > 1 and w.kernel > 1 for w in windows(n))
    ]


def windows(node: Node) -> list[Window]:
    """The windows that a node reads through along the input's axes."""
    return [
        s.geometry
        for e in node.edges
        for s in e.steps
        if isinstance(s, Along) and isinstance(s.geometry, Window) and s.dim in node.positions
    ]


def bins_to_one(graph: Graph, module: ContextModule) -> Graph:
    """The graph with every fixed grid of bins in the module replaced by one bin: the whole map."""
    nodes = list(graph.nodes)
    for branch in module.branches:
        ones: set[int] = set()
        for n in branch.nodes:
            node = nodes[n]
            pools = any(isinstance(s, Along) and isinstance(s.geometry, AdaptivePool) for s in _steps(node))
            inside = [e for e in node.edges if e.source in ones]
            if not pools and not inside:
                continue
            if not pools and any(
                node.shape[d] != graph.nodes[inside[0].source].shape[d] for d in node.positions
            ):
                continue  # back to the map's size: the resize of one cell is a broadcast
            nodes[n] = _one_cell(node)
            ones.add(n)
    return prune(graph, nodes, {})


def prune(graph: Graph, nodes: Sequence[Node], params: Mapping[int, int]) -> Graph:
    """A graph of these nodes (one for each of the old ones) without those that have lost all readers.

    Args:
        params: Layer index -> parameters that it has lost.
    """
    before = graph.ancestors(*graph.outputs.values())
    after = ancestors(nodes, graph.outputs.values())
    keep = [n.id for n in nodes if n.id in after or n.id not in before or n.id in graph.inputs]
    new = {old: i for i, old in enumerate(keep)}
    made = []
    for old in keep:
        edges = tuple(replace(e, source=new[e.source]) for e in nodes[old].edges if e.source in new)
        made.append(replace(nodes[old], id=new[old], edges=edges))
    layers: list[Layer] = []
    total = graph.params
    for index, layer in enumerate(graph.layers):
        own = tuple(new[n] for n in layer.nodes if n in new)
        count = layer.params - params.get(index, 0)
        total -= params.get(index, 0)
        if own:
            layers.append(replace(layer, nodes=own, params=count))
        else:
            total -= count
    return replace(
        graph,
        nodes=tuple(made),
        layers=tuple(layers),
        inputs=tuple(new[n] for n in graph.inputs),
        outputs={key: new[n] for key, n in graph.outputs.items()},
        params=total,
        param_bytes=graph.param_bytes * total // graph.params if graph.params else graph.param_bytes,
    )


# ------------------------------------------------------------------ inside


def _steps(node: Node) -> list[Along]:
    return [s for e in node.edges for s in e.steps if isinstance(s, Along)]


def map_windows(graph: Graph, which: Collection[int], change: Callable[[int, Window], Window]) -> Graph:
    """The graph with other windows along the input's axes of these nodes; map sizes are left as they are."""

    def step(node: Node, s: Step) -> Step:
        if isinstance(s, Along) and isinstance(s.geometry, Window) and s.dim in node.positions:
            return replace(s, geometry=change(node.id, s.geometry))
        return s

    nodes = [
        replace(n, edges=tuple(replace(e, steps=tuple(step(n, s) for s in e.steps)) for e in n.edges))
        if n.id in which
        else n
        for n in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def _one_cell(node: Node) -> Node:
    """The node on a map of one cell."""
    shape = tuple(1 if d in node.positions else n for d, n in enumerate(node.shape))
    share = prod(shape) / prod(node.shape)

    def step(s: Along) -> Along:
        if s.dim not in node.positions:
            return s
        return replace(s, size=1, geometry=Full() if isinstance(s.geometry, AdaptivePool) else s.geometry)

    edges = tuple(
        replace(e, steps=tuple(step(s) if isinstance(s, Along) else s for s in e.steps)) for e in node.edges
    )
    pooled = any(isinstance(s.geometry, AdaptivePool) for s in _steps(node))
    layout = tuple(
        tuple(a._replace(size=1) for a in atoms) if d in node.positions else atoms
        for d, atoms in enumerate(node.layout)
    )
    return replace(
        node,
        op="mean" if pooled else node.op,
        shape=shape,
        layout=layout,
        edges=edges,
        macs=round(node.macs * share),
        elementwise=round(node.elementwise * share),
        bytes=round(node.bytes * share),
    )


def _slice(edge: Edge) -> tuple[int, Along] | None:
    """Index and step of the slice that places an edge in a concat."""
    for index, step in enumerate(edge.steps):
        if isinstance(step, Along) and isinstance(step.geometry, Slice) and step.geometry.step == 1:
            return index, step
    return None


def _narrow_concat(graph: Graph, node: Node) -> tuple[Node, int]:
    """A concat whose remaining pieces follow one another again, and the dimension that it joins."""
    found = [_slice(e) for e in node.edges]
    dim = next((f[1].dim for f in found if f is not None), 1)
    sizes = [graph.nodes[e.source].shape[dim] for e in node.edges]
    total, offset, edges = sum(sizes), 0, []
    for edge, place, size in zip(node.edges, found, sizes, strict=True):
        if place is not None:
            index, step = place
            moved = replace(step, geometry=Slice(-offset), size=total)
            edge = replace(edge, steps=(*edge.steps[:index], moved, *edge.steps[index + 1 :]))
        edges.append(edge)
        offset += size
    attrs = {**node.attrs, "sizes": sizes} if "sizes" in node.attrs else node.attrs
    return replace(_resized(node, dim, total), edges=tuple(edges), attrs=attrs), dim


def _kept_as_is(node: Node, lost: Collection[tuple[int, int]]) -> tuple[Edge, ...]:
    return tuple(
        e for i, e in enumerate(node.edges) if (node.id, i) not in lost and (e.source, -1) not in lost
    )


def _resized(node: Node, dim: int, size: int) -> Node:
    """The node with another number of channels; its elementwise work and bytes follow."""
    share = size / node.shape[dim]
    layout = (
        *node.layout[:dim],
        tuple(a._replace(size=size) for a in node.layout[dim]),
        *node.layout[dim + 1 :],
    )
    return replace(
        node,
        shape=(*node.shape[:dim], size, *node.shape[dim + 1 :]),
        layout=layout,
        elementwise=round(node.elementwise * share),
        bytes=round(node.bytes * share),
    )


def _shrink(
    graph: Graph, nodes: Sequence[Node], concat: int, dim: int
) -> tuple[list[Node], dict[int, int]] | None:
    """Carry a narrower concat on to the convolutions that read it.

    Returns:
        The nodes, and parameters lost per layer index; None where something other than pointwise operations
        stands between.
    """
    nodes = list(nodes)
    old, new = graph.nodes[concat].shape[dim], nodes[concat].shape[dim]
    narrow, params, of = {concat}, dict[int, int](), graph.layer_of
    for node in graph.nodes[concat + 1 :]:
        read = [e for e in node.edges if e.source in narrow]
        if not read:
            continue
        if len(node.edges) != 1 or dim in node.positions:
            return None
        along = [s for s in read[0].steps if isinstance(s, Along) and s.dim == dim]
        weight = node.attrs.get("weight")
        if len(read[0].steps) == 0 and node.shape[dim] == old:
            nodes[node.id] = _resized(nodes[node.id], dim, new)
            narrow.add(node.id)
            if node.attrs.get("affine"):
                params[of[node.id]] = params.get(of[node.id], 0) + 2 * (old - new)
        elif along and isinstance(along[0].geometry, Full) and weight and weight[1] == old:
            thin = [weight[0], new, *weight[2:]]
            attrs = {**node.attrs, "weight": thin}
            nodes[node.id] = replace(nodes[node.id], attrs=attrs, macs=node.macs * new // old)
            params[of[node.id]] = params.get(of[node.id], 0) + prod(weight) - prod(thin)
        else:
            return None
    return nodes, params
