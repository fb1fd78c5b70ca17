"""Models that are not a plain stack of layers: each is captured, or refused with a sentence."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from archlens.errors import TraceError, UsageError
from archlens.pipeline import analyze
from archlens.report import FieldReport, LayerReport, Report


def row(report: Report, name: str) -> LayerReport:
    return next(layer for layer in report.layers if layer.name == name)


def field(report: Report, name: str) -> FieldReport:
    rf = row(report, name).rf
    assert rf is not None
    return rf


class Branching(nn.Module):
    """Looks at a value, prints, and branches on it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.conv(x)
        print("looking")
        return y * 2 if y.mean().item() > -1e9 else y


def test_a_branch_on_data_runs_with_values_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    report = analyze(Branching(), "1x16x16")
    assert [layer.name for layer in report.layers] == ["conv", "mean", "mul"]
    assert any("real tensors" in note and ".item()" in note for note in report.notes)
    assert field(report, "mul").size == (3, 3)
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "looking" in streams.err


def test_wrappers_are_looked_through() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    plain = analyze(net, "1x16x16")
    for wrapped in (nn.DataParallel(net), torch.compile(net)):
        assert analyze(wrapped, "1x16x16").layers == plain.layers


def test_scripted_and_traced_modules() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        modules = [torch.jit.script(net), torch.jit.trace(net, torch.zeros(1, 1, 16, 16))]
        reports = [analyze(m, "1x16x16") for m in modules]
    for report in reports:
        assert report.totals["macs"] == 16 * 16 * 18
        assert field(report, report.layers[-1].name).size == (3, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).to(dtype)
    report = analyze(net, "1x16x16")
    assert report.layers[0].activation_bytes == 2 * 14 * 14 * dtype.itemsize
    assert not report.notes
    assert all(p.dtype == dtype for p in net.parameters())


def test_a_model_without_parameters() -> None:
    class Pool(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.max_pool2d(x, 2)

    report = analyze(Pool(), "3x16x16")
    assert report.totals["params"] == 0
    assert field(report, "max_pool2d").size == (2, 2)


def test_shared_modules_are_two_layers_and_count_their_parameters_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
            self.tied = nn.Conv2d(2, 2, 3, padding=1, bias=False)
            self.tied.weight = self.conv.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.tied(self.conv(self.conv(x)))

    report = analyze(Twice(), "2x16x16")
    assert [(r.name, r.params) for r in report.layers] == [("conv", 36), ("conv:2", 0), ("tied", 0)]
    assert report.totals["params"] == 36
    assert field(report, "tied").size == (7, 7)


def test_in_place_writes_through_views_reach_the_base() -> None:
    class Writes(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x * 1.0
            y.view(3, -1).mul_(2)
            y[:, :1].add_(F.avg_pool2d(x[:, :1], 3, 1, 1))
            return y + 0

    report = analyze(Writes(), "3x16x16")
    assert field(report, report.outputs["out"]).size == (3, 3)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_modes_share_one_theoretical_field(mode: str) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode=mode), nn.Conv2d(2, 2, 5, padding=2))
    report = analyze(net, "1x16x16")
    assert [(field(report, n).kind, field(report, n).size) for n in "01"] == [
        ("local", (3, 3)),
        ("local", (7, 7)),
    ]
    assert [r.name for r in report.layers] == ["0", "1"]


def test_circular_padding_shows_in_the_visible_box() -> None:
    net = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    rf = analyze(net, "1x16x16", unit=(0, 8)).layers[-1].rf
    assert rf is not None
    assert rf.visible is not None
    assert (rf.visible.lo, rf.visible.hi) == ((0, 7), (15, 9))  # the hull of rows 15, 0, 1


def test_halves_put_together_vary() -> None:
    class Halves(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([F.avg_pool2d(x, 3, 1, 1)[:, :, :8], x[:, :, 8:]], 2)

    rf = analyze(Halves(), "1x16x16").layers[-1].rf
    assert rf is not None
    assert rf.kind == "varies"


def test_a_model_that_needs_training_mode() -> None:
    class Trains(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not self.training:
                raise RuntimeError("call train() first")
            return self.conv(x)

    report = analyze(Trains(), "1x16x16")
    assert any("training mode" in note for note in report.notes)


def test_a_forward_that_raises_is_one_sentence_with_its_place() -> None:
    class Raises(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("no such thing")

    with pytest.raises(TraceError, match=r"no such thing.*test_hard_models\.py"):
        analyze(Raises(), "1x16x16")


def test_not_a_module() -> None:
    with pytest.raises(UsageError, match=r"no torch\.nn\.Module"):
        analyze(3, "1x16x16")  # type: ignore[arg-type]


def test_outputs_of_any_nesting_are_named() -> None:
    class Nested(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, object]:
            return {"out": x + 1, "aux": [x + 2, {"deep": x + 3}]}

    assert dict(analyze(Nested(), "1x8x8").outputs) == {"out": "add", "aux.0": "add:2", "aux.1.deep": "add:3"}


def test_multi_head_attention_without_its_fast_path() -> None:
    net = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x.flatten(2).transpose(1, 2))

    report = analyze(Tokens(), "8x4x4")
    assert report.totals["macs"] == 16 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 16 * 16 * 8
    assert field(report, "layer.norm2").kind == "global"


def test_local_response_norm_and_global_mean() -> None:
    net = nn.Sequential(nn.LocalResponseNorm(5), nn.AdaptiveAvgPool2d(1))
    report = analyze(net, "8x9x9")
    assert [r.op for r in report.layers] == ["local_response_norm", "adaptive_avg_pool2d"]
    assert field(report, "0").size == (1, 1)
    assert field(report, "1").kind == "global"


def test_an_unknown_operation_is_named_and_everything_behind_it_unknown() -> None:
    class Bessel(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.max_pool2d(torch.special.bessel_j0(x.relu()), 2)

    report = analyze(Bessel(), "1x16x16")
    last = field(report, report.layers[-1].name)
    assert last.kind == "unknown"
    assert last.reason is not None
    assert "bessel_j0" in last.reason
    assert field(report, "relu").kind == "local"


def test_recurrent_layers() -> None:
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.lstm(x.transpose(1, 2))[0]
            return out

    report = analyze(Sequence(), "8x6")
    assert report.totals["macs"] == 6 * 16 * (8 + 4)
    rf = field(report, "lstm")
    assert rf.visible is not None
    assert (rf.visible.lo, rf.visible.hi) == ((0,), (3,))  # what came before


def test_weights_made_of_parameters_and_constants_are_counted() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mlp = nn.Linear(2, 4)
            self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1, bias=False))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x + self.mlp(torch.ones(8, 8, 2)).permute(2, 0, 1))

    report = analyze(Positions(), "4x8x8")
    assert report.totals["macs"] == 64 * 8 + 64 * 16
    assert sum(r.params for r in report.layers) == report.totals["params"] == 12 + 16 + 4
    assert row(report, "mlp").rf is None


def test_numbers_written_down_in_forward_keep_their_values() -> None:
    class Shuffled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            order = torch.tensor([3, 2, 1, 0], device=x.device)
            return x[:, :, order] + x[:, :, [0, 1, 2, 3]]

    rf = analyze(Shuffled(), "1x4x4", unit=(0, 0)).layers[-1].rf
    assert rf is not None
    assert rf.visible is not None
    assert (rf.visible.lo, rf.visible.hi) == ((0, 0), (3, 0))
