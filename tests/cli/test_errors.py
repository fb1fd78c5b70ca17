"""Wrong use: one screen on stderr, nothing on stdout, exit code 2, and what to do next."""

import re

import pytest

from archlens.cli import main

MODELS = """
import torch
from torch import nn

class Raises(nn.Module):
    def forward(self, x):
        raise ValueError("no forward today")

class Conv(nn.Conv2d):
    pass

def raises(): return Raises()
def conv(): return Conv(3, 4, 3)
def broken(): raise RuntimeError("no build today")
def number(): return 3
"""

CASES = [
    (["rf", "deeplabv5"], ["deeplabv5", "deeplabv3"]),
    (["rf", "fcn", "--input-size", "3x5l3x513"], ["3x5l3x513", "3x513x513"]),
    (["rf", "fcn", "--input-size", "0x0"], ["0x0"]),
    (["rf", "deeplabv2", "--input-size", "3x512x512"], ["505x505", "513x513"]),
    (["rf", "dilatednet", "--input-size", "3x100x100"], ["187"]),
    (["rf", "fcn", "--input-size", "4x513x513"], ["3 input channels"]),
    (["rf", "fcn", "--input-size", "513"], ["3x513x513"]),
    (["rf", "deeplabv3?output_strid=8"], ["output_strid", "output_stride"]),
    (["rf", "deeplabv3", "--set", "output_stride=7"], ["7", "32 or 16 or 8"]),
    (["rf", "deeplabv3", "--set", "output_stride"], ["key=value"]),
    (["rf", "fcn", "--layer", "fc66"], ["fc66", "fc6"]),
    (["rf", "fcn", "--layer", "fc6", "--unit", "17,0"], ["fc6", "17x17"]),
    (["rf", "fcn", "--unit", "a,b"], ["a,b", "--unit"]),
    (["rf", "fcn", "--at", "nowhere"], ["nowhere"]),
    (["rf", "fcn", "--from", "nowhere"], ["nowhere"]),
    (["rf", "fcn", "--device", "tpu"], ["tpu", "cuda"]),
    (["rf", "fcn", "-o", "report.docx"], [".docx", ".json"]),
    (["rf", "fcn", "-o", "no/such/folder/r.json"], ["no/such/folder"]),
    (["rf", "no_such_file.json"], ["no_such_file.json"]),
    (["rf", "no_such_file.py:net"], ["no_such_file.py"]),
    (["rf", "nets.py"], ["nets.py", "FUNCTION"]),
    (["rf", "nets.py:nott"], ["nott"]),
    (["rf", "nets.py:broken"], ["no build today"]),
    (["rf", "nets.py:number"], ["int"]),
    (["rf", "nets.py:raises"], ["no forward today", "nets.py"]),
    (["rf", "nets.py:conv", "--input-size", "3x2x2"], ["3x2x2"]),
    (["summary", "fcn", "--weights", "nets.py"], ["nets.py"]),
    (["summary", "fcn", "--weights", "missing.pth"], ["missing.pth"]),
    (["compare", "fcn"], ["two"]),
    (["models", "fnc"], ["fcn"]),
    (["sumary", "fcn"], ["summary"]),
    (["rf", "fcn", "--jsn"], ["--json"]),
    (["rf"], ["MODEL"]),
]


@pytest.mark.parametrize(("words", "told"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_wrong_use(words, told, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(MODELS)
    said = cli(*words)
    assert said.code == 2, said.err
    assert said.out == ""
    assert "error:" in said.err
    assert "Traceback" not in said.err
    lines = [line for line in said.err.splitlines() if not line.endswith(" ...")]
    assert 2 <= len(lines) <= 12  # a message and what to do next
    for word in told:
        assert word in said.err


def test_debug_shows_the_traceback(cli):
    said = cli("rf", "deeplabv5", "--debug")
    assert said.code == 2
    assert "Traceback" in said.err
    assert "error:" in said.err


def broken():
    """A command with a fault in it."""
    raise ZeroDivisionError("of all things")


def interrupted():
    """A command that is interrupted."""
    raise KeyboardInterrupt


def test_a_fault_of_ours_is_said_to_be_ours(cli, monkeypatch):
    monkeypatch.setattr(main, "COMMANDS", (*main.COMMANDS, broken))
    said = cli("broken")
    assert said.code == 3
    assert said.out == ""
    assert "a fault of archlens: ZeroDivisionError: of all things" in said.err
    assert "--debug" in said.err
    assert "Traceback" not in said.err


def test_an_interrupt_is_quiet(cli, monkeypatch):
    monkeypatch.setattr(main, "COMMANDS", (*main.COMMANDS, interrupted))
    said = cli("interrupted")
    assert (said.code, said.out, said.err) == (130, "", "")


@pytest.mark.parametrize("words", [("rf", "alexnet"), ("erf", "alexnet"), ("compare", "alexnet", "alexnet")])
def test_a_card_that_is_asked_for_has_to_be_there(cli, words):
    """Also by commands that only derive: a job that asks for a card must not believe that it has one."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a card")
    said = cli(*words, "--device", "cuda")
    assert said.code == 2
    assert "CUDA was asked for" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("model", "wrong", "told"),
    [
        ("deeplabv3", "xyzzy", "There are 366, none of them near; the nearest: "),
        ("fcn", "score_pol3", "Did you mean score_pool3 or"),
        ("fcn", "FC6", "Did you mean fc6 or"),
    ],
)
def test_a_hint_names_the_nearest_and_stays_short(cli, model, wrong, told):
    """A ResNet has hundreds of layers; a wrong name is no reason to print them all."""
    said = cli("rf", model, "--layer", wrong)
    assert said.code == 2
    assert told in said.err
    assert re.search(r"There are \d+", said.err)
    assert len(said.err.splitlines()[-1]) < 200
