"""Figures with standard errors: summaries of an energy map that was averaged over independent runs.

Every summary (the side of a centred square, the far share) depends on a run's map only through its energy in
square rings around the unit. So the rings are kept run by run, a few hundred numbers each, and the standard
error of a summary is that of its bootstrap over runs (Efron & Tibshirani, An Introduction to the Bootstrap,
1993, chapter 6). Runs are averaged before they are normalised, as the closed form does: a run with more
energy counts for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHARES = (0.25, 0.5, 0.75, 0.95)
RESAMPLES = 400


@dataclass(frozen=True)
class Figure:
    """A number and its standard error; NaN where it can't be told (an error from one run, say)."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g}"


class Rings:
    """Square rings around a centre: ring k holds the pixels at Chebyshev distance `distance[k]`.

    The centred square of side s holds the pixels at distance (s - 1) / 2 or less.
    """

    def __init__(self, shape: Sequence[int], centre: Sequence[float]) -> None:
        far = np.zeros(tuple(shape))
        for axis, (n, c) in enumerate(zip(shape, centre, strict=True)):
            line = np.abs(np.arange(n) - c)
            view = [1] * len(shape)
            view[axis] = n
            far = np.maximum(far, line.reshape(view))
        self.distance, index = np.unique(np.round(far, 6), return_inverse=True)
        self._index = index.ravel()
        # Outside the centred square of half the input's side, axis by axis where the input is no square.
        outside = np.zeros(tuple(shape), bool)
        for axis, (n, c) in enumerate(zip(shape, centre, strict=True)):
            view = [1] * len(shape)
            view[axis] = n
            outside = outside | (np.abs(np.arange(n) - c) > (n / 2 - 1) / 2).reshape(view)
        self.outside = outside

    def profile(self, energy: Floats) -> Floats:
        """Energy in each ring, and last the energy of the far field."""
        rings = np.bincount(self._index, weights=energy.ravel(), minlength=len(self.distance))
        return np.append(rings, energy[self.outside].sum())

    def side(self, profile: Floats, share: float) -> float:
        """Side in px of the smallest centred square that holds a share of the energy."""
        inside = np.cumsum(profile[:-1])
        if not inside[-1] > 0:
            return float("nan")
        k = int(np.searchsorted(inside, share * inside[-1] * (1 - 1e-12)))
        return float(2 * self.distance[min(k, len(self.distance) - 1)] + 1)

    def smooth_side(self, profile: Floats, share: float) -> float:
        """As `side`, but between rings: sides come in steps of 2 px, which would hide small errors."""
        inside = np.cumsum(profile[:-1])
        if not inside[-1] > 0:
            return float("nan")
        return float(2 * np.interp(share * inside[-1], inside, self.distance) + 1)

    def far(self, profile: Floats) -> float:
        """Share of the energy outside the centred square of half the input's side."""
        total = profile[:-1].sum()
        return float(profile[-1] / total) if total > 0 else float("nan")


@dataclass(frozen=True)
class Summary:
    """What a map comes down to.

    Attributes:
        sides: Share of the energy -> side in px of the smallest centred square that holds it.
        far: Energy share outside the centred square of half the input's side.
        total: Energy before normalisation, mean over runs.
    """

    sides: dict[float, Figure]
    far: Figure
    total: Figure


def summarise(rings: Rings, profiles: Floats, seed: int = 0) -> Summary:
    """Summaries of the mean over runs, and their standard errors.

    Args:
        profiles: (runs, rings + 1), from `Rings.profile`.
        seed: Of the bootstrap.
    """
    runs = len(profiles)
    nan = float("nan")
    if runs == 0:
        return Summary(dict.fromkeys(SHARES, Figure(nan, nan)), Figure(nan, nan), Figure(nan, nan))
    mean = profiles.mean(0)
    totals = profiles[:, :-1].sum(1)
    errors: dict[object, float] = {}
    if runs > 1:
        picks = np.random.default_rng(seed).integers(0, runs, (RESAMPLES, runs))
        drawn = [profiles[p].mean(0) for p in picks]
        # The bootstrap's variance is that of a population; sqrt(n / (n - 1)) makes it the sample's.
        widen = float(np.sqrt(runs / (runs - 1)))
        for share in SHARES:
            errors[share] = _spread([rings.smooth_side(d, share) for d in drawn]) * widen
        errors["far"] = _spread([rings.far(d) for d in drawn]) * widen
        errors["total"] = float(totals.std(ddof=1) / np.sqrt(runs))
    return Summary(
        {s: Figure(rings.side(mean, s), errors.get(s, nan)) for s in SHARES},
        Figure(rings.far(mean), errors.get("far", nan)),
        Figure(float(totals.mean()), errors.get("total", nan)),
    )


def _spread(values: list[float]) -> float:
    """Standard deviation, of the values that there are (a resample may hold dead runs only)."""
    array = np.array([v for v in values if np.isfinite(v)])
    return float(array.std()) if len(array) > 1 else float("nan")
