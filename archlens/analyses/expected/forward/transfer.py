"""What an edge does to a map of energies: its steps with their shapes, and the weights of its taps.

The tap matrices of `taps` know which inputs an output reads. How much of each depends on the operation: an
average pool divides by its window, a frozen deconvolution interpolates, a convolution has random weights
(then the taps are 1 and the analysis puts in the variance).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from math import prod
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.forward.activations import Activation
from archlens.analyses.fields.taps import Taps, matrix
from archlens.graph import (
    Along,
    Edge,
    Full,
    Geometry,
    Graph,
    Keep,
    Layout,
    Node,
    Resize,
    Step,
    TransposedWindow,
    Window,
)
from archlens.graph.layouts import carry

Floats = NDArray[np.float64]
T = TypeVar("T")

Role = Literal[
    "input", "random", "linear", "max_pool", "batch_norm", "layer_norm", "activation", "product", "divide",
    "power", "constant", "unknown",
]  # fmt: skip

# Fixed linear operations: sums, moves and weighted means of what they read. The order of the list is free.
_LINEAR = frozenset(
    {
        "add", "sub", "cat", "stack", "copy", "identity", "dropout", "alias", "reshape", "permute",
        "slice", "crop", "select", "split", "expand", "repeat", "roll", "flip", "gather", "pad",
        "interpolate", "mean", "sum", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
        "adaptive_avg_pool2d", "adaptive_avg_pool3d", "pixel_shuffle", "pixel_unshuffle", "unfold",
        "fold",
    }
)  # fmt: skip
_MAX = frozenset(
    {
        "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    }
)  # fmt: skip


_IMAGE_NORMS = frozenset({"layer_norm", "group_norm", "instance_norm"})


def role(node: Node) -> Role:
    """Which rule of the expected field an operation falls under; `unknown` where there is none."""
    if node.unknown is not None or any(isinstance(s, Keep) for e in node.edges for s in e.steps):
        return "unknown"
    if node.op == "input":
        return "input"
    if not node.edges:
        return "constant"
    if "name" in node.attrs:  # it goes by the name of an operation that it is like, and is another one
        return "unknown"
    if node.attrs.get("function") == "formula":
        return "activation"
    if node.op.startswith("conv") and "weight" in node.attrs:
        return "linear" if interpolates(node) or "taps" in node.attrs else _one(node, "random")
    if node.op == "linear":
        return _one(node, "random")
    if node.op in _LINEAR:
        return "linear"
    if node.op in _MAX:
        return "max_pool"
    if node.op == "batch_norm":
        return _one(node, "batch_norm")
    if node.op in _IMAGE_NORMS:
        return "layer_norm" if _own_statistics(node) else "unknown"
    if node.op == "mul":
        return "product"
    if node.op == "div":
        return "divide"
    if node.op == "pow":
        return "power" if len(node.edges) == 1 and node.attrs.get("constant") is not None else "unknown"
    if function(node) is not None:
        return "activation"
    return "unknown"


def named(node: Node) -> str:
    """What an operation without a rule is called."""
    return node.unknown or str(node.attrs.get("name", node.op))


def scales(node: Node) -> tuple[float, ...]:
    """The factor of each term of a sum or difference."""
    given = node.attrs.get("scales")
    if given is not None:
        return tuple(float(s) for s in given)
    return (1.0, *(-1.0 if node.op == "sub" else 1.0 for _ in node.edges[1:]))


def offset(node: Node) -> float:
    """The number that a sum or difference adds; a constant tensor counts as none."""
    number = float(node.attrs.get("constant") or 0.0)
    return -number if node.op == "sub" and "scales" not in node.attrs else number


def renames(node: Node) -> bool:
    """Whether a node is its source under another name: the same values at the same places."""
    return node.op in ("identity", "copy", "dropout") and len(node.edges) == 1 and not node.edges[0].steps


def function(node: Node) -> Activation | None:
    """The scalar function of an activation node, where there is a formula for it."""
    name = node.attrs.get("function")
    if not isinstance(name, str):
        return None
    constants = tuple(node.attrs.get("constants", ()))
    if name in ("clamp", "clamp_min") and constants == (0.0,):
        return Activation("relu")
    f = Activation(name, constants)
    return f if f.known else None


def _one(node: Node, kind: Role) -> Role:
    """A rule that knows one input: weights that are made from another one have none."""
    return kind if len(node.edges) == 1 else "unknown"


def _own_statistics(node: Node) -> bool:
    """Whether a norm reads nothing but its value and, as a gate, that value's own statistics: no weight or
    bias that depends on the image."""
    value, *rest = node.edges
    return not value.steps and len(rest) <= 1 and all(e.gate and e.source == value.source for e in rest)


def carrying(node: Node) -> tuple[int, ...]:
    """Indices of the edges that carry energy: a norm's statistics are seen to by its own rule."""
    return (0,) if node.op in _IMAGE_NORMS else tuple(range(len(node.edges)))


