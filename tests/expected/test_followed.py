"""Networks in whose sums, products and pools the parts depend on each other, against samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from erf_nets import Headed
from monte_carlo import monte_carlo
from torch import Tensor, nn

from archlens.analyses.expected.field import ExpectedField, expected_erf
from archlens.analyses.expected.forward.state import Premises
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.lens import Lens
from archlens.analyses.expected.summaries import centred_sides
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module

SHARES = (0.25, 0.5, 0.75, 0.95)
W, SIDE = 32, 33
Map = Callable[[Tensor], Tensor]
Join = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small convolutions gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Do(nn.Module):
    """A function as a module."""

    def __init__(self, f: Map) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Tensor:
        return self.f(x)


class Joined(nn.Module):
    """x and f(x), put together."""

    def __init__(self, f: nn.Module, join: Join) -> None:
        super().__init__()
        self.f, self.join = f, join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.f(x))


def conv(c_in: int = W, c_out: int = W, k: int = 3, s: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, k, s, k // 2, bias=False)


def normed(c_in: int = W, s: int = 1) -> nn.Sequential:
    return nn.Sequential(conv(c_in, s=s), nn.BatchNorm2d(W))


def branch() -> nn.Sequential:
    return nn.Sequential(normed(), nn.ReLU(), normed())


def behind_stem(*parts: nn.Module, width: int = W) -> nn.Module:
    return Headed(nn.Sequential(normed(3, 2), nn.ReLU(), *parts), width)


def found(model: nn.Module, side: int = SIDE) -> ExpectedField:
    graph = capture_module(model, (3, side, side))
    return expected_erf(forward(Walks(graph), Premises(batch=4)), main_output(graph))


def agrees(model: nn.Module, rel: float = 0.05, runs: int = 60, side: int = SIDE) -> None:
    """The sides that hold shares of the energy are those of sampled networks."""
    field = found(model, side)
    assert field.energy is not None, field.reason
    sampled = monte_carlo(model, side, runs, batch=4).energy
    theory = centred_sides(field.energy, field.centre, SHARES)
    # Of a peak of one cell a per cent of the energy is several of the side.
    assert theory == pytest.approx(centred_sides(sampled, field.centre, SHARES), rel=rel, abs=0.2)


def coherent_is_told(model: nn.Module) -> None:
    lens = Lens(Walks(capture_module(model, (3, SIDE, SIDE))))
    assert lens.used(lens.field(main_output(lens.graph)), coherent=True).known


FACTORS: dict[str, Join] = {
    "add": lambda x, y: torch.add(x, y, alpha=0.1),
    "sub": lambda x, y: torch.sub(x, y, alpha=0.2),
    "lerp": lambda x, y: torch.lerp(x, y, 0.1),
    "rsub": lambda x, y: torch.rsub(0.1 * y, x, alpha=2),
}


@pytest.mark.parametrize("name", FACTORS)
def test_factors_of_a_sum_count(name: str) -> None:
    agrees(behind_stem(*(Joined(branch(), FACTORS[name]) for _ in range(4))), rel=0.07)


def test_numbers_in_a_difference_shift_the_mean() -> None:
    def mean(f: Map) -> float:
        graph = capture_module(Do(f), (3, 4, 4))
        law = forward(Walks(graph)).at(main_output(graph))
        return law.mean / law.variance**0.5

    assert mean(lambda x: 3 - x) == pytest.approx(3)
    assert mean(lambda x: x - 3) == pytest.approx(-3)
    assert mean(lambda x: torch.sub(x, 3, alpha=2)) == pytest.approx(-6)
    assert mean(lambda x: torch.add(x, 3, alpha=2)) == pytest.approx(6)
    assert mean(lambda x: torch.rsub(x, 3, alpha=2)) == pytest.approx(1.5)


OTHERS: dict[str, Join] = {
    "addcmul": lambda x, y: torch.addcmul(x, x, y),
    "addcdiv": lambda x, y: torch.addcdiv(x, x, y),
    "lerp": lambda x, y: torch.lerp(x, y, y),
    "remainder": torch.remainder,
    "floor_divide": torch.floor_divide,
    "copysign": torch.copysign,
    "atan2": torch.atan2,
    "div of a constant": lambda x, _: torch.ones(1, 1, 1, 1) / x,
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_goes_by_the_name_of_a_sum_or_a_product_has_no_rule(name: str) -> None:
    field = found(behind_stem(Joined(branch(), OTHERS[name])))
    assert field.energy is None
    assert f"({name})" in field.reason


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "leaky relu": lambda: nn.LeakyReLU(0.1),
    "elu": nn.ELU,
    "relu6": nn.ReLU6,
    "clamp": lambda: Do(lambda x: x.clamp(min=0)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_along_an_identity_go_together(name: str) -> None:
    act = ACTIVATIONS[name]
    agrees(behind_stem(*(m for _ in range(5) for m in (Joined(branch(), torch.add), act()))))


def test_a_clamp_at_zero_is_a_relu() -> None:
    sums = [
        found(behind_stem(Joined(branch(), torch.add), act(), Joined(branch(), torch.add), act())).energy
        for act in (nn.ReLU, ACTIVATIONS["clamp"])
    ]
    assert sums[0] is not None
    assert sums[0] == pytest.approx(sums[1])


def test_sums_of_three_terms_are_one_sum() -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = normed(), normed()

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x + self.a(x) + self.b(x))

    agrees(behind_stem(*(Three() for _ in range(5))))
