"""The GitHub Action, as its runner would run it: each step's own script, with the files that a runner gives.

What a runner does besides (checkout, upload) is not ours; the rest is run here, word by word.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
NET = """
from torch import nn

def make(width=8):
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 4, 3, padding=1))
"""
SETTINGS = """
[networks.small]
spec = "net.py:make"
input_size = "3x33x33"
[networks.small.budgets]
macs = {{ max = {most} }}
"""


@dataclass(frozen=True)
class Job:
    """What a job left behind."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str


def run_action(folder: Path, **inputs: str) -> Job:
    """The composite steps in order; a step that fails ends the job, as on a runner."""
    temp = folder / "runner"
    temp.mkdir()
    program = temp / "bin"
    program.mkdir()
    (program / "archlens").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m archlens "$@"\n')
    (program / "archlens").chmod(0o755)
    values = {name: given["default"] for name, given in ACTION["inputs"].items()} | inputs
    outputs: dict[str, str] = {}

    def filled(text: str) -> str:
        def value(match: re.Match[str]) -> str:
            kind, _, name = match[1].strip().partition(".")
            return values[name] if kind == "inputs" else outputs[name.rpartition(".")[2]]

        return re.sub(r"\$\{\{(.+?)\}\}", value, text)

    summary, given = temp / "summary.md", temp / "output.txt"
    log, code = "", 0
    for step in ACTION["runs"]["steps"]:
        if "uses" in step or step["name"] == "Install archlens":
            continue
        if "if" in step and not values["report"]:
            continue
        assert step["shell"] == "bash"
        environment: dict[str, Any] = {
            **os.environ,
            **{k: filled(v) for k, v in step.get("env", {}).items()},
            "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GITHUB_ACTIONS": "true",
            "RUNNER_TEMP": str(temp),
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_OUTPUT": str(given),
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        log, code = log + done.stdout + done.stderr, done.returncode
        if given.exists():
            outputs = dict(line.split("=", 1) for line in given.read_text().splitlines())
        if code:
            break
    return Job(code, log, outputs, summary.read_text(encoding="utf-8") if summary.exists() else "")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def test_a_broken_budget_fails_the_job_and_says_where(project: Path) -> None:
    (project / "archlens.toml").write_text(SETTINGS.format(most=100))
    job = run_action(project, report="net.py:make")
    assert job.code == 1
    assert "::error title=archlens" in job.log
    assert "macs" in job.summary
    assert len(job.summary.encode()) < 2**20
    assert job.outputs["failed"] == "true"
    body = Path(job.outputs["comment"]).read_text(encoding="utf-8")
    assert body.startswith("<!-- ")
    assert len(body) < 65_536
    # The page is written even so: it is what one looks at.
    page = project / "runner" / "archlens" / "report.html"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_kept_budgets_pass(project: Path) -> None:
    (project / "archlens.toml").write_text(SETTINGS.format(most="1e9"))
    job = run_action(project)
    assert job.code == 0, job.log
    assert "::error" not in job.log
    assert job.outputs["failed"] == "false"


def test_wrong_settings_stop_the_job_at_once(project: Path) -> None:
    (project / "archlens.toml").write_text("networks = 3\n")
    job = run_action(project)
    assert job.code == 2
    assert "networks" in job.log
    assert job.outputs == {}
