"""Values that leave torch: what goes with them is unknown, what does not is what it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archlens import analyze


class Net(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.conv = way, nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.last = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.way == "scaled":
            y = y * y.mean().item()
        elif self.way == "shifted":
            y = y.roll(int(y.sum().abs() * 100) % 5, 2)
        elif self.way == "rebuilt":
            y = y + torch.tensor(y[0, 0, 0].tolist())
        elif self.way == "numpy":
            y = y + torch.from_numpy(y.numpy()[:, :, ::-1].copy())
        elif self.way == "branch":
            y = y.flip(2) if float(y.sum()) > 0 else y + 1
        elif self.way == "counted":
            y = y + float(len(torch.nonzero(y[0, 0] > 0)))
        elif self.way == "looked" and bool(y.max() > 1e9):
            raise ValueError("too large")
        return self.last(y)


@pytest.mark.parametrize("way", ["scaled", "shifted", "rebuilt", "numpy", "branch", "counted"])
def test_what_goes_with_them_is_unknown(way: str) -> None:
    report = analyze(Net(way), input_size=(1, 9, 9))
    first, last = report.layer("conv").rf, report.layer("last").rf
    assert first is not None
    assert (first.kind, first.size) == ("local", (3, 3))
    assert last is not None
    assert last.kind == "unknown"
    assert last.reason is not None
    assert last.reason.startswith("a value that left torch (")
    assert any(n.startswith("values leave torch") for n in report.notes)


def test_a_look_that_changes_nothing_is_said_and_no_more() -> None:
    report = analyze(Net("looked"), input_size=(1, 9, 9))
    last = report.layer("last").rf
    assert last is not None
    assert (last.kind, last.size, last.status) == ("local", (5, 5), "exact")
    assert any("all calls were the same for 4 images" in n for n in report.notes)
