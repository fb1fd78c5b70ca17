"""Signals, volumes, tokens, several inputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archlens.errors import UsageError
from archlens.pipeline import analyze
from archlens.spec import input_sizes


def test_sound() -> None:
    net = nn.Sequential(nn.Conv1d(1, 4, 80, stride=4), nn.MaxPool1d(4), nn.Conv1d(4, 8, 3), nn.AvgPool1d(2))
    report = analyze(net, "1x16000")
    rf = report.layers[-1].rf
    assert rf is not None
    assert (rf.size, rf.jump, rf.start) == ((140,), (32,), (0,))
    assert rf.visible is not None
    assert len(rf.visible.unit) == 1


def test_a_volume() -> None:
    net = nn.Sequential(
        nn.Conv3d(1, 4, (1, 3, 5), padding=(0, 1, 2)),
        nn.MaxPool3d(2),
        nn.ConvTranspose3d(4, 4, 2, stride=2),
        nn.Upsample(scale_factor=2, mode="trilinear"),
        nn.InstanceNorm3d(4),
        nn.AdaptiveAvgPool3d(1),
    )
    report = analyze(net, "1x16x16x16")
    sizes = [layer.rf.size for layer in report.layers if layer.rf is not None]
    assert sizes[0] == (1, 3, 5)
    assert sizes[1] == sizes[2] == (2, 4, 6)
    assert report.layers[-1].rf is not None
    assert report.layers[-1].rf.kind == "global"


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(100, 16)
        self.mix = nn.Conv1d(16, 5, 3, padding=1)

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.mix(self.table(tokens).transpose(1, 2))}


def test_tokens() -> None:
    report = analyze(Words(), "32")
    assert report.input_shape == (1, 32)
    assert dict(report.outputs) == {"logits": "mix"}
    rf = report.layers[-1].rf
    assert rf is not None
    assert rf.size == (3,)


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(1, 4, 5, padding=2)

    def forward(self, rgb: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        return self.a(rgb) + self.b(depth)


@pytest.mark.parametrize(
    "given",
    [
        {"input_size": ["3x16x16", "1x16x16"]},
        {"input_size": "3x16x16,1x16x16"},
        {"input_size": [(3, 16, 16), (1, 16, 16)]},
        {"example": (torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16))},
        {"example": {"rgb": torch.zeros(1, 3, 16, 16), "depth": torch.zeros(1, 1, 16, 16)}},
    ],
)
def test_two_inputs(given: dict[str, object]) -> None:
    report = analyze(Pair(), **given)  # type: ignore[arg-type]
    assert [report.graph.nodes[i].shape[1] for i in report.graph.inputs] == [3, 1]
    by_name = {layer.name: layer.rf for layer in report.layers}
    assert by_name["b"] is None
    end = by_name["add"]
    assert end is not None
    assert end.size == (3, 3)


def test_a_dict_as_the_one_argument() -> None:
    class Batch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.conv(batch["image"])

    report = analyze(Batch(), example={"image": torch.zeros(1, 3, 16, 16)})
    assert report.input_shape == (1, 3, 16, 16)


def test_an_example_without_tensors() -> None:
    with pytest.raises(UsageError, match="no tensor"):
        analyze(Pair(), example=[1, 2])


def test_sizes_in_every_form() -> None:
    assert input_sizes(None) == ()
    assert input_sizes("3x8x9") == input_sizes((3, 8, 9)) == input_sizes(["3x8x9"]) == ((3, 8, 9),)
    assert input_sizes("3x8x9,128") == input_sizes([(3, 8, 9), (128,)]) == ((3, 8, 9), (128,))
