"""The energy of a unit behind steps that only move values: it lies where the unit looks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from erf_nets import Headed
from monte_carlo import monte_carlo
from torch import Tensor, nn

from archlens.analyses.expected.field import expected_erf
from archlens.analyses.expected.forward.state import Premises
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.lens import Lens
from archlens.analyses.expected.summaries import centred_sides
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module

SHARES = (0.25, 0.5, 0.75, 0.95)


class Moved(nn.Module):
    """A residual sum behind a ReLU, one move, and a head."""

    def __init__(self, move: Callable[[Tensor], Tensor], head: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.move, self.head = move, head or nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(x))
        out: Tensor = self.head(self.move(y + self.second(y)))
        return out


MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "roll": lambda y: torch.roll(y, 5, 3),
    "flip": lambda y: y.flip(3),
    "slice": lambda y: y[:, :, 3:, 2:],
    "strided slice": lambda y: y[:, :, ::2, 1::2],
    "pad": lambda y: F.pad(y, (0, 4, 0, 2)),
    "reflected pad": lambda y: F.pad(y, (1, 4, 1, 2), mode="reflect"),
    "tokens": lambda y: y.flatten(2).transpose(1, 2),
}


@pytest.mark.parametrize("name", MOVES)
def test_energy_behind_a_residual_sum_moves_with_the_map(name: str) -> None:
    head = nn.Linear(16, 5) if name == "tokens" else None
    walks = Walks(capture_module(Moved(MOVES[name], head), (3, 24, 24)))
    node = main_output(walks.graph)
    lens = Lens(walks)
    found = lens.field(node)
    assert found.energy is not None
    seen = walks.seen(node)
    assert seen is not None
    outside = found.energy.copy()
    outside[tuple(slice(lo, hi + 1) for lo, hi in zip(*seen, strict=True))] = 0
    assert outside.sum() == 0
    for axis in (0, 1):
        centroid = (found.energy.sum(1 - axis) * np.arange(24)).sum()
        assert seen[0][axis] <= centroid <= seen[1][axis]
    assert lens.used(found, coherent=True).known


def test_one_vector_of_a_whole_map_sees_all_of_it() -> None:
    model = Moved(lambda y: y.flatten(1), nn.Linear(16 * 24 * 24, 5))
    graph = capture_module(model, (3, 24, 24))
    energy = expected_erf(forward(Walks(graph)), main_output(graph)).energy
    assert energy is not None
    assert energy.min() > 0
    assert (energy.sum(0) * np.arange(24)).sum() == pytest.approx(11.5)


class Same(nn.Conv2d):
    """A convolution with TensorFlow's padding: zeros apart from it, at the end one more than at the start."""

    def forward(self, x: Tensor) -> Tensor:
        k, s, n = self.kernel_size[0], self.stride[0], x.shape[-1]
        more = max((-(-n // s) - 1) * s + k - n, 0)
        return super().forward(F.pad(x, (more // 2, more - more // 2) * 2))


def same(c_in: int, c_out: int, k: int, s: int = 1) -> nn.Sequential:
    return nn.Sequential(Same(c_in, c_out, k, s), nn.BatchNorm2d(c_out), nn.ReLU())


@pytest.mark.parametrize("side", [32, 33])
def test_zeros_in_front_of_a_convolution_are_its_own_padding(side: int) -> None:
    def net(padded: bool) -> nn.Module:
        convolutions = [
            nn.Sequential(nn.ZeroPad2d(2), nn.Conv2d(c, 16, 5, 2)) if padded else nn.Conv2d(c, 16, 5, 2, 2)
            for c in (3, 16)
        ]
        return nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), nn.Conv2d(16, 4, 1))

    fields = []
    for padded in (False, True):
        graph = capture_module(net(padded), (3, side, side))
        fields.append(expected_erf(forward(Walks(graph)), main_output(graph)))
    own, apart = fields
    assert own.energy is not None
    assert apart.energy is not None
    assert apart.energy == pytest.approx(own.energy, abs=1e-12)
    assert apart.gain == pytest.approx(own.gain)


def test_padding_as_tensorflow_does_it_agrees_with_samples() -> None:
    side, w = 33, 24
    model = Headed(nn.Sequential(same(3, w, 3, 2), same(w, w, 3), same(w, w, 5, 2), same(w, w, 5)), w)
    graph = capture_module(model, (3, side, side))
    expected = expected_erf(forward(Walks(graph), Premises(batch=4)), main_output(graph))
    assert expected.energy is not None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sampled = monte_carlo(model, side, 40, batch=4).energy
    torch.set_num_threads(threads)
    theory = centred_sides(expected.energy, expected.centre, SHARES)
    assert theory == pytest.approx(centred_sides(sampled, expected.centre, SHARES), rel=0.04)


def test_an_even_kernel_pads_one_side_more() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 4, padding="same"), nn.ReLU(), nn.Conv2d(8, 8, 4, padding="same"))
    walks = Walks(capture_module(model, (3, 24, 24)))
    lens, node = Lens(walks), main_output(walks.graph)
    use = lens.used(lens.field(node), coherent=True)
    assert use.sides is not None
    assert 6 < use.sides[95] < 7


class Rows(nn.Module):
    """A linear layer along the rows, between convolutions."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.first, self.rows = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(side, side)
        self.last = nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(F.relu(self.rows(F.relu(self.first(x)))))
        return out


class Vector(nn.Module):
    """A classifier that flattens its map, with a head of its own; the vector as a map of one place."""

    def __init__(self) -> None:
        super().__init__()
        first, second = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.trunk = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU(), nn.MaxPool2d(4))
        self.flat = nn.Flatten()
        self.head = nn.Sequential(nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 5))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.flat(self.trunk(x)))
        return out[:, :, None, None]


@pytest.mark.parametrize(("model", "side"), [(Rows(24), 24), (Vector(), 32)])
def test_linear_layers_over_places_agree_with_samples(model: nn.Module, side: int) -> None:
    graph = capture_module(model, (3, side, side))
    expected = expected_erf(forward(Walks(graph)), main_output(graph))
    assert expected.energy is not None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sampled = monte_carlo(model, side, 100, batch=1)
    torch.set_num_threads(threads)
    theory = centred_sides(expected.energy, expected.centre, SHARES)
    assert theory == pytest.approx(centred_sides(sampled.energy, expected.centre, SHARES), rel=0.05)
    assert expected.gain == pytest.approx(sampled.gain[0], rel=0.2)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (nn.Linear(9, 3), (3, 9, 9)),
        (nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Linear(9, 3)), (3, 9, 9)),
        (nn.Sequential(nn.Flatten(), nn.Linear(243, 7), nn.ReLU(), nn.Linear(7, 2)), (3, 9, 9)),
        (
            nn.Sequential(nn.Conv1d(3, 8, 3), nn.Flatten(), nn.Linear(240, 5), nn.ReLU(), nn.Linear(5, 3)),
            (3, 32),
        ),
        (Vector(), (3, 32, 32)),
    ],
)
def test_every_map_on_the_way_has_figures(model: nn.Module, size: tuple[int, ...]) -> None:
    walks = Walks(capture_module(model, size))
    lens, node = Lens(walks), main_output(walks.graph)
    for origin in range(node):
        found = lens.field(node, None, origin)
        if walks.graph.nodes[origin].positions:
            assert len(found.centre) == len(walks.graph.nodes[origin].map_size)
            assert lens.used(found, coherent=True).known