def interpolates(node: Node) -> bool:
    """Whether a transposed convolution is FCN's fixed bilinear upsampling: frozen, class to class, with the
    kernel that goes with its stride. Its values are not captured; the shape tells."""
    attrs = node.attrs
    if not (attrs.get("transposed") and attrs.get("frozen")):
        return False
    weight, groups = attrs["weight"], attrs["groups"]
    strides = [
        s.geometry.stride
        for s in node.edges[0].steps
        if isinstance(s, Along) and isinstance(s.geometry, TransposedWindow)
    ]
    kernels = weight[2:]
    return weight[0] == weight[1] * groups and all(
        1 < s < k <= 2 * s for k, s in zip(kernels, strides, strict=True)
    )


# ------------------------------------------------------------------ steps with their shapes


@dataclass(frozen=True)
class ShapedStep:
    """One step of an edge. `axis` is the input axis that the step's dimension runs along; -1 for channels,
    -2 where several axes share the dimension (tokens)."""

    step: Step
    before: tuple[int, ...]
    after: tuple[int, ...]
    axis: int

    @property
    def positional(self) -> bool:
        """Whether the dimension runs along positions."""
        return self.axis != -1


def shaped_steps(graph: Graph, edge: Edge) -> tuple[ShapedStep, ...]:
    """The steps of an edge with shapes and axes, in forward order."""
    source = graph.nodes[edge.source]
    return _shaped(source.shape, source.layout, edge.steps)


@lru_cache(maxsize=4096)  # every walk asks again, and a network repeats its layers
def _shaped(shape: tuple[int, ...], layout: Layout, steps: tuple[Step, ...]) -> tuple[ShapedStep, ...]:
    out = []
    for step in steps:
        axis = -1
        new_layout, new_shape = carry(layout, shape, step)
        if isinstance(step, Along):
            axes = {a.axis for lay in (layout, new_layout) for a in lay[step.dim] if a.axis >= 0}
            axis = -1 if not axes else axes.pop() if len(axes) == 1 else -2
        out.append(ShapedStep(step, shape, new_shape, axis))
        layout, shape = new_layout, new_shape
    return tuple(out)


def weights(node: Node, step: Along, n_in: int) -> Taps:
    """The (n_out, n_in) matrix of a fixed linear operation along one dimension."""
    g = step.geometry
    if node.op.startswith("avg_pool") and isinstance(g, Window):
        return _average(g, n_in, step.size, bool(node.attrs.get("count_include_pad", True)),
                        _divisor(node, step))  # fmt: skip
    if "antialias" in node.attrs and isinstance(g, Resize):
        return _antialiased(
            n_in,
            step.size,
            node.attrs["antialias"],
            node.attrs["factors"][step.dim - 2],
            node.attrs["aligned"],
        )
    if "taps" in node.attrs and isinstance(g, (Window, TransposedWindow)):
        return _given(g, n_in, step.size, tuple(node.attrs["taps"][step.dim - 2]))
    if isinstance(g, TransposedWindow) and node.op.startswith("conv_transpose"):
        return _bilinear(g, n_in, step.size)
    if isinstance(g, Full) and node.op == "sum":
        return ones(matrix(g, n_in, step.size))
    return matrix(g, n_in, step.size)


def _divisor(node: Node, step: Along) -> float | None:
    """An average pool's own divisor, taken along its first dimension."""
    given = node.attrs.get("divisor")
    if not given:
        return None
    first = next(s.dim for s in node.edges[0].steps if isinstance(s, Along))
    return float(given) if step.dim == first else 1.0


@lru_cache(maxsize=256)
def _average(g: Window, n_in: int, n_out: int, padded: bool, divisor: float | None) -> Taps:
    taps = matrix(g, n_in, n_out)
    start = np.arange(n_out) * g.stride - g.padding
    if divisor is not None:
        count: Any = np.full(n_out, divisor)
    elif padded:  # torch counts padding, but not what ceil mode adds beyond it
        count = np.minimum(start + g.kernel, n_in + g.padding) - start
    else:
        count = np.minimum(start + g.kernel, n_in) - np.maximum(start, 0)
    return taps.weighted(1.0 / np.maximum(count, 1))


