"""Networks in whose sums, products and pools the parts depend on each other, against samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from erf_nets import Headed
from monte_carlo import monte_carlo
from torch import Tensor, nn

from archlens.analyses.expected.field import ExpectedField, expected_erf
from archlens.analyses.expected.forward.state import Premises
from archlens.analyses.expected.forward.transfer import weights
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.lens import Lens
from archlens.analyses.expected.summaries import centred_sides
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module
from archlens.errors import LayerError
from archlens.graph import Along
from archlens.unit_field.call import field_map

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


DEPENDENT: dict[str, Join] = {
    "taken back": lambda x, y: (x + y) - x,
    "four times": lambda x, y: x + x + x + x + y,
    "half and half": lambda x, y: 0.5 * x + (y - x / 4) + 0.25 * x,
}


@pytest.mark.parametrize("name", DEPENDENT)
def test_multiples_of_the_same_thing_add_up(name: str) -> None:
    agrees(behind_stem(Joined(normed(), DEPENDENT[name])), rel=0.07)


def test_a_sum_with_its_own_activation_is_a_function() -> None:
    agrees(behind_stem(*(m for _ in range(3) for m in (Do(lambda x: x + torch.relu(x)), normed()))))


UNTOLD: dict[str, tuple[Map, str]] = {
    "pool beside": (lambda x: x - F.avg_pool2d(x, 3, 1, 1), "sub of terms that depend on each other"),
    "pool times": (lambda x: x * F.avg_pool2d(x, 3, 1, 1), "mul of factors that depend on each other"),
    "shifts": (lambda x: x[:, :, 1:] + x[:, :, :-1], "add of terms that depend on each other"),
    "nothing": (lambda x: x / (x - x), "div: it divides by what may be 0"),
    "a cube": (lambda x: x**3, "pow: its slopes hang on few large values"),
    "a pole": (lambda x: x / (x + 1), "div: its slopes hang on few large values"),
    "a root": (lambda x: x**0.5, "pow: its base varies"),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_depends_on_each_other_otherwise_has_no_rule(name: str) -> None:
    f, why = UNTOLD[name]
    field = found(nn.Sequential(normed(3), Do(f), conv(W, 8, 1)))
    assert field.energy is None
    assert f"({why})" in field.reason


def test_values_that_grow_beyond_numbers_have_no_rule() -> None:
    def squared(x: Tensor) -> Tensor:
        for _ in range(12):
            x = x * x
        return torch.erf(x)

    assert found(nn.Sequential(conv(3), Do(squared), conv(W, 8, 1))).energy is None


class Excited(nn.Module):
    """Squeeze and excitation: a gate with random layers."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), conv(W, 8, 1), nn.ReLU(), conv(8, W, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def halves(x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    return a * torch.tanh(b)


INDEPENDENT: dict[str, Callable[[], nn.Module]] = {
    "identity": branch,
    "excited": lambda: nn.Sequential(normed(), Excited()),
    "halves": lambda: nn.Sequential(conv(W, 2 * W), nn.BatchNorm2d(2 * W), Do(halves), conv()),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_a_random_layer_or_other_channels_make_independent(name: str) -> None:
    make = INDEPENDENT[name]
    agrees(behind_stem(*(Joined(make(), torch.add) for _ in range(3))))


BY_HAND: dict[str, tuple[Map, Callable[[], nn.Module]]] = {
    "silu": (lambda x: x * torch.sigmoid(x), nn.SiLU),
    "hardswish": (lambda x: x * F.relu6(x + 3) / 6, nn.Hardswish),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), nn.Mish),
    "gelu": (lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), nn.GELU),
    "softsign": (lambda x: x / (1 + x.abs()), nn.Softsign),
    "gelu by tanh": (
        lambda x: 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3))),
        lambda: nn.GELU(approximate="tanh"),
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_activations_written_by_hand_are_the_same(name: str) -> None:
    f, act = BY_HAND[name]
    fields = [
        found(behind_stem(*(m for _ in range(3) for m in (Joined(branch(), torch.add), make()))))
        for make in (act, lambda: Do(f))
    ]
    assert fields[0].energy is not None
    assert fields[1].energy == pytest.approx(fields[0].energy, abs=1e-6)
    assert fields[1].gain == pytest.approx(fields[0].gain, rel=1e-4)


