"""The gradient field: exact where it is known by hand, unbiased where drawn, honest where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from probe_nets import CPU, chain, save, uniform
from torch import Tensor, nn

from archlens.analyses.expected.field import expected_erf
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.expected.summaries import summarise
from archlens.analyses.fields.walks import Walks
from archlens.errors import DeviceError, LayerError, UsageError
from archlens.probes.erf import weights
from archlens.probes.erf.energy import Probe
from archlens.probes.erf.gradient import GradientField, over_images, over_weights
from archlens.probes.images import Preprocessing
from archlens.probes.network import Network

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")


@pytest.fixture
def photos(tmp_path):  # type: ignore[no-untyped-def]
    for i in range(4):
        save(torch.randint(0, 256, (3, 24, 30), dtype=torch.uint8), tmp_path / f"{i}.png")
    return sorted(tmp_path.glob("*.png"))


def test_a_linear_net_has_its_kernel_squared(photos: list) -> None:
    conv = nn.Conv2d(3, 6, 5, padding=2)
    live = Network(nn.Sequential(conv), (3, 17, 17), CPU, dtype=torch.float64)
    expected = np.zeros((17, 17))
    expected[3:8, 6:11] = conv.weight.detach().double().square().sum(1).mean(0).numpy()
    found = over_images(live, "0", photos, (5, 8), draws=6)  # all six channels, each by itself
    np.testing.assert_allclose(found.map, expected / expected.sum(), rtol=1e-6, atol=1e-12)
    assert found.total.value == pytest.approx(expected.sum())
    assert found.total.error == pytest.approx(0, abs=1e-9)
    assert found.centre == (5, 8)
    assert found.known
    assert (found.runs, found.dead, found.overflown) == (4, 0, 0)
    one = over_images(live, "0", photos, (5, 8), channel=2)
    expected[3:8, 6:11] = conv.weight.detach().double()[2].square().sum(0).numpy()
    np.testing.assert_allclose(one.map, expected / expected.sum(), rtol=1e-6, atol=1e-12)


def test_signs_are_unbiased_and_a_plain_sum_is_not() -> None:
    """Channels that agree: the gradient of their sum would be C times too large."""
    conv = nn.Conv2d(3, 8, 3)
    nn.init.constant_(conv.weight, 0.5)
    live = Network(nn.Sequential(conv), (3, 9, 9), CPU)
    probe = Probe(live, "0", (3, 3), None, "input", 1, False, 0)
    maps = np.array([m for _ in range(50) for m in probe.maps(torch.randn(40, 3, 9, 9), alone=False)])
    totals = maps.sum((1, 2))
    error = totals.std() / math.sqrt(len(totals))
    assert totals.mean() == pytest.approx(27 * 0.25, abs=4 * error)
    assert error < 0.3


def test_an_inner_origin() -> None:
    live = Network(chain(), (3, 20, 20), CPU)
    found = over_weights(live, "6", origin="3", runs=4)
    assert found.map.shape == (20, 20)
    assert found.map.sum() == pytest.approx(1)
    # A 3x3 over a 2x2 pool reads 6x6 of the convolution before.
    ys, xs = np.nonzero(found.map)
    assert (np.ptp(ys), np.ptp(xs)) <= (5, 5)
    assert found.centre == (10.5, 10.5)


def test_random_weights_agree_with_the_closed_form() -> None:
    live = Network(chain(), (3, 25, 25), CPU)
    expected = expected_erf(forward(Walks(live.graph)), live.node("6").id)
    assert expected.energy is not None
    summary = summarise(expected.energy, expected.centre)
    found = over_weights(live, "6", runs=30, draws=5, seed=3)
    for share, side in summary.sides.items():
        figure = found.sides[share]
        assert figure.error < 0.08
        assert figure.value == pytest.approx(side, abs=max(4 * figure.error, 0.02 * side))
    assert np.corrcoef(found.map.ravel(), expected.energy.ravel())[0, 1] > 0.99


def test_batch_statistics_count_only_an_images_own_gradient() -> None:
    """With two images and one batch norm over 1x1 maps the gradient is zero: y is +-1 whatever x is."""
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4, eps=1e-12))
    live = Network(net, (3, 6, 6), CPU, dtype=torch.float64)
    frozen = over_weights(live, "2", runs=3)
    assert frozen.total.value > 1e-3
    batch = over_weights(live, "2", runs=3, batch_norm="batch", batch_size=2)
    assert batch.total.value < 1e-12
    assert any("8 values" in n for n in frozen.notes)


def test_dead_units_are_counted(photos: list) -> None:
    net = uniform()
    nn.init.constant_(net[0].bias, -1e9)  # type: ignore[arg-type]
    live = Network(net, (3, 17, 17), CPU)
    found = over_images(live, "1", photos)
    assert not found.known
    assert (found.dead, found.runs, found.off) == (4, 4, 1.0)
    assert np.isnan(found.map).all()
    assert math.isnan(found.sides[50].value)
    assert any("dead in 4 of 4" in n for n in found.notes)


class Fickle(nn.Module):
    """The second image of a batch overflows, the third is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)
        self.register_buffer("scale", torch.tensor([1.0, float("inf"), 0.0, 1.0]).view(4, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) * self.scale[: x.shape[0]]


def test_overflow_is_reported_and_not_averaged(photos: list) -> None:
    live = Network(Fickle(), (3, 9, 9), CPU)
    found = over_images(live, "mul", photos)
    assert (found.runs, found.dead, found.overflown) == (3, 1, 1)
    assert found.known
    assert np.isfinite(found.total.value)
    assert any("1 of 4 runs had an infinite" in n for n in found.notes)
    # The dead image counts with its zero energy: two of three have the kernel's.
    kernel = live.model.conv.weight.double().square().sum() / 2
    assert found.total.value == pytest.approx(float(kernel) * 2 / 3, rel=1)


def test_seed_and_progress() -> None:
    live = Network(chain(), (3, 16, 16), CPU)
    seen: list[tuple[int, int]] = []

    def run(seed: int) -> GradientField:
        return over_weights(live, "6", runs=3, seed=seed, progress=lambda a, b: seen.append((a, b)))

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first.map, again.map)
    assert not np.array_equal(first.map, other.map)
    assert seen[:3] == [(1, 3), (2, 3), (3, 3)]
    single = over_weights(live, "6", runs=1)
    assert math.isnan(single.far.error)
    assert math.isfinite(single.far.value)


