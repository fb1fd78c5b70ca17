"""Boxes that are kept in parts: worked out or not, every unit has the same one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.analyses.fields import visible
from archlens.analyses.fields.visible import Box, Hull, boxes
from archlens.capture.run import capture_module
from archlens.findings.comparison import compared
from archlens.graph import Graph
from archlens.pipeline import describe
from archlens.render.page import units
from archlens.render.page.page import html


class Windowed(nn.Module):
    """Attention within padded windows, by hand: scores, a mask, a softmax over the keys; a rest beside it."""

    def __init__(self, masked: bool, window: int = 5, heads: int = 2) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.qkv = nn.Linear(8, 24)
        self.score = nn.Conv2d(8, 4, 3, padding=1)
        self.masked, self.window, self.heads = masked, window, heads

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        n, c, h, w = x.shape
        s = self.window
        down, right = -h % s, -w % s
        y = F.pad(x, (0, right, 0, down)).permute(0, 2, 3, 1)
        rows, columns = y.shape[1] // s, y.shape[2] // s
        y = y.reshape(n, rows, s, columns, s, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, s * s, c)
        q, k, v = self.qkv(y).reshape(-1, s * s, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * 0.5
        if self.masked:
            later = torch.ones(s * s, s * s, device=x.device).triu(1).bool()
            scores = scores.masked_fill(later, float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, rows, columns, s, s, c)
        y = y.permute(0, 5, 1, 3, 2, 4).reshape(n, c, rows * s, columns * s)[:, :, :h, :w]
        return torch.as_tensor(self.score(x + y))


def graph_of(masked: bool = False) -> Graph:
    return capture_module(Windowed(masked).eval(), ((3, 31, 45),))


def known(found: list[Box | None], graph: Graph) -> list[list[np.ndarray]]:
    """(lo, hi) per axis of every unit, whole; empty units all alike."""
    out = []
    for node in graph.nodes:
        box = found[node.id]
        assert box is not None
        ends = [np.broadcast_to(a, node.shape) for a in (*box.lo, *box.hi)]
        empty = np.any([a > b for a, b in zip(ends[:2], ends[2:], strict=True)], axis=0)
        out.append([np.where(empty, -1, a) for a in ends])
    return out


@pytest.mark.parametrize("masked", [False, True])
def test_hulls_in_parts_are_those_worked_out(masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(masked)
    whole = boxes(graph)
    assert not any(isinstance(box, Hull) for box in whole)
    monkeypatch.setattr(visible, "MOST", 1000)
    parts = boxes(graph)
    kept = [n.op for n in graph.nodes if isinstance(parts[n.id], Hull)]
    assert "matmul" in kept
    assert "softmax" not in kept  # all keys of a window, whatever the query; a mask leaves each pair its own
    for a, b in zip(known(whole, graph), known(parts, graph), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    for node in graph.nodes:
        for unit in ((0,) * len(node.positions), node.middle, tuple(n - 1 for n in node.map_size)):
            one, other = whole[node.id], parts[node.id]
            assert one is not None
            assert other is not None
            assert one.unit(node, unit) == other.unit(node, unit)


def test_a_page_leaves_out_units_that_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores have too many; the layers around them are listed as they were."""
    report = describe(graph_of(), "net", "net")
    before = units.intervals(report)
    assert "many" not in before["layers"]
    monkeypatch.setattr(units, "MOST", 20_000)
    after = units.intervals(report)
    left = [row.op for row, pairs in zip(report.layers, after["layers"], strict=True) if pairs == "many"]
    assert set(left) == {"matmul", "reshape", "mul"}
    assert sum(pairs == "many" for pairs in after["layers"]) == 3
    for was, now in zip(before["layers"], after["layers"], strict=True):
        if now != "many":
            assert [[before["arrays"][i] for i in pair] for pair in was] == [
                [after["arrays"][i] for i in pair] for pair in now
            ]
    page = html(compared([report]), "archlens report net")
    assert "not listed: this layer has too many units" in page
