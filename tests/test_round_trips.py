"""A report is what its JSON says: written and read back it is the same report, of every kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from context_nets import Net, aspp, ppm
from torch import Tensor, nn

from archlens.comparing import CompareOptions, _edited, _timed, gathered
from archlens.pipeline import analyze
from archlens.report import Report, report_from_dict

SIZE = (3, 65, 65)


def back(report: Report) -> Report:
    """Through text and back."""
    return report_from_dict(json.loads(json.dumps(report.to_dict())))


class Odd(nn.Module):
    """Several outputs, one of them unknown and one without positions; a constant; a module never called."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.never = nn.Linear(2, 2)
        self.table = nn.Parameter(torch.zeros(4, 1, 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.conv(x) + self.table
        return {
            "out": y.flip(3),
            "mean": y.mean((2, 3)),
            "odd": torch.fft.fft2(y).real,
            "pad": nn.functional.pad(y, (9, 9)),
            "table": self.table.expand(1, 4, 3, 3),
        }


class Two(nn.Module):
    """Two inputs of different sizes."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + nn.functional.interpolate(b, size=a.shape[-2:], mode="bilinear")


MADE: dict[str, Callable[[], Report]] = {
    "a line": lambda: analyze(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 9, 11)),
    "odd outputs": lambda: analyze(Odd(), (3, 21, 33)),
    "two inputs": lambda: analyze(Two(), ["3x16x16", "3x8x8"]),
    "one axis": lambda: analyze(nn.Conv1d(2, 3, 5, stride=2), (2, 40)),
    "three axes": lambda: analyze(nn.Conv3d(1, 2, 3, padding=1), (1, 6, 7, 8)),
    "a pyramid": lambda: analyze(ppm(), SIZE),
    "fcn": lambda: analyze("fcn"),
    "pspnet": lambda: analyze("pspnet"),
    "deeplabv3plus": lambda: analyze("deeplabv3plus"),
    "settings": lambda: analyze("deeplabv3", (3, 129, 129), settings=["output_stride=8", "num_classes=3"]),
    "from a layer": lambda: analyze(aspp(), SIZE, origin="trunk.2.0", unit=(3, 4)),
    "at the output": lambda: analyze("fcn", (3, 65, 97), at="output", unit=(0, 96)),
    "at a layer": lambda: analyze("pspnet", (3, 97, 97), at="backbone.layer4.0.conv2"),
    "another output": lambda: analyze(Odd(), (3, 21, 33), output_name="mean"),
}


@pytest.mark.parametrize("name", MADE)
def test_a_report_comes_back(name: str) -> None:
    report = MADE[name]()
    again = back(report)
    assert again == report
    assert again.to_dict() == report.to_dict()
    assert back(again) == report


def _with_erf() -> Report:
    report = analyze(ppm(), SIZE)
    return report.with_erf(row.name for row in report.layers)


def _without_a_rule() -> Report:
    return analyze(Odd(), (3, 21, 33)).with_erf(["conv", "view_as_real"])


def _measured() -> Report:
    model = aspp()
    return _timed(analyze(model, SIZE), model, CompareOptions(device="cpu"))


ADDED: dict[str, tuple[str, Callable[[], Report]]] = {
    "expected": ("erf", _with_erf),
    "expected, without a rule": ("erf", _without_a_rule),
    "measured": ("measured", _measured),
}


@pytest.mark.parametrize("name", ADDED)
def test_what_was_added_to_a_report_comes_back_with_it(name: str) -> None:
    key, make = ADDED[name]
    report = make()
    assert any(key in row.extra for row in report.layers)
    again = back(report)
    assert again == report
    assert [row.extra for row in again.layers] == [row.extra for row in report.layers]


@pytest.mark.parametrize("edit", ["head.rate3.0=1", "rates=2", "head.rate6", "all"])
def test_an_edited_graph_comes_back(edit: str) -> None:
    report = analyze(aspp(), SIZE)
    made = _edited(report, edit)
    again = back(made)
    assert again == made
    assert again != report
    assert (again.spec, again.notes) == (made.spec, made.notes)
    assert again.study.fields() == made.study.fields()


def test_reports_in_a_comparison_come_back() -> None:
    """Each model of a comparison's JSON is a report with more; what is more stays with it."""
    found = gathered(["fcn", "pspnet"], CompareOptions(input_size=(3, 97, 97), sides=()))
    for report, data in zip(found.reports, json.loads(json.dumps(found.to_dict()))["models"], strict=True):
        again = report_from_dict(data)
        assert again.extra.keys() == {"summary", "evidence"}
        assert replace(again, extra={}) == report


@pytest.mark.parametrize(
    "change",
    [
        {"spec": "another"},
        {"class_score": "0"},
        {"uncalled": {"never": 6}},
        {"notes": ("read this",)},
        {"origin": "0"},
        {"versions": {"torch": "2.6"}},
        {"totals_status": "bound", "totals_reason": "not counted: aten.x"},
        {"extra": {"measured": {"seconds": 0.25, "notes": ["a", "b"]}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_a_report_is_written(change: dict[str, Any]) -> None:
    plain = analyze(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 9, 11))
    other = replace(plain, **change)
    assert other != plain
    assert back(other) == other


def test_what_was_walked_is_no_part_of_its_value() -> None:
    report = analyze(Net(nn.Identity(), 8), SIZE)
    again = back(report)
    assert again.walked is None
    assert again == report
    assert again.study is again.study is not report.study
    assert again == report
