"""Very deep networks without normalisation: energies leave what numbers hold, their ratios do not."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor, nn

from archlens.analyses.expected.field import branch_shares
from archlens.analyses.expected.forward.activations import Activation, single
from archlens.analyses.expected.forward.state import Premises
from archlens.analyses.expected.lens import Lens
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module


class Scaled(nn.Module):
    """A branch beside another one, each times a number that does not change the shares."""

    def __init__(self, depth: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.layers = nn.ModuleList([nn.Conv2d(3, 3, 1) for _ in range(depth)])
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x) + self.b(x)
        for layer in self.layers:
            y = layer(y) * self.factor
        return y


@pytest.mark.parametrize("factor", [1e12, 1e-12])
def test_shape_and_shares_need_no_gain(factor: float) -> None:
    def looked_at(model: nn.Module) -> tuple[np.ndarray, list[float], Lens, int]:
        graph = capture_module(model, (3, 9, 9))
        lens, node = Lens(Walks(graph)), main_output(graph)
        energy = lens.field(node).energy
        assert energy is not None
        merge = next(n.id for n in graph.nodes if n.op == "add")
        return energy, [s.share for s in branch_shares(lens.moments, merge, node)], lens, node

    energy, shares, *_ = looked_at(Scaled(5, 1.0))
    scaled, same, lens, node = looked_at(Scaled(11, factor))
    assert scaled == pytest.approx(energy, rel=1e-9)
    assert same == pytest.approx(shares, rel=1e-9)
    assert lens.use(node).sides is not None


def test_what_overflows_is_unknown_and_named() -> None:
    model = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(300)])
    graph = capture_module(model, (3, 8, 8))
    lens, node = Lens(Walks(graph), Premises(gain=20.0)), main_output(graph)
    use = lens.used(lens.field(node), coherent=True)
    assert not use.known
    assert "its values grow beyond numbers" in use.reason


def test_slopes_of_huge_values() -> None:
    for scale in (1.0, 1e6, 1e20, 1e60):
        slope = single(Activation("gelu"), 0.0, scale**2)[2]
        assert 0.4 < slope < 0.55
