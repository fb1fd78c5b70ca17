"""The graph: THE data structure. Plain numbers only; no torch, no numpy.

A captured network is a list of `Node`s in the order they ran, grouped into `Layer` rows. A node is the
result of one operation. Each of its `Edge`s says from which earlier node it reads and *how*: a short
tuple of `Step`s that map positions of the source tensor to positions of the result. All analyses are
walks over these steps, so nothing behind the capture ever looks at an operator's name to know its
geometry.

Four kinds of step suffice:

* `Along`   - one tensor dimension is read through a 1-D `Geometry` (window, resize, pad, ...);
* `Reshape` - the same elements, in row-major order, under another shape;
* `Permute` - dimensions in another order;
* `Keep`    - elements that a constant mask cuts read nothing (attention within shifted windows).

A tensor dimension that carries the input's axis `a` is followed through reshapes by the node's `layout`
(one tuple of `Atom`s a dimension), so tokens can be folded back into a map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from numbers import Integral
from typing import Any, Literal, NamedTuple, TypeAlias

from archlens.errors import LayerError, did_you_mean

# ------------------------------------------------------------------ geometry along one dimension


@dataclass(frozen=True, slots=True)
class Window:
    """Output i reads inputs i*stride - padding + t*dilation, 0 <= t < kernel, those inside the map."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


@dataclass(frozen=True, slots=True)
class TransposedWindow:
    """Input j feeds outputs j*stride - padding + t*dilation: the transpose of a window."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


@dataclass(frozen=True, slots=True)
class AdaptivePool:
    """Output o of m reads inputs floor(o*n/m) .. ceil((o+1)*n/m) - 1."""


@dataclass(frozen=True, slots=True)
class Resize:
    """Interpolation. `scale` is the given output/input factor, or None where only the sizes were given."""

    mode: Literal["nearest", "nearest-exact", "linear", "cubic"]
    align_corners: bool = False
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class Pad:
    """Output o reads input o - before; outside the map by `mode` (constant reads nothing)."""

    before: int
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"


@dataclass(frozen=True, slots=True)
class Slice:
    """Output o reads input start + o*step. Where that lies outside the source, it reads nothing."""

    start: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class Roll:
    """Output o reads input (o - shift) mod n."""

    shift: int


@dataclass(frozen=True, slots=True)
class IndexMap:
    """Output o reads input index[o]; -1 reads nothing. Flips, gathers with constant indices."""

    index: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Full:
    """Every output reads every input: a mean, a softmax, a contraction, a broadcast of one element.

    `fixed` marks a contraction with a weight of the dimension's own size (a linear layer over a flattened
    map): at another input size the layer would not fit, so it is a window of the map's size, not global.
    """

    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Grouped:
    """Channels in `groups` equal blocks: an output channel reads the inputs of its block."""

    groups: int


Geometry: TypeAlias = (
    Window | TransposedWindow | AdaptivePool | Resize | Pad | Slice | Roll | IndexMap | Full | Grouped
)


# ------------------------------------------------------------------ steps of an edge


@dataclass(frozen=True, slots=True)
class Along:
    """Dimension `dim` is read through `geometry`; it has `size` elements afterwards."""

    dim: int
    geometry: Geometry
    size: int


@dataclass(frozen=True, slots=True)
class Reshape:
    """The same elements in row-major order under `shape`."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Permute:
    """Dimension d of the result is dimension dims[d] of the source."""

    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """Elements whose bit is 0 read nothing, the others themselves. `shape` broadcasts to the tensor's; `bits`
    are its elements in row-major order, packed, compressed and in base64 (see `archlens.graph.masks`)."""

    shape: tuple[int, ...]
    bits: str


Step: TypeAlias = Along | Reshape | Permute | Keep


class Atom(NamedTuple):
    """A factor of a tensor dimension. `axis` is the input's spatial axis that it runs along, or -1 for
    channels and batch; the coordinate on that axis is the sum of index * stride over the axis' atoms."""

    axis: int
    size: int
    stride: int


