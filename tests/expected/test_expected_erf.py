"""The expected effective field against arithmetic that fits on paper."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.analyses.expected.coherent import respond
from archlens.analyses.expected.field import ExpectedField, branch_shares, cut, expected_erf, incoming
from archlens.analyses.expected.forward.flattening import kept
from archlens.analyses.expected.forward.state import WHITE, Premises
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.fields.taps import matrix
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module
from archlens.graph import Graph, Resize


def graph_of(model: nn.Module, *size: int) -> Graph:
    """Captured at (C, *spatial)."""
    return capture_module(model, size)


def field(model: nn.Module, *size: int, premises: Premises = WHITE) -> ExpectedField:
    """The expected field of the output's middle unit."""
    graph = graph_of(model, *size)
    out = expected_erf(forward(Walks(graph), premises), main_output(graph))
    assert not out.missing
    return out


def outer(line: list[float]) -> np.ndarray:
    """line x line, normalised."""
    v = np.array(line, float)
    return np.outer(v, v) / v.sum() ** 2


def conv(c_in: int = 4, c_out: int = 4, k: int = 3, **options: object) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, k, **options)  # type: ignore[arg-type]


def test_one_convolution_spreads_its_energy_over_its_taps() -> None:
    out = field(conv(3, 8, padding=1), 3, 9, 9)
    assert out.energy is not None
    assert np.allclose(out.energy[3:6, 3:6], 1 / 9)
    assert out.energy.sum() == pytest.approx(1)
    assert out.gain == pytest.approx(2)  # nine taps, three channels, variance 2 / 27 each
    assert out.centre == (4, 4)


def test_two_convolutions_convolve() -> None:
    out = field(nn.Sequential(conv(3, 8), conv(8, 5)), 3, 9, 9)
    assert np.allclose(out.energy[2:7, 2:7], outer([1, 2, 3, 2, 1]))
    assert out.gain == pytest.approx(4)


def test_stride_and_dilation_place_the_taps() -> None:
    out = field(nn.Sequential(conv(3, 8, stride=2), conv(8, 8, dilation=2)), 3, 11, 11)
    assert np.allclose(np.diag(out.energy) > 0, [1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1])


def test_relu_halves_and_he_doubles() -> None:
    out = field(nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 5)), 3, 9, 9)
    assert out.gain == pytest.approx(2)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_keep_the_gain(groups: int) -> None:
    out = field(nn.Sequential(conv(4, 8, 1), conv(8, 8, groups=groups)), 4, 9, 9)
    assert out.gain == pytest.approx(4)


def test_batch_norm_divides_by_the_deviation() -> None:
    model = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8))
    assert field(model, 3, 33, 33).gain == pytest.approx(1, rel=1e-4)
    assert field(model, 3, 33, 33, premises=Premises(statistics="frozen")).gain == pytest.approx(2)


def test_max_pool_gives_all_of_it_to_one_of_its_window() -> None:
    out = field(nn.MaxPool2d(2), 3, 8, 8)
    assert np.allclose(out.energy[4:6, 4:6], 1 / 4)
    assert out.gain == pytest.approx(1)


def test_average_pool_divides_twice() -> None:
    out = field(nn.AvgPool2d(2), 3, 8, 8)
    assert np.allclose(out.energy[4:6, 4:6], 1 / 4)
    assert out.gain == pytest.approx(1 / 4)


def test_runs_of_fixed_operations_are_composed_before_they_are_squared() -> None:
    out = field(nn.Sequential(nn.AvgPool2d(3, 1), nn.AvgPool2d(3, 1)), 1, 9, 9)
    line = np.array([1, 2, 3, 2, 1]) / 9
    assert np.allclose(out.energy[2:7, 2:7], outer(list(line**2)))
    assert out.gain == pytest.approx(float((line**2).sum() ** 2))


def test_two_resizes_are_composed() -> None:
    class Twice(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = F.interpolate(x, size=(12, 12), mode="bilinear")
            return F.interpolate(x, size=(20, 20), mode="bilinear")

    out = field(Twice(), 1, 7, 7)
    a = (matrix(Resize("linear"), 12, 20).dense @ matrix(Resize("linear"), 7, 12).dense)[10]
    assert np.allclose(out.energy * out.gain, np.outer(a**2, a**2))


def test_frozen_deconvolutions_interpolate() -> None:
    def up() -> nn.ConvTranspose2d:
        layer = nn.ConvTranspose2d(5, 5, 4, 2, bias=False)
        layer.weight.requires_grad_(False)
        return layer

    out = field(up(), 5, 6, 6)
    line = np.array([0.25, 0.75]) if len(np.flatnonzero(out.energy.sum(0))) == 2 else np.array([1.0])
    found = out.energy.sum(0)[out.energy.sum(0) > 0]
    assert np.allclose(np.sort(found), np.sort(line**2 / (line**2).sum()))
    learned = field(nn.ConvTranspose2d(5, 5, 4, 2, bias=False), 5, 6, 6)
    assert np.allclose(learned.energy[learned.energy > 0], 1 / 4)
    assert learned.gain == pytest.approx(2)


def test_a_max_pool_under_an_average_pool_may_pick_one_value_twice() -> None:
    out = field(nn.Sequential(nn.MaxPool2d(3, 1), nn.AvgPool2d(3, 1)), 1, 9, 9)
    windows = list(itertools.product(range(3), range(3)))
    total = 0.0
    for a, b in itertools.product(windows, windows):
        inter = max(0, 3 - abs(a[0] - b[0])) * max(0, 3 - abs(a[1] - b[1]))
        total += inter / (18 - inter) / 81
    assert out.gain == pytest.approx(total)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60_000, 1, 9, 9, generator=generator).requires_grad_()
    y = F.avg_pool2d(F.max_pool2d(x, 3, 1), 3, 1)[:, :, 2, 2].sum()
    (grad,) = torch.autograd.grad(y, x)
    sampled = (grad.double() ** 2).mean((0, 1)).numpy()
    assert np.abs(sampled / sampled.sum() - out.energy).max() < 0.004


