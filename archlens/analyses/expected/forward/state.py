"""What is known of a node's activations: the setting, a node's law, and the laws of all nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0

from archlens.analyses.expected.forward.activations import Activation
from archlens.analyses.expected.forward.gates import Chain
from archlens.analyses.fields.taps import Taps
from archlens.analyses.fields.walks import Walks
from archlens.graph import Along, Graph, TransposedWindow, Window

Floats = NDArray[np.float64]
Images = Literal["white", "natural"]
Statistics = Literal["batch", "calibrated", "frozen"]
EPS = 1e-5  # batch norm's, in torch and in the zoo
LADDER = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
           3072, 4096, 6144, 8192)  # fmt: skip


class NoRule(Exception):
    """Why a node's law cannot be told: it depends on what arrives."""


@dataclass(frozen=True)
class Premises:
    """What the expectation is taken over.

    Attributes:
        statistics: "batch": batch norm divides by its input's own deviation, as in training. "calibrated":
            the same with the statistics held constant, as in evaluation; with many images there is no
            difference. "frozen": by one, as a fresh network in evaluation mode.
        images: "white" noise of unit variance, or "natural": noise with the 1/f amplitude spectrum of
            photographs.
        batch: Images that batch statistics are taken over; None for many.
        gain: Variance of a weight times its fan-in; 2 is He's.
    """

    statistics: Statistics = "batch"
    images: Images = "white"
    batch: int | None = None
    gain: float = 2.0


WHITE = Premises()
"""What figures are expected over where nothing else is said: batch statistics, white noise, He's weights."""


@dataclass(frozen=True)
class Moments:
    """A node's law.

    Attributes:
        mean, cov: See the module.
        jump: px between neighbouring positions, per input axis.
        profile: Second moment along each input axis, relative to its mean: zero padding makes borders weak.
        lean: How much a position shares in the channel's constant, per axis, relative to the mean; known
            behind a convolution, for the batch norm that takes the constant away.
        before: The Gaussian law under an activation (function, mean, cov), for a max pool behind it.
        values: Quantiles of what a ReLU lets through, where known.
        chain: How a residual sum is made up, where one of its terms has known quantiles: of the sum itself
            and of what only renames it, since its edges are counted by it.
        strong, pooled: Share of the variance in the strongest direction, and of a pooled value's variance
            that is common to its inputs; see `flattening`.
    """

    mean: float
    cov: Floats
    jump: tuple[float, ...]
    profile: tuple[Floats, ...]
    lean: tuple[Floats, ...] | None = None
    before: tuple[Activation, float, Floats] | None = None
    values: Floats | None = None
    chain: Chain | None = None
    strong: float = 0.0
    pooled: float = 0.0

    @property
    def variance(self) -> float:
        """Of one value over positions, images and weights."""
        return float(self.cov[1])

    @property
    def second(self) -> float:
        """E x^2."""
        return float(self.cov[1]) + self.mean**2

    @property
    def common(self) -> float:
        """The part of the variance that is the same for all positions and images: a channel's constant."""
        return float(self.cov[0])


@dataclass(frozen=True)
class Forward:
    """The moments of every node; None behind an operation without a rule (its id is in `missing`). `flat`
    holds what batch norms do to strong directions, as a `flattening.Flattening`; `ways`, for each origin that
    has been walked back to, which nodes depend on it and which have an operation below that mixes."""

    walks: Walks
    premises: Premises
    lags: Floats
    nodes: list[Moments | None] = field(default_factory=list)
    missing: dict[int, str] = field(default_factory=dict)
    flat: dict[int, Any] = field(default_factory=dict)
    ways: dict[int, tuple[list[bool], list[bool]]] = field(default_factory=dict)
    rewritten: Graph | None = None

    @property
    def graph(self) -> Graph:
        """The captured network, with what hangs together told as one: see `rewriting`."""
        return self.rewritten or self.walks.graph

    def at(self, node: int) -> Moments:
        """The moments of a node that has some."""
        found = self.nodes[node]
        assert found is not None
        return found

    def covariance(self, law: Moments, distance: Any) -> Any:
        """Covariance of a channel's values at a distance in px, between the table's lags."""
        return np.interp(distance, self.lags, law.cov[1:])


def scaled(law: Moments, mean: float, cov: Floats) -> Moments:
    return Moments(mean, cov, law.jump, law.profile)


def finest(parts: Sequence[Moments]) -> tuple[float, ...]:
    return tuple(min(p.jump[a] for p in parts) for a in range(len(parts[0].jump)))


def blended(parts: Sequence[Moments], shares: Sequence[float] = ()) -> tuple[Floats, ...]:
    """The profile of a sum or a concat: the parts' own, weighed by their second moments."""
    weights_ = [p.second * s + 1e-300 for p, s in zip(parts, shares or [1.0] * len(parts), strict=True)]
    total = sum(weights_)
    out = []
    for axis in range(len(parts[0].profile)):
        n = max(len(p.profile[axis]) for p in parts)
        lines = [p.profile[axis] if len(p.profile[axis]) == n else np.ones(n) for p in parts]
        out.append(np.asarray(sum(w * line for w, line in zip(weights_, lines, strict=True)) / total))
    return tuple(out)


def averaged(profile: Floats, a: Taps) -> Floats:
    """A profile behind a weighted mean."""
    if a.shape[1] != len(profile):
        return np.ones(a.shape[0])
    read = a.apply(profile, 0) / np.maximum(a.row_sums, 1e-12)
    return np.asarray(read / (read.mean() or 1.0))


def jump_factor(step: Along, n_in: int) -> float:
    g = step.geometry
    if isinstance(g, Window):
        return float(g.stride)
    if isinstance(g, TransposedWindow):
        return 1.0 / g.stride
    same = type(g).__name__ in ("Pad", "Roll", "IndexMap")
    if type(g).__name__ == "Slice":
        return float(abs(getattr(g, "step", 1)))
    return 1.0 if same else n_in / step.size


def natural_correlation(lags: Floats, size: int) -> Floats:
    """Correlation of pixels of 1/f noise (power 1/f^2 in the plane) from a field twice the image's size.

    R(l) is the integral of J0(2 pi f l) / f over f from 1 / (2 size) to 0.5, divided by its value at 0.
    """
    f = np.exp(np.linspace(np.log(0.5 / size), np.log(0.5), 4000))
    out: Floats = j0(2 * np.pi * f[None] * lags[:, None]).mean(1)
    out /= out[0]
    return out
