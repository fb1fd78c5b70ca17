"""Branches whose jumps differ: the field is the hull of theirs, position by position."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from archlens import analyze
from archlens.analyses.fields.theoretical import _follow, receptive_fields
from archlens.analyses.fields.visible import boxes, over_positions
from archlens.capture.run import capture_module, capture_spec
from archlens.spec import parse_spec
from archlens.zoo.catalogue import CATALOGUE, find


class Fpn(nn.Module):
    """A deep branch resized by size onto a shallow one."""

    def __init__(self, bins: int = 0) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(1, 2, 3, 2, 1), nn.Conv2d(2, 2, 3, 3)
        self.last, self.bins = nn.Conv2d(2, 1, 3, padding=1), bins

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        deep = F.adaptive_avg_pool2d(y, self.bins) if self.bins else self.deep(y)
        return self.last(y + F.interpolate(deep, y.shape[2:], mode="bilinear"))


@pytest.mark.parametrize("side", [64, 81, 100])
def test_sizes_are_those_of_the_boxes_away_from_the_border(side: int) -> None:
    """The boxes are walked on their own, for the one input, without any period."""
    report = analyze(Fpn(), input_size=(1, side, side))
    field = report.layer("last").rf
    assert field is not None
    assert field.kind == "varies"
    assert field.range is not None
    graph = report.graph
    node = graph.node_of("last")
    box = boxes(graph)[node.id]
    assert box is not None
    lo, hi = over_positions(box, node)[0]
    sizes = (hi - lo + 1).ravel()[6:-6]  # those at the border see less of the image
    assert field.range[0] is not None
    least, most = field.range[0]
    assert (sizes.min(), sizes.max()) == (least, most)
    assert field.size == (most, most)
    assert field.words == f"varies {least}-{most}"


def test_where_sizes_divide_there_is_a_period() -> None:
    field = analyze(Fpn(), input_size=(1, 66, 66)).layer("last").rf
    assert field is not None
    assert field.kind == "local"
    assert field.range is None


def test_bins_have_a_size_and_leave_the_finite_path_alone() -> None:
    report = analyze(Fpn(bins=4), input_size=(1, 70, 70))
    field = report.layer("last").rf
    assert field is not None
    assert field.kind == "varies"
    assert field.local is not None
    assert field.local.kind == "local"
    assert field.range is not None
    assert field.range[0] is not None
    assert field.range[0][1] > field.local.size[0]  # type: ignore[index]


@pytest.mark.parametrize(
    "name", [e.name for e in CATALOGUE if "vgg16" not in e.name or e.name.startswith("fcn")]
)
@pytest.mark.parametrize("side", [320])
def test_a_finite_path_is_at_least_that_of_each_branch(name: str, side: int) -> None:
    entry = find(name)
    size = entry.legal_sizes().nearest(side)[0]
    graph = capture_spec(parse_spec(name), (3, size, size), lambda _: None)[0]
    fields = receptive_fields(graph)
    merges = 0
    for node in graph.nodes:
        own = fields[node.id]
        if own is None or len(node.edges) < 2:
            continue
        for axis, merged in enumerate(own):
            for edge in node.edges:
                source = fields[edge.source]
                if source is None:
                    continue
                branch = _follow(graph, node, edge, source[axis], axis)
                if branch.path is not None and (merged.binned or not branch.binned):
                    assert merged.path is not None, (node.id, node.op)
                    assert merged.path.size >= branch.path.size, (node.id, node.op)
                    merges += 1
    assert merges or "vgg16" in name or "alexnet" in name  # chains merge nothing


def test_a_network_of_two_odd_resizes() -> None:
    """SegFormer's head at 321 px: four maps of unlike strides meet."""

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stages = nn.ModuleList(nn.Conv2d(1, 1, 3, 2, 1) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            maps = []
            for stage in self.stages:
                x = stage(x)
                maps.append(x)
            return sum(F.interpolate(m, maps[0].shape[2:], mode="bilinear") for m in maps)

    graph = capture_module(Head(), (1, 321, 321))
    output = next(iter(graph.outputs.values()))
    field = receptive_fields(graph)[output]
    box = boxes(graph)[output]
    assert field is not None
    assert box is not None
    lo, hi = over_positions(box, graph.nodes[output])[0]
    sizes = np.unique((hi - lo + 1).ravel()[30:-30])
    assert field[0].path is not None
    assert field[0].path.size == sizes.max()
    assert min(field[0].path.sizes) <= sizes.min()
