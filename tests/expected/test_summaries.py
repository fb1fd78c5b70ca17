"""Summaries of maps whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from archlens.analyses.expected.summaries import (
    centred_sides,
    far_region,
    far_share,
    luo_sigma,
    spread,
    summarise,
)
from archlens.capture.run import capture_spec
from archlens.spec import parse_spec


def test_a_uniform_map_holds_shares_by_area() -> None:
    sides = centred_sides(np.ones((64, 64)), (31.5, 31.5), (0.25, 0.5, 1.0))
    assert sides == pytest.approx([32, 64 / 2**0.5, 64], abs=1e-6)


def test_a_single_pixel_is_as_wide_as_the_share_taken() -> None:
    energy = np.zeros((9, 9))
    energy[4, 4] = 1
    assert centred_sides(energy, (4, 4), (0.25, 1.0)) == pytest.approx([0.5, 1.0], abs=1e-6)


def test_a_unit_at_the_border_counts_from_its_own_centre() -> None:
    energy = np.zeros(20)
    energy[:5] = 0.2
    assert centred_sides(energy, (0,), (1.0,)) == pytest.approx([9], abs=1e-6)


def test_far_is_outside_the_square_of_half_the_side() -> None:
    assert far_share(np.ones((40, 40)), (19.5, 19.5)) == pytest.approx(0.75)
    assert far_region((40, 40), (19.5, 19.5)).mean() == pytest.approx(0.75)
    assert far_share(np.ones(40), (19.5,)) == pytest.approx(0.5)
    assert far_share(np.ones((8, 8, 8)), (3.5,) * 3) == pytest.approx(1 - 1 / 8)


def test_spread_is_the_second_moment() -> None:
    assert spread(np.ones((10, 7))) == pytest.approx((((100 - 1) / 12) ** 0.5, 2.0))


def test_a_gaussian_is_summarised_by_its_sigma() -> None:
    x = np.arange(201) - 100
    line = np.exp(-(x**2) / 2 / 20.0**2)
    out = summarise(np.outer(line, line))
    assert out.sigma == pytest.approx((20, 20), rel=1e-3)
    assert out.sides[50] == pytest.approx(2 * 20 * 1.0518, rel=1e-3)  # erf(h / (s sqrt 2))^2 = 1/2
    assert out.relative[50] == pytest.approx(out.sides[50] / 201)
    assert not out.hits_border


def test_a_field_cut_off_by_the_border_is_flagged() -> None:
    assert summarise(np.ones((50, 50))).hits_border


@pytest.mark.parametrize(("layer", "sigma"), [("backbone.pool5", 27.64), ("fc7", 69.71)])
def test_luos_prediction_for_vgg16(layer: str, sigma: float) -> None:
    graph, _ = capture_spec(parse_spec("fcn", ()), None, lambda _: None)
    found = next(x.output for x in graph.layers if x.name == layer)
    assert luo_sigma(graph, found) == pytest.approx(sigma, abs=0.005)
