"""Gates along an identity path: a unit that is on stays on more often.

In a residual network the value that a ReLU lets through is added to the next block's output and meets the
next ReLU. Whether both are open is no product of two chances: x > 0 makes x + b > 0 likelier. The laws along
such a chain are kept as quantiles, and the gradient on the identity path with a weight for each quantile of
the value that it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

RANKS: Floats = (np.arange(200) + 0.5) / 200
_NORMAL: Floats = np.asarray(ndtri((np.arange(64) + 0.5) / 64))


@dataclass(frozen=True)
class Chain:
    """A sum x + b: x through an identity edge with known quantiles, b Gaussian.

    Attributes:
        skip: Index of the edge that brings x.
        values: Quantiles of x at `RANKS`.
        mean, deviation: Of b.
    """

    skip: int
    values: Floats
    mean: float
    deviation: float

    @cached_property
    def rectified(self) -> tuple[float, float, float, Floats]:
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
        return first, second, float(on.mean()), quantiles

    def on_given_skip(self) -> float:
        """The chance of the sum to be on where x is not 0."""
        open_ = self.values > 0
        if not open_.any():
            return 1.0
        return float(ndtr((self.values[open_] + self.mean) / self.deviation).mean())

    def weigh(self, after: Floats, weight: Floats | None) -> tuple[float, Floats]:
        """Take a gradient back through the ReLU of the sum.

        Args:
            after: Quantiles of the rectified sum.
            weight: The gradient's energy given each of them, mean 1; None for no dependence.

        Returns:
            The factor on its energy, and the weight given each quantile of x.
        """
        u = self.values[:, None] + self.mean + self.deviation * _NORMAL
        given = (u > 0).astype(float)
        if weight is not None:
            given *= np.interp(u, after + np.arange(len(after)) * 1e-9, weight)
        on_x = given.mean(1)
        factor = float(on_x.mean())
        return factor, on_x / max(factor, 1e-12)


def rectified_normal(mean: float, variance: float) -> Floats:
    """Quantiles of max(u, 0), u ~ N(mean, variance)."""
    return np.asarray(np.maximum(mean + np.sqrt(max(variance, 0.0)) * ndtri(RANKS), 0))


def combined(parts: list[tuple[float, Floats]]) -> Floats:
    """One weight for several gradients: the mean of theirs by energy."""
    total = sum(e for e, _ in parts) or 1.0
    return np.asarray(sum(e * w for e, w in parts) / total)
