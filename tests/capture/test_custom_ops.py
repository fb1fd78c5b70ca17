"""Rules for operators that archlens does not know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from archlens.capture.call import Call, Lowered
from archlens.capture.ops import RULES
from archlens.capture.ops.custom import register_geometry
from archlens.errors import UsageError
from archlens.graph import Along, Window
from archlens.pipeline import analyze


@torch.library.custom_op("archlens_tests::blur", mutates_args=())
def blur(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x, 3, 1, 1)


@blur.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Blurred(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = blur(self.conv(x))
        return y


@pytest.fixture
def rule() -> Iterator[None]:
    @register_geometry("archlens_tests::blur")
    def geometry(call: Call) -> Lowered:
        window = Window(kernel=3, padding=1)
        height, width = call.shape[2:]
        return Lowered("blur", call.edge(call.tensor(0), Along(2, window, height), Along(3, window, width)))

    yield
    del RULES["archlens_tests::blur"]


def test_without_a_rule_it_is_unknown_and_named() -> None:
    report = analyze(Blurred(), "1x16x16")
    rf = report.layers[-1].rf
    assert rf is not None
    assert rf.kind == "unknown"
    assert rf.reason is not None
    assert "blur" in rf.reason


@pytest.mark.usefixtures("rule")
def test_with_a_rule_it_is_followed() -> None:
    report = analyze(Blurred(), "1x16x16")
    assert report.layers[-1].op == "blur"
    rf = report.layers[-1].rf
    assert rf is not None
    assert (rf.kind, rf.size) == ("local", (5, 5))


@pytest.mark.parametrize("name", ["blur", "mylib::blur.default", "::blur"])
def test_names_that_are_no_operators(name: str) -> None:
    with pytest.raises(UsageError, match="names no operator"):
        register_geometry(name)
