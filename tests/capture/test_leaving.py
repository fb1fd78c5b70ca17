"""Values that leave torch: what goes with them is unknown, what does not is what it was."""

from __future__ import annotations

from pathlib import Path

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


class Whole(nn.Module):
    """The rest of the network is what came back, and torch saw no image in it."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.conv = way, nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "replaced":
            x = torch.from_numpy(x.numpy()[:, :, ::-1].copy())
        elif self.way == "in place":
            x = x.clone()
            x.numpy()[...] = x.numpy()[:, :, ::-1].copy()
        elif self.way == "a written row":
            x = x.clone()
            x[:, :, int(x.abs().sum() * 7) % 9] = 0.0
        elif self.way == "a place in zeros":
            k = int(x.abs().sum() * 7) % 4
            y = torch.zeros(1, 1, 13, 9)
            y[:, :, k : k + 9] = x
            x = y
        return self.conv(x)


@pytest.mark.parametrize("way", ["replaced", "in place", "a written row", "a place in zeros"])
def test_what_torch_does_not_see_is_unknown_too(way: str) -> None:
    report = analyze(Whole(way), input_size=(1, 9, 9))
    last = report.layer("conv").rf
    assert last is not None
    assert last.kind == "unknown"
    assert report.outputs == {"out": "conv"}


class Longer(nn.Module):
    """The first image's run is the beginning of the others'."""

    first: float | None = None

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        value = float(x.flatten()[0])
        Longer.first = value if Longer.first is None else Longer.first
        return y if value == Longer.first else y.mean((2, 3), keepdim=True)


def test_a_run_that_others_go_on_from_does_not_tell_its_result() -> None:
    last = analyze(Longer(), input_size=(1, 9, 9)).layer("conv").rf
    assert last is not None
    assert last.kind == "unknown"


def test_chance_picks_nothing_for_good() -> None:
    """What random numbers choose is other in the next run: a bound over all that they could choose."""

    class Drawn(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mixed = torch.where(torch.rand(x.shape[-2:]) < 0.5, x, x.flip(2))
            return mixed[:, :, torch.randperm(9)]

    rows = {row.name: row.rf for row in analyze(Drawn(), input_size=(1, 9, 9)).layers}
    assert [rf.status for rf in rows.values() if rf is not None][-2:] == ["bound", "bound"]

    class Decided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.roll(int(torch.randint(0, 9, (1,))), 2)

    last = analyze(Decided(), input_size=(1, 9, 9)).layers[-1].rf
    assert last is not None
    assert last.reason is not None
    assert last.reason.startswith("a value that left torch (")


def test_one_value_of_any_stride_is_held_against_itself() -> None:
    class Strided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.sum().item() + torch.arange(12.0).as_strided((1,), (6,))

    last = analyze(Strided(), input_size=(1, 9, 9)).layers[-1].rf
    assert last is not None
    assert last.kind == "unknown"


def test_a_factory_that_draws_new_weights_each_time_is_no_difference(tmp_path: Path) -> None:
    (tmp_path / "looks.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)\n"
        "    def forward(self, x):\n"
        "        x = self.a(x)\n"
        "        assert not bool(torch.isnan(x).any())\n"
        "        return self.b(x)\n"
    )
    last = analyze(f"{tmp_path / 'looks.py'}:Net", input_size=(3, 9, 9)).layer("b").rf
    assert last is not None
    assert (last.kind, last.size, last.status) == ("local", (5, 5), "exact")
