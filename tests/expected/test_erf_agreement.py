"""The closed form against sampled gradients of live networks: small runs of `benchmarks/erf_agreement.py`.

The full runs, with their standard errors, are in docs/expected_erf.md. Here few and small ones: a wrong rule
shows at once, a deviation of a per cent does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from erf_nets import NETWORKS
from monte_carlo import binned, branch_energies, correlation, monte_carlo

from archlens.analyses.expected.field import branch_shares, expected_erf
from archlens.analyses.expected.forward.state import Premises
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.summaries import centred_sides
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module

SHARES = (0.25, 0.5, 0.75, 0.95)
SMALL = {  # input side, runs
    "residual": (65, 40),
    "gated": (65, 30),
    "aspp_pooled": (65, 40),
    "ppm": (65, 40),
    "largefov": (65, 40),
    "unet_deconv": (32, 30),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small convolutions gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", SMALL)
def test_radii_and_maps_agree(name: str) -> None:
    side, runs = SMALL[name]
    model = NETWORKS[name][0]()
    graph = capture_module(model, (3, side, side))
    expected = expected_erf(forward(Walks(graph), Premises(batch=4)), main_output(graph))
    assert expected.energy is not None
    sampled = monte_carlo(model, side, runs, batch=4).energy
    theory = centred_sides(expected.energy, expected.centre, SHARES)
    measured = centred_sides(sampled, expected.centre, SHARES)
    assert theory == pytest.approx(measured, rel=0.1)
    assert correlation(binned(expected.energy), binned(sampled)) > 0.98


def test_branch_shares_agree() -> None:
    model = NETWORKS["aspp_pooled"][0]()
    side = 49
    graph = capture_module(model, (3, side, side))
    node = main_output(graph)
    merge = next(n.id for n in graph.nodes if n.op == "cat")
    calibrated = forward(Walks(graph), Premises("calibrated", batch=8))
    theory = [b.share for b in branch_shares(calibrated, merge, node)]
    body = model.body
    branches = [*body.branches, body.pooled]
    sampled = branch_energies(model, side, 12, branches).mean(0).sum((1, 2))
    assert theory == pytest.approx(list(sampled / sampled.sum()), abs=0.05)
