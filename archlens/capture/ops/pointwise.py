"""Lowering rules: activations, arithmetic, choices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from archlens.capture.call import Call, Lowered, Rule, broadcast, everything, numel
from archlens.graph import Edge, Keep
from archlens.graph.masks import Bools, pack

# ATen name -> name in the vocabulary. One input, one output, position by position.
ACTIVATIONS = {
    name: name
    for name in (
        "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid", "tanh",
        "hardtanh", "hardswish", "hardsigmoid", "softplus", "log_sigmoid", "threshold", "softshrink",
        "hardshrink", "erf",
    )
}  # fmt: skip
UNARY = {
    name: name
    for name in (
        "abs", "neg", "exp", "exp2", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "sin", "cos", "square",
        "reciprocal", "floor", "ceil", "round", "sign", "trunc", "bitwise_not", "logical_not", "isnan",
        "acos", "acosh", "angle", "asin", "asinh", "atan", "atanh", "cosh", "deg2rad", "digamma", "erfc",
        "erfinv", "frac", "i0", "isinf", "isneginf", "isposinf", "lgamma", "log10", "logit", "nan_to_num",
        "positive", "rad2deg", "sgn", "signbit", "sinc", "sinh", "special_entr", "special_erfcx",
        "special_i0e", "special_i1", "special_i1e", "special_log_ndtr",
        "special_ndtri", "tan",
    )
}  # fmt: skip
BINARY = {
    "add": "add", "sub": "sub", "rsub": "sub", "mul": "mul", "div": "div", "maximum": "maximum",
    "minimum": "minimum", "pow": "pow", "eq": "compare", "ne": "compare", "lt": "compare", "le": "compare",
    "gt": "compare", "ge": "compare", "where": "where", "masked_fill": "masked_fill", "lerp": "add",
    "addcmul": "add", "addcdiv": "add", "logical_and": "compare", "logical_or": "compare",
    "bitwise_and": "compare", "bitwise_or": "compare", "remainder": "div", "fmod": "div",
    "floor_divide": "div", "_prelu_kernel": "prelu", "copysign": "mul", "atan2": "div",
} | {
    name: name
    for name in (
        "bitwise_xor", "logical_xor", "bitwise_left_shift", "bitwise_right_shift", "fmax", "fmin",
        "heaviside", "hypot", "logaddexp", "logaddexp2", "nextafter", "special_xlog1py", "special_zeta",
        "xlogy", "complex", "polar", "bucketize", "searchsorted",
    )
}  # fmt: skip


def _unary(op: str) -> Rule:
    def rule(call: Call) -> Lowered:
        constants = [a for a in call.args[1:] if isinstance(a, (int, float, str)) and not isinstance(a, bool)]
        named = "relu6" if op == "hardtanh" and constants[:2] == [0.0, 6.0] else op
        attrs = {"function": named, "constants": constants}
        return Lowered(named, call.edge(call.tensor(0)), elementwise=numel(call.shape), attrs=attrs)

    return rule


def elementwise(op: str, call: Call) -> Lowered:
    """Several operands, position by position."""
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
        if op in ("mul", "div") and not numbers:
            attrs |= _held(call)
    return Lowered(op, edges, elementwise=numel(out), attrs=attrs | _apart(op, call))


def _held(call: Call) -> dict[str, object]:
    """A factor that is a constant tensor: its value where all of its elements are the same; else that it is
    no parameter, if it is none."""
    factor = next(a for a in call.args[:2] if isinstance(a, torch.Tensor) and not call.depends(a))
    if call.constants.is_learnt(factor):
        return {}
    values = call.constants.fixed(factor)
    if values is None or not values.numel() or not bool((values == values.reshape(-1)[0]).all()):
        return {"held": True}
    return {"constant": float(values.reshape(-1)[0])}


def _apart(op: str, call: Call) -> dict[str, object]:
    """What tells a call from the plain operation whose name it goes by: the factor of each term of a sum,
    where they are not 1 (the second term of a difference: -1), and the name of what is no sum, product or
    quotient of its operands."""
    a, b = call.args[0], call.args[1] if len(call.args) > 1 else None
    name = call.name
    if name in _OTHERS or (op == "div" and call.given("rounding_mode") is not None):
        return {"name": name}
    if op == "div" and not call.depends(a):
        return {"name": "div of a constant"}
    if op not in ("add", "sub"):
        return {}
    if name == "lerp":
        weight = call.given("weight")
        if not isinstance(weight, (int, float)):
            return {"name": name}
        factors = [1.0 - weight, float(weight)]
    else:
        alpha = call.given("alpha", 1)
        if not isinstance(alpha, (int, float)):
            return {"name": name}
        factors = [1.0, float(alpha)] if op == "add" else [1.0, -float(alpha)]
        factors = factors[::-1] if name == "rsub" else factors
    scales = [f for f, term in zip(factors, (a, b), strict=True) if call.depends(term)]
    if factors == [1.0, 1.0 if op == "add" else -1.0] and scales[0] == 1:
        return {}
    number = {"constant": factors[1] * b} if isinstance(b, (int, float)) else {}
    return {"scales": scales, **number}


# Told as reading what a sum, a product or a quotient reads, and something else.
_OTHERS = frozenset(
    {"addcmul", "addcdiv", "remainder", "fmod", "floor_divide", "copysign", "atan2"}
)  # fmt: skip


def _binary(op: str) -> Rule:
    return lambda call: elementwise(op, call)


BY_PARAMETERS = "what a condition on parameters or on chance picks is up to them"
LOOKED_UP = "the boundaries of a search depend on the image"


def clamp(call: Call) -> Lowered:
    """clamp(x, min, max); a bound may be a map of its own."""
    if any(call.depends(a) for a in call.args[1:]):
        return elementwise("clamp", call)
    low, high = call.given("min"), call.given("max")
    name = "clamp_max" if low is None else "clamp_min" if high is None else "clamp"
    numbers = [float(a) for a in (low, high) if isinstance(a, (int, float))]
    attrs = {"function": name, "constants": numbers}
    x, shape = call.tensor(0), call.shape
    return Lowered(call.name, call.edge(x, *broadcast(x.shape, shape)), elementwise=numel(shape), attrs=attrs)


def where(call: Call) -> Lowered:
    """where(condition, a, b). A constant condition picks: what it does not pick is not read."""
    low, out = elementwise("where", call), call.shape
    condition = call.tensor(0)
    if call.depends(condition):
        return low
    chosen = call.constants.fixed(condition)
    if chosen is None:
        return replace(low, bound=BY_PARAMETERS)
    edges: tuple[Edge, ...] = ()
    for t, mask in ((call.tensor(1), chosen.bool()), (call.tensor(2), ~chosen.bool())):
        edges += call.edge(t, *broadcast(t.shape, out), _picked(mask, len(out)))
    return replace(low, edges=edges)


def mul(call: Call) -> Lowered:
    """a * b. Where a constant factor is zero, the other one is not read."""
    low = elementwise("mul", call)
    a, b = call.args[:2]
    for x, mask in ((a, b), (b, a)):
        if not call.depends(x) or not isinstance(mask, torch.Tensor) or call.depends(mask) or mask.ndim < 1:
            continue
        layout = call.layout_of(x)
        if layout is None or mask.ndim > len(layout) or call.constants.is_parameter(mask):
            continue
        axes = zip(mask.shape, layout[len(layout) - mask.ndim :], strict=True)
        varies = any(n > 1 and any(atom.axis >= 0 for atom in dim) for n, dim in axes)
        kept = call.constants.pattern(mask)
        if kept is not None and not bool(kept.all()) and (varies or not bool(kept.any())):
            picked = _picked(kept, len(call.shape))
            return replace(low, edges=tuple(replace(e, steps=(*e.steps, picked)) for e in low.edges))
    return low


def masked_fill(call: Call) -> Lowered:
    """masked_fill(x, mask, value). Where a constant mask is set, x is not read."""
    low, out = elementwise("masked_fill", call), call.shape
    x, mask, fill = call.tensor(0), call.tensor(1), call.args[2]
    if call.depends(mask):
        return low
    filled = call.constants.fixed(mask)
    if filled is None:
        return replace(low, bound=BY_PARAMETERS)
    edges = call.edge(x, *broadcast(x.shape, out), _picked(~filled.bool(), len(out)))
    if isinstance(fill, torch.Tensor):
        edges += call.edge(fill, *broadcast(fill.shape, out), _picked(filled.bool(), len(out)))
    return replace(low, edges=edges)


def polygamma(call: Call) -> Lowered:
    """polygamma(n, x)."""
    return Lowered("polygamma", call.edge(call.given("self")), elementwise=numel(call.shape))


def triangle(upper: bool) -> Rule:
    """tril, triu: what lies beyond a diagonal of the last two dimensions is zero, and not read."""

    def rule(call: Call) -> Lowered:
        x, k = call.tensor(0), int(call.args[1])
        kept = np.tri(x.shape[-2], x.shape[-1], k - 1 if upper else k, bool) != upper
        return Lowered(call.name, call.edge(x, pack(kept.reshape((1,) * (x.ndim - 2) + kept.shape))))

    return rule


def looked_up(call: Call) -> Lowered:
    """bucketize, searchsorted: each element's place among boundaries."""
    low = elementwise(call.name, call)
    edges: tuple[Edge, ...] = ()
    for t in (a for a in call.args if call.depends(a)):
        values = t is (call.args[0] if call.name == "bucketize" else call.args[1])
        edges += call.edge(
            t, *(broadcast(t.shape, call.shape) if values else everything(t.shape, call.shape))
        )
    return replace(low, edges=edges, bound=LOOKED_UP if len(edges) > 1 else None)


def _picked(mask: torch.Tensor, ndim: int) -> Keep:
    """What a constant mask leaves, its shape filled up to the result's dimensions."""
    kept: Bools = mask.cpu().reshape((1,) * (ndim - mask.ndim) + tuple(mask.shape)).numpy()
    return pack(kept)


RULES: dict[str, Rule] = {
    **{name: _unary(op) for name, op in {**ACTIVATIONS, **UNARY}.items()},
    **{name: _binary(op) for name, op in BINARY.items()},
    "mul": mul,
    "where": where,
    "masked_fill": masked_fill,
    "polygamma": lambda call: Lowered(
        "polygamma", call.edge(call.given("self")), elementwise=numel(call.shape)
    ),
    "log_sigmoid_forward": _unary("log_sigmoid"),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max"), clamp),
    **dict.fromkeys(("bucketize", "searchsorted"), looked_up),
    "tril": triangle(upper=False),
    "triu": triangle(upper=True),
}
