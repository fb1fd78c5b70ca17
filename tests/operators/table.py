# ruff: noqa: B008  (each turn of a loop has an operator of its own)
"""Every operator that has a rule, in every form that its schema allows: what `test_operators.py` holds to the
network itself.

A case is a function of an image; what it calls is taken down while it runs, so the table is complete or the
test says what is missing. `blind` marks cases whose units answer too seldom for "all that is said is seen" to
be asked (steps, choices): for them only that nothing unsaid is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

A = torch.ops.aten
IMAGE = (3, 4, 5)


@dataclass
class Case:
    """One form of an operator."""

    name: str
    run: Callable[..., Any]
    shape: tuple[int, ...] = IMAGE
    parts: Callable[[], list[nn.Module]] = list
    word: str = "exact"
    blind: bool = False
    draws: int = 24
    others: list[tuple[int, ...]] = field(default_factory=list)


CASES: list[Case] = []


def case(name: str, run: Callable[..., Any], *shape: int, **more: Any) -> None:
    CASES.append(Case(name, run, shape or IMAGE, **more))


def bound(name: str, run: Callable[..., Any], *shape: int, **more: Any) -> None:
    case(name, run, *shape, word="bound", **more)


def c(*values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def to(x: Tensor, values: Tensor) -> Tensor:
    return values.to(x.dtype)


def wrote(x: Tensor, write: Callable[[Tensor], Any]) -> Tensor:
    y = x.clone()
    write(y)
    return y


def layers(layer: Callable[[], nn.Module]) -> Callable[[], list[nn.Module]]:
    """A case's single part."""
    return lambda: [layer()]


def norm(name: str, layer: Callable[[], nn.Module], *shape: int, **more: Any) -> None:
    """A case that calls one module."""
    case(name, lambda x, n: n(x), *shape, parts=layers(layer), **more)


# ------------------------------------------------------------------ position by position

STEPS = (
    "floor",
    "ceil",
    "round",
    "trunc",
    "sign",
    "sgn",
    "signbit",
    "isinf",
    "isposinf",
    "isneginf",
    "isnan",
)
for name in (
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid", "tanh",
    "hardtanh",
    "hardswish", "hardsigmoid", "softplus", "softshrink", "hardshrink", "erf", "abs", "neg", "exp", "exp2",
    "expm1", "sin", "cos", "square", "reciprocal", "asinh", "atan", "cosh", "deg2rad", "erfc", "frac",
    "i0", "nan_to_num", "positive", "rad2deg", "sinc", "sinh", "special_erfcx", "special_i0e", "special_i1",
    "special_i1e", "special_log_ndtr", "tan", "angle", *STEPS,
):  # fmt: skip
    case(
        name,
        lambda x, op=getattr(A, name): op(x),
        blind=name in (*STEPS, "hardshrink", "angle", "softshrink"),
    )
for name in ("log", "log1p", "log2", "log10", "sqrt", "rsqrt", "digamma", "lgamma", "special_entr"):
    case(name, lambda x, op=getattr(A, name): op(x.abs() + 0.5))
for name in ("acos", "asin", "atanh", "erfinv", "logit"):
    case(name, lambda x, op=getattr(A, name): op(x.sigmoid() * 0.8 + 0.1))
case("acosh", lambda x: A.acosh(x.abs() + 1.5))
case("special_ndtri", lambda x: A.special_ndtri(x.sigmoid()))
case("polygamma", lambda x: A.polygamma(1, x.abs() + 1))
for name in ("sigmoid_", "exp_", "neg_", "abs_", "leaky_relu_", "clamp_", "clamp_min_", "clamp_max_"):
    case(
        name,
        lambda x, op=getattr(A, name), n=name: op(
            x.clone(), *([-9.0] if "min" in n or n == "clamp_" else [9.0] if "max" in n else [])
        ),
    )