def test_a_global_mean_spreads_over_the_map() -> None:
    out = field(nn.AdaptiveAvgPool2d(1), 3, 6, 8)
    assert np.allclose(out.energy, 1 / 48)
    assert out.gain == pytest.approx(1 / 48)


def test_adaptive_bins_and_their_resize() -> None:
    class Level(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.interpolate(F.adaptive_avg_pool2d(x, 2), size=(8, 8), mode="nearest")

    out = field(Level(), 3, 8, 8)
    assert np.allclose(out.energy[4:, 4:], 1 / 16)


def test_concatenated_branches_share_by_width() -> None:
    class Cat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.last = conv(3, 6, 1), conv(3, 2, 3, padding=1), conv(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.cat([self.a(x), self.b(x)], 1))

    graph = graph_of(Cat(), 3, 9, 9)
    merge = next(n.id for n in graph.nodes if n.op == "cat")
    a, b = branch_shares(forward(Walks(graph)), merge, main_output(graph))
    assert (a.share, b.share) == pytest.approx((0.75, 0.25))
    assert a.field is not None
    assert a.field[4, 4] == pytest.approx(1)
    assert b.field is not None
    assert np.allclose(b.field[3:6, 3:6], 1 / 9)
    assert a.far + b.far in (pytest.approx(0), pytest.approx(1))


class Sum(nn.Module):
    """Three branches added one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([conv(3, 4, padding=r, dilation=r) for r in (1, 2, 4)])

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = (b(x) for b in self.branches)
        return first + second + third


def test_a_sum_of_sums_is_one_merge() -> None:
    graph = graph_of(Sum(), 3, 17, 17)
    node = main_output(graph)
    assert len(incoming(graph, node)) == 3
    shares = branch_shares(forward(Walks(graph)), node, node)
    assert [s.share for s in shares] == pytest.approx([1 / 3] * 3)
    assert [s.far for s in shares] == pytest.approx([0, 0, 0]) or sum(s.far for s in shares) == 1


def test_shares_of_a_nested_merge_leave_out_what_goes_round_it() -> None:
    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.context, self.low, self.last = Sum(), conv(3, 4, 1), conv(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.context(x) + self.low(x))

    graph = graph_of(Decoder(), 3, 17, 17)
    layers = {layer.name: layer.output for layer in graph.layers}
    merge = layers["context.add:2"]
    shares = branch_shares(forward(Walks(graph)), merge, main_output(graph))
    assert [s.share for s in shares] == pytest.approx([1 / 3] * 3)


class Gate(nn.Module):
    """A squeeze-and-excitation gate on a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.squeeze = conv(3, 8), conv(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return y * torch.sigmoid(self.squeeze(y.mean((2, 3), keepdim=True)))


def test_a_gate_scales_and_lets_the_whole_map_through() -> None:
    out = field(Gate(), 3, 17, 17)
    assert out.energy is not None
    assert (out.energy > 0).all()
    assert out.energy[7:10, 7:10].sum() > 0.99


def test_one_and_three_dimensions() -> None:
    line = field(nn.Conv1d(3, 4, 5), 3, 11)
    assert line.energy is not None
    assert np.allclose(line.energy[3:8], 0.2)
    cube = field(nn.Sequential(nn.Conv3d(2, 4, 3), nn.MaxPool3d(2)), 2, 8, 8, 8)
    assert cube.energy is not None
    assert cube.energy.shape == (8, 8, 8)
    assert cube.energy.sum() == pytest.approx(1)


def test_a_flattened_head_reads_every_position_alike() -> None:
    out = field(nn.Sequential(conv(3, 4, 1), nn.Flatten(), nn.Linear(4 * 25, 7)), 3, 5, 5)
    assert np.allclose(out.energy, 1 / 25)
    assert out.gain == pytest.approx(4)


def test_any_node_can_be_the_origin() -> None:
    graph = graph_of(nn.Sequential(conv(3, 8, stride=2), conv(8, 5)), 3, 19, 19)
    out = expected_erf(forward(Walks(graph)), main_output(graph), origin=graph.layers[0].output)
    assert out.energy is not None
    assert out.energy.shape == (9, 9)
    assert np.allclose(out.energy[3:6, 3:6], 1 / 9)


def test_an_operation_without_a_rule_is_named_and_no_map_is_shown() -> None:
    class Soft(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = conv(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x).flatten(2).softmax(-1)

    graph = graph_of(Soft(), 3, 9, 9)
    out = expected_erf(forward(Walks(graph)), main_output(graph))
    assert out.energy is None
    assert out.missing == ("softmax (softmax)",)
    assert branch_shares(forward(Walks(graph)), main_output(graph), main_output(graph)) == []


def test_response_normalisation_hardly_changes_the_field() -> None:
    out = field(nn.Sequential(conv(3, 16), nn.ReLU(), nn.LocalResponseNorm(5), conv(16, 4)), 3, 9, 9)
    assert np.allclose(out.energy[2:7, 2:7], outer([1, 2, 3, 2, 1]), atol=1e-6)
    assert out.gain == pytest.approx(2, rel=1e-3)


def test_a_unit_outside_its_map_is_an_error() -> None:
    graph = graph_of(conv(3, 4), 3, 9, 9)
    with pytest.raises(IndexError, match="outside the map"):
        expected_erf(forward(Walks(graph)), main_output(graph), (7, 0))


def heard(
    graph: Graph,
    region: np.ndarray,
    premises: Premises = WHITE,
    only: dict[int, frozenset[int]] | None = None,
) -> tuple[float, float]:
    """The middle unit's response to a coherent change of a region, and the energy of independent ones."""
    moments, node = forward(Walks(graph), premises), main_output(graph)
    origin = graph.inputs[0]
    (response,) = respond(moments, node, graph.nodes[node].middle, [region], origin, only or {})
    found = expected_erf(moments, node)
    assert found.energy is not None
    return response, found.gain * float(found.energy[region].sum())


def test_without_pooling_a_coherent_change_is_heard_like_independent_pixels() -> None:
    model = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 8, padding=4, dilation=4))
    graph = graph_of(model, 3, 21, 21)
    response, energy = heard(graph, np.ones((21, 21), bool))
    assert response == pytest.approx(expected_erf(forward(Walks(graph)), main_output(graph)).gain)
    assert response == pytest.approx(energy)


def test_a_global_mean_hears_a_coherent_change_as_one() -> None:
    region = np.zeros((6, 6), bool)
    region[:, 3:] = True
    response, energy = heard(graph_of(nn.AdaptiveAvgPool2d(1), 1, 6, 6), region)
    assert response == pytest.approx(1 / 4)  # half of the pixels, 1/36 each, summed and squared
    assert energy == pytest.approx(18 / 36**2)


def test_coherent_responses_of_branches_add_up() -> None:
    graph, everywhere = graph_of(Sum(), 3, 17, 17), np.ones((17, 17), bool)
    edges = incoming(graph, main_output(graph))
    parts = [heard(graph, everywhere, only=cut(graph, e, edges, main_output(graph)))[0] for e in edges]
    assert parts == pytest.approx([heard(graph, everywhere)[0] / 3] * 3)


def test_regions_at_once_are_answered_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(nn.Sequential(conv(3, 8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 8)), 3, 21, 21)
    moments, node = forward(Walks(graph)), main_output(graph)
    left = np.zeros((21, 21), bool)
    left[:, :9] = True
    unit, origin = graph.nodes[node].middle, graph.inputs[0]
    together = respond(moments, node, unit, [left, ~left], origin, {})
    monkeypatch.setattr("archlens.analyses.expected.coherent.LARGE", 100)
    assert respond(moments, node, unit, [left, ~left], origin, {}) == pytest.approx(together, rel=1e-12)
    assert together[0] != pytest.approx(together[1])


def test_assumptions_are_said() -> None:
    said = " ".join(field(nn.Sequential(conv(3, 8), nn.BatchNorm2d(8)), 3, 9, 9).assumptions)
    assert "not the field of trained weights" in said
    assert "white noise" in said
    assert "Batch norm" in said


def test_batch_norm_holds_down_what_all_of_a_photograph_shares() -> None:
    model = nn.Sequential(conv(3, 64, padding=1), nn.BatchNorm2d(64))
    graph = graph_of(model, 3, 33, 33)
    region = np.ones((33, 33), bool)
    response, energy = heard(graph, region)
    assert response == pytest.approx(energy, rel=1e-3)
    response, energy = heard(graph, region, Premises(images="natural"))
    assert response < 0.8 * energy


def test_what_a_direction_keeps_of_itself_is_that_of_samples() -> None:
    lam = np.array([0.6, 0.2, 0.1, 0.05, 0.05])
    z = np.random.default_rng(0).standard_normal((400_000, 5)) ** 2
    assert kept(lam) == pytest.approx((z / (z @ lam)[:, None]).mean(0), rel=0.02)
    assert float((kept(lam) * lam).sum()) == pytest.approx(1, rel=1e-4)
