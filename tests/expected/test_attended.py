"""Attention: softmax weights against drawn ones, exact cases, samples of live networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from attention_nets import Mix, Segformer, Swin, Vit, WindowAttention
from erf_nets import Headed
from monte_carlo import binned, correlation, monte_carlo
from torch import Tensor, nn

from archlens.analyses.expected.backward.attention import attention
from archlens.analyses.expected.backward.walk import walk_back, zero_lag
from archlens.analyses.expected.coherent import respond
from archlens.analyses.expected.field import branch_shares, delta, expected_erf
from archlens.analyses.expected.forward import softmax
from archlens.analyses.expected.forward.attending import attended
from archlens.analyses.expected.forward.attention import found
from archlens.analyses.expected.forward.state import Forward
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.lens import Lens
from archlens.analyses.expected.shares import expected_shares
from archlens.analyses.expected.summaries import centred_sides
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import main_output
from archlens.capture.run import capture_module

SHARES = (0.25, 0.5, 0.75, 0.95)
Floats = np.ndarray


# ------------------------------------------------------------------ the weights


def drawn(scores: Floats) -> Floats:
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


@pytest.mark.parametrize(("keys", "variance"), [(2, 4.0), (16, 4.0), (64, 1.0), (64, 9.0), (256, 4.0)])
def test_moments_of_the_weights_are_those_of_drawn_ones(keys: int, variance: float) -> None:
    rng = np.random.default_rng(0)
    a = drawn(np.sqrt(variance) * rng.normal(size=(20000, keys)))
    p2, p3 = (a**2).sum(1), (a**3).sum(1)
    found = softmax.weights(variance, keys, 10**9)
    assert found.same == pytest.approx(p2.mean(), rel=0.02)
    assert found.spread == pytest.approx((p2 - 2 * p3 + p2**2).mean(), rel=0.03)
    assert found.spread_keys == pytest.approx(found.spread, rel=1e-6)
    assert found.lean == 0


def test_two_keys_are_a_logistic_function() -> None:
    # A = 1 / (1 + exp(l' - l)), and l' - l has twice the variance.
    z = np.linspace(-9, 9, 4001)
    mass = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
    a = 1 / (1 + np.exp(np.sqrt(2 * 3.0) * z))
    found = softmax.weights(3.0, 2, 10**9)
    assert found.same == pytest.approx(2 * (mass * a**2).sum(), rel=1e-4)
    assert found.spread == pytest.approx((mass * 4 * (a * (1 - a)) ** 2).sum(), rel=1e-3)
    # Two queries whose scores agree by half.
    u = np.sqrt(0.5) * z
    given = (mass / (1 + np.exp(np.sqrt(6.0) * (u[:, None] + u[None])))).sum(1)
    pair = softmax.Weights.pair(found, np.array([0.5]))[0]
    hit = 2 * (mass * given**2).sum()  # sum over the keys of E A A'
    assert pair == pytest.approx(hit / (1 - hit), rel=0.01)


@pytest.mark.parametrize("correlation_", [0.2, 0.6, 0.9])
def test_queries_alike_weigh_alike(correlation_: float) -> None:
    rng = np.random.default_rng(1)
    n, s, r = 32, 2.0, correlation_
    shared = rng.normal(size=(20000, n))
    one, two = (
        drawn(s * (np.sqrt(r) * shared + np.sqrt(1 - r) * rng.normal(size=shared.shape))) for _ in range(2)
    )
    hit = (one * two).sum(1).mean()
    ratio = hit / ((1 - hit) / (n - 1))  # of E A_j A'_j to that of two keys
    assert softmax.weights(s * s, n, 10**9).pair(np.array([r]))[0] == pytest.approx(ratio, rel=0.04)


def test_steep_scores_choose_one_key_and_flat_ones_none() -> None:
    assert softmax.weights(1e-12, 49, 32).same == pytest.approx(1 / 49)
    assert softmax.weights(400.0, 49, 32).same == pytest.approx(0.87, abs=0.05)
    assert softmax.weights(4.0, 1, 32).same == 1


@pytest.mark.parametrize(("width", "heads", "tokens"), [(64, 4, 64), (128, 4, 256)])
def test_tokens_of_few_directions(width: int, heads: int, tokens: int) -> None:
    """One attention over normalised random tokens, with its gradients."""
    g = torch.Generator().manual_seed(0)
    d, rows = width // heads, []
    for _ in range(40):
        x = F.layer_norm(torch.randn(tokens, width, generator=g), (width,))
        made = [x @ torch.randn(width, width, generator=g) * (2 / width) ** 0.5 for _ in range(3)]
        q, k, v = (m.reshape(tokens, heads, d).transpose(0, 1).clone().requires_grad_() for m in made)
        a = (q @ k.transpose(1, 2) / d**0.5).softmax(-1)
        out = a @ v
        unit = out[:, tokens // 2] * torch.randn(heads, d, generator=g) / width**0.5
        grads = torch.autograd.grad(unit.sum(), [q, k, v])
        rows.append([float((a.detach() ** 2).sum(-1).mean()), float((out.detach() ** 2).mean())]
                    + [float((x**2).sum()) for x in grads])  # fmt: skip
    same, second, query, key, value = np.mean(rows, axis=0)
    found = softmax.weights(4.0, tokens, d, width)
    assert found.same == pytest.approx(same, rel=0.05)
    assert 2 * (found.same + found.lean) == pytest.approx(second, rel=0.05)
    assert found.same == pytest.approx(value, rel=0.2)  # of one query a head: few draws
    assert 4 * found.spread == pytest.approx(query, rel=0.25)
    assert 4 * found.spread_keys == pytest.approx(key, rel=0.25)


# ------------------------------------------------------------------ exact cases


def moments(model: nn.Module, side: int = 32) -> Forward:
    return forward(Walks(capture_module(model, (3, side, side))))


def uniform(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return ((q * 0.0) @ k.transpose(-2, -1)).softmax(-1) @ v


def mean(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return v.mean(2, keepdim=True).expand_as(v)


def test_scores_of_zero_are_a_mean_over_all_tokens() -> None:
    kinds = [moments(Vit(32, 2, 1, mix=mix)) for mix in (uniform, mean)]
    one, other = (expected_erf(f, main_output(f.graph)) for f in kinds)
    assert one.energy is not None
    assert other.energy is not None
    np.testing.assert_allclose(one.energy, other.energy, rtol=1e-6)
    (product,) = kinds[0].attention
    np.testing.assert_allclose(
        kinds[0].at(product).cov[1:], 2 / 16, 1e-3
    )  # the mean of 16 values, for all queries
    assert kinds[0].at(product).cov[0] == 0


def turned(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """v' A', with a softmax over the other dimension of the turned scores."""
    scores = (k * q.shape[-1] ** -0.5) @ q.transpose(-2, -1)
    return (v.transpose(-2, -1) @ scores.softmax(-2)).transpose(-2, -1)


def rows_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)
    return (v.transpose(-2, -1) @ weights.transpose(-2, -1)).transpose(-2, -1)


def einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = (torch.einsum("bhic,bhjc->bhij", q, k) / q.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("bhij,bhjc->bhic", weights, v)


@pytest.mark.parametrize("mix", [turned, rows_first, einsum])
def test_attention_is_the_same_however_it_is_written(mix: Mix) -> None:
    kinds = [moments(Vit(32, 2, 2, mix=m)) for m in (None, mix)]
    one, other = (expected_erf(f, main_output(f.graph)) for f in kinds)
    assert one.energy is not None
    assert other.energy is not None
    np.testing.assert_allclose(one.energy, other.energy, rtol=1e-6)
    assert one.gain == pytest.approx(other.gain, rel=1e-6)
    region = np.zeros((32, 32), bool)
    region[:8] = True
    heard = [respond(f, main_output(f.graph), (2, 2), [region], 0, {})[0] for f in kinds]
    assert heard[0] == pytest.approx(heard[1], rel=1e-6)


def test_what_values_queries_and_keys_get() -> None:
    fwd = moments(Vit(32, 2, 1))
    ((n, part),) = fwd.attention.items()
    node = fwd.graph.nodes[n]
    energy = np.zeros((2, 16, 1))
    energy[1, 5] = 3.0
    does = attended(fwd, node, part)
    query, key, value = (
        b[zero_lag(fwd.graph.nodes[s])]
        for b, s in zip(attention(fwd, node, part, {zero_lag(node): energy}), part.sources, strict=True)
    )
    assert query.sum() == pytest.approx(query[..., 5, :].sum()) == pytest.approx(query.max())
    assert value.sum() == pytest.approx(
        energy.sum() * does.same / 2
    )  # mean over the heads, which are channels
    assert key.sum() == pytest.approx(energy.sum() * does.key * 16 / 2)
    assert np.ptp(value) == 0 == np.ptp(key)


@pytest.mark.parametrize("build", [lambda: Vit(32, 2, 2), lambda: Swin(16, 2, 4, 32), lambda: Segformer(16)])
def test_what_a_pixel_gives_to_units_is_what_they_find_there(build: Callable[[], nn.Module]) -> None:
    fwd = moments(build())
    node, pixel = main_output(fwd.graph), (9, 20)
    shares = expected_shares(fwd, node, pixel).shares
    assert shares is not None
    for unit in ((0, 0), (1, 3), (2, 2)):
        energy = expected_erf(fwd, node, unit).energy
        assert energy is not None
        assert shares[unit] == pytest.approx(energy[pixel], rel=1e-6)


def test_tokens_are_all_alike() -> None:
    fwd = moments(Vit(32, 2, 2))
    node = fwd.graph.nodes[main_output(fwd.graph)]
    units = [walk_back(fwd, {node.id: delta(node, (i, j))}, 0)[0].sum() for i in (0, 3) for j in (1, 2)]
    assert units == pytest.approx([units[0]] * 4)


def test_branches_through_attention_share_the_energy() -> None:
    fwd = moments(Vit(32, 2, 1))
    graph = fwd.graph
    merge = next(n.id for n in graph.nodes if n.op == "add" and len(n.edges) == 2)
    identity, attended_ = branch_shares(fwd, merge, main_output(graph))
    assert identity.share + attended_.share == pytest.approx(1)
    assert 0.1 < attended_.share < 0.9
    whole, alone = (
        expected_erf(fwd, main_output(graph)).energy, branch_shares(fwd, merge, main_output(graph))[0].field
    )  # fmt: skip
    assert whole is not None
    assert alone is not None
    assert (alone > 0).sum() == 64  # its own patch
    assert (whole > 0).all()


class Windows(nn.Module):
    """Attention in windows of a map."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.attention = WindowAttention(16, 2, 4, shift, 8)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.attention(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


