"""Gates along an identity path: a unit that is on stays on more often.

In a residual network the value that a ReLU lets through is added to the next block's output and meets the
next ReLU. Whether both are open is no product of two chances: x > 0 makes x + b > 0 likelier. The same holds
for the slopes of any activation. The laws along such a chain are kept as quantiles, and the gradient on the
identity path with a weight for each quantile of the value that it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from archlens.analyses.expected.forward.activations import Activation, single

Floats = NDArray[np.float64]

RANKS: Floats = (np.arange(200) + 0.5) / 200
_NORMAL: Floats = np.asarray(ndtri((np.arange(64) + 0.5) / 64))
_UNIT: Floats = _NORMAL / _NORMAL.std()
RELU = Activation("relu")


@dataclass(frozen=True)
class Passed:
    """What an activation makes of a sum: mean and second moment, E f'^2, and its quantiles."""

    first: float
    second: float
    slope: float
    values: Floats


@dataclass(frozen=True)
class Chain:
    """A sum x + b: x through an identity edge with known quantiles, b Gaussian.

    Attributes:
        skip: Index of the edge that brings x.
        values: Quantiles of x at `RANKS`.
        mean, deviation: Of b.
        passed: What activations that have been asked for make of it.
    """

    skip: int
    values: Floats
    mean: float
    deviation: float
    passed: dict[Activation, Passed] = field(default_factory=dict, compare=False)

    def through(self, f: Activation) -> Passed:
        """What an activation makes of the sum."""
        if f not in self.passed:
            self.passed[f] = self._rectified() if f == RELU else self._sampled(f)
        return self.passed[f]

    def _rectified(self) -> Passed:
        """E max(x + b, 0), its second moment, the chance to be on, and its quantiles."""
        s = self.deviation
        x = self.values + self.mean
        t = x / s
        on = ndtr(t)
        density = np.exp(-t * t / 2) / np.sqrt(2 * np.pi)
        first = float((x * on + s * density).mean())
        second = float(((x**2 + s * s) * on + x * s * density).mean())
        grid = np.linspace(x.min() - 4 * s, x.max() + 4 * s, 240)
        distribution = ndtr((grid[:, None] - x[None]) / s).mean(1)
        quantiles = np.maximum(np.interp(RANKS, distribution, grid), 0)
        return Passed(first, second, float(on.mean()), quantiles)

    def _sampled(self, f: Activation) -> Passed:
        """The same of any function, by samples of b."""
        u = self._sums(f)
        y = f(u)
        first, second = float(y.mean()), float((y * y).mean())
        quantiles = _matched(np.quantile(y, RANKS), first, second)
        return Passed(first, second, float((f.slope(u) ** 2).mean()), quantiles)

    def _sums(self, f: Activation) -> Floats:
        """Values of x + b: a row for each quantile of x. Those of ReLU have closed forms beside them."""
        normal = _NORMAL if f == RELU else _UNIT
        return np.asarray(self.values[:, None] + self.mean + self.deviation * normal)

    def tied(self, f: Activation) -> float:
        """How much steeper the activation is where the identity carries something, than everywhere."""
        return self._given_skip(f) / max(self.through(f).slope, 1e-12)

    def _given_skip(self, f: Activation) -> float:
        """E f'^2 of the sum where x is not 0."""
        open_ = self.values != 0
        if not open_.any():
            return 1.0
        if f == RELU:
            return float(ndtr((self.values[open_] + self.mean) / self.deviation).mean())
        return float((f.slope(self._sums(f)[open_]) ** 2).mean())

    def weigh(self, f: Activation, weight: Floats | None) -> tuple[float, Floats]:
        """Take a gradient back through the activation of the sum.

        Args:
            f: The activation.
            weight: The gradient's energy given each quantile of its result, mean 1; None for no dependence.

        Returns:
            The factor on its energy, and the weight given each quantile of x.
        """
        u = self._sums(f)
        given = f.slope(u) ** 2
        if weight is not None:
            given *= looked_up(f(u), self.through(f).values, weight)
        on_x = given.mean(1)
        factor = float(on_x.mean())
        return factor, on_x / max(factor, 1e-12)


def looked_up(values: Floats, quantiles: Floats, weight: Floats) -> Floats:
    """The weight of values, from those of a law's quantiles."""
    return np.asarray(np.interp(values, quantiles + np.arange(len(quantiles)) * 1e-9, weight))


def _matched(quantiles: Floats, first: float, second: float) -> Floats:
    """Quantiles with the mean and second moment of their law: few of them lack its tails, and along a chain
    the loss adds up."""
    spread = float(quantiles.std())
    if spread <= 0:
        return quantiles
    wide = np.sqrt(max(second - first**2, 0.0)) / spread
    return np.asarray(first + (quantiles - quantiles.mean()) * wide)


def of_normal(f: Activation, mean: float, variance: float) -> Floats:
    """Quantiles of f(u), u ~ N(mean, variance)."""
    quantiles = np.sort(f(mean + np.sqrt(max(variance, 0.0)) * ndtri(RANKS)))
    return quantiles if f == RELU else _matched(quantiles, *single(f, mean, variance)[:2])


def first_weighed(f: Activation, mean: float, variance: float, weight: Floats) -> float:
    """E f'(u)^2 weight(f(u)), u ~ N(mean, variance): a gradient through what a chain starts from."""
    values = of_normal(f, mean, variance)
    if f == RELU:
        return float((weight * (values > 0)).mean())
    u = mean + np.sqrt(max(variance, 0.0)) * ndtri(RANKS)
    return float((f.slope(u) ** 2 * looked_up(f(u), values, weight)).mean())


def combined(parts: list[tuple[float, Floats]]) -> Floats:
    """One weight for several gradients: the mean of theirs by energy."""
    total = sum(e for e, _ in parts) or 1.0
    return np.asarray(sum(e * w for e, w in parts) / total)
