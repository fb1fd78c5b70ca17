"""Softmax weights of random scores: their second moments, for any number of tokens.

The scores of one query over n keys are normal with variance s (what all keys share drops out), A_j their
softmax. Powers of the normaliser Z = sum_j exp(l_j) come from 1/Z^k = integral over t > 0 of
t^(k-1) exp(-t Z) / (k-1)!, after which the n keys are independent: one integral over t = exp(x), with
expectations over single scores inside. Nothing is assumed of n: with few keys, or steep scores, one weight is
nearly 1, and E A^2 is far below the exp(s) / n^2 of many.

Two queries whose scores have correlation r weigh keys alike: E A_j A'_j, the same with two integrals.

A score is a product over the d channels of a head: given the query it is normal, with a variance that goes
with the query's squared length, chi^2 of d degrees; all is averaged over that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

_U: Floats = np.linspace(-6.0, 6.0, 61)
_MASS: Floats = np.exp(-_U * _U / 2) / np.exp(-_U * _U / 2).sum()
_FINE: Floats = np.linspace(-7.5, 7.5, 301)
_FINE_MASS: Floats = np.exp(-_FINE * _FINE / 2) / np.exp(-_FINE * _FINE / 2).sum()
_R: Floats = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.875, 0.95, 1.0])
_LENGTHS = 5  # values that stand for a query's squared length
STEEPEST = 400.0
"""Variance of scores beyond which the largest takes all, as far as these figures go."""


@dataclass(frozen=True)
class Weights:
    """Moments of softmax weights over n keys.

    Attributes:
        keys: n; an effective number where keys are alike.
        overlap: E A_j A'_j n^2 for two queries, at the correlations `_R` of their scores; the last is E A^2.
        spread: Sum over j of E A_j^2 (v_j - sum_l A_l v_l)^2 for v of unit variance: P2 - 2 P3 + P2^2, with Pk
            the sum of A^k. The squared derivative by the scores.
        longer: The same, weighted with the query's squared length relative to its mean.
    """

    keys: float
    overlap: Floats
    spread: float
    longer: float

    @property
    def same(self) -> float:
        """Sum over the keys of E A^2."""
        return float(self.overlap[-1]) / self.keys

    def pair(self, correlation: Floats) -> Floats:
        """E A_j A'_j' over the same for two pairs whose scores are independent, for each correlation of the
        two scores."""
        n = self.keys
        apart = (n - self.overlap) / max(n - 1, 1e-9)  # of two keys, for independent keys: rows sum to 1
        log = np.log(np.maximum(self.overlap, 1e-300) / np.maximum(apart, 1e-300))
        r = np.clip(np.asarray(correlation, float), -1.0, 1.0)
        return np.asarray(np.exp(np.sign(r) * np.interp(np.abs(r), _R, np.maximum(log - log[0], 0))))


@lru_cache(maxsize=1024)
def weights(variance: float, keys: float, channels: int) -> Weights:
    """Moments of the weights for scores of this variance (over queries; at most `STEEPEST`).

    Args:
        variance: Of a score, less what all keys share.
        keys: How many; at least 1.
        channels: Of a head: how much the length of a query varies.
    """
    if keys <= 1 + 1e-9 or variance < 1e-9:
        n = max(keys, 1.0)
        flat = 1 / n - 2 / n**2 + 1 / n**2
        return Weights(n, np.ones(len(_R)), flat, flat)
    lengths = _lengths(channels)
    parts = [_given(min(variance, STEEPEST) * float(x), keys) for x in lengths]
    overlap = np.mean([p[0] for p in parts], axis=0)
    spread = np.array([p[1] for p in parts])
    return Weights(keys, overlap, float(spread.mean()), float((spread * lengths).mean()))


def _lengths(channels: int) -> Floats:
    """Equally likely values of chi^2 / d (Wilson & Hilferty's cube root), with mean 1."""
    z = ndtri((np.arange(_LENGTHS) + 0.5) / _LENGTHS)
    z = z / np.sqrt((z**2).mean())
    d = max(channels, 1)
    x = np.maximum(1 - 2 / (9 * d) + z * np.sqrt(2 / (9 * d)), 0.05) ** 3
    return np.asarray(x / x.mean())


def _given(variance: float, keys: float) -> tuple[Floats, float]:
    """Overlaps n^2 E A_j A'_j at each of `_R`, and the spread, for queries of one length."""
    s = float(np.sqrt(variance))
    # t Z is of order 1 where the integrand is: Z between its largest term's smallest and the sum's largest.
    low, high = -np.log(keys) - variance / 2 - 7 * s - 4, 7 * s + 4
    x = np.linspace(low, high, 400)
    dx = x[1] - x[0]
    l = s * _FINE
    y = x[:, None] + l[None]  # log of t e^l
    decay = np.exp(-np.exp(np.minimum(y, 50.0)))
    base = np.log(np.maximum(decay @ _FINE_MASS, 1e-300))
    powers = {k: (np.exp(k * np.minimum(y, 50.0)) * decay) @ _FINE_MASS for k in (2, 3, 4)}  # E (t e^l)^k ...
    rest = np.exp((keys - 1) * base)
    p2 = keys * float((powers[2] * rest).sum()) * dx
    p3 = keys * float((powers[3] * rest).sum()) * dx / 2
    p4 = keys * float((powers[4] * rest).sum()) * dx / 6
    two = np.exp((keys - 2) * base)
    p22 = p4 + keys * (keys - 1) * float((powers[2] ** 2 * two).sum()) * dx / 6
    overlap = np.array([_overlap(s, keys, float(r), low, high) for r in _R[:-1]] + [keys * p2])
    return np.clip(overlap, 1.0, keys), max(p2 - 2 * p3 + p22, 0.0)


def _overlap(s: float, keys: float, r: float, low: float, high: float) -> float:
    """n^2 E A_j A'_j for two queries of correlation r: given what their scores share they are independent."""
    if r == 0:
        return 1.0
    x = np.linspace(low, high, 90)
    shared, own = s * np.sqrt(r) * _U, s * np.sqrt(1 - r) * _U
    y = np.minimum(x[:, None, None] + shared[None, :, None] + own[None, None], 50.0)
    decay = np.exp(-np.exp(y))
    left = decay @ _MASS
    first = (np.exp(y) * decay) @ _MASS
    both = (left * _MASS) @ left.T
    hit = (first * _MASS) @ first.T
    rest = np.exp((keys - 1) * np.log(np.maximum(both, 1e-300)))
    return float(keys**2 * (hit * rest).sum() * (x[1] - x[0]) ** 2)
