"""Shares and counterfactuals against brute force: the same branch removed in the live network, sampled
gradients before and after."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from erf_nets import block
from monte_carlo import Floats, monte_carlo
from torch import Tensor, nn

from archlens.analyses.expected.field import branch_shares, expected_erf
from archlens.analyses.expected.forward.state import Premises
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.summaries import far_share
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.analyses.structure.context import context_module
from archlens.analyses.structure.edit import cut
from archlens.capture.run import capture_module

SIDE, RUNS, BATCH = 49, 40, 4


class Branches(nn.Module):
    """A trunk of stride 4 and dilated branches, concatenated."""

    def __init__(self, rates: tuple[int, ...], w: int = 24) -> None:
        super().__init__()
        self.trunk = nn.Sequential(block(3, w, s=2), block(w, w, s=2), block(w, w))
        self.rates = nn.ModuleList(block(w, w, d=r) for r in rates)
        self.head = nn.Sequential(block(w * len(rates), w, 1), nn.Conv2d(w, 16, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.trunk(x)
        out: Tensor = self.head(torch.cat([rate(x) for rate in self.rates], 1))
        return out


@pytest.fixture(autouse=True)
def two_threads() -> None:
    torch.set_num_threads(min(2, torch.get_num_threads()))


@cache
def sampled_far(rates: tuple[int, ...], centre: tuple[float, ...]) -> tuple[float, float]:
    """The far share of the mean map of a network with these branches, and its standard error by the
    jackknife."""
    maps = monte_carlo(Branches(rates), SIDE, RUNS, batch=BATCH).maps
    whole: Floats = maps.sum(0)
    left = [far_share(whole - m, centre) for m in maps]
    error = math.sqrt((len(left) - 1) * float(np.var(left)))
    return far_share(whole, centre), error


@pytest.mark.parametrize("gone", [0, 2])
def test_a_cut_on_the_graph_is_a_cut_in_the_network(gone: int) -> None:
    rates = (1, 3, 6)
    setting = Premises(batch=BATCH)
    graph = capture_module(Branches(rates), ((3, SIDE, SIDE),))
    module = context_module(Walks(graph))
    assert module is not None
    cell = main_output(graph)
    whole = expected_erf(forward(Walks(graph), setting), cell)
    shares = branch_shares(
        forward(Walks(graph), setting), [(b.merge, b.position) for b in module.branches], cell
    )
    assert sum(s.share for s in shares) == pytest.approx(1)
    assert sum(s.far for s in shares) == pytest.approx(1)

    edited = cut(graph, module, {module.branches[gone].name})
    made = expected_erf(forward(Walks(edited), setting), main_output(edited))
    assert made.energy is not None
    expected = far_share(made.energy, made.centre)
    # The sum over the branches that are left is the same map: there are no cross terms.
    rest = [s for k, s in enumerate(shares) if k != gone]
    left = sum(s.share * s.far_of_own for s in rest) / sum(s.share for s in rest)
    assert left == pytest.approx(expected, rel=0.01)

    assert whole.energy is not None
    for rates_left, figure in (
        (rates, far_share(whole.energy, whole.centre)),
        (tuple(r for k, r in enumerate(rates) if k != gone), expected),
    ):
        far, error = sampled_far(rates_left, whole.centre)
        assert abs(far - figure) < 3 * error + 0.01, (rates_left, far, error, figure)
