"""Activations by row name: the right tensor, at the right moment, with autograd."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from probe_nets import CPU, Functional, chain
from torch import Tensor, nn

from archlens.errors import DeviceError, LayerError, TraceError
from archlens.probes.erf.weights import batch_statistics
from archlens.probes.network import Network
from archlens.zoo.catalogue import find


@pytest.fixture(scope="module")
def functional() -> tuple[Functional, Network]:
    torch.manual_seed(0)
    net = Functional().eval()
    return net, Network(net, (3, 9, 9), CPU)


def by_hand(net: Functional, x: Tensor) -> dict[str, Tensor]:
    out = {"input": x, "conv": net.conv(x)}
    out["act"] = F.relu(out["conv"])
    out["shared"] = net.shared(out["act"])
    out["shared:2"] = net.shared(out["shared"])
    out["drop"] = out["shared:2"]
    out["interpolate"] = F.interpolate(out["drop"], scale_factor=2, mode="bilinear")
    out["crop"] = out["interpolate"][:, :, 2:14, 3:15]
    left, right = out["crop"].chunk(2, 1)
    out["cat"] = torch.cat([right, left], 1)
    out["add"] = out["cat"] + out["crop"]
    out["add:2"] = out["add"] + 1
    out["sigmoid"] = torch.sigmoid(out["add:2"])
    return out


def test_every_row_is_the_tensor_that_the_code_makes(functional: tuple[Functional, Network]) -> None:
    net, live = functional
    x = torch.randn(2, 3, 9, 9)
    expected = by_hand(net, x)
    names = [n for n in live.layers if n in expected]
    assert set(expected) - {"input"} <= set(names)
    with torch.no_grad():
        got, start = live.run(x, ["input", *names])
    assert start is x
    for name in names:
        torch.testing.assert_close(got[name], expected[name], msg=name)


def test_results_of_one_call_are_told_apart(functional: tuple[Functional, Network]) -> None:
    net, live = functional
    x = torch.randn(1, 3, 9, 9)
    left, right = by_hand(net, x)["crop"].chunk(2, 1)
    pieces = [n for n in live.layers if live.node(n).shape == (1, 4, 12, 12)]
    assert len(pieces) == 2
    with torch.no_grad():
        got, _ = live.run(x, pieces)
    torch.testing.assert_close(got[pieces[0]], left)
    torch.testing.assert_close(got[pieces[1]], right)


def test_gradients_survive_work_in_place(functional: tuple[Functional, Network]) -> None:
    """`conv` is overwritten by its ReLU; its own gradient is the convolution's all the same."""
    net, live = functional
    x = torch.randn(1, 3, 9, 9, requires_grad=True)
    got, start = live.run(x, ["conv", "add"])
    (g,) = torch.autograd.grad(got["conv"][0, 0, 4, 4], start, retain_graph=True)
    expected = torch.zeros(3, 9, 9)
    expected[:, 3:6, 3:6] = net.conv.weight[0].detach()
    torch.testing.assert_close(g[0], expected)
    assert torch.autograd.grad(got["add"].sum(), start)[0].abs().sum() > 0


def test_an_origin_inside_the_network(functional: tuple[Functional, Network]) -> None:
    net, live = functional
    x = torch.randn(1, 3, 9, 9)
    got, start = live.run(x, ["shared:2"], "conv")
    torch.testing.assert_close(start, net.conv(x))
    (g,) = torch.autograd.grad(got["shared:2"][0, 2, 4, 4], start)
    square = net.shared.weight[:, :, 0, 0] @ net.shared.weight[:, :, 0, 0]
    on = (start[0, :, 4, 4] > 0).float()
    torch.testing.assert_close(g[0, :, 4, 4], square[2].detach() * on)


def test_the_model_given_is_left_alone() -> None:
    net = chain().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    live = Network(net, (3, 16, 16), CPU)
    with batch_statistics(live.model):
        live.run(torch.randn(2, 3, 16, 16), ["6"])
    assert all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    state = live.model.state_dict()
    assert torch.equal(state["1.running_mean"], before["1.running_mean"])


@pytest.mark.parametrize("name", ["alexnet", "pspnet", "deeplabv3plus"])
def test_every_row_of_a_network_of_the_zoo(name: str) -> None:
    side = 227 if name == "alexnet" else 33
    live = Network(find(name).build(), (3, side, side), CPU)
    with torch.no_grad():
        got, _ = live.run(torch.randn(1, 3, side, side), live.layers)
    for layer in live.graph.layers:
        assert tuple(got[layer.name].shape) == live.graph.nodes[layer.output].shape


def test_only_what_is_needed_runs() -> None:
    class Trap(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not x.is_meta and x.shape[0] > 1:
                raise RuntimeError("ran to the end")
            return x

    live = Network(nn.Sequential(nn.Conv2d(3, 2, 1), Trap()), (3, 4, 4), CPU)
    got, _ = live.run(torch.randn(2, 3, 4, 4), ["0"])
    assert got["0"].shape == (2, 2, 4, 4)


def test_units_and_names_that_are_not_there(functional: tuple[Functional, Network]) -> None:
    _, live = functional
    assert live.unit("crop") == (6, 6)
    with pytest.raises(LayerError, match="12x12"):
        live.unit("crop", (12, 0))
    with pytest.raises(LayerError) as caught:
        live.node("convv")
    assert "conv" in caught.value.hint


def test_a_result_in_passing_is_refused_not_guessed() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.normalize(x, dim=1)

    live = Network(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(Inner())), (3, 5, 5), CPU)
    x = torch.randn(1, 3, 5, 5)
    last = live.graph.layers[-1].name
    torch.testing.assert_close(live.run(x, [last])[0][last], live.model(x))

    class Composite(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.normalize(x, dim=1) * 2

    live = Network(Composite(), (3, 5, 5), CPU)
    norm = next(n for n in live.layers if n not in ("mul", "div") and live.node(n).shape[1] == 1)
    with pytest.raises(LayerError, match="larger call"):
        live.run(x, [norm])


def test_models_without_values_and_models_that_fail() -> None:
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(3, 2, 1))
    with pytest.raises(DeviceError, match="meta"):
        Network(net, (3, 4, 4), CPU)
    with pytest.raises(TraceError):
        Network(nn.Sequential(nn.Conv2d(4, 2, 1)), (3, 4, 4), CPU)


def test_modules_that_a_layer_does_not_read(functional: tuple[Functional, Network]) -> None:
    _, live = functional
    assert live.idle("act") == {"shared", "drop"}
    assert live.idle("sigmoid") == frozenset()
    assert live.idle("conv") == {"act", "shared", "drop"}
