"""Budgets, baselines and diffs on small captured networks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from archlens.errors import ReportError
from archlens.findings import budgets
from archlens.findings.diff import diff
from archlens.findings.figures import LIMITS, numbers
from archlens.findings.watched import Budget, Watched
from archlens.pipeline import analyze
from archlens.render.text import checks as render
from archlens.render.text.diffs import diff_table
from archlens.render.text.markdown import markdown
from archlens.render.text.table import plain
from archlens.report import Report


def net(width: int = 4, kernel: int = 3, pooled: bool = False) -> Report:
    layers: list[nn.Module] = [
        nn.Conv2d(3, width, kernel, padding=kernel // 2), nn.ReLU(), nn.Conv2d(width, 2, 3, padding=1)
    ]  # fmt: skip
    if pooled:
        layers.append(nn.AdaptiveAvgPool2d(1))
    return analyze(nn.Sequential(*layers), (3, 32, 32))


def test_gauges_against_hand_counts() -> None:
    found = numbers(net(), LIMITS)
    assert found["macs"] == 32 * 32 * (3 * 4 * 9 + 4 * 2 * 9)
    assert found["params"] == 3 * 4 * 9 + 4 + 4 * 2 * 9 + 2
    assert found["receptive_field"] == found["visible_field"] == 5
    assert found["output_stride"] == 1
    assert found["reach"] == 25 / 1024
    assert found["far_share"] == 0
    erf = found["erf_95"]
    assert erf is not None
    assert 3 < erf <= 5


def test_a_global_field_is_infinite() -> None:
    found = numbers(net(pooled=True), ["receptive_field"])
    assert found == {"receptive_field": math.inf}


def test_bounds() -> None:
    limits = (
        Budget("macs", None, 1e6), Budget("macs", None, 1e3), Budget("erf_50", 100.0, None, "warn"),
        Budget("params", 1.0, 1e9),
    )  # fmt: skip
    held = budgets.check(net(), Watched("n", "n", budgets=limits), None)
    assert [(c.figure, c.kind, c.verdict) for c in held] == [
        ("macs", "max", "ok"), ("macs", "max", "fail"), ("erf_50", "min", "warn"), ("params", "max", "ok"),
        ("params", "min", "ok"),
    ]  # fmt: skip
    macs = 32 * 32 * 180
    assert held[1].excess == pytest.approx(100 * (macs - 1000) / 1000)
    assert held[1].layers == ("0", "2")  # 108 and 72 products a pixel


def test_baseline_round_trip_and_change(tmp_path: Path) -> None:
    file = tmp_path / "n.json"
    assert budgets.read_baseline(file) is None
    file.write_text(budgets.baseline_text(net()), encoding="utf-8")
    kept = budgets.read_baseline(file)
    watched = Watched("n", "n", allowed=dict.fromkeys(LIMITS, 0.0))
    assert {c.verdict for c in budgets.check(net(), watched, kept)} == {"ok"}
    wider = {c.figure: c for c in budgets.check(net(8), watched, kept)}
    assert wider["macs"].verdict == "fail"
    assert wider["macs"].excess == pytest.approx(100.0)
    assert wider["macs"].layers == ("0", "2")
    assert wider["receptive_field"].verdict == "ok"
    loose = Watched("n", "n", allowed={"macs": 100.0})
    assert [c.verdict for c in budgets.check(net(8), loose, kept)] == ["ok"]


def test_a_damaged_baseline_is_named(tmp_path: Path) -> None:
    file = tmp_path / "n.json"
    file.write_text('{"schema_version": 1}')
    with pytest.raises(ReportError, match="is no baseline"):
        budgets.read_baseline(file)


def test_unknown_is_neither_passed_nor_failed() -> None:
    class Odd(nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return torch.special.bessel_j0(x)

    report = analyze(Odd(), (3, 8, 8))
    held = budgets.check(report, Watched("odd", "odd", budgets=(Budget("receptive_field", 1.0),)), None)
    assert [c.verdict for c in held] == ["unknown"]


def every_verdict() -> list[budgets.Check]:
    limits = (Budget("macs", None, 1e3), Budget("erf_50", 100.0, None, "warn"), Budget("params", 1.0))
    return budgets.check(net(), Watched('a|b<"&', "n", budgets=limits), None)


def test_formats() -> None:
    checks = every_verdict()
    data = json.loads(render.as_json(checks))
    assert data["summary"] == {"ok": 1, "warn": 1, "fail": 1, "unknown": 0}
    assert len(data["checks"]) == 3
    xml = ElementTree.fromstring(render.junit(checks))
    assert (xml.get("tests"), xml.get("failures")) == ("3", "1")
    assert [case.get("classname") for case in xml] == ['a|b<"&'] * 3
    text = render.markdown(checks)
    assert text.startswith(render.MARKER)
    assert "a\\|b&lt;" in text
    lines = render.github(checks).splitlines()
    assert lines[0].startswith("::error title=archlens%3A")
    assert lines[1].startswith("::warning ")
    assert "1 of 3 limits hold, 1 failed, 1 warned" in plain(render.check_table(checks))


def test_a_comment_fits_a_pull_request() -> None:
    many = every_verdict() * 2000
    assert len(render.markdown(many)) < 65_536
    assert "more rows" in render.markdown(many)


def test_diff_by_name_then_by_shape() -> None:
    assert diff(net(), net()).same
    assert "no difference" in plain(diff_table(diff(net(), net())))
    found = diff(net(), net(pooled=True))
    assert [(c.kind, c.new) for c in found.layers] == [("added", "3")]
    back = diff(net(pooled=True), net())
    assert [(c.kind, c.old) for c in back.layers] == [("removed", "3")]
    wider = diff(net(4), net(8))
    assert [c.kind for c in wider.layers] == ["changed", "changed", "changed"]
    assert wider.layers[0].changes["macs"] == (32 * 32 * 108, 32 * 32 * 216)
    moved = {f.figure: f.percent for f in wider.figures}
    assert moved["macs"] == pytest.approx(100.0)
    assert moved["receptive_field"] == 0.0


def test_diff_follows_a_renamed_module() -> None:
    class Named(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name
            self.add_module(name, nn.Conv2d(3, 4, 3))

        def forward(self, x):  # type: ignore[no-untyped-def]
            return self.get_submodule(self.name)(x)

    found = diff(analyze(Named("stem"), (3, 8, 8)), analyze(Named("root"), (3, 8, 8)))
    assert [(c.kind, c.old, c.new) for c in found.layers] == [("renamed", "stem", "root")]
    assert "> stem -> root" in plain(diff_table(found))
    assert json.loads(json.dumps(found.to_json()))["layers"][0]["kind"] == "renamed"
    assert "| > stem -> root |" in markdown(diff_table(found))
