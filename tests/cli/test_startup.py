"""What must not wait for torch: help, version, models, completion, and importing the library."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "numpy", "scipy", "matplotlib")
CODE = """
import json, sys
from archlens.cli.main import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted({name.split('.')[0] for name in sys.modules})]), file=sys.stderr)
"""


def loaded(code, *words, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["models"], ["models", "--json"], ["rf", "--help"], ["rf", "fcn?"]],
    ids=" ".join,
)  # fmt: skip
def test_the_command_line_imports_nothing_heavy(words):
    code, modules = loaded(CODE, *words)
    assert code == (2 if words[-1] == "fcn?" else 0) or words[-1] == "fcn?"
    if words[-1] != "fcn?":
        assert not set(HEAVY) & set(modules)


def test_importing_archlens_imports_nothing():
    code = "import archlens, sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    modules = loaded(code)
    assert not {"torch", "numpy", "rich", "typer"} & set(modules)
    assert [name for name in modules if name.startswith("archlens.")] in ([], ["archlens.version"])


def test_a_cold_rf_imports_neither_torchvision_nor_scipy_nor_sympy(tmp_path):
    for network in ("deeplabv2?num_classes=19", "fcn?num_classes=19"):  # not among the captures that ship
        code, modules = loaded(CODE, "rf", network, ARCHLENS_CACHE_DIR=str(tmp_path / network[:3]))
        assert code == 0
        assert "torch" in modules
        assert not {"torchvision", "scipy", "sympy", "matplotlib"} & set(modules)


def test_a_second_look_needs_no_torch(tmp_path):
    words = ("rf", "alexnet?groups=1")
    assert loaded(CODE, *words, ARCHLENS_CACHE_DIR=str(tmp_path))[0] == 0
    code, modules = loaded(CODE, *words, ARCHLENS_CACHE_DIR=str(tmp_path))
    assert code == 0
    assert "torch" not in modules


def test_completion_answers_without_torch():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "archlens"],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "_ARCHLENS_COMPLETE": "complete_bash",
            "COMP_WORDS": "archlens rf psp",
            "COMP_CWORD": "2",
        },
    )
    assert done.stdout.split() == ["pspnet", "pspnet_resnet50", "pspnet_resnet101"]
    assert not any(line.split("|")[-1].strip() == "torch" for line in done.stderr.splitlines())


def test_the_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "archlens", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("archlens ")
