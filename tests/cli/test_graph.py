"""`archlens graph`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
SIZE = ("--input-size", "3x129x129")


def test_dot_on_stdout(cli: Cli) -> None:
    done = cli("graph", "fcn", *SIZE)
    assert done.code == 0
    assert done.out.startswith("digraph archlens {")


@pytest.mark.parametrize(("suffix", "head"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_files(cli: Cli, tmp_path: Path, suffix: str, head: bytes) -> None:
    pytest.importorskip("pygraphviz")
    target = tmp_path / f"x.{suffix}"
    assert cli("graph", "fcn", *SIZE, "-o", str(target)).code == 0
    assert target.read_bytes().startswith(head)


def test_effective_fields_colour_the_boxes(cli: Cli) -> None:
    assert "ERF 50 %" in cli("graph", "alexnet", "--color-by", "erf").out


def test_options_reach_the_picture(cli: Cli) -> None:
    folded = cli("graph", "fcn", *SIZE).out
    assert cli("graph", "fcn", *SIZE, "--no-fold").out.count("fillcolor") > folded.count("fillcolor")
    assert cli("graph", "fcn", *SIZE, "--depth", "1").out.count("fillcolor") < folded.count("fillcolor")


def test_wrong_colour_names_the_known(cli: Cli) -> None:
    done = cli("graph", "fcn", "--color-by", "mac")
    assert done.code == 2
    assert "macs" in done.err


def test_dot_file_where_nothing_lays_out(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", "")
    done = cli("graph", "fcn", *SIZE, "-o", str(tmp_path / "x.svg"))
    assert done.code == 0
    assert (tmp_path / "x.dot").read_text().startswith("digraph")
    assert not (tmp_path / "x.svg").exists()
    assert "pygraphviz" in done.err
