"""`archlens report` and `compare -o FILE.html`: files, errors, and the command that the page names."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlens.cli.main import run
from archlens.cli.model import command_line


def test_a_page_says_how_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "context.html"
    words = ["report", "alexnet", "--input-size", "3x227x227", "-o", str(path)]
    assert run(words) == 0
    assert "archlens report alexnet --input-size 3x227x227 -o context.html" in path.read_text("utf-8")


def test_commands_are_quoted_for_a_shell_and_name_no_folder() -> None:
    line = command_line(
        "report", ["deeplabv3?output_stride=8"], {"--set": ["a=1", "b=2"], "--at": None}, "x/y z.html"
    )
    assert line == "archlens report 'deeplabv3?output_stride=8' --set a=1 --set b=2 -o 'y z.html'"


def test_wrong_use_is_told_before_the_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["report"]) == 2
    assert "--lineage" in capsys.readouterr().err
    assert run(["report", "fcn", "--lineage"]) == 2
    assert run(["report", "fcn", "-o", str(tmp_path / "x.pdf")]) == 2
    assert ".html" in capsys.readouterr().err
    assert run(["report", "fcn", "-o", str(tmp_path / "nowhere" / "x.html")]) == 2