@pytest.mark.parametrize("shift", [0, 2])
def test_windows_and_their_masks_keep_energy_inside(shift: int) -> None:
    walks = Walks(capture_module(Headed(nn.Sequential(nn.Conv2d(3, 16, 1), Windows(shift)), 16), (3, 8, 8)))
    fwd = forward(walks)
    node = main_output(walks.graph)
    assert len(fwd.attention) == 1
    for unit in ((0, 0), (1, 4), (4, 4), (7, 3)):
        energy = expected_erf(fwd, node, unit).energy
        assert energy is not None
        rows, columns = (
            [i for i in range(8) if (i + 8 - shift) // 4 % 2 == (u + 8 - shift) // 4 % 2
             and (not shift or (i < 2) == (u < 2)) and (not shift or (i >= 6) == (u >= 6))]
            for u in unit
        )  # fmt: skip
        inside = np.zeros((8, 8), bool)
        inside[np.ix_(rows, columns)] = True
        assert ((energy > 0) == inside).all()


# ------------------------------------------------------------------ what has no rule


def shared(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ q.transpose(-2, -1)).softmax(-1) @ v


def rectified(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (F.relu(q) @ F.relu(k).transpose(-2, -1)) @ v


def over_channels(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return ((q.transpose(-2, -1) @ k).softmax(-1) @ v.transpose(-2, -1)).transpose(-2, -1)


def weights_alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    a = (q @ k.transpose(-2, -1)).softmax(-1)
    return a @ v + a.square()[..., : v.shape[-1]]


@pytest.mark.parametrize("mix", [shared, rectified, over_channels, weights_alone])
def test_other_mixtures_are_named_as_missing(mix: Mix) -> None:
    fwd = moments(Vit(32, 2, 1, mix=mix))
    found = expected_erf(fwd, main_output(fwd.graph))
    assert found.energy is None
    assert any(word in found.missing[0] for word in ("matmul", "softmax", "attention weights"))


def test_a_unit_among_the_weights_has_no_law() -> None:
    fwd = moments(Vit(32, 2, 1))
    inner = next(n.id for n in fwd.graph.nodes if n.op == "softmax")
    result = expected_erf(fwd, inner)
    assert result.energy is None
    assert "softmax" in result.missing[0]


def test_attention_is_found_by_its_product() -> None:
    graph = capture_module(Vit(32, 2, 2), (3, 32, 32))
    parts = found(graph)
    assert len(parts) == 2
    for n, part in parts.items():
        assert graph.nodes[n].op == "matmul"
        assert part.scale == pytest.approx(1.0)  # both factors are scaled before their product
        assert part.read < part.query < n


# ------------------------------------------------------------------ live networks


@pytest.mark.parametrize(("build", "runs"), [(Vit, 60), (Swin, 60), (Segformer, 60)])
def test_transformers_agree_with_samples(build: type[nn.Module], runs: int) -> None:
    torch.manual_seed(0)
    model = build()
    walks = Walks(capture_module(model, (3, 64, 64)))
    expected = Lens(walks).field(main_output(walks.graph))
    assert expected.energy is not None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sampled = monte_carlo(model, 64, runs, batch=2)
    torch.set_num_threads(threads)
    theory = centred_sides(expected.energy, expected.centre, SHARES)
    measured = centred_sides(sampled.energy, expected.centre, SHARES)
    assert theory == pytest.approx(measured, rel=0.12)
    assert correlation(binned(expected.energy), binned(sampled.energy)) > 0.97
    assert expected.gain == pytest.approx(sampled.gain[0], rel=0.3)
