"""The occlusion field of networks whose window is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from probe_nets import CPU, uniform
from torch import nn

from archlens.errors import LayerError, UsageError
from archlens.probes.erf.occluder import Canvas, Occluder, equivalent_side, paint
from archlens.probes.erf.occlusion import measure
from archlens.probes.network import Network


def positive(count: int = 3, side: int = 41) -> list[torch.Tensor]:
    """Images that are brightest in the middle, so that units answer there and borders cut nothing off."""
    line = torch.linspace(-1, 1, side)
    bump = torch.exp(-2 * (line[:, None] ** 2 + line[None, :] ** 2))
    return [(torch.rand(count, 3, side, side) * 0.1 + 1) * bump]


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (5, 1)])
def test_a_patch_widens_a_window_by_its_size_less_one(size: int, stride: int) -> None:
    """A window of 7 px and a patch of s px meet in 7 + s - 1 places."""
    live = Network(uniform(size=7), (3, 27, 27), CPU)
    seen: list[tuple[int, int]] = []
    (found,) = measure(
        live, ["1"], positive(2, 27), occluder=Occluder(size, stride, "zero"), threshold=1e-6, top=2,
        progress=lambda a, b: seen.append((a, b)),
    )  # fmt: skip
    assert found.theoretical == (7, 7)
    assert found.size == pytest.approx(7 + size - 1)
    assert found.spread == pytest.approx(0)
    assert len(found.channels) == 4
    assert found.silent == 0
    assert found.map.sum() == pytest.approx(1)
    ys, xs = np.nonzero(found.map > 0)
    width = 7 + size - 1
    assert (ys.min(), ys.max()) == (13 - width // 2, 13 + width // 2)
    assert (xs.min(), xs.max()) == (13 - width // 2, 13 + width // 2)
    assert seen[-1][0] == seen[-1][1] == len(Occluder(size, stride).places(27)) ** 2 * 2


def test_the_centre_weighs_more_than_the_rim() -> None:
    conv = nn.Conv2d(3, 1, 5, padding=2, bias=False)
    nn.init.constant_(conv.weight, 0.1)
    with torch.no_grad():
        conv.weight[:, :, 2, 2] = 5.0
    live = Network(nn.Sequential(conv), (3, 21, 21), CPU)
    images = [torch.ones(2, 3, 21, 21)]
    (narrow,) = measure(live, ["0"], images, occluder=Occluder(1, 1, "zero"), unit=(4, 12))
    assert narrow.size == 1.0
    assert np.unravel_index(narrow.map.argmax(), narrow.map.shape) == (4, 12)
    (wide,) = measure(live, ["0"], images, occluder=Occluder(1, 1, "zero"), threshold=0.01)
    assert wide.size == 5.0


def test_several_layers_in_one_go() -> None:
    net = nn.Sequential(*uniform(size=3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1))
    live = Network(net, (3, 32, 32), CPU)
    first, last = measure(live, ["1", "3"], positive(4, 32), occluder=Occluder(3, 2), top=2, seed=1)
    assert (first.layer, last.layer) == ("1", "3")
    assert first.theoretical == (3, 3)
    assert last.theoretical == (8, 8)
    assert 0 < first.size <= 3 + 2 + 2
    assert first.size < last.size <= 8 + 2 + 2
    assert "4 in all" in first.source
    again = measure(live, ["1"], positive(4, 32), occluder=Occluder(3, 2), top=2, seed=1)
    assert again[0].size > 0


def test_dead_and_overflowing_channels_are_reported() -> None:
    net = uniform()
    with torch.no_grad():
        net[0].bias[:] = torch.tensor([0.0, -1e9, 0.0, float("inf")])
    live = Network(net, (3, 25, 25), CPU)
    (found,) = measure(live, ["1"], positive(2, 25), occluder=Occluder(5, 4), channels=4)
    assert {c.channel for c in found.channels} == {0, 2}
    assert found.overflown == 2
    assert any("infinite" in n for n in found.notes)
    (silent,) = measure(live, ["1"], positive(2, 25), occluder=Occluder(5, 4), channel=1)
    assert not silent.known
    assert silent.silent == 1
    assert math.isnan(silent.size)
    assert np.isnan(silent.map).all()


def test_a_dense_layer() -> None:
    net = nn.Sequential(*uniform(size=3, padding=1, channels=2), nn.Flatten(), nn.Linear(2 * 81, 5))
    live = Network(net, (3, 9, 9), CPU)
    (found,) = measure(live, ["3"], positive(2, 9), occluder=Occluder(3, 2), threshold=0.01)
    assert found.unit == ()
    assert found.map.shape == (9, 9)
    assert found.size > 4


def test_wrong_use() -> None:
    live = Network(uniform(), (3, 16, 16), CPU)
    with pytest.raises(UsageError, match="does not go over"):
        measure(live, ["1"], positive(1, 16), occluder=Occluder(17, 1))
    with pytest.raises(LayerError, match="no channel 9"):
        measure(live, ["1"], positive(1, 16), channel=9)
    with pytest.raises(UsageError, match="No images"):
        measure(live, ["1"], [])
    with pytest.raises(UsageError, match="threshold"):
        measure(live, ["1"], positive(1, 16), threshold=1.0)


def test_places_and_painting() -> None:
    occluder = Occluder(3, 4)
    assert occluder.places(12) == [0, 4, 8, 9]
    places = [(y, x) for y in (0, 4) for x in (0, 4)]
    out = paint(np.arange(4.0), places, occluder, (7, 7))
    assert out[1, 1] == 0
    assert out[1, 5] == 1
    assert out[5, 1] == 2
    assert out[5, 5] == 3
    assert np.isfinite(out).all()
    assert np.isnan(paint(np.arange(4.0), places, Occluder(3, 1), (9, 9))[8, 8])


def test_recentred_averages_count_only_what_was_seen() -> None:
    canvas = Canvas.blank((5, 5))
    one = np.zeros((5, 5))
    one[1, 1] = 2.0
    canvas.add(one, (1.0, 1.0))
    two = np.full((5, 5), np.nan)
    two[3, 3] = 4.0
    canvas.add(two, (3.0, 3.0))
    assert canvas.mean()[4, 4] == 3.0
    laid = canvas.laid((5, 5), (2.0, 2.0))
    assert laid[2, 2] == 3.0
    assert laid.sum() == 3.0
    assert equivalent_side(laid, 0.5) == 1.0
    assert math.isnan(equivalent_side(np.zeros((3, 3)), 0.5))
    canvas.add(one, (-2.0, 9.0))  # a centre in the padding
