"""Factors that nothing is learnt in: of sums, of products, in kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.analyses.expected.field import ExpectedField, expected_erf
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module
from archlens.errors import LayerError

Join = Callable[["Joined", Tensor, Tensor], Tensor]


class Joined(nn.Module):
    """A stem, a branch, and how both are joined."""

    def __init__(self, join: Join) -> None:
        super().__init__()
        self.stem, self.branch = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 5, padding=2)
        self.last, self.join = nn.Conv2d(8, 4, 3, padding=1), join
        self.register_buffer("tenth", torch.tensor(0.1))
        self.register_buffer("tenths", torch.full((8, 1, 1), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        return self.last(torch.relu(self.join(self, x, self.branch(x))))


def field(model: nn.Module, side: int = 21) -> ExpectedField:
    graph = capture_module(model, (3, side, side))
    return expected_erf(forward(Walks(graph)), main_output(graph))


KERNEL = torch.arange(64.0).reshape(8, 8, 1, 1)


def smooth(x: Tensor) -> Tensor:
    """To a smaller size and back, antialiased."""
    return F.interpolate(F.interpolate(x, size=(9, 9), mode="bilinear", antialias=True), 21)


BY_HAND: Join = lambda _, x, y: x + 0.1 * y  # noqa: E731
SPELLINGS: dict[str, tuple[Join, Join]] = {
    "alpha": (lambda _, x, y: torch.add(x, y, alpha=0.1), BY_HAND),
    "sub": (lambda _, x, y: torch.sub(x, y, alpha=0.1), lambda _, x, y: x - 0.1 * y),
    "in place": (lambda _, x, y: x.clone().add_(y, alpha=0.1), BY_HAND),
    "lerp": (lambda _, x, y: torch.lerp(x, y, 0.1), lambda _, x, y: 0.9 * x + 0.1 * y),
    "a buffer": (lambda m, x, y: x + m.tenth * y, BY_HAND),
    "a buffer of channels": (lambda m, x, y: x + y * m.tenths, BY_HAND),
    "a division": (lambda m, x, y: x + y / (100 * m.tenth), BY_HAND),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_factor_counts_however_it_is_spelt(name: str) -> None:
    ways = [field(Joined(join)) for join in SPELLINGS[name]]
    assert ways[0].energy is not None
    assert ways[1].energy is not None
    assert ways[0].energy == pytest.approx(ways[1].energy, rel=1e-6)
    assert ways[0].gain == pytest.approx(ways[1].gain, rel=1e-6)
    without = field(Joined(lambda _, x, y: x + y))
    assert without.energy is not None
    assert np.abs(without.energy - ways[1].energy).max() > 0.1 * ways[1].energy.max()


@pytest.mark.parametrize(
    ("join", "word"),
    [
        (lambda _, x, y: torch.addcmul(x, y, y), "addcmul"),
        (lambda _, x, y: torch.lerp(x, y, torch.sigmoid(x)), "lerp"),
        (lambda _, x, y: x + y * torch.linspace(0, 1, 21), "mul by a constant map"),
        (lambda _, x, y: x + F.conv2d(y, KERNEL), "with constant weights"),
        (lambda _, x, y: x + smooth(y), "interpolate with antialiasing"),
    ],
)  # fmt: skip
def test_what_has_no_rule_is_named_as_what_it_is(join: Join, word: str) -> None:
    found = field(Joined(join))
    assert found.energy is None
    assert any(word in name for name in found.missing)


class Blurred(nn.Module):
    """A fixed kernel in a buffer, channel by channel, behind a random 1x1."""

    def __init__(self, line: Tensor, stride: int = 1) -> None:
        super().__init__()
        self.first, self.stride = nn.Conv2d(3, 6, 1), stride
        self.register_buffer("kernel", (line[:, None] * line).repeat(6, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(self.first(x), self.kernel, None, self.stride, len(self.kernel[0, 0]) // 2, 1, 6)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_fixed_kernel_is_no_random_one(stride: int) -> None:
    """The energy of a pixel is the square of the weight that it is read with."""
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    found = field(Blurred(line, stride), 13)
    assert found.energy is not None
    squares = np.outer(line**2, line**2)
    assert found.energy[4:9, 4:9] == pytest.approx(squares / squares.sum(), rel=1e-6)


def test_what_stands_for_learnt_values_is_said() -> None:
    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.PReLU(init=1.0)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.act(self.conv(x)))

    said = " ".join(field(Again(), 9).assumptions)
    assert "PReLU has its usual first slope" in said
    assert "called more than once" in said
    assert "called more than once" not in " ".join(field(Joined(BY_HAND)).assumptions)


@pytest.mark.parametrize(
    ("join", "reason"),
    [
        (lambda _, x, y: x + y / y.sum(1, keepdim=True), "its divisor comes near zero"),
        (lambda _, x, y: x + y**3, "a power of values"),
    ],
)
def test_rules_that_do_not_hold_for_the_values_are_none(join: Join, reason: str) -> None:
    found = field(Joined(join))
    assert found.energy is None
    assert reason in found.missing[0]


def test_a_square_is_a_product_with_itself() -> None:
    ways = [field(Joined(join)) for join in (lambda _, x, y: x + y**2, lambda _, x, y: x + y * y)]
    assert ways[0].energy is not None
    assert ways[0].energy == pytest.approx(ways[1].energy, rel=1e-6)


def test_a_constant_output_is_wrong_use() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.zeros_like(x)

    with pytest.raises(LayerError, match="depends on its input"):
        field(Constant())
