"""Normalisation by statistics of the image itself, against samples; and weights that have no rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from erf_nets import Headed
from monte_carlo import monte_carlo
from torch import Tensor, nn

from archlens.analyses.expected.coherent import respond
from archlens.analyses.expected.field import expected_erf
from archlens.analyses.expected.forward.state import Forward
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.lens import Lens
from archlens.analyses.expected.summaries import centred_sides, far_region
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module

SHARES = (0.25, 0.5, 0.75, 0.95)
Norm = Callable[[int], nn.Module]


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


class Whole(nn.Module):
    """Layer norm over channels and places."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[1:])


def block(norm: Norm, c_in: int, c_out: int, k: int = 3, s: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, k, s, k // 2, bias=False), norm(c_out))


class Residual(nn.Module):
    def __init__(self, norm: Norm, width: int, s: int = 1) -> None:
        super().__init__()
        self.a, self.b = block(norm, width, width, 3, s), block(norm, width, width)
        self.side = block(norm, width, width, 1, s) if s > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.b(F.relu(self.a(x))) + self.side(x))


def residual(norm: Norm, w: int = 32) -> nn.Module:
    stem = (block(norm, 3, w, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    return Headed(nn.Sequential(*stem, *(Residual(norm, w, s) for s in (1, 1, 2, 1))), w)


NORMS: dict[str, Norm] = {
    "groups": lambda w: nn.GroupNorm(4, w),
    "instance": nn.InstanceNorm2d,
    "channels": ChannelNorm,
    "everything": lambda _: Whole(),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_of_the_image_itself_agree_with_samples(name: str) -> None:
    model, side = residual(NORMS[name]), 65
    graph = capture_module(model, (3, side, side))
    expected = expected_erf(forward(Walks(graph)), main_output(graph))
    assert expected.energy is not None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sampled = monte_carlo(model, side, 50, batch=1)
    torch.set_num_threads(threads)
    theory = centred_sides(expected.energy, expected.centre, SHARES)
    measured = centred_sides(sampled.energy, expected.centre, SHARES)
    assert theory[1:] == pytest.approx(measured[1:], rel=0.07)
    assert theory[0] == pytest.approx(measured[0], rel=0.15)  # one cell of the last map: a few per cent tell
    assert expected.gain == pytest.approx(sampled.gain[0], rel=0.4)


@pytest.mark.parametrize("name", NORMS)
def test_a_change_of_the_far_region_is_heard_through_the_statistics(name: str) -> None:
    """A norm over places hands a change of the far region to every place, by a mean of few channels."""
    model, side = residual(NORMS[name]), 65
    graph = capture_module(model, (3, side, side))
    moments, node = forward(Walks(graph)), main_output(graph)
    expected = expected_erf(moments, node)
    assert expected.energy is not None
    region = far_region((side, side), expected.centre)
    (theory,) = respond(moments, node, expected.unit, [region], expected.origin, {})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sampled = monte_carlo(model, side, 100, batch=1, regions=(region,))
    torch.set_num_threads(threads)
    theory /= expected.gain * float(expected.energy[region].sum())
    measured = sampled.coherent[:, 0].mean() / sampled.maps[:, region].sum(1).mean()
    assert theory == pytest.approx(measured, rel=0.3)
    assert (theory > 1.2) == (name in ("groups", "instance"))


def pointwise(norm: nn.Module, w: int = 12) -> tuple[Forward, int]:
    """Nothing but the norm brings places together."""
    graph = capture_module(
        nn.Sequential(nn.Conv2d(3, w, 1, bias=False), norm, nn.Conv2d(w, 4, 1)), (3, 8, 10)
    )
    return forward(Walks(graph)), main_output(graph)


def test_a_change_of_the_whole_image_is_taken_away_by_an_instance_norm() -> None:
    moments, node = pointwise(nn.InstanceNorm2d(12))
    everywhere = np.ones((8, 10), bool)
    unit = moments.graph.nodes[node].middle
    whole, pixel = respond(moments, node, unit, [everywhere, np.eye(8, 10, dtype=bool)], 0, {})
    assert whole == pytest.approx(0.0, abs=0.06 * pixel)


@pytest.mark.parametrize("groups", [12, 3, 1])
def test_half_the_image_reaches_a_place_outside_it_as_a_mean_of_its_channels(groups: int) -> None:
    """dy = -mean(dx) - y mean(y dx): over k channels and half the places, the first has a k-th of a quarter
    of the change's energy, and the second hardly any over white noise."""
    moments, node = pointwise(nn.GroupNorm(groups, 12))
    left = np.zeros((8, 10), bool)
    left[:, :5] = True
    right = (3, 8)
    inside, outside = (respond(moments, node, u, [left], 0, {})[0] for u in ((3, 2), right))
    share = 0.25 / (12 // groups)
    assert outside / inside == pytest.approx(share / (1 - 3 * share), rel=0.1)


class Adaptive(nn.Module):
    """A norm whose scale depends on the image, and a convolution whose weights do."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.first, self.make = kind, nn.Conv2d(3, 8, 3), nn.Linear(3, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        scale = self.make(x.mean((2, 3)))
        if self.kind == "norm":
            return F.group_norm(y, 2, scale[0], scale[0])
        return F.conv2d(y, scale.reshape(1, 8, 1, 1))


@pytest.mark.parametrize("kind", ["norm", "conv"])
def test_weights_made_of_the_image_are_named_as_missing(kind: str) -> None:
    graph = capture_module(Adaptive(kind), (3, 9, 9))
    found = expected_erf(forward(Walks(graph)), main_output(graph))
    assert found.energy is None
    assert kind in found.missing[0]


class ConvNeXt(nn.Module):
    """Depthwise 7x7, layer norm over channels, and a layer of GELUs, beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = ChannelNorm(width)
        self.up, self.down = nn.Conv2d(width, 4 * width, 1), nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(self.depthwise(x)))))


def test_borders_of_a_norm_over_channels_are_divided_by_little() -> None:
    w, side = 24, 48
    first = (nn.Conv2d(3, w, 4, 4), ChannelNorm(w), ConvNeXt(w), ConvNeXt(w))
    second = (ChannelNorm(w), nn.Conv2d(w, w, 2, 2), ConvNeXt(w), ConvNeXt(w))
    model = Headed(nn.Sequential(*first, *second), w)
    graph = capture_module(model, (3, side, side))
    expected = expected_erf(forward(Walks(graph)), main_output(graph))
    assert expected.energy is not None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sampled = monte_carlo(model, side, 100, batch=1)
    torch.set_num_threads(threads)
    theory = centred_sides(expected.energy, expected.centre, SHARES)
    assert theory == pytest.approx(centred_sides(sampled.energy, expected.centre, SHARES), rel=0.035)


class NormedAttention(nn.Module):
    """An instance norm, whose statistics a coherent change goes through, before an attention."""

    def __init__(self, w: int = 8) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, w, 4, 4), nn.InstanceNorm2d(w)
        self.mix, self.last = nn.MultiheadAttention(w, 2, batch_first=True), nn.Conv2d(w, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.first(x))
        t = y.flatten(2).transpose(1, 2)
        out: Tensor = self.last(self.mix(t, t, t)[0].transpose(1, 2).reshape(y.shape))
        return out


def test_attention_behind_a_norm_over_places_hears_a_region_too() -> None:
    lens = Lens(Walks(capture_module(NormedAttention(), (3, 32, 32))))
    far, near = lens.responses(main_output(lens.graph), 0)
    assert far > 0
    assert near > 0
