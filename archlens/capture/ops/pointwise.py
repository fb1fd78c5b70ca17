"""Lowering rules: activations, arithmetic, normalisation, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from archlens.capture.call import Call, Lowered, Rule, broadcast, dims_of, numel, spread
from archlens.graph import Along, Edge, Full, Grouped, Keep, Reshape, Step
from archlens.graph.masks import Bools, pack

# ATen name -> name in the vocabulary. One input, one output, position by position.
ACTIVATIONS = {
    name: name
    for name in (
        "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid", "tanh",
        "hardtanh", "hardswish", "hardsigmoid", "softplus", "log_sigmoid", "threshold", "softshrink",
        "hardshrink", "clamp", "clamp_min", "clamp_max", "erf",
    )
}  # fmt: skip
UNARY = {
    name: name
    for name in (
        "abs", "neg", "exp", "exp2", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "sin", "cos", "square",
        "reciprocal", "floor", "ceil", "round", "sign", "trunc", "bitwise_not", "logical_not", "isnan",
    )
}  # fmt: skip
BINARY = {
    "add": "add", "sub": "sub", "rsub": "sub", "mul": "mul", "div": "div", "maximum": "maximum",
    "minimum": "minimum", "pow": "pow", "eq": "compare", "ne": "compare", "lt": "compare", "le": "compare",
    "gt": "compare", "ge": "compare", "where": "where", "masked_fill": "masked_fill", "lerp": "add",
    "addcmul": "add", "addcdiv": "add", "logical_and": "compare", "logical_or": "compare",
    "bitwise_and": "compare", "bitwise_or": "compare", "remainder": "div", "fmod": "div",
    "floor_divide": "div", "_prelu_kernel": "prelu", "copysign": "mul", "atan2": "div",
}  # fmt: skip


REDUCTIONS = {
    "mean": "mean", "sum": "sum", "amax": "max", "amin": "min", "max": "max", "min": "min", "var": "var",
    "std": "var", "prod": "prod", "logsumexp": "logsumexp", "argmax": "argmax", "linalg_vector_norm": "norm",
}  # fmt: skip


def _unary(op: str) -> Rule:
    def rule(call: Call) -> Lowered:
        constants = [a for a in call.args[1:] if isinstance(a, (int, float, str)) and not isinstance(a, bool)]
        named = "relu6" if op == "hardtanh" and constants[:2] == [0.0, 6.0] else op
        attrs = {"function": named, "constants": constants}
        return Lowered(named, call.edge(call.tensor(0)), elementwise=numel(call.shape), attrs=attrs)

    return rule


def _binary(op: str) -> Rule:
    def rule(call: Call) -> Lowered:
        tensors = [a for a in call.args if isinstance(a, torch.Tensor)]
        out = call.shape
        sizes = [numel(t.shape) for t in tensors]
        edges: tuple[Edge, ...] = ()
        for t, n in zip(tensors, sizes, strict=True):
            # The smaller factor of a product modulates the other: squeeze-and-excitation and its kin.
            gate = op in ("mul", "div") and n < max(sizes)
            edges += call.edge(t, *broadcast(t.shape, out), gate=gate)
        attrs: dict[str, object] = {}
        if op == "prelu":
            attrs = {"function": "prelu", "constants": []}
        elif len(edges) == 1:
            numbers = [float(a) for a in call.args[1:2] if isinstance(a, (int, float))]
            attrs = {"constant": numbers[0] if numbers else None}
        return Lowered(op, edges, elementwise=numel(out), attrs=attrs)

    return rule


def where(call: Call) -> Lowered:
    """where(condition, a, b). A constant condition picks: what it does not pick is not read."""
    low, out = _binary("where")(call), call.shape
    assert isinstance(low, Lowered)
    condition = call.tensor(0)
    chosen = None if call.node_of(condition) is not None else call.value(condition)
    if chosen is None:
        return low
    edges: tuple[Edge, ...] = ()
    for t, mask in ((call.tensor(1), chosen.bool()), (call.tensor(2), ~chosen.bool())):
        edges += call.edge(t, *broadcast(t.shape, out), _picked(mask, len(out)))
    return replace(low, edges=edges)


def mul(call: Call) -> Lowered:
    """a * b. Where a constant mask over positions is zero, the other factor is not read."""
    low = _binary("mul")(call)
    assert isinstance(low, Lowered)
    a, b = call.args[:2]
    for x, mask in ((a, b), (b, a)):
        if not isinstance(x, torch.Tensor) or not isinstance(mask, torch.Tensor):
            continue
        # Parameters never count: they have no values on the meta device, and others after training.
        if call.node_of(mask) is not None or mask.is_meta or not x.is_meta or mask.ndim < 2:
            continue
        layout = call.layout_of(x)
        if layout is None or mask.ndim > len(layout) or bool((mask != 0).all()):
            continue
        axes = layout[len(layout) - mask.ndim :]
        if any(
            n > 1 and any(atom.axis >= 0 for atom in dim) for n, dim in zip(mask.shape, axes, strict=True)
        ):
            picked = _picked(mask != 0, len(call.shape))
            return replace(low, edges=tuple(replace(e, steps=(*e.steps, picked)) for e in low.edges))
    return low


def masked_fill(call: Call) -> Lowered:
    """masked_fill(x, mask, value). Where a constant mask is set, x is not read."""
    low, out = _binary("masked_fill")(call), call.shape
    assert isinstance(low, Lowered)
    x, mask, fill = call.tensor(0), call.tensor(1), call.args[2]
    filled = None if call.node_of(mask) is not None else call.value(mask)
    if filled is None:
        return low
    edges = call.edge(x, *broadcast(x.shape, out), _picked(~filled.bool(), len(out)))
    if isinstance(fill, torch.Tensor):
        edges += call.edge(fill, *broadcast(fill.shape, out), _picked(filled.bool(), len(out)))
    return replace(low, edges=edges)


def _picked(mask: torch.Tensor, ndim: int) -> Keep:
    """What a constant mask leaves, its shape filled up to the result's dimensions."""
    kept: Bools = mask.reshape((1,) * (ndim - mask.ndim) + tuple(mask.shape)).numpy()
    return pack(kept)


