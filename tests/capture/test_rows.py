"""A module's row is what the module returns: its shape and its field, whatever it wrote on the way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens import analyze


class Own(nn.Module):
    """A leaf module that does one of these."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.weight = way, nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Any:
        y = x * self.weight
        if self.way == "partial write":
            y[:, :1] = x.flip(1)[:, :1]
        elif self.way == "write into a buffer":
            out = torch.zeros_like(y)
            out[:, :, 1:] = y[:, :, :-1]
            y = out
        elif self.way == "view of what was written":
            z = y.transpose(2, 3)
            y[:, :, 0] = 0
            return z
        elif self.way == "an earlier result":
            _ = F.max_pool2d(y, 2)
        elif self.way == "two results":
            return y, F.max_pool2d(y, 2)
        elif self.way == "by name":
            return {"map": y, "pooled": F.max_pool2d(y, 2)}
        elif self.way == "circular pad":
            return F.pad(y, (1, 1, 1, 1), mode="circular")
        return y


class Net(nn.Module):
    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own, self.shapes = own, []  # type: ignore[var-annotated]

    def forward(self, x: Tensor) -> Tensor:
        out = self.own(x)
        while not isinstance(out, Tensor):
            out = next(iter(out.values())) if isinstance(out, dict) else out[0]
        self.shapes.append(tuple(out.shape))
        return out + 1


WAYS = ("partial write", "write into a buffer", "view of what was written", "an earlier result",
        "two results", "by name", "circular pad")  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_its_shape_is_that_of_what_it_returns(way: str) -> None:
    net = Net(Own(way))
    with torch.no_grad():
        net(torch.zeros(1, 2, 6, 8))
    report = analyze(net, input_size=(2, 6, 8))
    assert report.layer("own").shape == net.shapes[0]
    assert report.layer("add").shape == net.shapes[0]
    field = report.layer("own").rf
    assert field is not None
    assert field.status == "exact"


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (1, 3, 7, 9)),
        (lambda: nn.CircularPad2d(2), (1, 2, 11, 13)),
        (lambda: nn.MaxPool2d(2), (1, 2, 3, 4)),
    ],
)
def test_padded_round_the_border(make: Any, shape: tuple[int, ...]) -> None:
    layer = analyze(nn.Sequential(make()), input_size=(2, 7, 9)).layer("0")
    assert layer.shape == shape


@pytest.mark.parametrize("kind", ["GRU", "RNN", "LSTM"])
@pytest.mark.parametrize("first", [False, True])
def test_recurrent_layers(kind: str, first: bool) -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = getattr(nn, kind)(3, 5, batch_first=first, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.rnn(x.transpose(1, 2) if first else x.permute(2, 0, 1))[0]
            return out

    row = analyze(Rows(), input_size=(3, 7)).layer("rnn")
    assert row.shape == ((1, 7, 10) if first else (7, 1, 10))
    assert row.rf is not None
    assert row.rf.visible is not None
    assert (row.rf.visible.lo, row.rf.visible.hi) == ((0,), (6,))
