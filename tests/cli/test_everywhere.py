"""Options that go with any command, wherever they stand."""

from __future__ import annotations

import json

import pytest

from archlens import cache

NET = """
import time
import torch
from torch import nn
class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 5)
    def forward(self, x):
        return {"out": self.a(x), "aux": self.b(x)}
class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3)
    def forward(self, x, y):
        return self.a(x) + self.b(y)
def slow():
    time.sleep(60)
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "any_nets.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return "any_nets.py"


def test_an_output_by_name(cli, nets):
    def cell(*words):
        return json.loads(cli("rf", f"{nets}:Two", "--input-size", "3x16x16", "--json", *words).out)[
            "class_score"
        ]

    assert cell() == "a"
    assert cell("--output-name", "aux") == "b"
    said = cli("rf", f"{nets}:Two", "--input-size", "3x16x16", "--output-name", "auz")
    assert said.code == 2
    assert "aux" in said.err


def test_an_input_size_for_each_input(cli, nets):
    words = ("--input-size", "3x16x16", "--input-size", "1x16x16")
    assert json.loads(cli("rf", f"{nets}:Pair", *words, "--json").out)["layers"][-1]["op"] == "add"
    assert cli("rf", f"{nets}:Pair", "--input-size", "3x16x16").code == 2


def test_a_time_limit(cli, nets):
    said = cli("--timeout", "0.2", "rf", f"{nets}:slow")
    assert said.code == 2
    assert "0.2 s" in said.err
    assert cli("rf", f"{nets}:slow", "--timeout", "soon").code == 2
    assert cli("rf", "alexnet", "--timeout").code == 2


def test_no_cache_keeps_nothing(cli):
    cache.clear()
    assert cli("rf", "alexnet?groups=1", "--no-cache").code == 0
    assert cache.contents().entries == 0
    assert cli("rf", "alexnet?groups=1").code == 0
    assert cache.contents().entries == 1
