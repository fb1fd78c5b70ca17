"""The reports in the repository say what the code says today. Floats may differ a little between machines."""

from __future__ import annotations

import json
import math
import re
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from archlens.comparing import CompareOptions, gathered
from archlens.findings.claims import COMPARED, find
from archlens.findings.comparison import Comparison
from archlens.findings.evidence.published import LINEAGE

REPORTS = Path(__file__).resolve().parents[1] / "reports"
STALE = "reports/ is out of date: python reports/build.py"
PAIRS = {"fcn-pspnet": ("fcn", "pspnet"), "fcn-deeplabv3plus": ("fcn", "deeplabv3plus")}
# Places that may differ without a number being wrong: claims round, versions are the builder's own.
TOLD = {"claim", "versions", "generator", "graph"}


@pytest.fixture(scope="module")
def lineage() -> Comparison:
    """All networks of the lineage, analyzed now."""
    return gathered(LINEAGE, CompareOptions(input_size="3x513x513"))


def part(whole: Comparison, names: tuple[str, ...]) -> Comparison:
    """The comparison of a few of the networks: evidence is about one network at a time."""
    at = [whole.names.index(name) for name in names]
    evidence = tuple(whole.evidence[i] for i in at)
    reports = tuple(whole.reports[i] for i in at)
    return Comparison(
        input_shape=whole.input_shape,
        names=names,
        reports=reports,
        evidence=evidence,
        found=tuple(find(evidence, COMPARED)),
    )


def same(ours: Any, theirs: Any, where: str = "report") -> None:
    """Equal, floats to a thousandth."""
    if isinstance(ours, dict):
        assert isinstance(theirs, dict), f"{where}: {STALE}"
        assert ours.keys() - TOLD == theirs.keys() - TOLD, f"{where}: {STALE}"
        for key in ours.keys() - TOLD:
            same(ours[key], theirs[key], f"{where}.{key}")
    elif isinstance(ours, list):
        assert isinstance(theirs, list), f"{where}: {STALE}"
        assert len(ours) == len(theirs), f"{where}: {STALE}"
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{where}[{index}]")
    elif isinstance(ours, float) and isinstance(theirs, (int, float)):
        assert math.isclose(ours, theirs, rel_tol=1e-3, abs_tol=1e-6), (
            f"{where}: {theirs}, now {ours}. {STALE}"
        )
    else:
        assert ours == theirs, f"{where}: {theirs}, now {ours}. {STALE}"


@pytest.mark.parametrize("name", ["lineage", *PAIRS])
def test_the_saved_numbers_are_todays(name: str, lineage: Comparison) -> None:
    today = lineage if name == "lineage" else part(lineage, PAIRS[name])
    saved = json.loads((REPORTS / f"{name}.json").read_text("utf-8"))
    same(json.loads(json.dumps(today.to_dict(graph=False))), saved | {
        "models": [{k: v for k, v in model.items() if k != "graph"} for model in saved["models"]]
    })  # fmt: skip


@pytest.mark.parametrize("name", ["lineage", *PAIRS])
def test_a_page_holds_the_numbers_of_its_json(name: str) -> None:
    page = (REPORTS / f"{name}.html").read_text("utf-8")
    held = re.search(r'id="comparison">([^<]*)</script>', page)
    assert held is not None
    data = json.loads(zlib.decompress(b64decode(held[1]), -15))
    assert data == json.loads((REPORTS / f"{name}.json").read_text("utf-8")), STALE


def test_the_readme_names_what_is_there() -> None:
    text = (REPORTS / "README.md").read_text("utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (REPORTS / link).is_file(), link
    built = (REPORTS / "build.py").read_text("utf-8")
    for name in ("lineage", *PAIRS):
        assert f'"{name}"' in built
        assert f"{name}.html" in text
