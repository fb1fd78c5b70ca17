"""What the README and its neighbours claim, held against the program."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from archlens.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def test_the_table_lists_every_command_in_the_order_of_the_help():
    listed = re.findall(r"^\| `archlens (\w+)", README, flags=re.M)
    assert listed == [command.__name__ for command in COMMANDS]


def test_ci_runs_the_readme_line():
    line = next(block.strip() for block in blocks("sh") if "pytest" in block)
    assert "\n" not in line
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == line


def test_the_commands_from_nothing_are_one_line_each():
    for block in blocks("sh")[:2]:
        assert len(block.strip().splitlines()) == 1
        assert "python3 -m venv .venv" in block


def test_the_shown_table_is_the_real_one(cli):
    shown = [re.sub(r"\s+", " ", line) for line in blocks("console")[0].splitlines()]
    real = [re.sub(r"\s+", " ", line) for line in cli("rf", "fcn").out.splitlines()]
    rows = [line.strip() for line in shown if line.startswith(("backbone.", "fc6", "add:2", "layer"))]
    assert len(rows) == 4
    for row in rows:
        assert row in [line.strip() for line in real]


def test_your_own_model(tmp_path, monkeypatch, cli):
    source = next(block for block in blocks("python") if block.startswith("# nets.py"))
    (tmp_path / "nets.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    line = next(block for block in blocks("sh") if "nets.py:make" in block).strip()
    words = [word.strip("'") for word in line.split()[1:]]
    said = cli(*words)
    assert said.code == 0, said.err
    assert "256x512" in said.out or "255x511" in said.out


def test_from_python(tmp_path, monkeypatch):
    source = next(block for block in blocks("python") if "archlens.analyze" in block)
    names = {}
    monkeypatch.chdir(tmp_path)
    exec(source, names)
    assert "<html" in (tmp_path / "context.html").read_text(encoding="utf-8")
    report = names["report"]
    assert report.cell.rf.size == (1411, 1411)
    assert report.totals["macs"] == 188885763264


@pytest.mark.skipif(sys.platform == "win32", reason="bash")
def test_ci_run_is_a_good_script():
    done = subprocess.run(
        ["bash", "-n", str(ROOT / ".ci" / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
