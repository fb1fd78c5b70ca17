"""Verification agrees with a right graph, and tells what is wrong with a wrong one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archlens.analyses.fields.support import support
from archlens.capture.run import capture_module
from archlens.graph import Along, Graph, Window
from archlens.probes.verify.oracle import Oracle
from archlens.probes.verify.run import verify

torch.set_num_threads(1)
NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")


class Small(nn.Module):
    """A strided, a dilated and a transposed convolution, a pool, a gate, a pyramid branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.atrous = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.pooled = nn.Conv2d(8, 8, 1)
        self.up = nn.ConvTranspose2d(8, 5, 4, stride=2, padding=1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn(self.stem(x))), 3, 1, 1)
        y = self.atrous(x)
        pooled = F.interpolate(self.pooled(F.adaptive_avg_pool2d(x, 2)), size=x.shape[2:], mode="bilinear")
        return self.up(y * torch.sigmoid(pooled) + x)


@pytest.fixture(scope="module")
def small() -> tuple[nn.Module, Graph]:
    net = Small()
    return net, capture_module(net, (3, 21, 17))


def test_a_right_graph_passes(small: tuple[nn.Module, Graph]) -> None:
    found = verify(*small, draws=2)
    assert found.passed
    checks = {c.name: c for c in found.checks}
    assert set(checks) == {"reach", "box", "support", "witness", "macs (torch)", "macs (fvcore)"}
    assert all(c.checked and not c.left_out for c in found.checks)
    assert checks["support"].checked == 12
    assert checks["witness"].checked > 1000
    assert checks["reach"].layers == len(small[1].layers) + 1


@NO_CARD
def test_a_card_says_the_same(small: tuple[nn.Module, Graph]) -> None:
    found = verify(*small, device=torch.device("cuda", 0), draws=1)
    assert found.passed
    assert found.device == "cuda:0"
    assert all(c.checked and not c.left_out for c in found.checks)


def test_rules_run_where_they_are_told(
    small: tuple[nn.Module, Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device's own context, entered on the CPU: no rule may choose a place of its own."""
    from contextlib import ExitStack

    entered = []

    def on(device: torch.device) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(device)
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        entered.append(device)
        return stack

    monkeypatch.setattr("archlens.probes.verify.oracle._on", on)
    assert verify(*small, macs=False, draws=1).passed
    assert len(entered) > 12  # the runs, and a backward pass a unit


def test_a_wrong_dilation_is_found(small: tuple[nn.Module, Graph]) -> None:
    net, graph = small
    nodes = list(graph.nodes)
    at = next(n for n in nodes if n.op == "conv2d" and n.attrs["weight"][2:] == [3, 3] and n.id > 2)
    edge = at.edges[0]
    steps = tuple(
        replace(s, geometry=Window(3, 1, 1, 1)) if isinstance(s, Along) and s.dim == 2 else s
        for s in edge.steps
    )
    nodes[at.id] = replace(at, edges=(replace(edge, steps=steps),), macs=at.macs + 1)
    found = verify(net, replace(graph, nodes=tuple(nodes)), units=20, draws=1)
    assert not found.passed
    checks = {c.name: c for c in found.checks}
    assert not checks["support"].passed
    assert not checks["macs (torch)"].passed
    assert checks["support"].wrong[0].layer in ("atrous", "mul", "add", "up")


def test_what_cannot_be_checked_is_said() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 1)

        def forward(self, x):
            return self.b(torch.fft.rfft2(self.a(x)).real)

    net = Odd()
    found = verify(net, capture_module(net, (1, 9, 9)), macs=False, draws=1)
    reach = found.checks[0]
    assert found.passed
    assert reach.checked > 0
    assert any("fft" in words for words in reach.left_out)


def test_the_oracle_from_a_layer(small: tuple[nn.Module, Graph]) -> None:
    net, graph = small
    oracle = Oracle(net, (1, 3, 21, 17))
    names = graph.layer_index
    origin, last = (graph.layers[names[n]].output for n in ("max_pool2d", "up"))
    for unit in [(0, 0), (11, 8), (21, 17)]:
        there, said = oracle.support(last, unit, origin), support(graph, last, unit, origin)
        assert there is not None
        assert said is not None
        assert (there == said).all()


def test_a_deep_chain_neither_vanishes_nor_overflows() -> None:
    net = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(150)))
    oracle = Oracle(net, (1, 4, 305, 3))
    lit = oracle.support(len(oracle.graph.nodes) - 1, (152, 1))
    assert lit is not None
    assert np.argwhere(lit)[:, 0].min() == 2
    assert np.argwhere(lit)[:, 0].max() == 302
