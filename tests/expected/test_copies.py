"""Norms of one image behind an operation that made neighbours alike: fewer values than cells.

Sampled once: 150 draws of weights, batches of four images of 64 px.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torch import nn

import archlens

WIDTH = 32


def made(stride: int, alike: nn.Module, norm: nn.Module) -> nn.Module:
    stem = nn.Conv2d(3, WIDTH, 3, stride, 1, bias=False)
    return nn.Sequential(stem, alike, norm, nn.ReLU(), nn.Conv2d(WIDTH, 16, 3, padding=1, bias=False))


def resize(factor: int, mode: str) -> nn.Module:
    return nn.Upsample(scale_factor=factor, mode=mode)


# Share of the energy farther than 20 px from the centre, which reaches there through the statistics alone.
FAR: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "bilinear 8": (lambda: made(8, resize(8, "bilinear"), nn.InstanceNorm2d(WIDTH)), 0.0386),
    "bilinear 2": (lambda: made(2, resize(2, "bilinear"), nn.InstanceNorm2d(WIDTH)), 0.0022),
    "nearest 4": (lambda: made(4, resize(4, "nearest"), nn.InstanceNorm2d(WIDTH)), 0.0047),
    "groups": (lambda: made(4, resize(4, "bilinear"), nn.GroupNorm(8, WIDTH)), 0.0023),
    "average pool": (lambda: made(2, nn.AvgPool2d(5, 1, 2), nn.InstanceNorm2d(WIDTH)), 0.0172),
    "none": (lambda: made(2, nn.Identity(), nn.InstanceNorm2d(WIDTH)), 0.0012),
}


@pytest.mark.parametrize("name", FAR)
def test_what_goes_through_the_statistics_counts_copies_once(name: str) -> None:
    make, sampled = FAR[name]
    found = archlens.field_map(make(), "expected", input_size=(3, 64, 64))
    away = [np.abs(np.arange(64) - round(c)) > 20 for c in found.centre]
    far = away[0][:, None] | away[1][None]
    share = float(np.asarray(found.map)[far].sum() / np.asarray(found.map).sum())
    assert share == pytest.approx(sampled, rel=0.2)
