"""The published JSON Schema holds what archlens writes, and refuses what it never would."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

from archlens.errors import ReportError
from archlens.pipeline import analyze
from archlens.report import read_report_data, report_from_dict

SCHEMA = json.loads((files("archlens") / "schema" / "report.schema.json").read_text(encoding="utf-8"))
NETWORKS = ("alexnet", "fcn", "deeplabv1", "dilatednet", "deeplabv2", "pspnet", "deeplabv3", "deeplabv3plus")


class Strange(nn.Module):
    """Local, global, unknown and constant layers, and one that sees nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.table = nn.Parameter(nn.init.zeros_(self.conv.weight.new_empty(4, 1, 1)))

    def forward(self, x: Any) -> Any:
        y = self.conv(x) + self.table
        return {"mean": y.mean((2, 3)), "odd": torch.fft.fft2(y).real, "pad": nn.functional.pad(y, (9, 9))}


def written(name: str) -> dict[str, Any]:
    report = analyze(Strange(), (3, 21, 33)) if name == "strange" else analyze(name)
    data: dict[str, Any] = json.loads(report.to_json())
    return data


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", [*NETWORKS, "strange"])
def test_reports_follow_it_and_are_read_back(name: str) -> None:
    data = written(name)
    jsonschema.validate(data, SCHEMA)
    assert report_from_dict(data).to_dict() == data


def test_what_is_not_counted_is_said() -> None:
    """A Fourier transform has no multiply-accumulates of ours: its costs are unknown, the totals a bound."""
    data = written("strange")
    costs = {row["name"]: (row["cost_status"], row["cost_reason"]) for row in data["layers"]}
    assert costs["conv"] == ("exact", None)
    assert ("unknown", "aten._fft_c2c") in costs.values()
    assert data["totals_status"] == "bound"
    assert data["totals_reason"] == "not counted: aten._fft_c2c"
    known = written("alexnet")
    assert known["totals_status"] == "exact"
    assert all(row["cost_status"] == "exact" for row in known["layers"])


def test_the_same_input_gives_the_same_bytes() -> None:
    assert analyze("pspnet").to_json() == analyze("pspnet").to_json()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 2),
        (("layers", 0, "macs"), 1.5),
        (("layers", 0, "rf", "kind"), "near"),
        (("layers", 0, "rf", "visible", "lo"), [-1, 0]),
        (("model", "input_shape"), [1, "3"]),
    ],
)
def test_it_refuses_what_is_wrong(path: tuple[str | int, ...], value: Any) -> None:
    data = copy.deepcopy(written("alexnet"))
    place: Any = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


@pytest.mark.parametrize(("version", "told"), [("1", '"1"'), (2, "2"), (None, "null"), (1.5, "1.5")])
def test_a_schema_version_that_is_not_ours_is_shown_as_it_stands(version: Any, told: str) -> None:
    data = {**written("alexnet"), "schema_version": version}
    with pytest.raises(ReportError, match=f"schema_version {told}; this archlens reads numbers up to 1"):
        read_report_data(json.dumps(data), "r.json")