case("log_sigmoid", lambda x: F.logsigmoid(x))
case("threshold", lambda x: A.threshold(x, -9.0, 0.1))
case("leaky_relu slope", lambda x: A.leaky_relu(x, 0.3))
case("elu all", lambda x: A.elu(x, 0.5, 2.0, 0.7))
case("gelu tanh", lambda x: A.gelu(x, approximate="tanh"))
case("softplus beta", lambda x: A.softplus(x, 2.0, 10.0))
case("hardtanh ends", lambda x: A.hardtanh(x, -9.0, 9.0))
case("softshrink lambd", lambda x: A.softshrink(x, 0.01))
case("hardshrink lambd", lambda x: A.hardshrink(x, 0.01))
case("round decimals", lambda x: torch.round(x, decimals=4))
case("nan_to_num all", lambda x: torch.nan_to_num(x, 0.0, 1.0, -1.0))
case("logit eps", lambda x: torch.logit(x.sigmoid(), 1e-6))
case("clamp both", lambda x: x.clamp(-9, 9))
case("clamp min", lambda x: x.clamp(min=-9))
case("clamp max", lambda x: x.clamp(max=9))
case("clamp maps", lambda x: x.clamp(x.roll(1, 2) - 9, x.roll(2, 3) + 9) + x.roll(1, 2), blind=True)
case("clamp maps themselves", lambda x: x.clamp(x.roll(1, 2), x.roll(2, 3)), blind=True)
case("clamp_min map", lambda x: torch.clamp_min(x, x.flip(2)))
case("clamp_max map", lambda x: torch.clamp_max(x, x.flip(2)))
case("clamp constant map", lambda x: x.clamp(to(x, c(-9, -9, -9, -9, -9))))
case("clamp wider bound", lambda x: x[:, :1].clamp(x - 9, x + 9) + x, blind=True)
case("bitwise_not", lambda x: torch.bitwise_not(x > 0), blind=True)
case("logical_not", lambda x: torch.logical_not(x > 0), blind=True)

for name in (
    "add", "sub", "rsub", "mul", "maximum", "minimum", "atan2", "fmax", "fmin", "hypot", "logaddexp",
    "logaddexp2", "copysign", "heaviside", "nextafter", "eq", "ne", "lt", "le", "gt", "ge", "logical_and",
    "logical_or", "logical_xor",
):  # fmt: skip
    steps = (
        "copysign",
        "heaviside",
        "nextafter",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "logical_and",
        "logical_or",
        "logical_xor",
    )
    case(f"{name} maps", lambda x, op=getattr(A, name): op(x, x.flip(2)), blind=name in steps)
    case(
        f"{name} row", lambda x, op=getattr(A, name): op(x, x.roll(1, 1)[:, :, :1] * 1.5), blind=name in steps
    )
for name in ("div", "remainder", "fmod", "floor_divide", "pow", "xlogy", "special_xlog1py"):
    case(
        f"{name} maps",
        lambda x, op=getattr(A, name): op(x.abs() + 1, x.flip(2).abs() + 0.5),
        blind=name == "floor_divide",
    )
case("special_zeta", lambda x: torch.special.zeta(x.abs() + 2, x.flip(2).abs() + 1))
for name in ("add", "sub", "mul", "div", "pow", "remainder", "fmod", "rsub"):
    case(f"{name} number", lambda x, op=getattr(A, name): op(x.abs() + 1, 2.0))
case("div rounding", lambda x: torch.div(x, 0.01, rounding_mode="floor"))
case("div rounding maps", lambda x: torch.div(x, x.flip(2), rounding_mode="trunc"), blind=True)
case("pow base", lambda x: torch.pow(2.0, x))
case("add alpha", lambda x: torch.add(x, x.flip(2), alpha=3))
case("sub alpha", lambda x: torch.sub(x, x.flip(3), alpha=3))
case("rsub alpha", lambda x: torch.rsub(x, x.flip(3), alpha=3))
case("add constant first", lambda x: to(x, c(1, 2, 3, 4, 5)) - x)
for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    case(name, lambda x, op=getattr(A, name): op(x > 0, x.flip(2) > 0), blind=True)
for name in ("bitwise_left_shift", "bitwise_right_shift"):
    case(name, lambda x, op=getattr(A, name): op((x * 9).int(), (x.flip(2) > 0).int()), blind=True)