def test_a_square_is_a_function() -> None:
    parts = (nn.BatchNorm2d(W), Do(lambda x: x * x), conv())
    agrees(behind_stem(*(Joined(nn.Sequential(*parts), torch.add) for _ in range(2))), rel=0.1)


def test_what_lies_within_a_function_cannot_be_looked_at_from_behind() -> None:
    graph = capture_module(behind_stem(Do(lambda x: x * torch.sigmoid(x))), (3, SIDE, SIDE))
    inner = next(n.id for n in graph.nodes if n.op == "sigmoid")
    field = expected_erf(forward(Walks(graph)), main_output(graph), origin=inner)
    assert field.energy is None
    assert "part of what is followed as one" in field.reason


POOLS: dict[str, Callable[[], nn.Module]] = {
    "stride 1": lambda: nn.Sequential(*(nn.MaxPool2d(5, 1, 2) for _ in range(2))),
    "stride 2": lambda: nn.Sequential(*(nn.MaxPool2d(3, 2, 1) for _ in range(2))),
}


@pytest.mark.parametrize("name", POOLS)
def test_a_max_pool_of_a_max_pool_is_one(name: str) -> None:
    agrees(behind_stem(POOLS[name]()), side=49)


class Convolved(nn.Module):
    """A depthwise kernel that is no parameter."""

    def __init__(self, kernel: list[list[float]], up: bool = False) -> None:
        super().__init__()
        self.kernel: Tensor
        self.up = up
        self.register_buffer("kernel", torch.tensor(kernel).repeat(W, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        move = F.conv_transpose2d if self.up else F.conv2d
        return move(x, self.kernel, None, 2, 1, groups=W)


LINE = [1.0, 3.0, 3.0, 1.0]
BINOMIAL = [[a * b / 64 for a in LINE] for b in LINE]


@pytest.mark.parametrize("up", [False, True])
def test_a_blur_has_its_own_weights(up: bool) -> None:
    agrees(behind_stem(Convolved(BINOMIAL, up), normed(), nn.ReLU()))


@pytest.mark.parametrize("kernel", [[[0.0, 1.0], [1.0, 1.0]], [[1.0, -1.0]]])
def test_other_constant_kernels_have_no_rule(kernel: list[list[float]]) -> None:
    field = found(behind_stem(Convolved(kernel)))
    assert field.energy is None
    assert "(conv2d with constant weights)" in field.reason


def test_a_constant_matrix_has_no_rule() -> None:
    matrix = torch.randn(8, W)
    tokens = Do(lambda x: F.linear(x.flatten(2).transpose(1, 2), matrix))
    field = found(nn.Sequential(normed(3), tokens, nn.Linear(8, 4)))
    assert "(linear with constant weights)" in field.reason


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "aligned"), [(7, False), (7, True), (40, False)])
def test_antialiased_resizes_weigh_as_torch_does(mode: str, size: int, aligned: bool) -> None:
    def f(x: Tensor) -> Tensor:
        return F.interpolate(x, (size, 20), mode=mode, align_corners=aligned, antialias=True)

    graph = forward(Walks(capture_module(Do(f), (1, 20, 20)))).graph
    node = graph.nodes[main_output(graph)]
    (step,) = (s for s in node.edges[0].steps if isinstance(s, Along))
    one = torch.eye(20)[:, None, :, None].expand(20, 1, 20, 20)
    assert weights(node, step, 20).dense == pytest.approx(f(one)[:, 0, :, 0].T.numpy(), abs=1e-5)


def test_antialiased_resizes_agree_with_samples() -> None:
    def f(x: Tensor) -> Tensor:
        return F.interpolate(x, (12, 12), mode="bilinear", antialias=True)

    agrees(nn.Sequential(normed(3), nn.ReLU(), Do(f), conv(W, 16, 1)))


class Held(nn.Module):
    """A branch times a buffer."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale: Tensor
        self.f = branch()
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.scale * self.f(x)
        return out


def test_a_scale_in_a_buffer_counts() -> None:
    agrees(behind_stem(*(Held(torch.full((1, W, 1, 1), 0.1)) for _ in range(4))), rel=0.07)


def test_scales_that_differ_are_said_to_count_as_one() -> None:
    said = found(behind_stem(Held(torch.rand(1, W, 1, 1)))).assumptions
    assert any("held in buffers" in s for s in said)
    assert not any("Learned" in s for s in said)


class Loop(nn.Module):
    """One convolution, called again and again."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.f, self.calls = conv(), calls

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.calls):
            x = x + torch.relu(self.f(x))
        return x


