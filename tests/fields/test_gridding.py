"""Density of fields and the hybrid dilated convolution rule, against published and hand-counted figures."""

from __future__ import annotations

import pytest
from torch import nn

from archlens.analyses.fields.gridding import distances, gridding, hybrid, verdict
from archlens.analyses.fields.support import support
from archlens.capture.run import capture_module


def stack(*rates: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Conv2d(2, 2, 3, padding=r, dilation=r) for r in rates))


def test_three_convs_of_rate_two_touch_seven_of_thirteen_lines() -> None:
    graph = capture_module(stack(2, 2, 2), (2, 31, 31))
    found = verdict(graph, graph.layers[-1].output, (15, 15))
    assert found is not None
    assert found.field.span == (13, 13)
    assert found.field.lines == (7, 7)
    assert found.field.largest_gap == (1, 1)
    assert found.field.density == pytest.approx(49 / 169)
    assert round(100 * found.field.density) == 29
    assert found.field.holes
    assert found.rates == (2, 2, 2)
    assert found.distance == 2
    assert found.passes is False  # a common factor


@pytest.mark.parametrize(
    ("rates", "largest", "passes"), [((1, 2, 5), 2, True), ((1, 2, 9), 5, False), ((1, 1, 1), 1, True)]
)
def test_the_rule_of_hybrid_dilation(rates: tuple[int, ...], largest: int, passes: bool) -> None:
    assert distances(rates)[1] == largest
    assert hybrid(rates) is passes
    graph = capture_module(stack(*rates), (2, 41, 41))
    found = verdict(graph, graph.layers[-1].output, (20, 20))
    assert found is not None
    assert (found.distance, found.passes) == (largest, passes)
    assert found.field.holes is not passes


def test_a_single_dilated_conv_has_holes_and_its_rate_as_distance() -> None:
    assert distances((6,)) == (6,)
    graph = capture_module(stack(6), (2, 31, 31))
    lit = support(graph, graph.layers[-1].output, (15, 15))
    assert lit is not None
    found = gridding(lit)
    assert found is not None
    assert (found.span, found.lines, found.largest_gap) == ((13, 13), (3, 3), (5, 5))


def test_a_unit_that_sees_nothing_has_no_density() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 5), nn.ZeroPad2d(2))
    graph = capture_module(net, (1, 9, 9))
    found = verdict(graph, graph.layers[-1].output, (0, 4))
    assert found is not None
    assert found.field.span == (0, 0)


def test_forks_have_a_density_and_no_run() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 1, 3, padding=2, dilation=2), nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return self.a(x) + self.b(x)

    graph = capture_module(Fork(), (1, 9, 9))
    found = verdict(graph, graph.layers[-1].output, (4, 4))
    assert found is not None
    assert found.field.density == pytest.approx(17 / 25)
    assert found.rates == ()
    assert found.passes is None
