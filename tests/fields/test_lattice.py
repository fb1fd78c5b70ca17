"""Theoretical fields of hand-written networks: published figures, and the support of an interior unit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch.nn.functional as F
from torch import nn

from archlens.analyses.fields.lattice import POINT, Lattice, agree, apply, union
from archlens.analyses.fields.support import support_phases
from archlens.analyses.fields.theoretical import receptive_fields
from archlens.analyses.fields.visible import boxes
from archlens.capture.run import capture_module
from archlens.graph import AdaptivePool, Pad, Resize, Slice, TransposedWindow, Window


def vgg() -> nn.Sequential:
    layers: list[nn.Module] = []
    width = 1
    for convs in (2, 2, 3, 3, 3):
        for _ in range(convs):
            layers.append(nn.Conv2d(width, 1, 3, padding=1))
        layers.append(nn.MaxPool2d(2, 2))
    layers += [nn.Conv2d(1, 1, 7), nn.Conv2d(1, 1, 1)]
    return nn.Sequential(*layers)


def test_vgg16() -> None:
    """Araujo et al.'s table: conv1_1 3, pool1 6, conv2_1 10, ..., conv5_3 196, pool5 212, fc7 404."""
    graph = capture_module(vgg(), (1, 449, 449))
    fields = receptive_fields(graph)
    sizes = [fields[layer.output][0].path.size for layer in graph.layers]
    assert sizes[0] == 3
    assert sizes[2] == 6
    assert sizes[3] == 10
    assert sizes[5] == 16
    assert sizes[6] == 24
    assert sizes[9] == 44
    assert sizes[13] == 100
    assert sizes[14] == 132
    assert sizes[16:18] == [196, 212]
    assert sizes[18:] == [404, 404]
    pool5 = fields[graph.layers[17].output][0].path
    assert (pool5.jump, pool5.padding) == (32, 90)


def test_a_resize_has_phases() -> None:
    """A x4 bilinear of points at jump 16 and then a 3x3: 17 or 33, never 25."""
    points = apply(Window(1, 16), POINT, 0, 0)
    assert points is not None
    up = apply(Resize("linear", False, 4.0), points, 0, 0)
    assert up is not None
    assert (up.jump, up.sizes, up.period) == (4, (17,), 4)
    conv = apply(Window(3, 1, 1), up, 0, 0)
    assert conv is not None
    assert conv.sizes == (17, 33)


def test_a_transposed_conv_has_phases_and_may_leave_some_empty() -> None:
    up = apply(TransposedWindow(2, 4), POINT, 0, 0)
    assert up is not None
    assert up.lo == (0, 0, None, None)
    assert up.jump == Fraction(1, 4)
    assert apply(TransposedWindow(4, 2, 1), POINT, 0, 0).sizes == (2,)
    assert apply(TransposedWindow(3, 2, 1), POINT, 0, 0).sizes == (1, 2)


def test_strides_thin_the_phases_out() -> None:
    up = apply(Resize("linear", False, 2.0), POINT, 0, 0)
    assert up.period == 2
    assert apply(Window(1, 2), up, 0, 0).period == 1
    assert apply(Slice(1, 2), up, 0, 0).at(3) == up.at(7)


def test_pads_shift_and_adaptive_bins_that_divide_are_windows() -> None:
    assert apply(Pad(2), POINT, 0, 0).at(0) == (-2, -2)
    assert apply(AdaptivePool(), POINT, 12, 4).size == 3
    assert apply(AdaptivePool(), POINT, 12, 5) is None


def test_branches_of_other_jumps_have_no_union() -> None:
    thin = apply(Window(1, 2), POINT, 0, 0)
    assert union([thin, POINT]) is None
    assert not agree([thin, POINT])
    wide = apply(Window(3, 1, 1), POINT, 0, 0)
    even = apply(Window(2, 1), POINT, 0, 0)
    assert union([wide, even]).sizes == (3,)
    assert agree([wide, POINT])
    assert not agree([wide, even])


def test_branches_of_unlike_periods_are_compared_over_all_phases() -> None:
    """Periods 2 and 3 agree on units 0 to 2 and not on unit 3."""
    two = Lattice(Fraction(1), (0, 1), (0, 1))
    three = Lattice(Fraction(1), (0, 1, 2), (0, 1, 2))
    odd = Lattice(Fraction(1), (0, 1, 2, 3, 4, 6), (0, 1, 2, 3, 4, 6))
    assert agree([two, three])
    assert not agree([two, odd])
    assert not agree([Lattice(Fraction(1), (0, 2), (0, 2)), Lattice(Fraction(1), (0, 2, 2), (0, 2, 2))])


class Decoder(nn.Module):
    """Strides, a skip, a resize, a transposed convolution with a crop: phases at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(1, 1, 3, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(1, 1, 4, 2, 1), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        a = self.a(x)
        y = self.up(self.b(a)) + a
        return self.last(F.interpolate(y, scale_factor=2, mode="bilinear"))


def resized() -> nn.Sequential:
    up = nn.Upsample(scale_factor=1.5, mode="nearest")
    return nn.Sequential(nn.Conv2d(1, 1, 5, 2, 2), up, nn.Conv2d(1, 1, 3, dilation=2))


@pytest.mark.parametrize("make", [Decoder, lambda: vgg()[:14], resized])
def test_interior_units_see_the_theoretical_field(make) -> None:
    """Where the image is large enough, what is visible in its middle is the theoretical field."""
    graph = capture_module(make(), (1, 192, 192))
    fields, found = receptive_fields(graph), boxes(graph)
    for node in graph.nodes[1:]:
        field = fields[node.id]
        supports = support_phases(graph, node.id, field)
        sizes = {}
        for unit, lit in supports.items():
            places = np.argwhere(lit)
            box = (tuple(places.min(0)), tuple(places.max(0)))
            assert found[node.id].unit(node, unit) == box
            for axis in range(2):
                assert field[axis].path.at(unit[axis]) == (box[0][axis], box[1][axis])
                sizes.setdefault(axis, set()).add(box[1][axis] - box[0][axis] + 1)
        assert tuple(sorted(sizes[0])) == field[0].path.sizes
