"""`--plot` of rf and compare, and pictures of erf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
SIZE = ("--input-size", "3x129x129")


@pytest.mark.parametrize("figure", ["growth", "stages"])
def test_rf_draws_beside_its_table(cli: Cli, tmp_path: Path, figure: str) -> None:
    target = tmp_path / "x.svg"
    done = cli("rf", "fcn", *SIZE, "--plot", str(target), "--figure", figure)
    assert done.code == 0
    assert "conv1_1" in done.out
    assert target.read_text().startswith("<?xml")


def test_compare_draws_beside_its_findings(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    assert cli("compare", "fcn", "pspnet", *SIZE, "--plot", str(target), "--figure", "cost").code == 0
    assert target.read_bytes().startswith(b"\x89PNG")


def test_erf_is_a_picture_by_its_suffix(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "x.png"
    assert cli("erf", "fcn", *SIZE, "-o", str(target), "--log").code == 0
    assert target.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--plot", "x.gif"), ".gif"),
        (("--plot", "x"), "a file without a suffix"),
        (("--plot", "x.svg", "--figure", "grow"), "growth"),
        (("--plot", "x.svg", "--figure", "boxes", "--image", "none.png"), "no such image"),
        (("--plot", "nowhere/x.svg"), "no folder"),
    ],
)
def test_wrong_plots_are_refused_early(cli: Cli, words: tuple[str, ...], said: str) -> None:
    done = cli("rf", "fcn", *SIZE, *words)
    assert done.code == 2
    assert said in done.err
    assert not done.out