case("lerp map", lambda x: torch.lerp(x, x.flip(2), x.flip(3)))
case("lerp number", lambda x: torch.lerp(x, x.flip(2), 0.3))
case("addcmul", lambda x: torch.addcmul(x, x.flip(2), x.flip(3), value=2))
case("addcdiv", lambda x: torch.addcdiv(x, x.flip(2), x.flip(3) + 9, value=2))
case("prelu", lambda x, p: p(x), parts=lambda: [nn.PReLU(3)])
case("complex", lambda x: torch.complex(x, x.flip(2)).abs())
bound("polar", lambda x: torch.polar(x, x.flip(2)).real + 0)
case("where map", lambda x: torch.where(x > 0, x.flip(2), x.flip(3)), blind=True)
case("where picks", lambda x: torch.where(to(x, c(1, 0, 1, 0, 0)) > 0, x.flip(2), x.flip(3)))
case("where number", lambda x: torch.where(to(x, c(1, 0, 1, 0, 0)) > 0, x.flip(2), 0.0))
bound(
    "where a parameter",
    lambda x, p: torch.where(p.weight[0, 0] > 0, x.flip(2), x.flip(3)),
    parts=lambda: [nn.Linear(1, 1)],
)
case("masked_fill picks", lambda x: x.masked_fill(to(x, c(1, 0, 1, 0, 0)) > 0, 0.0))
case("masked_fill map", lambda x: x.masked_fill(x.flip(2) > 0, 0.0), blind=True)
case("masked_fill tensor", lambda x: x.masked_fill(to(x, c(1, 0, 1, 0, 0)) > 0, x[0, 0, 1, 1]))
bound(
    "masked_fill a parameter",
    lambda x, p: x.masked_fill(p.weight[0, 0] > 0, 0.0),
    parts=lambda: [nn.Linear(1, 1)],
)
case("mul mask", lambda x: x * to(x, c(1, 0, 1, 0, 0)).expand(4, 5))
case(
    "mul masked parameter",
    lambda x, p: x * (p.weight * to(x, torch.eye(4, 5))),
    parts=lambda: [nn.Linear(5, 4)],
)
case("mul zero", lambda x: x + x.flip(2) * to(x, torch.zeros(4, 5)))
case("tril", lambda x: x.tril(-1))
case("triu", lambda x: x.triu(1))
case("bucketize", lambda x: torch.bucketize(x * 99, to(x, torch.linspace(-300, 300, 900)), right=True))
case("searchsorted", lambda x: torch.searchsorted(to(x, torch.linspace(-300, 300, 900)), x * 99))
bound("searchsorted in the image", lambda x: torch.searchsorted(x[0, 0, 0].sort().values, x), blind=True)

# ------------------------------------------------------------------ normalisation


