"""`compare` and `explain` on the command line: the essentials, everything, cuts, sizes, languages, saved
reports without torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = ("--input-size", "3x129x129")


def test_the_essentials_fit_a_screen_and_full_has_more(cli: Callable) -> None:  # type: ignore[type-arg]
    short = cli("compare", "fcn", "pspnet", *SMALL)
    full = cli("compare", "fcn", "pspnet", *SMALL, "--full", "--sizes", "129,161")
    assert short.code == full.code == 0
    assert "Missing in fcn, present in pspnet: ppm" in short.out
    assert "random weights" in short.out
    assert len(full.out.splitlines()) > len(short.out.splitlines())
    assert "--full" in short.out
    assert "[exact: follows from the geometry]" in full.out
    assert "Zhao et al., PSPNet, CVPR 2017, Table 1" in full.out


def test_json_carries_every_finding_with_its_evidence(cli: Callable) -> None:  # type: ignore[type-arg]
    said = cli("compare", "fcn", "pspnet", *SMALL, "--json", "--sizes", "129")
    data = json.loads(said.out)
    assert set(data) >= {"schema_version", "generator", "input_shape", "models", "findings"}
    assert {"id", "title", "claim", "evidence", "layers", "confidence"} == set(data["findings"][0])
    assert all(f["evidence"] and f["claim"] for f in data["findings"])
    branches = data["models"][1]["evidence"]["paths"]["branches"]
    assert sum(b["share"] for b in branches) == pytest.approx(1)
    assert sum(b["far"] for b in branches) == pytest.approx(1)


def test_a_cut_of_ones_own(cli: Callable) -> None:  # type: ignore[type-arg]
    said = cli("compare", "pspnet", "pspnet", *SMALL, "--cut", "ppm.bin1")
    assert said.code == 0
    assert "pspnet[-ppm.bin1]" in said.out
    assert "ppm, 4 branches" in said.out
    first = cli("compare", "pspnet", "fcn", *SMALL, "--cut", "1:all")
    assert "pspnet[-all]" in first.out
    wrong = cli("compare", "pspnet", "fcn", *SMALL, "--cut", "3:all")
    assert wrong.code == 2
    assert "no network 3" in wrong.err


def test_explain(cli: Callable) -> None:  # type: ignore[type-arg]
    said = cli("explain", "deeplabv3", *SMALL, "--full", "--sizes", "129")
    assert said.code == 0
    assert "aspp.rate18" in said.out
    assert "No overlap makes tiles of deeplabv3 equal" in said.out
    assert "Richter et al. (2021)" in said.out


def test_korean(cli: Callable) -> None:  # type: ignore[type-arg]
    said = cli("explain", "fcn", *SMALL, "--lang", "ko")
    assert said.code == 0
    assert "receptive field는 fc6에서" in said.out
    assert cli("explain", "fcn", "--lang", "xx").code == 2


def test_other_sizes_are_the_nearest_legal_ones(cli: Callable) -> None:  # type: ignore[type-arg]
    said = cli("explain", "pspnet", *SMALL, "--json", "--sizes", "129,160")
    sides = [s["side"] for s in json.loads(said.out)["models"][0]["evidence"]["sizes"]]
    assert sides == [129, 153]
    assert cli("explain", "pspnet", *SMALL, "--sizes", "12x").code == 2


def test_saved_reports_need_no_torch(cli: Callable, tmp_path: Path) -> None:  # type: ignore[type-arg]
    paths = []
    for name in ("fcn", "pspnet"):
        path = tmp_path / f"{name}.json"
        assert cli("summary", name, *SMALL, "-o", str(path)).code == 0
        paths.append(str(path))
    code = (
        "import sys; from archlens.cli.main import run; "
        f"code = run(['compare', *{paths!r}, '--full']); "
        "print('torch' in sys.modules, code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split()[-2:] == ["False", "0"]
    live = cli("compare", "fcn", "pspnet", *SMALL, "--sizes", "129", "--full")
    assert [line for line in live.out.splitlines() if line.startswith(" 1.")] == [
        line for line in done.stdout.splitlines() if line.startswith(" 1.")
    ]


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_an_image_that_is_not_square_is_spoken_of_by_both_sides(lang, cli):
    """In sentences and in the evidence; JSON keeps the first side, as before."""
    words = (
        "compare",
        "fcn",
        "deeplabv1",
        "pspnet",
        "--input-size",
        "3x193x321",
        "--sizes",
        "193",
        "--lang",
        lang,
    )
    said = " ".join(cli(*words, "--full").out.split())
    assert "193x321 px" in said
    assert "25x41 cell" in said  # of PSPNet's map
    assert "25x41 (ppm.bin1)" in said or "25x41(ppm.bin1)" in said
    findings = json.loads(cli(*words, "--json").out)["findings"]
    for finding in findings:
        if finding["id"] != "by_size":
            assert not re.search(r"\b193 px", finding["claim"]), finding["claim"]
        assert finding["evidence"].get("image", 193) == 193
    assert {"reach_is_not_it", "missing_path", "step", "growth_stops", "far_use"} <= {
        f["id"] for f in findings
    }
