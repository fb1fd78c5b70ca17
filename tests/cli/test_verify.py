"""`archlens verify`: agreement is reported, and a wrong number would be."""

from __future__ import annotations

import dataclasses
import json

import pytest

from archlens.capture import run

NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
    def forward(self, x):
        y = torch.relu(self.a(x))
        return self.b(y) + y.mean((2, 3), keepdim=True)
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    (tmp_path / "verified_net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return "verified_net.py:Net"


def test_agreement(cli, net):
    said = cli("verify", net, "--input-size", "3x17x21", "--units", "4", "--json")
    data = json.loads(said.out)
    assert said.code == 0
    assert data["passed"]
    checks = {c["name"]: c for c in data["checks"]}
    assert set(checks) == {"reach", "box", "support", "witness", "macs (torch)", "macs (fvcore)"}
    for c in checks.values():
        assert c["checked"] == c["agreed"] > 0


def test_a_wrong_field_and_a_wrong_count_are_found(cli, net, monkeypatch):
    """Capture a network with a stride that it has not, and count a product twice."""
    capture = run.capture

    def lying(*args, **kwargs):
        graph = capture(*args, **kwargs)
        nodes = list(graph.nodes)
        conv = next(n for n in nodes if n.op == "conv2d")
        (edge,) = conv.edges
        steps = tuple(
            dataclasses.replace(s, geometry=dataclasses.replace(s.geometry, padding=0)) if s.dim == 3 else s
            for s in edge.steps
        )
        edges = (dataclasses.replace(edge, steps=steps),)
        nodes[conv.id] = dataclasses.replace(conv, edges=edges, macs=2 * conv.macs)
        return dataclasses.replace(graph, nodes=tuple(nodes))

    monkeypatch.setattr(run, "capture", lying)
    said = cli("verify", net, "--input-size", "3x17x21", "--units", "3")
    assert said.code == 1
    assert "does NOT agree" in said.out
    assert "DIFFERS" in said.out
    assert "please report it" in said.out
    assert "do not agree" in said.err


def test_nothing_that_could_be_checked_is_no_disagreement(cli, net):
    with open("verified_net.py", "a") as file:
        file.write(
            "class Left(nn.Module):\n    def forward(self, x):\n        return torch.tensor(x.tolist())\n"
        )
    said = cli("verify", "verified_net.py:Left", "--input-size", "3x9x9")
    assert said.code == 1
    assert "nothing could be checked" in said.out
    assert "nothing could be checked" in said.err
    assert "agree" not in said.err


def test_a_saved_report_has_no_network(cli, net, tmp_path):
    (tmp_path / "saved.json").write_text(cli("rf", net, "--input-size", "3x9x9", "--json").out)
    said = cli("verify", "saved.json")
    assert said.code == 2
    assert "saved report" in said.err


def test_a_card_that_is_not_there(cli):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a card")
    said = cli("verify", "alexnet", "--device", "cuda")
    assert said.code == 2
    assert "CUDA was asked for" in said.err
