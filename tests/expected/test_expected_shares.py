"""What one pixel brings to every unit: by hand, against the walk from each unit, and against sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from erf_nets import NETWORKS
from monte_carlo import draw
from torch import nn

from archlens.analyses.expected.backward.transposed import Recorded
from archlens.analyses.expected.field import expected_erf
from archlens.analyses.expected.forward.state import Premises
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.shares import expected_shares
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module


def test_one_convolution_by_hand() -> None:
    """3 x 3, padded: the middle reads nine pixels alike, a corner only four."""
    graph = capture_module(nn.Conv2d(1, 4, 3, padding=1), (1, 5, 5))
    shares = expected_shares(forward(Walks(graph)), main_output(graph), (1, 1)).shares
    assert shares is not None
    ninth, sixth, fourth = 1 / 9, 1 / 6, 1 / 4
    assert shares == pytest.approx(
        np.array(
            [
                [fourth, sixth, sixth, 0, 0],
                [sixth, ninth, ninth, 0, 0],
                [sixth, ninth, ninth, 0, 0],
                [0, 0, 0, 0, 0],
                [0, 0, 0, 0, 0],
            ]
        )
    )


def test_all_pixels_share_all_units() -> None:
    """Summed over the pixels, each unit's shares are 1."""
    graph = capture_module(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2)), (1, 8, 8))
    node = main_output(graph)
    every = [expected_shares(forward(Walks(graph)), node, (y, x)).shares for y in range(8) for x in range(8)]
    assert sum(s for s in every if s is not None) == pytest.approx(np.ones((3, 3)))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_it_is_the_transpose_of_the_walk_from_each_unit(name: str) -> None:
    """Beside it only what depends on the unit: negligible lags that are dropped, the weights of gates."""
    graph = capture_module(NETWORKS[name][0](), (3, 48, 48))
    node = main_output(graph)
    moments = forward(Walks(graph), Premises(batch=4))
    pixel = (20, 27)
    shares = expected_shares(moments, node, pixel).shares
    assert shares is not None
    rows, columns = shares.shape
    for unit in ((rows // 2, columns // 2), (0, 0), (rows - 1, columns // 3)):
        energy = expected_erf(moments, node, unit).energy
        assert energy is not None
        assert shares[unit] == pytest.approx(energy[pixel], rel=0.02, abs=1e-12)


def test_shares_between_layers() -> None:
    """From a unit of a layer within: the origin's own positions."""
    graph = capture_module(
        nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)),
        (3, 16, 16),
    )
    origin = graph.layers[0].output
    shares = expected_shares(forward(Walks(graph)), main_output(graph), (4, 4), origin).shares
    assert shares is not None
    assert shares.shape == (8, 8)
    assert shares[3:6, 3:6] == pytest.approx(np.full((3, 3), 1 / 9))
    assert shares.sum() == pytest.approx(1)


def test_sampled_networks_agree() -> None:
    """Plain autograd over fresh weights: the pixel's part of each unit's mean squared gradient."""
    torch.set_num_threads(1)
    model = nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=2, dilation=2), nn.ReLU(),
        nn.AvgPool2d(2), nn.Conv2d(24, 8, 3, padding=1),
    )  # fmt: skip
    graph = capture_module(model, (3, 12, 12))
    pixel, units = (4, 5), ((2, 2), (0, 1), (4, 3))
    shares = expected_shares(forward(Walks(graph)), main_output(graph), pixel).shares
    assert shares is not None
    generator = torch.Generator().manual_seed(0)
    found: dict[tuple[int, int], list[tuple[float, float]]] = {u: [] for u in units}
    for _ in range(300):
        draw(model, generator)
        image = torch.randn(1, 3, 12, 12, generator=generator, requires_grad=True)
        out = model(image)
        for unit in units:
            signs = torch.randn(8, generator=generator)
            (g,) = torch.autograd.grad((out[0, :, unit[0], unit[1]] * signs).sum(), image, retain_graph=True)
            energy = g[0].square().sum(0)
            found[unit].append((float(energy[pixel]), float(energy.sum())))
    for unit, pairs in found.items():
        here, whole = np.array(pairs).T
        ratio = here.mean() / whole.mean()
        error = float(np.std(here - ratio * whole)) / whole.mean() / np.sqrt(len(here))
        assert shares[unit] == pytest.approx(ratio, abs=4 * error + 0.002)
        assert ratio > 5 * error or shares[unit] < 1e-3


def test_what_is_not_linear_is_refused() -> None:
    """A map that is recorded never passes for its values."""
    a = Recorded(np.ones(3))
    with pytest.raises(TypeError):
        a * a
    with pytest.raises((TypeError, AttributeError)):
        np.maximum(a, 0)  # type: ignore[call-overload]
