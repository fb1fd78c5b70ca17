"""What every test runs in: an environment that is the same on a desk and in CI, and a cache of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

# Tests run side by side, one process a core: more threads each would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

MEDDLING = ("GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in MEDDLING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "captures"))


@dataclass(frozen=True)
class Result:
    """What a command line said."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process: `cli("rf", "fcn")`."""
    from archlens.cli.main import run

    def call(*words: str) -> Result:
        code = run(words)
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return call
