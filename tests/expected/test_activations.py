"""Gaussian moments of activations against torch's own functions and plain sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from archlens.analyses.expected.forward.activations import NAMES, Activation, pair, single

TORCH = {
    ("relu", ()): F.relu,
    ("relu6", ()): F.relu6,
    ("leaky_relu", (0.2,)): lambda x: F.leaky_relu(x, 0.2),
    ("elu", (0.7,)): lambda x: F.elu(x, 0.7),
    ("selu", ()): F.selu,
    ("celu", (1.3,)): lambda x: F.celu(x, 1.3),
    ("gelu", ("none",)): F.gelu,
    ("gelu", ("tanh",)): lambda x: F.gelu(x, approximate="tanh"),
    ("silu", ()): F.silu,
    ("mish", ()): F.mish,
    ("sigmoid", ()): torch.sigmoid,
    ("tanh", ()): torch.tanh,
    ("softplus", ()): F.softplus,
    ("hardswish", ()): F.hardswish,
    ("hardsigmoid", ()): F.hardsigmoid,
    ("hardtanh", (-1.0, 1.0)): F.hardtanh,
}


@pytest.mark.parametrize("key", TORCH, ids=str)
def test_values_are_torchs(key: tuple[str, tuple[float | str, ...]]) -> None:
    x = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    assert np.allclose(Activation(*key)(x.numpy()), TORCH[key](x).numpy(), atol=1e-12)


@pytest.mark.parametrize("key", TORCH, ids=str)
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (0.7, 2.5), (-1.2, 0.3)])
def test_moments_are_those_of_samples(
    key: tuple[str, tuple[float | str, ...]], mean: float, variance: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    u = (mean + variance**0.5 * torch.randn(400_000, generator=generator)).double().requires_grad_()
    value = TORCH[key](u)
    (slope,) = torch.autograd.grad(value.sum(), u)
    expected = [float(v.detach().mean()) for v in (value, value**2, slope**2)]
    assert single(Activation(*key), mean, variance) == pytest.approx(expected, rel=0.015, abs=0.004)


@pytest.mark.parametrize("name", ["relu", "hardswish", "silu"])
def test_pairs_go_from_independent_to_equal(name: str) -> None:
    f = Activation(name)
    first, second, steep = single(f, 0.3, 1.4)
    assert pair(f, 0.3, 1.4, np.array([0.0, 1.4])) == pytest.approx([first**2, second], rel=1e-3)
    assert pair(f, 0.3, 1.4, np.array([1.4]), slope=True)[0] == pytest.approx(steep, rel=2e-2)


def test_relu_pairs_follow_the_arc_cosine() -> None:
    r = 0.6  # Cho & Saul 2009: E relu(u) relu(v) = (sqrt(1 - r^2) + (pi - acos r) r) / 2 pi
    expected = (np.sqrt(1 - r * r) + (np.pi - np.arccos(r)) * r) / (2 * np.pi)
    assert pair(Activation("relu"), 0.0, 1.0, np.array([r]))[0] == pytest.approx(expected, rel=1e-6)
    on = 0.25 + np.arcsin(r) / (2 * np.pi)
    assert pair(Activation("relu"), 0.0, 1.0, np.array([r]), slope=True)[0] == pytest.approx(on, rel=1e-6)


def test_every_name_has_a_formula() -> None:
    for name in NAMES:
        assert np.isfinite(Activation(name)(np.array([0.5, 1.0]))).all()
    assert not Activation("floor").known
