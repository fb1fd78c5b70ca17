"""Operations in a few characters."""

import pytest
from torch import nn
from torch.nn import functional as F

from archlens import analyze
from archlens.render.operations import operation
from archlens.render.text.layers import summary_table


class Resized(nn.Module):
    """A resize of three kinds."""

    def __init__(self, **how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return F.interpolate(x, scale_factor=2, **self.how)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Conv2d(4, 8, 3), "conv 3x3"),
        (nn.Conv2d(4, 8, (1, 3), stride=(1, 2)), "conv 1x3 s1x2"),
        (nn.Conv2d(4, 8, 3, dilation=12, padding=12, stride=2), "conv 3x3 d12 s2"),
        (nn.Conv2d(4, 4, 3, groups=4), "dwconv 3x3"),
        (nn.Conv2d(4, 8, 3, groups=2), "grouped conv 3x3"),
        (nn.ConvTranspose2d(4, 8, 4, stride=2), "deconv 4x4 s2"),
        (nn.MaxPool2d(3, 2), "max 3x3 s2"),
        (nn.AvgPool2d(2), "avg 2x2 s2"),
        (nn.AdaptiveAvgPool2d(2), "avg to 2x2"),
        (nn.AdaptiveAvgPool2d(1), "avg to 1x1"),
        (nn.BatchNorm2d(4), "bn"),
        (nn.ReLU(), "relu"),
        (Resized(mode="bilinear"), "bilinear"),
        (Resized(mode="bilinear", align_corners=True), "bilinear corners"),
        (Resized(mode="nearest"), "nearest"),
    ],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_operation(module, words):
    report = analyze(module, (4, 25, 25))
    assert operation(report, report.layers[-1]) == words


def test_one_dimension():
    report = analyze(nn.Conv1d(4, 8, 5, stride=2), (4, 25))
    assert operation(report, report.layers[0]) == "conv 5 s2"
    assert summary_table(report).rows[0][2] == "8x11"
