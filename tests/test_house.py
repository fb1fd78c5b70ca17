"""The house rules: types, lint, format, layers, file sizes, and words that do not belong here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
LONGEST = 500
# The next ones to take apart.
STILL_LONG: set[str] = set()


def ours():
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    names = [name for name in done.split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.mark.parametrize(
    "words",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "-p", "archlens"],
        ["lint-imports", "--no-cache"],
    ],
    ids=" ".join,
)
def test_tool(words):
    tool, *rest = words
    program = BIN / tool
    assert program.exists(), f"{tool} is missing: pip install -e '.[test]'"
    done = subprocess.run([str(program), *rest], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_stay_short():
    long = {
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "archlens").rglob("*.py"))
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST
    }
    assert long == STILL_LONG, "shorten what is new here; take off the list what got short"


def test_every_module_says_what_it_is():
    bare = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "archlens").rglob("*.py"))
        if path.name != "__init__.py"
        and not path.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]
    assert not bare


def test_typer_carries_its_own_click():
    files = [
        p
        for p in (ROOT / "archlens").rglob("*.py")
        if re.search(r"^\s*(import|from) click", p.read_text(), re.M)
    ]
    assert not files


def test_relative_links_lead_somewhere():
    broken = []
    for page in [p for p in ours() if p.suffix == ".md"]:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if (
                "://" not in target
                and not target.startswith("mailto:")
                and not (page.parent / target).exists()
            ):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken
