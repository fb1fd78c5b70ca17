"""What is read off a curve, against other ways to get it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from archlens.probes.cue import curves
from archlens.probes.cue.curves import Hits, accuracy, crossing, falling, reach

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_the_falling_curve_is_scipys(count: int) -> None:
    for _ in range(20):
        values, weights = RNG.random(count), RNG.integers(1, 9, count).astype(float)
        expected = isotonic_regression(values, weights=weights, increasing=False).x
        assert falling(values, weights) == pytest.approx(expected, abs=1e-12)


def test_a_crossing_lies_between_bins() -> None:
    at, ones = np.array([4.0, 12.0, 20.0, 28.0]), np.ones(4)
    assert crossing(at, np.array([1.0, 1.0, 0.5, 0.25]), ones, 0.75) == pytest.approx(16.0)
    assert crossing(at, np.array([1.0, 1.0, 0.9, 0.8]), ones, 0.625) is None
    assert crossing(at, np.array([0.3, 0.3, 0.25, 0.25]), ones, 0.625) == 4.0
    assert crossing(at, np.array([1.0, np.nan, 0.5, 0.25]), ones, 0.75) == pytest.approx(12.0)
    # A rise behind a fall is levelled: the mean of both stays above.
    assert crossing(at, np.array([1.0, 0.5, 1.0, 0.25]), ones, 0.6) == pytest.approx(20.0 + 8 * 0.15 / 0.5)


def hits(answers: np.ndarray, near: float = 1.0) -> Hits:
    """(images, bins) accuracies as hits of ten cells each."""
    images = len(answers)
    cells = np.full(answers.shape, 10)
    own = np.round(10 * answers).astype(int)
    pair = np.stack([np.full(images, round(10 * near)), np.full(images, 10)], 1)
    none = np.zeros((images, 2), int)
    edges = np.arange(answers.shape[1] + 1) * 8.0
    return Hits(edges, own, cells, own, cells, pair, pair, none, pair)


def test_a_reach_with_its_interval() -> None:
    line = np.tile([1.0, 1.0, 1.0, 0.3, 0.3], (200, 1))
    found = reach(hits(line))
    assert found.value == pytest.approx(20 + 8 * (1 - 0.625) / 0.7)
    assert (found.low, found.high) == (found.value, found.value)  # all images alike
    mixed = np.where(RNG.random((200, 1)) < 0.5, line, np.tile([1.0, 1.0, 0.3, 0.3, 0.3], (200, 1)))
    found = reach(hits(mixed))
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert reach(hits(np.ones((200, 5)))) == curves.Reach(None, None, None)


def test_too_few_images_say_nothing() -> None:
    few = hits(np.ones((99, 3)))
    assert accuracy(few.near) is None
    assert np.isnan(curves.curve(few.hits, few.cells)[0]).all()
    enough = hits(np.ones((100, 3)))
    assert accuracy(enough.near) is not None


def test_intervals_are_drawn_over_images() -> None:
    """Cells of one image answer alike: a thousand of them are one observation."""
    right = RNG.random(400) < 0.5
    parts = np.stack([1000 * right, np.full(400, 1000)], 1)
    found = accuracy(parts)
    assert found is not None
    spread = found.high - found.low
    assert spread == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 400), rel=0.15)


def test_learnt_is_said_of_the_lower_end() -> None:
    assert curves.learnt(curves.Interval(0.83, 0.8, 0.86, 500))
    assert not curves.learnt(curves.Interval(0.83, 0.79, 0.86, 500))
    assert not curves.learnt(None)
