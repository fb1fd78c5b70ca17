"""Estimates with standard errors: summaries of an energy map that was averaged over independent runs.

The summaries are those of `archlens.analyses.expected.summaries`, taken of the mean map. Their standard
errors are those of the bootstrap over runs (Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
chapter 6): a run's map counts only through the energy inside centred squares, so that curve is kept.
Runs are averaged before they are normalised, as the closed form does: a run with more energy counts for more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archlens.analyses.expected.summaries import PERCENT, Floats, centred_sides, far_share

RESAMPLES = 400
STEP = 0.5  # px between the half sides of the curves


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; NaN where it can't be told (an error from one run, say)."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ± {self.error:.2g}"


class Squares:
    """Centred squares over a map: how much of each pixel they cover."""

    def __init__(self, shape: Sequence[int], centre: Sequence[float]) -> None:
        self.shape, self.centre = tuple(shape), tuple(centre)
        last = max((max(c, n - 1 - c) for n, c in zip(shape, centre, strict=True)), default=0.0) + 0.5
        self.halves = np.append(np.arange(0.0, last, STEP), last)
        self._cover = [
            _coverage(n, c, self.halves) for n, c in zip(self.shape, self.centre, strict=True)
        ]  # (squares, n) an axis
        self._near = [
            _coverage(n, c, np.array([n / 4])) for n, c in zip(self.shape, self.centre, strict=True)
        ]

    def curve(self, energy: Floats) -> Floats:
        """Energy inside each square, ascending; last the energy outside of half the map's side."""
        far = energy.sum() - _weighted(energy, self._near)[0]
        return np.append(_weighted(energy, self._cover), max(0.0, float(far)))

    def side(self, curve: Floats, share: float) -> float:
        """Side in px of the smallest square that holds a share of the energy, between steps by a line."""
        inside = curve[:-1]
        if not inside[-1] > 0:
            return float("nan")
        return float(2 * np.interp(share * inside[-1], inside, self.halves))

    def far(self, curve: Floats) -> float:
        """Share of the energy outside the centred square of half the map's side."""
        return float(curve[-1] / curve[-2]) if curve[-2] > 0 else float("nan")


def _coverage(n: int, centre: float, halves: Floats) -> Floats:
    """(squares, n): the part of each pixel [i - 1/2, i + 1/2] inside centre +- half."""
    i = np.arange(n)[None, :]
    high = np.minimum(i + 0.5, centre + halves[:, None])
    low = np.maximum(i - 0.5, centre - halves[:, None])
    covered: Floats = np.clip(high - low, 0.0, 1.0)
    return covered


def _weighted(energy: Floats, cover: Sequence[Floats]) -> Floats:
    """Sum over the map for each square: one axis after the other."""
    if not cover:
        return np.array([float(energy)])
    out = np.tensordot(cover[0], energy, (1, 0))  # (squares, other axes)
    for weights in cover[1:]:
        out = np.einsum("kn...,kn->k...", out, weights)
    return out


@dataclass(frozen=True)
class Estimates:
    """What a map comes down to.

    Attributes:
        sides: Percent of the energy -> side in px of the smallest centred square that holds it.
        far: Energy share outside the centred square of half the map's side.
        total: Energy before normalisation, mean over runs.
    """

    sides: dict[int, Estimate]
    far: Estimate
    total: Estimate


def estimates(squares: Squares, mean: Floats, curves: Floats, seed: int = 0) -> Estimates:
    """Summaries of the mean over runs, and their standard errors.

    Args:
        mean: The mean map, not normalised.
        curves: (runs, squares + 1), from `Squares.curve`.
        seed: Of the bootstrap.
    """
    nan = float("nan")
    runs = len(curves)
    if runs == 0 or not mean.sum() > 0:
        none = Estimate(nan, nan)
        return Estimates(dict.fromkeys(PERCENT, none), none, Estimate(0.0, 0.0) if runs else none)
    totals = curves[:, -2]
    errors: dict[object, float] = {}
    if runs > 1:
        picks = np.random.default_rng(seed).integers(0, runs, (RESAMPLES, runs))
        drawn = [curves[p].mean(0) for p in picks]
        # The bootstrap's variance is that of a population; sqrt(n / (n - 1)) makes it the sample's.
        widen = float(np.sqrt(runs / (runs - 1)))
        for share in PERCENT:
            errors[share] = _spread([squares.side(d, share / 100) for d in drawn]) * widen
        errors["far"] = _spread([squares.far(d) for d in drawn]) * widen
        errors["total"] = float(totals.std(ddof=1) / np.sqrt(runs))
    sides = centred_sides(mean, squares.centre, [p / 100 for p in PERCENT])
    return Estimates(
        {s: Estimate(v, errors.get(s, nan)) for s, v in zip(PERCENT, sides, strict=True)},
        Estimate(far_share(mean, squares.centre), errors.get("far", nan)),
        Estimate(float(totals.mean()), errors.get("total", nan)),
    )


def _spread(values: list[float]) -> float:
    """Standard deviation, of the values that there are (a resample may hold dead runs only)."""
    array = np.array([v for v in values if np.isfinite(v)])
    return float(array.std()) if len(array) > 1 else float("nan")
