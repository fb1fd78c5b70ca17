"""Moments of activations under Gaussian pre-activations: E f, E f^2, E f'^2, and of pairs, E f(u) f(u').

ReLU has closed forms (Cho & Saul, NIPS 2009); every other function goes through quadrature. Functions are
keyed by the ATen name that the capture keeps in `attrs["function"]`, with `attrs["constants"]` as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import erf, expit, ndtr

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]

_NODES, _WEIGHTS = hermegauss(48)
NODES: Floats = _NODES
WEIGHTS: Floats = _WEIGHTS / _WEIGHTS.sum()
# Kinks (hardswish, relu6) want a plain fine grid where an expectation is taken only once.
_GRID: Floats = np.linspace(-9.0, 9.0, 6001)
_DENSITY: Floats = np.exp(-_GRID * _GRID / 2)
_DENSITY /= _DENSITY.sum()
_COARSE: Floats = _GRID[::10]
_MASS: Floats = _DENSITY[::10] / _DENSITY[::10].sum()


@dataclass(frozen=True)
class Activation:
    """A scalar function by its ATen name and constants; hashable, so moments can be cached."""

    name: str
    constants: tuple[Any, ...] = ()

    def __call__(self, x: Floats) -> Floats:
        """f(x)."""
        out: Floats = _functions(self.name, self.constants)(np.asarray(x, float))
        return out

    def slope(self, x: Floats) -> Floats:
        """f'(x), by central differences: exact enough for smooth parts, half-way at kinks."""
        x = np.asarray(x, float)
        if self.name == "relu":
            return np.asarray(x > 0, float)
        h = 1e-5 * np.maximum(1.0, np.abs(x) / 100)  # of huge values the last digits are more than 1e-5
        return np.asarray((self(x + h) - self(x - h)) / (2 * h))

    @property
    def known(self) -> bool:
        """Whether there is a formula for it."""
        return self.name in NAMES or self.name == "formula"


def evaluated(terms: tuple[Any, ...], x: Floats) -> Floats:
    """The values of a function put together from operations: see `formulas`."""
    match terms:
        case ("x",):
            return x
        case ("sum", factors, number, *parts):
            total = number + sum(f * evaluated(p, x) for f, p in zip(factors, parts, strict=True))
            return np.asarray(total)
        case ("product", *parts):
            return np.asarray(np.prod([evaluated(p, x) for p in parts], axis=0))
        case ("quotient", top, bottom):
            return np.asarray(evaluated(top, x) / evaluated(bottom, x))
        case ("power", part, exponent):
            return np.asarray(evaluated(part, x) ** exponent)
        case ("call", f, part):
            return f(evaluated(part, x))  # type: ignore[no-any-return]
    raise ValueError(f"no formula: {terms!r}")


def _number(constants: Sequence[Any], index: int, default: float) -> float:
    value = constants[index] if index < len(constants) else default
    return float(value) if not isinstance(value, str) else default


