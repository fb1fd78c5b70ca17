"""Small networks with and without a context module, and one finder's worth of everything. Plain torch.

Inputs are 65 x 65; the trunk has stride 4, so the heads read 17 x 17 cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.analyses.structure.class_score import class_score
from archlens.capture.run import capture_module
from archlens.graph import Graph
from archlens.pipeline import describe
from archlens.report import Report
from archlens.study import Study

SIDE = 65
CLASSES = 5


def conv(c_in: int, c_out: int, k: int = 3, s: int = 1, d: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the map's size is kept but for the stride."""
    layer = nn.Conv2d(c_in, c_out, k, s, d * (k - 1) // 2, d, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(c_out), nn.ReLU())


class Net(nn.Module):
    """A trunk of stride 4, a head, a classifier, and bilinear upsampling."""

    def __init__(self, head: nn.Module, width: int, w: int = 8) -> None:
        super().__init__()
        self.trunk = nn.Sequential(conv(3, w, s=2), conv(w, w, s=2), conv(w, w))
        self.head = head
        self.score = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.score(self.head(self.trunk(x)))
        return F.interpolate(out, size=x.shape[-2:], mode="bilinear", align_corners=True)


class Parallel(nn.Module):
    """Branches that are concatenated, added in a chain by `sum()`, or added two by two."""

    def __init__(self, how: str, **branches: nn.Module) -> None:
        super().__init__()
        self.how = how
        self.names = tuple(branches)
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        outs = [self.get_submodule(name)(x) for name in self.names]
        if self.how == "cat":
            return torch.cat(outs, 1)
        if self.how == "sum":
            return torch.as_tensor(sum(outs))  # 0 + a + b + ...: a chain of adds
        first = outs[0]
        for other in outs[1:]:
            first = first + other
        return first


class Pooled(nn.Module):
    """Average over `bins` x `bins` cells, a 1x1, and back to the map's size."""

    def __init__(self, bins: int, w: int = 8) -> None:
        super().__init__()
        self.pool, self.mix = nn.AdaptiveAvgPool2d(bins), conv(w, w, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.mix(self.pool(x))
        return F.interpolate(out, size=x.shape[-2:], mode="bilinear", align_corners=True)


def aspp(rates: Sequence[int] = (1, 3, 6), how: str = "cat", pooled: bool = False, w: int = 8) -> Net:
    """Dilated branches, and a pooled one."""
    branches: dict[str, nn.Module] = {f"rate{r}": conv(w, w, d=r) for r in rates}
    if pooled:
        branches["image"] = Pooled(1, w)
    return Net(Parallel(how, **branches), w * len(branches) if how == "cat" else w, w)


def ppm(bins: Sequence[int] = (1, 2, 3, 6), w: int = 8) -> Net:
    """A pyramid beside the map itself."""
    branches: dict[str, nn.Module] = {"same": nn.Identity(), **{f"bin{b}": Pooled(b, w) for b in bins}}
    return Net(Parallel("cat", **branches), w * len(branches), w)


def plain(d: int = 1, w: int = 8) -> Net:
    """One way only: a 3x3 head."""
    return Net(conv(w, w, d=d), w, w)


class _Residual(nn.Module):
    def __init__(self, w: int, blocks: int = 4) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(conv(w, w), conv(w, w)) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)  # no ReLU behind: the sums are neighbours
        return x


def residual(w: int = 8) -> Net:
    """A stack of sums, each of which depends on the one before."""
    return Net(_Residual(w), w, w)


class Skips(nn.Module):
    """A deep map joined with two finer ones: FCN's and U-Net's way."""

    def __init__(self, w: int = 8) -> None:
        super().__init__()
        self.stage1, self.stage2, self.stage3 = conv(3, w, s=2), conv(w, w, s=2), conv(w, w, s=2)
        self.score1, self.score2, self.score3 = (nn.Conv2d(w, CLASSES, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        a = self.stage1(x)
        b = self.stage2(a)
        c = self.stage3(b)
        out = self.score3(c)
        for score, finer in ((self.score2, b), (self.score1, a)):
            out = F.interpolate(out, size=finer.shape[-2:], mode="bilinear", align_corners=True)
            out = out + score(finer)
        return F.interpolate(out, size=x.shape[-2:], mode="bilinear", align_corners=True)


def graph_of(model: nn.Module, side: int = SIDE) -> Graph:
    """The captured network."""
    return capture_module(model, ((3, side, side),))


def subject(model: nn.Module, side: int = SIDE) -> Study:
    """The network under examination."""
    graph = graph_of(model, side)
    return Study(graph, class_score(graph), next(iter(graph.outputs.values())))


def report(model: nn.Module, name: str, side: int = SIDE) -> Report:
    """Its report."""
    return describe(graph_of(model, side), name, name)
