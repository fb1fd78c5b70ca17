"""`archlens check` and `diff` as a CI job runs them."""

from __future__ import annotations

import json

import pytest

SETTINGS = """
input_size = "3x65x65"
[allowed]
macs = 1.0
erf_95 = 5.0
[networks.small]
spec = "net.py:make"
budgets = { macs = { max = 1e9 } }
"""
NET = """
from torch import nn
def make(width=8, rate=1):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(width, 4, 3, padding=rate, dilation=rate))
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "archlens.toml").write_text(SETTINGS)
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_pull_request(cli, project):
    """Baseline, a change that keeps it, a change that breaks it, and the baseline renewed."""
    assert cli("check", "--update-baseline").code == 0
    assert (project / "reports" / "baselines" / "small.json").is_file()
    assert cli("check").code == 0
    (project / "net.py").write_text(NET.replace("width=8", "width=16"))
    said = cli("check", "--format", "github")
    assert said.code == 1
    assert "::error title=archlens%3A small macs::small: macs went from" in said.out
    assert "+100 %25" in said.out
    assert "Behind it: 2, 0" in said.out
    assert "limits failed" in said.err
    assert cli("check", "--update-baseline").code == 0
    assert cli("check").code == 0


def test_the_effective_field_is_held_too(cli, project):
    cli("check", "--update-baseline")
    (project / "net.py").write_text(NET.replace("rate=1", "rate=3"))
    checks = {
        c["figure"]: c
        for c in json.loads(cli("check", "--format", "json").out)["checks"]
        if c["kind"] == "baseline"
    }
    assert checks["macs"]["verdict"] == "ok"
    assert checks["erf_95"]["verdict"] == "fail"


def test_a_broken_budget_without_a_baseline(cli, project):
    settings = (project / "archlens.toml").read_text()
    (project / "archlens.toml").write_text(settings.replace("1e9", "10"))
    said = cli("check")
    assert said.code == 1
    assert "behind it: 2, 0" in said.out


def test_a_zoo_network_against_its_baseline_only(cli, project):
    assert cli("check", "alexnet").code == 2  # neither a budget nor a baseline
    (project / "archlens.toml").write_text("")
    assert cli("check", "alexnet", "--update-baseline").code == 0
    assert cli("check", "alexnet").code == 0


@pytest.mark.parametrize(("suffix", "start"), [("xml", "<?xml"), ("md", "<!-- archlens"), ("json", "{")])
def test_files_by_suffix(cli, project, suffix, start):
    assert cli("check", "-o", f"out.{suffix}").code == 0
    assert (project / f"out.{suffix}").read_text().startswith(start)


def test_wrong_use(cli, project, tmp_path):
    assert cli("check", "--config", "none.toml").code == 2
    (project / "archlens.toml").write_text("unknown = 1")
    said = cli("check")
    assert said.code == 2
    assert "unknown key 'unknown'" in said.err
    (project / "archlens.toml").write_text("")
    assert "nothing to check" in cli("check").err


def test_diff_and_its_exit_code(cli, project):
    assert cli("diff", "net.py:make", "net.py:make", "--exit-code", "--input-size", "3x32x32").code == 0
    said = cli("diff", "net.py:make", "net.py:make?width=16", "--exit-code", "--input-size", "3x32x32")
    assert said.code == 1
    assert "~ 0" in said.out
    assert "+100 %" in said.out
    (project / "old.json").write_text(cli("rf", "net.py:make", "--json", "--input-size", "3x32x32").out)
    data = json.loads(cli("diff", "old.json", "net.py:make?rate=2", "--input-size", "3x32x32", "--json").out)
    assert [c["new"] for c in data["layers"]] == ["2"]
    assert data["layers"][0]["changes"]["rf"] == [[5, 5], [7, 7]]


def test_cache_info_and_clear(cli):
    cli("rf", "alexnet?groups=1")
    info = json.loads(cli("cache", "info", "--json").out)
    assert info["entries"] >= 1
    assert cli("cache", "clear").code == 0
    assert json.loads(cli("cache", "info", "--json").out)["entries"] == 0
    assert cli("cache", "burn").code == 2


def test_precedence_of_settings(cli, project, monkeypatch):
    """Command line, then environment, then file, then the network's own."""

    def size(*words):
        data = json.loads(cli("rf", "net.py:make", "--json", *words).out)
        return data["model"]["input_shape"][-1]

    assert size() == 65
    monkeypatch.setenv("ARCHLENS_INPUT_SIZE", "3x33x33")
    assert size() == 33
    assert size("--input-size", "3x17x17") == 17
    monkeypatch.delenv("ARCHLENS_INPUT_SIZE")
    (project / "archlens.toml").write_text("")
    assert size() == 513


def test_settings_that_are_wrong_are_named_by_every_command(cli, project):
    (project / "archlens.toml").write_text("device = 'gpu'")
    said = cli("models")
    assert said.code == 2
    assert "device cannot be 'gpu'" in said.err


def test_baselines_that_cannot_be_written_are_said(cli, project):
    (project / "reports").write_text("a file where a folder is needed")
    said = cli("check", "--update-baseline")
    assert (said.code, said.out) == (2, "")
    assert "cannot write" in said.err


def test_a_file_that_cannot_be_written_is_refused_before_the_work(cli, project, monkeypatch):
    monkeypatch.setattr("archlens.pipeline.analyze", lambda *_, **__: pytest.fail("too late"))
    said = cli("check", "-o", "checks.docx")
    assert said.code == 2
    assert ".xml" in said.err
