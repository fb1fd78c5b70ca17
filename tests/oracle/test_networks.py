"""Supports of the lineage's networks and of attention in shifted windows against the oracle, bit for bit."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from archlens.analyses.fields.support import support
from archlens.analyses.fields.visible import boxes
from archlens.capture.run import capture_module
from archlens.probes.verify.oracle import Oracle
from archlens.probes.verify.run import verify
from archlens.zoo.catalogue import find

# The quick ones; benchmarks/oracle_zoo.py does all.
NETWORKS = [
    ("alexnet", 227),
    ("deeplabv1", 97),
    ("deeplabv1_msc_largefov_vgg16", 97),
    ("fcn32s_alexnet", 97),
    ("fcn8s_vgg16", 33),
    ("deeplabv2_vgg16", 65),
    ("pspnet_resnet50", 65),
    ("deeplabv3plus", 65),
]


@pytest.mark.parametrize(("name", "side"), NETWORKS)
def test_supports_of_the_lineage(name: str, side: int) -> None:
    torch.set_num_threads(1)
    entry = find(name)
    size = min(entry.legal_sizes().nearest(side), key=lambda n: abs(n - side))
    with torch.device("meta"):
        oracle = Oracle(entry.build(), (1, 3, size, size))
    graph, rng = oracle.graph, random.Random(0)
    found = boxes(graph)
    nodes = [layer.output for layer in graph.layers if graph.nodes[layer.output].positions]
    asked = []
    for node in (nodes[len(nodes) // 2], nodes[-3], nodes[-1]):
        sizes = graph.nodes[node].map_size
        asked.append((node, tuple(rng.randrange(n) for n in sizes)))
    for (node, unit), there in zip(asked, oracle.supports(asked), strict=True):
        said = support(graph, node, unit)
        assert said is not None
        assert there is not None
        assert (said == there).all(), (graph.nodes[node].op, unit)
        places = np.argwhere(said)
        box = found[node]
        assert box is not None
        assert box.unit(graph.nodes[node], unit) == (
            (tuple(places.min(0)), tuple(places.max(0))) if len(places) else None
        )


class Windows(nn.Module):
    """Attention in shifted windows with the mask that Swin adds to its scores."""

    def __init__(self, size: int, shift: int) -> None:
        super().__init__()
        self.size, self.shift = size, shift
        self.qkv, self.last = nn.Linear(4, 12), nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x):
        b, c, h, w = x.shape
        n, s = self.size, self.shift
        y = torch.roll(x, (-s, -s), (2, 3)).permute(0, 2, 3, 1)
        y = y.view(b, h // n, n, w // n, n, c).transpose(2, 3).reshape(-1, n * n, c)
        area = x.new_zeros((h, w))
        count = 0
        for rows in (slice(0, -n), slice(-n, -s), slice(-s, None)):
            for cols in (slice(0, -n), slice(-n, -s), slice(-s, None)):
                area[rows, cols] = count
                count += 1
        area = area.view(h // n, n, w // n, n).transpose(1, 2).reshape(-1, n * n)
        apart = area[:, None, :] != area[:, :, None]
        mask = torch.zeros(apart.shape).masked_fill(apart, -100.0)
        q, k, v = self.qkv(y).chunk(3, -1)
        scores = q @ k.transpose(1, 2)
        scores = scores.view(b, -1, n * n, n * n) + mask[None]
        y = scores.view(-1, n * n, n * n).softmax(-1) @ v
        y = y.view(b, h // n, w // n, n, n, c).transpose(2, 3).reshape(b, h, w, c)
        return self.last(torch.roll(y, (s, s), (1, 2)).permute(0, 3, 1, 2) + x)


def test_shifted_windows_reach_their_window_and_no_further() -> None:
    net = Windows(4, 2)
    graph = capture_module(net, (4, 12, 8))
    found = verify(net, graph, units=30, macs=False)
    assert found.passed
    assert all(not c.left_out for c in found.checks)
    assert {c.bounds for c in found.checks} == {0}
