"""Which layers add the field, and where it stops growing.

From the cell backwards along the way whose local field is largest: each layer's share of the field is the
difference to what it reads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from archlens.analyses.fields.drift import Path
from archlens.analyses.fields.theoretical import Field
from archlens.graph import Along, Graph, Resize, TransposedWindow


@dataclass(frozen=True)
class Growth:
    """What one layer on the widest way adds.

    Attributes:
        node: The layer's node.
        before, after: Local field in pixels along the first axis.
        jump: Stride of what it reads.
        resamples: Whether it is a resize or a transposed convolution: it adds neighbours, no context.
    """

    node: int
    before: int
    after: int
    jump: float
    resamples: bool

    @property
    def added(self) -> int:
        """Pixels."""
        return self.after - self.before


@dataclass(frozen=True)
class Stage:
    """Consecutive layers of one module at one stride.

    Attributes:
        name: The module.
        first, last: Layer indices that it spans on the widest way.
        before, after: Local field, pixels.
        jump: Stride of the map that its first layer reads.
        macs: Of all layers of the stage.
    """

    name: str
    first: int
    last: int
    before: int
    after: int
    jump: float
    macs: int

    @property
    def added(self) -> int:
        """Pixels."""
        return self.after - self.before

    @property
    def macs_per_pixel(self) -> float | None:
        """Multiply-accumulates for each pixel of field that it adds."""
        return self.macs / self.added if self.added > 0 else None


def widest_way(graph: Graph, fields: list[Field | None], node: int, axis: int = 0) -> list[Growth]:
    """The layers from the input to the node along the way with the largest local field."""
    way: list[Growth] = []
    while node not in graph.inputs:
        here = _path(fields[node], axis)
        sources = [e.source for e in graph.nodes[node].edges if not e.gate and _path(fields[e.source], axis)]
        if not sources:
            break
        best = max(sources, key=lambda s: (_size(_path(fields[s], axis)), s))
        read = _path(fields[best], axis)
        if here is not None and read is not None:
            way.append(Growth(node, read.size, here.size, float(read.jump), _resamples(graph, node)))
        node = best
    return way[::-1]


def last_growth(way: list[Growth]) -> Growth | None:
    """The last layer that adds context: a window, not a resampling."""
    return next((g for g in reversed(way) if g.added > 0 and not g.resamples), None)


def first_covering(way: list[Growth], side: int) -> Growth | None:
    """The first layer whose theoretical field is at least as wide as the image."""
    return next((g for g in way if g.after >= side), None)


def stages(graph: Graph, way: list[Growth]) -> list[Stage]:
    """The way in stages: consecutive layers of one module, or of one stride where a module has no modules of
    its own (VGG-16's `backbone.conv3_2`). A stage's MACs are those of all layers that belong to it, beside
    the way too."""
    of = graph.layer_of
    tops = Counter(graph.layers[of[g.node]].name.split(".")[0] for g in way)
    strides = {of[g.node]: g.jump for g in way}
    keys = [
        _stage_key(layer.name, tops[layer.name.split(".")[0]], strides.get(index))
        for index, layer in enumerate(graph.layers)
    ]
    macs: Counter[tuple[str, float | None]] = Counter()
    for key, layer in zip(keys, graph.layers, strict=True):
        macs[key] += sum(graph.nodes[n].macs for n in layer.nodes)
    out: list[Stage] = []
    last: tuple[str, float | None] | None = None
    for g in way:
        index = of[g.node]
        if out and keys[index] == last:
            stage = out[-1]
            out[-1] = replace(stage, last=index, after=g.after)
        else:
            out.append(Stage(keys[index][0], index, index, g.before, g.after, g.jump, macs[keys[index]]))
        last = keys[index]
    return out


def strides(graph: Graph, found: list[Stage], way: list[Growth]) -> list[tuple[str, list[Growth]]]:
    """(name, layers of the way) of each stage, in order. A stage that strides counts once a stride, and says
    so in its name: `backbone /8`."""
    out: list[tuple[str, float, list[Growth]]] = []
    for stage in found:
        for g in way:
            if not stage.first <= graph.layer_of[g.node] <= stage.last:
                continue
            if out and (out[-1][0], out[-1][1]) == (stage.name, g.jump):
                out[-1][2].append(g)
            else:
                out.append((stage.name, g.jump, [g]))
    names = [name for name, _, _ in out]
    return [(f"{name} /{jump:g}" if names.count(name) > 1 else name, own) for name, jump, own in out]


_MANY = 12  # a module with more layers than this on the way is split into its parts


def _stage_key(name: str, on_way: int, stride: float | None) -> tuple[str, float | None]:
    """(module, None), or (module, stride of what the layer reads) for a long run of plain layers."""
    parts = name.split(".")
    if on_way <= _MANY:
        return parts[0].split(":")[0], None
    return (".".join(parts[:2]), None) if len(parts) > 2 else (parts[0], stride)


def _path(field: Field | None, axis: int) -> Path | None:
    return None if not field else field[axis].path


def _size(path: Path | None) -> int:
    return -1 if path is None else path.size


def _resamples(graph: Graph, node: int) -> bool:
    return any(
        isinstance(s, Along) and isinstance(s.geometry, (Resize, TransposedWindow))
        for e in graph.nodes[node].edges
        for s in e.steps
    )