@lru_cache(maxsize=64)
def _bilinear(g: TransposedWindow, n_in: int, n_out: int) -> Taps:
    """FCN's filler: 1 - |t / f - c| with f = ceil(k / 2), c = (2f - 1 - f % 2) / 2f."""
    f = -(-g.kernel // 2)
    c = (2 * f - 1 - f % 2) / (2.0 * f)
    return _given(g, n_in, n_out, tuple(1 - np.abs(np.arange(g.kernel) / f - c)))


@lru_cache(maxsize=64)
def _antialiased(n_in: int, n_out: int, reach: int, factor: float | None, aligned: bool) -> Taps:
    """A resize whose triangle (reach 1) or cubic (reach 2) grows with what it shrinks by, as in
    ATen/native/cpu/UpSampleKernel.cpp."""
    scale = 1.0 / factor if factor else n_in / n_out
    if aligned:
        scale = (n_in - 1) / (n_out - 1) if n_out > 1 else 0.0
    wide = max(scale, 1.0)
    centre = scale * (np.arange(n_out)[:, None] + 0.5)
    first = np.maximum((centre - reach * wide + 0.5).astype(int), 0)
    last = np.minimum((centre + reach * wide + 0.5).astype(int), n_in)
    index = first + np.arange(int((last - first).max()))
    x = np.abs((index - centre + 0.5) / wide)
    values = np.maximum(1 - x, 0)
    if reach == 2:
        values = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2)
    values = np.where((index < last) & (x < reach), values, 0.0)
    values = values / values.sum(1, keepdims=True)
    rows, slots = np.nonzero(values)
    return Taps.summed((n_out, n_in), rows, index[rows, slots], values[rows, slots], None)


@lru_cache(maxsize=256)
def _given(g: Window | TransposedWindow, n_in: int, n_out: int, values: tuple[float, ...]) -> Taps:
    """A window whose taps have given weights."""
    forwards = isinstance(g, Window)
    n, most = (n_out, n_in) if forwards else (n_in, n_out)
    one = np.arange(n)[:, None]
    other = one * g.stride - g.padding + np.arange(g.kernel) * g.dilation
    keep = (other >= 0) & (other < most)
    near, far, data = (np.broadcast_to(a, other.shape)[keep] for a in (one, other, np.asarray(values)))
    if forwards:
        return Taps.summed((n_out, n_in), near, far, data, (1, g.stride))
    return Taps.summed((n_out, n_in), far, near, data, (g.stride, 1))


@lru_cache(maxsize=4096)
def lagged(g: Geometry, n_in: int, n_out: int, lag_out: int, lag_in: int) -> Taps:
    """For taps of weight 1 that are the same random weight wherever they land: the (n_out, n_in) matrix of
    pairs (o, i), (o + lag_out, i + lag_in) that go through one tap."""
    taps = matrix(g, n_in, n_out)
    if lag_out == 0 and lag_in == 0:
        return taps
    step = g.stride if isinstance(g, (Window, TransposedWindow)) else 1
    same = lag_in == lag_out * step if not isinstance(g, TransposedWindow) else lag_out == lag_in * step
    o, i = taps.rows + lag_out, taps.cols + lag_in
    return ones(taps.where(same & (o >= 0) & (o < n_out) & (i >= 0) & (i < n_in)))


MOST_KEPT = 4096
_KEPT: dict[tuple[object, ...], tuple[tuple[object, ...], Any]] = {}


def once(make: Callable[..., T]) -> Callable[..., T]:
    """A function of taps that is worked out once: a network repeats its layers, and what a geometry's taps
    come to is asked for at each of them. Taps are told apart by identity, and kept alive."""

    @wraps(make)
    def kept(*args: object) -> T:
        key = (make, *(id(a) if isinstance(a, Taps) else a for a in args))
        if key not in _KEPT:
            if len(_KEPT) >= MOST_KEPT:
                _KEPT.clear()
            _KEPT[key] = args, make(*args)
        made: T = _KEPT[key][1]
        return made

    return kept


@once
def products(a: Taps, b: Taps, lag_out: int, lag_in: int) -> Taps:
    """a[o, i] * b[o + lag_out, i + lag_in], as a (n_out, n_in) matrix."""
    return a.common(b.shifted(lag_out, lag_in))


ones = once(Taps.ones)
squared = once(Taps.squared)
common = once(Taps.common)
shifted = once(Taps.shifted)


def fan_in(node: Node) -> float:
    """Inputs that one output of a convolution or linear layer sums."""
    weight, groups = node.attrs["weight"], node.attrs.get("groups", 1)
    if node.op == "linear":
        return float(weight[1])
    if not node.attrs.get("transposed"):
        return float(prod(weight[1:]))
    strides = [
        s.geometry.stride
        for s in node.edges[0].steps
        if isinstance(s, Along) and isinstance(s.geometry, TransposedWindow)
    ]
    taps = prod(k / s for k, s in zip(weight[2:], strides, strict=True))
    return float(weight[0] / groups * taps)


def fan_out(node: Node) -> float:
    """Output channels that one input channel feeds."""
    weight, groups = node.attrs["weight"], node.attrs.get("groups", 1)
    if node.op == "linear":
        return float(weight[0])
    return float(weight[1]) if node.attrs.get("transposed") else float(weight[0]) / groups