SAID: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "more than once": (lambda: Loop(2), lambda: Loop(1)),
    "PReLU": (lambda: nn.PReLU(init=1.0), nn.LeakyReLU),
    "few inputs": (
        lambda: nn.Sequential(Joined(branch(), torch.add), nn.SiLU()),
        lambda: nn.Sequential(Joined(branch(), torch.add), nn.ReLU()),
    ),
    "squared": (lambda: Do(lambda x: torch.relu(x) ** 2), lambda: Do(lambda x: x * torch.sigmoid(x))),
}


@pytest.mark.parametrize("words", SAID)
def test_what_the_figures_do_not_know_is_said(words: str) -> None:
    with_, without = ([*found(behind_stem(make())).assumptions] for make in SAID[words])
    assert any(words in s for s in with_)
    assert not any(words in s for s in without)


def test_only_what_lies_before_the_unit_is_said() -> None:
    graph = capture_module(behind_stem(nn.PReLU()), (3, SIDE, SIDE))
    moments = forward(Walks(graph))
    first = next(n.id for n in graph.nodes if n.op == "relu")
    assert not any("PReLU" in s for s in expected_erf(moments, first).assumptions)


def test_an_output_that_depends_on_nothing_is_told() -> None:
    model = Do(lambda x: torch.ones(1, 4, 8, 8))
    with pytest.raises(LayerError, match="depends on its input"):
        field_map(model, "expected", input_size=(3, 16, 16))


def test_what_cancels_reaches_nothing() -> None:
    assert found(nn.Sequential(normed(3), Do(lambda x: x - x), conv())).reason == "nothing reaches the unit"


class Beside(nn.Module):
    """x, and a branch times a factor, side by side, and a norm of both."""

    def __init__(self, factor: float, norm: nn.Module, twice: bool = False) -> None:
        super().__init__()
        self.f, self.factor, self.norm, self.twice = normed(), factor, norm, twice

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([x, self.f(x) * self.factor], 1)
        if self.twice:
            y = torch.cat([y, self.factor**2 * x], 1)
        return torch.relu(self.norm(y))


SPLIT: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda w: nn.GroupNorm(w // 8, w),
    "instance": nn.InstanceNorm2d,
}


@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("twice", [False, True])
def test_norms_divide_each_part_of_a_concat_by_its_own_deviation(name: str, twice: bool) -> None:
    """So a part's factor changes nothing."""
    figures, far = [], []
    for factor in (1.0, 5.0):
        width = 3 * W if twice else 2 * W
        model = nn.Sequential(
            conv(3, s=2), Beside(factor, SPLIT[name](width), twice), nn.Conv2d(width, 16, 1)
        )
        lens = Lens(Walks(capture_module(model, (3, SIDE, SIDE))))
        field = lens.field(main_output(lens.graph))
        assert field.energy is not None
        figures.append(centred_sides(field.energy, field.centre, SHARES))
        far.append(lens.used(field, coherent=True).coherent_far)
        merge = next(n.id for n in lens.graph.nodes if n.op == "cat")
        shares = [s.share for s in lens.shares([(merge, 0), (merge, 1)], field.node)]
        assert sum(shares) == pytest.approx(1)
    assert figures[0] == pytest.approx(figures[1], rel=1e-3)
    assert far[0] == pytest.approx(far[1], rel=1e-3)


class Dense(nn.Module):
    """DenseNet's block."""

    def __init__(self, layers: int, growth: int) -> None:
        super().__init__()
        widths = [W + k * growth for k in range(layers + 1)]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(w), nn.ReLU(), conv(w, growth)) for w in widths[:-1]
        )
        self.norm = nn.BatchNorm2d(widths[-1])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return torch.relu(self.norm(x))


def test_dense_blocks_agree_with_samples() -> None:
    agrees(nn.Sequential(conv(3, s=2), Dense(5, 24), nn.Conv2d(W + 5 * 24, 16, 1)))