def _functions(name: str, constants: tuple[Any, ...]) -> Function:
    if name == "formula":
        return lambda x: evaluated(constants, x)

    def c(index: int, default: float) -> float:
        return _number(constants, index, default)

    def elu(x: Floats) -> Floats:  # aten::elu(alpha, scale, input_scale)
        negative = c(0, 1.0) * np.expm1(np.minimum(x * c(2, 1.0), 0))
        return np.asarray(c(1, 1.0) * np.where(x > 0, x, negative))

    def gelu(x: Floats) -> Floats:
        if "tanh" in constants:
            return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))
        return np.asarray(x * ndtr(x))

    def clip(low: float, high: float) -> Function:
        return lambda x: np.clip(x, low, high)

    def minus(x: Floats) -> Floats:
        return np.asarray(np.expm1(np.minimum(x, 0)))

    inf = float("inf")
    table: dict[str, Function] = {
        "relu": lambda x: np.maximum(x, 0),
        "relu6": clip(0, 6),
        "hardtanh": clip(c(0, -1.0), c(1, 1.0)),
        "clamp": clip(c(0, -inf), c(1, inf)),
        "clamp_min": clip(c(0, -inf), inf),
        "clamp_max": clip(-inf, c(0, inf)),
        "leaky_relu": lambda x: np.where(x > 0, x, c(0, 0.01) * x),
        "prelu": lambda x: np.where(x > 0, x, 0.25 * x),  # torch's initial slope
        "elu": elu,
        "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * minus(x)),
        "celu": lambda x: np.maximum(x, 0) + c(0, 1.0) * np.expm1(np.minimum(x, 0) / c(0, 1.0)),
        "gelu": gelu,
        "silu": lambda x: x * expit(x),
        "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
        "sigmoid": lambda x: expit(x),
        "log_sigmoid": lambda x: -np.logaddexp(0, -x),
        "softplus": lambda x: np.logaddexp(0, x),
        "tanh": np.tanh,
        "erf": lambda x: erf(x),
        "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
        "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
        "neg": lambda x: -x,
        "abs": np.abs,
        "exp": np.exp,
        "sin": np.sin,
        "cos": np.cos,
        "square": lambda x: x * x,
    }  # fmt: skip
    return table[name]


NAMES = frozenset(
    {
        "relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max", "leaky_relu", "prelu", "elu",
        "selu", "celu", "gelu", "silu", "mish", "sigmoid", "log_sigmoid", "softplus", "tanh", "erf",
        "hardswish", "hardsigmoid", "neg", "abs", "exp", "sin", "cos", "square",
    }
)  # fmt: skip


@lru_cache(maxsize=4096)
def single(f: Activation, mean: float, variance: float) -> tuple[float, float, float]:
    """E f(u), E f(u)^2, E f'(u)^2 for u ~ N(mean, variance)."""
    s = float(np.sqrt(max(variance, 1e-300)))
    if f.name == "relu":
        a = mean / s
        on, density = float(ndtr(a)), float(np.exp(-a * a / 2) / np.sqrt(2 * np.pi))
        return mean * on + s * density, (mean**2 + variance) * on + mean * s * density, on
    u = mean + s * _GRID
    value = f(u)
    return tuple(float((_DENSITY * v).sum()) for v in (value, value**2, f.slope(u) ** 2))  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def of_slopes(f: Activation, mean: float, variance: float) -> float:
    """E f'(u)^4 for u ~ N(mean, variance)."""
    u = mean + float(np.sqrt(max(variance, 1e-300))) * _GRID
    return float((_DENSITY * f.slope(u) ** 4).sum())


def pair(f: Activation, mean: float, variance: float, covariance: Floats, *, slope: bool = False) -> Floats:
    """E g(u) g(u') for Gaussians of equal mean and variance, for each covariance; g = f, or f' if `slope`.

    u = mean + common + own: first the expectation over the own part, then over the common one.
    """
    out = np.empty(len(covariance))
    for value in np.unique(covariance):
        out[covariance == value] = pair_at(f, mean, variance, float(value), slope)
    return out


@lru_cache(maxsize=16384)
def pair_at(f: Activation, mean: float, variance: float, covariance: float, slope: bool) -> float:
    """The same for one covariance."""
    s = float(np.sqrt(max(variance, 1e-300)))
    r = min(abs(covariance) / max(variance, 1e-300), 1 - 1e-9)
    given = _smooth(f, mean + s * np.sqrt(r) * _COARSE, s * float(np.sqrt(1 - r)), slope)
    other = given if covariance >= 0 else given[::-1]
    return float((_MASS * given * other).sum())


def _smooth(f: Activation, mean: Floats, s: float, slope: bool) -> Floats:
    """E g(mean + s z), for each mean."""
    if f.name == "relu":
        a = mean / max(s, 1e-300)
        on: Floats = ndtr(a)
        return on if slope else mean * on + s * np.exp(-a * a / 2) / np.sqrt(2 * np.pi)
    u = mean[:, None] + s * NODES
    value = f.slope(u) if slope else f(u)
    out: Floats = (value * WEIGHTS).sum(-1)
    return out