norm("batch_norm", lambda: nn.BatchNorm2d(3))
norm("batch_norm plain", lambda: nn.BatchNorm2d(3, affine=False))
norm("batch_norm own statistics", lambda: nn.BatchNorm2d(3, track_running_stats=False))
norm("batch_norm own statistics 1d", lambda: nn.BatchNorm1d(3, track_running_stats=False), 3, 6)
norm("batch_norm own statistics 3d", lambda: nn.BatchNorm3d(2, track_running_stats=False), 2, 2, 3, 2)
case(
    "batch_norm training", lambda x: F.batch_norm(x, torch.zeros(3).to(x), torch.ones(3).to(x), training=True)
)
case(
    "batch_norm weight",
    lambda x: F.batch_norm(x, torch.zeros(3).to(x), torch.ones(3).to(x), x[0, :, 1, 1], x[0, :, 2, 2]),
)
case("batch_norm mean", lambda x: F.batch_norm(x, 2 * x[0, :, 1, 1], x[0, :, 2, 2] ** 2 + 1))
for k in (0, 1, 2):
    case(
        f"native_batch_norm {k}",
        lambda x, k=k: torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[k],
    )
    case(
        f"native_group_norm {k}",
        lambda x, k=k: torch.native_group_norm(x, None, None, 1, 4, 20, 2, 1e-5)[k],
        4,
        4,
        5,
    )
    case(f"native_layer_norm {k}", lambda x, k=k: torch.native_layer_norm(x, (5,), None, None, 1e-5)[k])
    case(
        f"_native_batch_norm_legit {k}",
        lambda x, k=k: A._native_batch_norm_legit(x, None, None, True, 0.1, 1e-5)[k],
    )
case(
    "_batch_norm_no_update",
    lambda x: A._batch_norm_no_update(x, None, None, torch.zeros(3).to(x), torch.ones(3).to(x), 0.1, 1e-5)[0],
)
case(
    "_batch_norm_with_update",
    lambda x: A._batch_norm_with_update(x, None, None, torch.zeros(3).to(x), torch.ones(3).to(x), 0.1, 1e-5)[
        0
    ],
)
norm("instance_norm", lambda: nn.InstanceNorm2d(3, affine=True))
norm("instance_norm 1d", lambda: nn.InstanceNorm1d(3), 3, 6)
norm("instance_norm 3d", lambda: nn.InstanceNorm3d(2), 2, 2, 3, 2)
norm("instance_norm stored", lambda: nn.InstanceNorm2d(3, track_running_stats=True))
case("F.instance_norm", lambda x: F.instance_norm(x))
case(
    "adain",
    lambda x, m: F.instance_norm(x) * m(x).std((2, 3), keepdim=True) + m(x).mean((2, 3), keepdim=True),
    parts=lambda: [nn.Conv2d(3, 3, 1)],
)
norm("group_norm", lambda: nn.GroupNorm(2, 4), 4, 4, 5)
norm("group_norm one", lambda: nn.GroupNorm(1, 3))
norm("group_norm each", lambda: nn.GroupNorm(3, 3))
case("group_norm weight", lambda x: F.group_norm(x, 3, x[0, :, 0, 0], x[0, :, 3, 4]))
norm("layer_norm", lambda: nn.LayerNorm(5))
norm("layer_norm map", lambda: nn.LayerNorm((4, 5)))
norm("layer_norm all", lambda: nn.LayerNorm((3, 4, 5)))
case("layer_norm weight", lambda x: F.layer_norm(x, (5,), x[0, 0, 0], x[0, 0, 3]))
norm("lrn", lambda: nn.LocalResponseNorm(3))
norm("rms_norm", lambda: nn.RMSNorm(5))
case("softmax", lambda x: x.softmax(1))
case("softmax last", lambda x: x.softmax(-1))
case("log_softmax", lambda x: x.log_softmax(2))
case("_safe_softmax", lambda x: A._safe_softmax(x, -1))
case("normalize", lambda x: F.normalize(x, p=2, dim=1))
case("renorm", lambda x: torch.renorm(x, 2, 1, 0.1))
MASK = c(0, 0, 0, -100, -100).expand(4, 5)
case("mask", lambda x: (x + to(x, MASK)).softmax(-1))
case("mask scaled", lambda x: ((x + to(x, MASK)) * 2).softmax(-1))
case("mask scaled away", lambda x: ((x + to(x, MASK)) * 0.001).softmax(-1))
case("mask divided", lambda x: ((x + to(x, MASK)) / 1000).softmax(-1))
case("mask taken back", lambda x: ((x + to(x, MASK)) - to(x, MASK)).softmax(-1))
case("mask of another dimension", lambda x: (x + to(x, MASK)).softmax(1))
case("mask of whole rows", lambda x: (x + to(x, c(-100, 0, -100, -100))[:, None].expand(4, 5)).softmax(-1))
case(
    "mask of rows and keys",
    lambda x: (
        x + to(x, torch.tensor([[-99.0] * 5, [0, 0, 0, -99, -99], [-99.0] * 5, [0, -99, 0, 0, 0]]))
    ).softmax(-1),
)
case("mask without softmax", lambda x: x + to(x, MASK))
case("mask times a map", lambda x: ((x + to(x, MASK)) * (x.flip(2) * 0.01)).softmax(-1))
case("mask filled", lambda x: x.masked_fill(to(x, MASK) < -1, -100.0).softmax(-1))
case("mask infinite", lambda x: x.masked_fill(to(x, MASK) < -1, float("-inf")).softmax(-1))
case("mask where", lambda x: torch.where(to(x, MASK) < -1, -100.0, x).softmax(-1))
case("mask values", lambda x: (x + to(x, MASK)).softmax(-1)[0] @ x[0].transpose(1, 2))
case(
    "mask values dropped",
    lambda x: F.dropout((x + to(x, MASK)).softmax(-1)[0], 0.1, False) @ x[0].transpose(1, 2),
)
case("mask causal", lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), blind=True)
case("attention", lambda x: F.scaled_dot_product_attention(x, x.flip(2), x))
case(
    "attention mask",
    lambda x: F.scaled_dot_product_attention(
        x, x, x, attn_mask=to(x, torch.tensor([0.0, 0, -100, -100]).expand(4, 4))
    ),
)