def batch_norm(call: Call) -> Lowered:
    """aten::native_batch_norm and its relatives: per channel, with the statistics it has stored."""
    x = call.tensor(0)
    attrs = {"affine": call.args[1] is not None}
    return Lowered("batch_norm", call.edge(x), elementwise=numel(x.shape), attrs=attrs)


def _norm_over(call: Call, op: str, dims: tuple[int, ...]) -> Lowered:
    """A normalisation whose statistics run over `dims`: the value itself, and all values as a gate."""
    x = call.tensor(0)
    steps: tuple[Step, ...] = ()
    for d in dims:
        if x.shape[d] > 1:
            steps += spread(d, x.shape[d])
    edges = call.edge(x) + call.edge(x, *steps, gate=True) if steps else call.edge(x)
    return Lowered(op, edges, elementwise=numel(x.shape))


def layer_norm(call: Call) -> Lowered:
    """aten::native_layer_norm over the last dimensions."""
    x, normal = call.tensor(0), call.args[1]
    return _norm_over(call, "layer_norm", tuple(range(x.ndim - len(normal), x.ndim)))


def group_norm(call: Call) -> Lowered:
    """aten::native_group_norm: statistics over all positions and the group's channels."""
    x, groups = call.tensor(0), int(call.args[6])
    if groups == 1:
        return _norm_over(call, "group_norm", tuple(range(1, x.ndim)))
    low = _norm_over(call, "group_norm", tuple(range(2, x.ndim)))
    grouped = () if groups == x.shape[1] else (Along(1, Grouped(groups), x.shape[1]),)
    edges = tuple(replace(e, steps=(*grouped, *e.steps)) if e.gate else e for e in low.edges)
    if len(edges) == 1 and grouped:
        edges += call.edge(x, *grouped, gate=True)
    return replace(low, edges=edges)


def softmax(call: Call) -> Lowered:
    """aten::_softmax: each value over the sum of all values along a dimension."""
    x = call.tensor(0)
    return _norm_over(call, "softmax", (int(call.args[1]) % x.ndim,))


def _reduction(op: str) -> Rule:
    def rule(call: Call) -> Lowered | Sequence[Lowered | None] | None:
        x = call.tensor(0)
        rest = call.args[1:]
        wanted = next((a for a in rest if isinstance(a, (list, tuple)) or type(a) is int), None)
        keep = any(a is True for a in rest)
        dims = dims_of(wanted, x.ndim)
        if op in ("max", "min") and isinstance(rest[0] if rest else None, torch.Tensor):
            return _binary(op + "imum")(call)
        return reduce(call, x, dims, keep, op)

    return rule


def reduce(call: Call, x: torch.Tensor, dims: tuple[int, ...], keep: bool, op: str) -> Lowered:
    """One value for all positions along `dims`."""
    steps: list[Step] = [Along(d, Full(), 1) for d in dims]
    if not keep:
        steps.append(Reshape(call.shape))
    return Lowered(op, call.edge(x, *steps), elementwise=numel(x.shape))


RULES: dict[str, Rule] = {
    **{name: _unary(op) for name, op in {**ACTIVATIONS, **UNARY}.items()},
    **{name: _binary(op) for name, op in BINARY.items()},
    "mul": mul,
    "where": where,
    "masked_fill": masked_fill,
    **dict.fromkeys(
        (
            "native_batch_norm",
            "_native_batch_norm_legit_no_training",
            "_native_batch_norm_legit",
            "_batch_norm_no_update",
            "cudnn_batch_norm",
        ),
        batch_norm,
    ),
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
    "_softmax": softmax,
    "_safe_softmax": softmax,
    "_log_softmax": softmax,
    **{name: _reduction(op) for name, op in REDUCTIONS.items()},
}
