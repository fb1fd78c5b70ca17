"""Softmax weights of random scores: their second moments, for any number of tokens.

The score of a query and a key is the projection of the key's token on a direction, which the query chooses:
l_j = sigma z_j. Tokens that are normalised over their channels lie on a sphere; with p directions that
they vary in, z has the density (1 - z^2 / p)^((p - 3) / 2), and is normal for many. What all keys share drops
out in the softmax A. Powers of the normaliser Z = sum_j exp(l_j) come from 1/Z^k = integral over t > 0 of
t^(k-1) exp(-t Z) / (k-1)!, after which the n keys are independent: one integral over t = exp(x), with
expectations over single scores inside. Nothing is assumed of n: with few keys, or steep scores, one weight is
nearly 1, and E A^2 is far below the exp(sigma^2) / n^2 of many.

Two queries whose scores have correlation r weigh keys alike: E A_j A'_j, the same with two integrals.

Few directions matter beside: tokens that are weighed alike are alike. Their mean under A leans towards the
query's direction by m = sum_j A_j z_j, and any two tokens have products of variance p. To first order in
1 / p this adds m^2 / p to the mean's square, and the terms in `spread` and `spread_keys`.

sigma^2 goes with the squared length of the query, chi^2 of a head's d channels, and with its direction among
the tokens', p degrees; all is averaged over that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

_U: Floats = np.linspace(-6.0, 6.0, 49)
_MASS: Floats = np.exp(-_U * _U / 2) / np.exp(-_U * _U / 2).sum()
_FINE: Floats = np.linspace(-7.5, 7.5, 151)
_R: Floats = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.875, 0.95, 1.0])
_LENGTHS = 3  # values that stand for a query's squared length
STEEPEST = 400.0
"""Variance of scores beyond which the largest takes all, as far as these figures go."""


@dataclass(frozen=True)
class Weights:
    """Moments of softmax weights over n keys.

    Attributes:
        keys: n; an effective number where keys are alike.
        overlap: E A_j A'_j n^2 for two queries, at the correlations `_R` of their scores; the last is E A^2.
        lean: E m^2 / p: square of the tokens' mean under A, beyond that of independent ones, which is `same`.
        spread: Squared derivative of that mean by a query, in units of a key's variance: tr C^2 / p^2 of the
            tokens' covariance C under A.
        spread_keys: Squared derivative by the scores, sum over j of E A_j^2 |x_j - sum_l A_l x_l|^2 / p,
            weighted with the query's squared length relative to its mean: so by the keys.
    """

    keys: float
    overlap: Floats
    lean: float
    spread: float
    spread_keys: float

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
        return np.asarray(np.exp(np.sign(r) * np.interp(np.abs(r), _R, np.maximum(log, 0))))


@lru_cache(maxsize=1024)
def weights(variance: float, keys: float, channels: int, directions: float = np.inf) -> Weights:
    """Moments of the weights for scores of this variance (at most `STEEPEST`).

    Args:
        variance: Of a score, less what all keys share.
        keys: How many; at least 1.
        channels: Of a head.
        directions: p, that tokens vary in; infinite for independent scores.
    """
    few = 1 / max(directions, 4.0)
    if keys <= 1 + 1e-9 or variance < 1e-9:
        n = max(keys, 1.0)
        flat = 1 / n - 1 / n**2
        return Weights(n, np.ones(len(_R)), 0.0, flat + few * max(1 - 3 / n, 0.0), flat)
    lengths = _lengths(1 / (1 / channels + few))
    queries = lengths ** ((1 / channels) / (1 / channels + few))
    variance = min(variance, STEEPEST)
    found = np.array([_given(variance * float(x), keys, few) for x in lengths])
    same, lean, spread, _ = (float(v) for v in found.mean(0))
    by_key = float((found[:, 3] * queries).mean() / queries.mean())
    return Weights(keys, np.exp(_curve(variance, keys) * np.log(keys * same)), lean, spread, by_key)


def _lengths(degrees: float) -> Floats:
    """Equally likely values of chi^2 over its degrees (Wilson & Hilferty's cube root), with mean 1."""
    z = ndtri((np.arange(_LENGTHS) + 0.5) / _LENGTHS)
    z = z / np.sqrt((z**2).mean())
    d = max(degrees, 1.0)
    x = np.maximum(1 - 2 / (9 * d) + z * np.sqrt(2 / (9 * d)), 0.05) ** 3
    return np.asarray(x / x.mean())


def _sphere(few: float) -> Floats:
    """Masses of a projection on the grid `_FINE`."""
    inside = np.maximum(1 - _FINE**2 * few, 1e-300)
    log = -(_FINE**2) / 2 if few < 1e-9 else (1 / few - 3) / 2 * np.log(inside)
    mass = np.exp(np.maximum(log, -700))
    return np.asarray(mass / mass.sum())


def _range(variance: float, keys: float, count: int) -> Floats:
    """log t: t Z is of order 1 where the integrand is, Z between a small term and the largest sum."""
    s = float(np.sqrt(variance))
    return np.linspace(-np.log(keys) - variance / 2 - 7 * s - 4, 7 * s + 4, count)


def _given(variance: float, keys: float, few: float) -> tuple[float, float, float, float]:
    """P2 = sum of E A^2, `lean`, `spread` and `spread_keys`, for one sigma."""
    s, n = float(np.sqrt(variance)), keys
    x = _range(variance, keys, 200)
    step = float(x[1] - x[0])
    y = np.minimum(x[:, None] + s * _FINE[None], 50.0)  # log of t e^l
    decay, mass = np.exp(-np.exp(y)), _sphere(few)
    base = np.log(np.maximum(decay @ mass, 1e-300))
    # E z^m (t e^l)^k exp(-t e^l), by (k, m)
    e = {(k, m): (np.exp(k * y) * decay) @ (mass * _FINE**m) for k in (1, 2, 3, 4) for m in (0, 1, 2)}

    def total(order: int, one: Floats, two: Floats | float = 0.0, three: Floats | float = 0.0) -> float:
        """Sums over one, two and three different keys of products of so many weights."""
        value = n * one * np.exp((n - 1) * base)
        value = value + n * (n - 1) * two * np.exp(np.maximum(n - 2, 0) * base)
        value = value + n * (n - 1) * max(n - 2, 0) * three * np.exp(np.maximum(n - 3, 0) * base)
        return float(value.sum()) * step / factorial(order - 1)

    p2, p3 = total(2, e[2, 0]), total(3, e[3, 0])
    p4, p22 = total(4, e[4, 0]), total(4, e[4, 0], e[2, 0] ** 2)
    none = np.zeros_like(base)
    m2 = total(2, none, e[1, 1] ** 2)  # of different keys only: a token's product with itself is p
    mq = total(3, none, e[2, 1] * e[1, 1])
    p2m2 = total(4, none, 2 * e[3, 1] * e[1, 1], e[2, 0] * e[1, 1] ** 2)
    flat = p2 - 2 * p3 + p22
    spread = flat + few * (1 - 3 * p2 + 2 * p3 + 2 * p22 - 2 * p4 - 4 * mq + 2 * p2m2)
    by_key = flat + few * (-2 * mq + p2m2)
    return min(max(p2, 1 / n), 1.0), few * max(m2, 0.0), max(spread, 0.0), max(by_key, 0.0)


def _curve(variance: float, keys: float) -> Floats:
    """log n^2 E A_j A'_j at the correlations `_R`, relative to that of one query. Scores count as normal."""
    log = np.log(np.maximum([_overlap(variance, keys, float(r)) for r in _R], 1.0))
    return np.asarray(log / log[-1]) if log[-1] > 1e-9 else _R


def _overlap(variance: float, keys: float, r: float) -> float:
    """n^2 E A_j A'_j for two queries of correlation r: given what their scores share they are independent."""
    if r == 0:
        return 1.0
    s, x = float(np.sqrt(variance)), _range(variance, keys, 60)
    shared, own = s * np.sqrt(r) * _U, s * np.sqrt(1 - r) * _U
    y = np.minimum(x[:, None, None] + shared[None, :, None] + own[None, None], 50.0)
    decay = np.exp(-np.exp(y))
    left = decay @ _MASS
    first = (np.exp(y) * decay) @ _MASS
    both = (left * _MASS) @ left.T
    hit = (first * _MASS) @ first.T
    rest = np.exp((keys - 1) * np.log(np.maximum(both, 1e-300)))
    return float(keys**2 * (hit * rest).sum() * (x[1] - x[0]) ** 2)
