"""Project settings: what they say, and that nothing in them is passed over in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlens.errors import UsageError
from archlens.findings.watched import Budget
from archlens.settings import Settings, find, read


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_can_be_set(tmp_path: Path) -> None:
    file = write(
        tmp_path / "pyproject.toml",
        """
        [tool.archlens]
        input-size = "3x321x321"
        device = "cpu"
        lang = "ko"
        baselines = "base"
        [tool.archlens.allowed]
        macs = 1
        [tool.archlens.networks.small]
        spec = "net.py:make?width=8"
        input_size = "3x65x65"
        set = { flag = true, rates = [1, 2] }
        allowed = { erf-95 = 2.5 }
        budgets = { macs = { max = 2e9 }, far_share = { min = 0.1, level = "warn" } }
        """,
    )
    found = read(file)
    assert (found.input_size, found.device, found.lang) == ("3x321x321", "cpu", "ko")
    assert found.baselines == tmp_path / "base"
    (small,) = found.networks
    assert small.spec == "net.py:make?width=8"
    assert small.input_size == (3, 65, 65)
    assert small.options == ("flag=true", "rates=1,2")
    assert small.allowed == {"macs": 1.0, "erf_95": 2.5}
    assert small.budgets == (Budget("macs", None, 2e9), Budget("far_share", 0.1, None, "warn"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input_sise = '3x9x9'", ("unknown key 'input_sise'", "input_size")),
        ("input_size = '3y9'", ("input_size", "channels")),
        ("device = 'gpu'", ("device", "cpu")),
        ("[networks.a]\nspek = 'fcn'", ("unknown key 'spek'", "spec")),
        ("[networks.a.budgets]\nmac = { max = 1 }", ("unknown figure 'mac'", "macs")),
        ("[networks.a.budgets]\nmacs = { }", ("a min, a max, or both", "docs/ci.md")),
        ("[networks.a.budgets]\nmacs = { maks = 1 }", ("unknown key 'maks'", "max")),
        ("[networks.a.budgets]\nmacs = { max = 'much' }", ("must be a number", "")),
        ("[networks.a.budgets]\nmacs = { max = 1, level = 'loud' }", ("cannot be 'loud'", "warn")),
        ("[allowed]\nmacs = -1", ("0 or more", "")),
        ("networks = 3", ("a table of networks", "")),
        ("input_size = ", ("is no TOML", "")),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        read(write(tmp_path / "archlens.toml", text))
    assert words[0] in caught.value.message
    assert words[1] in caught.value.hint


def test_the_nearest_file_upwards_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find(inner).path is None or tmp_path not in find(inner).path.parents
    write(tmp_path / "pyproject.toml", "[tool.archlens]\nlang = 'ko'")
    write(tmp_path / "a" / "pyproject.toml", "[tool.other]\nx = 1")  # says nothing of us
    assert find(inner).lang == "ko"
    write(inner / "archlens.toml", "lang = 'en'")
    assert find(inner).lang == "en"


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no settings file"):
        find(tmp_path, tmp_path / "none.toml")
    assert find(tmp_path, write(tmp_path / "x.toml", "")) == Settings(
        path=tmp_path / "x.toml", baselines=tmp_path / "reports" / "baselines"
    )