Layout: TypeAlias = tuple[tuple[Atom, ...], ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """How a node reads an earlier one. `gate` marks the modulating side of a product or a normalisation's
    statistics: a path that scales the other one and carries no picture of its own."""

    source: int
    steps: tuple[Step, ...] = ()
    gate: bool = False


# ------------------------------------------------------------------ nodes, layers, the graph


@dataclass(frozen=True, slots=True)
class Node:
    """The result of one operation.

    Attributes:
        id: Position in `Graph.nodes`; edges point to smaller ids only.
        op: Name from the published vocabulary (`conv2d`, `relu`, `cat`, ...).
        shape: Output shape with the batch first, (N, C, H, W) for a 2-D feature map.
        layout: What each dimension of `shape` stands for.
        edges: What it reads. Empty for an input.
        macs: Multiply-accumulates of convolutions, linear layers and matrix products.
        elementwise: Elementwise operations (see docs: conventions).
        bytes: Bytes of new storage; 0 for views and in-place results.
        storage: Identity of the storage; nodes that share it are views of, or writes into, one buffer.
        attrs: Plain values that analyses need (weight shape, groups, activation constants, ...).
        unknown: The operator's name where it is not understood.
        bound: Why positions are an upper bound instead of exact, if they are.
    """

    id: int
    op: str
    shape: tuple[int, ...]
    layout: Layout
    edges: tuple[Edge, ...] = ()
    macs: int = 0
    elementwise: int = 0
    bytes: int = 0
    storage: int = -1
    attrs: Mapping[str, Any] = field(default_factory=dict)
    unknown: str | None = None
    bound: str | None = None

    @property
    def axes(self) -> tuple[int | None, ...]:
        """For each input axis, the dimension of `shape` that alone carries all of it, or None."""
        n_axes = 1 + max((a.axis for dim in self.layout for a in dim), default=-1)
        return tuple(self.axis_dim(axis) for axis in range(n_axes))

    def axis_dim(self, axis: int) -> int | None:
        """The dimension that carries `axis` and nothing else, or None."""
        return axis_dim(self.layout, axis)

    @property
    def positions(self) -> tuple[int, ...]:
        """The dimensions that a unit is addressed by: all that run along an input axis."""
        return position_dims(self.layout)

    @property
    def others(self) -> tuple[int, ...]:
        """All other dimensions: batch and channels."""
        return tuple(d for d in range(len(self.shape)) if d not in self.positions)

    @property
    def map_size(self) -> tuple[int, ...]:
        """Sizes along the positions: (H, W) of a feature map."""
        return tuple(self.shape[d] for d in self.positions)

    @property
    def middle(self) -> tuple[int, ...]:
        """The centre unit, n // 2 along each position."""
        return tuple(n // 2 for n in self.map_size)

    def has_unit(self, unit: Sequence[int]) -> bool:
        """Whether the map has that unit."""
        sizes = self.map_size
        whole = all(isinstance(u, Integral) for u in unit)
        return whole and len(unit) == len(sizes) and all(0 <= u < n for u, n in zip(unit, sizes, strict=True))

    def unit(self, asked: Sequence[int] | None, name: str = "the layer") -> tuple[int, ...]:
        """The unit asked for, or the centre.

        Raises:
            LayerError: It lies outside the map; the message names the map.
        """
        if asked is None:
            return self.middle
        if not self.has_unit(asked):
            sizes = self.map_size
            by = "x".join(map(str, sizes)) or "a single unit"
            raise LayerError(
                f"unit {','.join(map(str, asked))} lies outside {name}, whose map is {by}",
                f"Indices go from 0 to {','.join(str(n - 1) for n in sizes)}."
                if sizes
                else "Leave --unit out.",
            )
        return tuple(asked)


def axis_dim(layout: Layout, axis: int) -> int | None:
    """The dimension of `layout` that carries the whole of `axis` and nothing else, or None."""
    found = [d for d, atoms in enumerate(layout) if any(a.axis == axis for a in atoms)]
    if len(found) != 1:
        return None
    atoms = layout[found[0]]
    return found[0] if len(atoms) == 1 and atoms[0].stride == 1 else None


@lru_cache(maxsize=4096)  # asked for several times a node, and nodes share layouts
def position_dims(layout: Layout) -> tuple[int, ...]:
    """The dimensions of `layout` that run along any input axis."""
    return tuple(d for d, atoms in enumerate(layout) if any(a.axis >= 0 for a in atoms))


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of every table: the call of a leaf module, or a functional op.

    Attributes:
        name: Qualified module name (`backbone.conv1`), or `<module>.<op>`; a repeated one ends in `:2`.
        op: The operation that stands for the row (its costliest).
        nodes: Node ids, in order; the last one is the layer's output.
        module: Qualified name of the module it ran in (for clusters), "" at the root.
        kind: Class name of the module (`Conv2d`), "" for a functional op.
        params: Parameters counted here for the first time.
    """

    name: str
    op: str
    nodes: tuple[int, ...]
    module: str
    kind: str = ""
    params: int = 0

    @property
    def output(self) -> int:
        """Id of the node that is the layer's result."""
        return self.nodes[-1]


@dataclass(frozen=True)
class Graph:
    """A captured network.

    Attributes:
        name: The network's own name.
        nodes: In execution order.
        layers: Rows, in the order of their outputs. Inputs are not rows.
        inputs: Node ids of the inputs; the first one is the image by default.
        outputs: Output name -> node id.
        params: All parameters of the model, shared ones once.
        param_bytes: Their storage.
        uncalled: Modules with parameters that the run never used -> number of parameters.
        notes: What a reader must know about the capture (fallbacks, assumptions).
    """

    name: str
    nodes: tuple[Node, ...]
    layers: tuple[Layer, ...]
    inputs: tuple[int, ...]
    outputs: Mapping[str, int]
    params: int = 0
    param_bytes: int = 0
    uncalled: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def layer_of(self) -> Mapping[int, int]:
        """Node id -> index of its layer; inputs are absent."""
        return {n: i for i, layer in enumerate(self.layers) for n in layer.nodes}

    @cached_property
    def layer_index(self) -> Mapping[str, int]:
        """Layer name -> index."""
        return {layer.name: i for i, layer in enumerate(self.layers)}

    def node_of(self, name: str) -> Node:
        """The result of the layer of that name, or the input of that name.

        Raises:
            LayerError: There is none; the hint names the nearest.
        """
        if name in self.layer_index:
            return self.nodes[self.layers[self.layer_index[name]].output]
        for node in self.inputs:
            if name == self.input_name(node):
                return self.nodes[node]
        raise LayerError(f"{self.name} has no layer {name!r}", did_you_mean(name, self.layer_index))

    def name_of(self, node: int) -> str:
        """The layer of a node, or `input`."""
        return self.layers[self.layer_of[node]].name if node in self.layer_of else self.input_name(node)

    def ancestors(self, *nodes: int) -> frozenset[int]:
        """All nodes that these depend on, themselves included."""
        return ancestors(self.nodes, nodes)

    @cached_property
    def consumers(self) -> Mapping[int, list[int]]:
        """Node id -> ids of the nodes that read it, in order, each once."""
        out: dict[int, list[int]] = {n.id: [] for n in self.nodes}
        for node in self.nodes:
            for source in dict.fromkeys(e.source for e in node.edges):
                out[source].append(node.id)
        return out

    def layer_inputs(self) -> list[tuple[str, ...]]:
        """For each layer the names of the layers (or `input`) that it reads, in order of use."""
        out = []
        for layer in self.layers:
            own = set(layer.nodes)
            read = [e.source for n in layer.nodes for e in self.nodes[n].edges if e.source not in own]
            out.append(tuple(dict.fromkeys(self.name_of(source) for source in read)))
        return out

    def input_name(self, node: int) -> str:
        """`input`, or `input:2`, ... where there are several."""
        position = self.inputs.index(node)
        return "input" if position == 0 else f"input:{position + 1}"


def ancestors(nodes: Sequence[Node], wanted: Iterable[int]) -> frozenset[int]:
    """Ids of all nodes that the wanted ones depend on, themselves included."""
    out = set(wanted)
    for node in reversed(nodes[: max(out, default=-1) + 1]):
        if node.id in out:
            out.update(e.source for e in node.edges)
    return frozenset(out)