case("selu", lambda x: A.elu(x, 1.67, 1.05, 1.0))
case("batch_norm float", lambda x, n: n(x), parts=lambda: [nn.BatchNorm2d(3, momentum=None)])
case(
    "_native_batch_norm_legit_no_training",
    lambda x: A._native_batch_norm_legit_no_training(
        x, None, None, torch.zeros(3).to(x), torch.ones(3).to(x), 0.1, 1e-5
    )[0],
)
case(
    "_native_batch_norm_legit stored",
    lambda x: A._native_batch_norm_legit(
        x, x[0, :, 0, 1], x[0, :, 1, 0], torch.zeros(3).to(x), torch.ones(3).to(x), False, 0.1, 1e-5
    )[0],
)
case(
    "_batch_norm_no_update weight",
    lambda x: A._batch_norm_no_update(
        x, x[0, :, 0, 1], x[0, :, 1, 0], torch.zeros(3).to(x), torch.ones(3).to(x), 0.1, 1e-5
    )[0],
)
case(
    "_batch_norm_with_update weight",
    lambda x: A._batch_norm_with_update(
        x, x[0, :, 0, 1], x[0, :, 1, 0], torch.zeros(3).to(x), torch.ones(3).to(x), 0.1, 1e-5
    )[0],
)
case("resolve_conj", lambda x: A.resolve_conj(x * 1) + 1)
case("resolve_neg", lambda x: A.resolve_neg(x * 1) + 1)
case("rot90 twice", lambda x: x.rot90(2, (2, 3)))
case("rot90 back", lambda x: x.rot90(-1, (1, 3)))
case("max keepdim", lambda x: x.max(1, keepdim=True).values, draws=40)
case("var_mean keepdim", lambda x: torch.var_mean(x, 2, keepdim=True)[0])
case("std_mean keepdim", lambda x: torch.std_mean(x, 2, keepdim=True)[1])
case("celu alpha", lambda x: A.celu(x, 0.7))


case(
    "_native_batch_norm_legit_no_training scaled",
    lambda x: A._native_batch_norm_legit_no_training(
        x, x[0, :, 0, 1], x[0, :, 1, 0], torch.zeros(3).to(x), torch.ones(3).to(x), 0.1, 1e-5
    )[0],
)
