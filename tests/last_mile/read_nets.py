"""Small networks whose every figure is worked out by hand. Inputs, kernels and strides differ along the axes,
so that nothing that swaps them goes unseen."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.pipeline import analyze
from archlens.report import Report


class Uneven(nn.Module):
    """A chain of four convolutions on 3 x 40 x 64."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, (3, 5), (2, 1), (1, 2))
        self.down = nn.Conv2d(4, 4, 3, 2, 1)
        self.wide = nn.Conv2d(4, 6, 3, 1, 2, 2)
        self.score = nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.wide(self.down(self.stem(x))))  # type: ignore[no-any-return]


IMAGE = (40, 64)
LAYERS = ("stem", "down", "wide", "score")
MACS = {"stem": 230_400, "down": 46_080, "wide": 69_120, "score": 9_600}  # 20x64x4x45, 10x32x4x36, ...
PARAMS = {"stem": 184, "down": 148, "wide": 222, "score": 35}
BYTES = {"stem": 20_480, "down": 5_120, "wide": 7_680, "score": 6_400}
SHAPES = {"stem": (4, 20, 64), "down": (4, 10, 32), "wide": (6, 10, 32), "score": (5, 10, 32)}
FIELDS = {"stem": (3, 5), "down": (7, 7), "wide": (23, 15), "score": (23, 15)}
JUMPS = {"stem": (2, 1), "down": (4, 2), "wide": (4, 2), "score": (4, 2)}
STARTS = {"stem": (-1, -2), "down": (-3, -3), "wide": (-11, -7), "score": (-11, -7)}
SEEN = {  # (top, left, bottom, right) of the centre unit, (10, 32) of the stem and (5, 16) after it
    "stem": (19, 30, 21, 34),
    "down": (17, 29, 23, 35),
    "wide": (9, 25, 31, 39),
    "score": (9, 25, 31, 39),
}
TOTAL_MACS, TOTAL_PARAMS, PEAK = 355_200, 589, 51_200  # the peak: the image, 30,720 bytes, and the stem's map


def touched(unit: int, axis: int) -> set[int]:
    """Rows (0) or columns (1) that a unit of the scores reads, window by window; the padding is not there."""
    maps, windows = ((10, 20, 40), (32, 64, 64))[axis], ((2, 3), (1, 5))[axis]
    read = {t for t in (unit - 2, unit, unit + 2) if 0 <= t < maps[0]}
    read = {2 * r + t for r in read for t in (-1, 0, 1) if 0 <= 2 * r + t < maps[1]}
    stride, kernel = windows
    steps = range(-(kernel // 2), kernel // 2 + 1)
    return {stride * r + t for r in read for t in steps if 0 <= stride * r + t < maps[2]}


def seen_of(row: int, column: int) -> tuple[int, int, int, int]:
    """What a unit of the scores sees: (top, left, bottom, right)."""
    rows, columns = touched(row, 0), touched(column, 1)
    return min(rows), min(columns), max(rows), max(columns)


class Head(nn.Module):
    """Three windows and the whole map, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(8, 6, 1)
        self.near = nn.Conv2d(8, 6, 3, 1, 2, 2)
        self.far = nn.Conv2d(8, 6, 3, 1, 4, 4)
        self.image = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 6, 1))

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.interpolate(self.image(x), size=x.shape[-2:], mode="bilinear", align_corners=False)
        return torch.cat([self.one(x), self.near(x), self.far(x), pooled], 1)


class Branched(nn.Module):
    """A context module on a map of 12 x 20 of an image of 48 x 80."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(3, 8, 3, 4, 1)
        self.head = Head()
        self.score = nn.Conv2d(24, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.score(self.head(self.trunk(x)))
        return F.interpolate(scores, size=x.shape[-2:], mode="bilinear", align_corners=False)


READ = {  # cells of the map that the centre unit, (6, 10), reads through each branch
    "one": {(6, 10)},
    "near": {(r, c) for r in (4, 6, 8) for c in (8, 10, 12)},
    "far": {(r, c) for r in (2, 6, 10) for c in (6, 10, 14)},
    "image": {(r, c) for r in range(12) for c in range(20)},
}
BRANCHED_MACS = {"trunk": 51_840, "head": 11_520 + 2 * 103_680 + 48, "score": 28_800}


class Repeated(nn.Module):
    """Five blocks, the last four alike: each adds two pixels to the field."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), *(nn.Conv2d(6, 6, 3, 1, 1) for _ in range(4)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)  # type: ignore[no-any-return]


def uneven() -> Report:
    """Its report."""
    return analyze(Uneven(), (3, *IMAGE))


def branched() -> Report:
    """Its report."""
    return analyze(Branched(), (3, 48, 80))


def branched_small() -> Report:
    """The same on the image of the others, for comparisons: a map of 10 x 16."""
    return analyze(Branched(), (3, *IMAGE))


def repeated() -> Report:
    """Its report."""
    return analyze(Repeated(), (3, 24, 36))


class Broad(nn.Module):
    """One wide window, cut at the borders; then the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 4, (21, 41), 4, (10, 20))
        self.score = nn.Conv2d(4, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.wide(x))  # type: ignore[no-any-return]


def broad_share(row: int, column: int) -> float:
    """What a unit of its scores sees of the image of 40 x 64."""
    rows = min(4 * row + 10, 39) - max(4 * row - 10, 0) + 1
    columns = min(4 * column + 20, 63) - max(4 * column - 20, 0) + 1
    return rows * columns / (40 * 64)


def broad() -> Report:
    """Its report."""
    return analyze(Broad(), (3, *IMAGE))