def test_mixed_precision_agrees_within_its_error() -> None:
    live = Network(chain(), (3, 24, 24), CPU)
    mixed = over_weights(live, "6", runs=20, mixed=True)
    exact = over_weights(Network(chain(), (3, 24, 24), CPU, dtype=torch.float64), "6", runs=30)
    assert mixed.precision == "float32, bfloat16 by autocast"
    for share in mixed.sides:
        a, b = mixed.sides[share], exact.sides[share]
        assert a.value == pytest.approx(b.value, abs=2 * math.hypot(a.error, b.error))


@NO_CARD
def test_mixed_precision_on_a_card_agrees_with_float64_on_the_cpu() -> None:
    mixed = over_weights(Network(chain(), (3, 24, 24), torch.device("cuda")), "6", runs=20, mixed=True)
    exact = over_weights(Network(chain(), (3, 24, 24), CPU, dtype=torch.float64), "6", runs=30)
    for share in mixed.sides:
        a, b = mixed.sides[share], exact.sides[share]
        assert a.value == pytest.approx(b.value, abs=2 * math.hypot(a.error, b.error))


def test_wrong_use() -> None:
    live = Network(chain(), (3, 16, 16), CPU)
    with pytest.raises(LayerError, match="no channel 5"):
        over_weights(live, "6", channel=5)
    with pytest.raises(LayerError, match="does not depend"):
        over_weights(live, "0", origin="3", runs=1)
    with pytest.raises(UsageError, match="at least two"):
        over_weights(live, "6", batch_norm="batch", batch_size=1)
    with pytest.raises(UsageError, match="No images"):
        over_images(live, "6", [])


def test_out_of_memory_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    live = Network(chain(), (3, 16, 16), CPU)

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(live, "run", fail)
    with pytest.raises(DeviceError, match="ran out of memory while measuring the gradient of 6") as caught:
        over_weights(live, "6")
    assert "--batch-size" in caught.value.hint


def test_preprocessing_is_named(photos: list) -> None:
    live = Network(chain(), (3, 16, 16), CPU)
    how = Preprocessing((1.0, 2.0, 3.0), (1.0, 1.0, 1.0), True, 255.0, "mine")
    found = over_images(live, "6", photos[:1], how=how)
    assert "preprocessing: mine" in found.notes
    assert found.source == "1 image"


def test_fresh_weights() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(32, 64, 3, groups=2)
            self.up = nn.ConvTranspose2d(64, 8, 4, stride=2)
            self.fixed = nn.ConvTranspose2d(8, 8, 4, stride=2).requires_grad_(False)
            self.norm = nn.BatchNorm2d(8)
            self.scale = nn.Parameter(torch.full((1,), 7.0))

    net = Net()
    nn.init.constant_(net.norm.weight, 3.0)
    fixed = net.fixed.weight.clone()
    left = weights.draw(net, torch.Generator().manual_seed(0), {"fixed.weight", "fixed.bias"})
    assert left == ["scale"]
    assert torch.equal(net.fixed.weight, fixed)
    assert float(net.conv.weight.detach().var()) == pytest.approx(2 / (16 * 9), rel=0.05)
    assert float(net.up.weight.detach().var()) == pytest.approx(2 / (64 * 4), rel=0.1)
    assert float(net.conv.bias.detach().abs().max()) == 0
    assert net.norm.weight.tolist() == [1.0] * 8


def test_calibrated_norms_normalise() -> None:
    net = chain().eval()
    x = torch.randn(16, 3, 16, 16) * 5 + 3
    fewest = weights.calibrate(net, iter([x[:8], x[8:]]), net)
    assert fewest == 16 * 16 * 16
    with torch.no_grad():
        out = net[1](net[0](x))
    assert float(out.mean((0, 2, 3)).abs().max()) < 1e-3
    assert float((out.var((0, 2, 3)) - 1).abs().max()) < 0.02
    assert not any(m.training for m in net.modules())
