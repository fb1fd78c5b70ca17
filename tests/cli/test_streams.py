"""Where things go: pipes, files, colours, and nothing half-written."""

import io
import subprocess
import sys

import pytest

from archlens import showing
from archlens.cli import output
from archlens.cli.progress import ProgressLine
from archlens.errors import UsageError


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_pipe_gets_plain_text_of_any_width(cli):
    out = cli("models").out
    assert "\x1b" not in out
    assert "…" not in out
    assert max(map(len, out.splitlines())) > 120


def test_a_closed_pipe_is_no_fault():
    command = f"{sys.executable} -m archlens models --json | head -c 10; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout[:2] == "[{"


def test_a_file_is_replaced_whole(tmp_path):
    file = tmp_path / "r.txt"
    file.write_text("old")
    showing.write_file(file, "new\n")
    assert file.read_text() == "new\n"
    assert [p.name for p in tmp_path.iterdir()] == ["r.txt"]


def test_a_fault_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "r.txt"
    file.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output.os, "replace", full)
    with pytest.raises(UsageError, match="No space left"):
        showing.write_file(file, "new")
    assert file.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["r.txt"]


def test_devices_are_written_to_not_replaced(cli):
    assert cli("models", "--json", "-o", "/dev/null").code == 0


UNWRITABLE = ["folder.json", "/dev/full", f"{'x' * 300}.json", f"{'x' * 300}/a.json", "d.json/", "d.json/.",
              "no/such/d.json", "folder.json/..", ".", ""]  # fmt: skip


@pytest.mark.parametrize("target", UNWRITABLE)
def test_what_cannot_be_written_is_wrong_use_of_command_and_library(target, cli, tmp_path, monkeypatch):
    """In the same words, and with nothing left behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.json").mkdir()
    said = cli("models", "--json", "-o", target)
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err
    with pytest.raises(UsageError) as caught:
        showing.write_file(showing.checked(target), "{}")
    assert said.err == f"error: {caught.value.message}\n  {caught.value.hint}\n"
    assert [p.name for p in tmp_path.rglob("*")] == ["folder.json"]


@pytest.mark.parametrize("target", [b"r.json", "a\0.json", None, 3])
def test_what_is_no_name_of_a_file(target):
    with pytest.raises(UsageError, match="is no name of a file"):
        showing.checked(target)


def test_a_name_as_long_as_a_disk_takes_is_written(cli, tmp_path):
    file = tmp_path / f"{'x' * 250}.json"
    assert cli("models", "--json", "-o", str(file)).code == 0
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(("where", "told"), [("> /dev/full", "No space left"), (">&-", "no standard output")])
def test_a_stdout_that_takes_nothing_is_said(where, told):
    command = f"{sys.executable} -m archlens models --json {where}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 2  # and nothing at exit


def test_json_goes_to_a_file_of_any_suffix_when_asked_for(cli, tmp_path):
    file = tmp_path / "r.out"
    assert cli("models", "--json", "-o", str(file)).code == 0
    assert file.read_text().startswith("[{")


def test_a_dash_is_stdout(cli):
    assert cli("models", "-o", "-").out == cli("models").out


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals(environment, coloured, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert output.colour(Terminal()) is coloured
    assert output.colour(io.StringIO()) is False


def test_no_color_leaves_no_escapes_on_a_terminal(monkeypatch):
    from archlens.cli.main import run

    for name, value in {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run(["rf", "fcn"]) == 0
    text = terminal.getvalue()
    assert "\x1b" not in text
    assert "backbone.conv1_1" in text
    assert max(map(len, text.splitlines())) <= 80


def test_progress_on_a_terminal_leaves_no_trace(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressLine() as progress:
        progress("thinking")
        progress._show("thinking")
    assert terminal.getvalue().endswith("\r\x1b[2K")


def test_a_quick_step_is_not_worth_a_line(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with ProgressLine() as progress:
        progress("a moment")
    assert log.getvalue() == ""
