"""The page as text: its size, its bytes, what it holds and what it keeps out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from archlens.findings.comparison import compared
from archlens.pipeline import analyze
from archlens.render.page.numbers import difference, points_apart
from archlens.render.page.page import html
from archlens.render.page.plots import ticks
from archlens.report import Report, report_from_dict

LIMIT_ONE, LIMIT_FOUR = 400_000, 1_500_000
SIZE = (3, 513, 513)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    """Four networks of the lineage, the deepest among them."""
    return [analyze(name, SIZE) for name in ("fcn", "pspnet", "deeplabv2", "deeplabv3plus")]


def held(page: str, name: str) -> Any:
    """Compressed JSON that a page holds."""
    found = re.search(rf'id="{name}">([^<]*)</script>', page)
    assert found is not None
    return json.loads(zlib.decompress(base64.b64decode(found[1]), -15))


def test_pages_keep_to_their_size(reports: list[Report]) -> None:
    deepest = html(compared(reports[3:]), "archlens report deeplabv3plus")
    assert len(deepest.encode()) <= LIMIT_ONE
    assert len(html(compared(reports), "archlens report ...").encode()) <= LIMIT_FOUR


def test_the_same_input_gives_the_same_bytes(reports: list[Report]) -> None:
    assert html(compared(reports[:2]), "archlens") == html(compared(reports[:2]), "archlens")


def test_the_page_holds_the_report_that_compare_reads(reports: list[Report]) -> None:
    page = html(compared(reports[1:2]), "archlens report pspnet")
    assert report_from_dict(held(page, "report-0")).to_json() == reports[1].to_json()


def test_boxes_of_all_units_are_those_of_the_report(reports: list[Report]) -> None:
    page = html(compared(reports[:1]), "archlens report fcn")
    boxes = held(page, "intervals-0")
    for row, layer, pairs in zip(reports[0].layers, reports[0].graph.layers, boxes["layers"], strict=True):
        node = reports[0].graph.nodes[layer.output]
        unit = [node.shape[d] // 2 for d in node.positions]
        assert row.rf is not None
        assert row.rf.visible is not None
        for axis, pair in enumerate(pairs):
            lo, hi = (_at(boxes["arrays"][index], unit) for index in pair)
            assert (lo, hi) == (row.rf.visible.lo[axis], row.rf.visible.hi[axis]), row.name


def _at(array: list[Any], unit: list[int]) -> int:
    shape, differences = array
    index = 0
    for size, u in zip(shape, unit, strict=True):
        index = index * size + (0 if size == 1 else u)
    return sum(differences[: index + 1])


def test_the_policy_names_every_script_and_nothing_from_outside(reports: list[Report]) -> None:
    page = html(compared(reports[:2]), "archlens compare fcn pspnet")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert unescape(policy[1]).startswith("default-src 'none'")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 2
    for text in scripts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in unescape(policy[1])
    outside = re.findall(r"""(?:src|href)=["']?(https?:[^"'\s>]*)""", page)
    assert outside == []
    assert str(Path.cwd()) not in page


def test_findings_numbers_and_published_figures_are_there(reports: list[Report]) -> None:
    result = compared(reports[:2])
    page = html(result, "archlens compare fcn pspnet -o 'a b.html'")
    text = unescape(re.sub(r"<[^>]*>", "", page)).replace("\u00a0", " ")
    for finding in result.findings:
        if finding["confidence"] != "published":
            assert finding["claim"] in text
    assert "37.23" in text
    assert "archlens compare fcn pspnet -o 'a b.html'" in text
    assert "Versions" in text
    assert text.count("134.5 M") >= 1


def test_differences_are_said_in_the_fitting_form() -> None:
    assert difference(100, 100) == "same"
    assert difference(100, 112) == "+12.0 %"
    assert difference(100, 340) == "× 3.4"
    assert difference(100, 20) == "÷ 5.0"
    assert difference(100, 90) == "−10.0 %"
    assert difference(None, 1) == difference(0, 1) == ""
    assert points_apart(0.1, 0.35) == "+25.0 points"
    assert points_apart(0.1, 0.1001) == "same"


def test_axes_have_round_ticks() -> None:
    assert ticks(513) == [0, 200, 400, 513]
    assert ticks(100) == [0, 20, 40, 60, 80, 100]
    assert ticks(4) == [0, 1, 2, 3, 4]
