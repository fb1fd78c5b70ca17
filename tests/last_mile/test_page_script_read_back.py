"""The explorer of the page, run by node on canvases that take notes: frames, shades and marks of units."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import read_nets as nets

from archlens.findings.comparison import compared
from archlens.render.page.page import asset, html

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the page's script")

SCRIPTS = ("words.js", "data.js", "taps.js", "support.js", "state.js", "scene.js", "lens.js")
HARNESS = Path(__file__).with_name("explorer_harness.js")
INPUT, MAP = (640, 400), (320, 100)
"""Sizes of the canvases: ten points a pixel of the image, and a cell of the map."""

UNITS = ((5, 16), (0, 0), (9, 31), (3, 20))


@pytest.fixture(scope="module")
def drawn() -> list[dict[str, Any]]:
    """What is drawn for units of the scores of the uneven network: their supports, and the expected field."""
    text = html(compared([nets.uneven(), nets.branched_small()]), "archlens")
    texts = dict(re.findall(r'<script type="[^"]*" id="([^"]*)">([^<]*)</script>', text))
    one = {"network": 0, "layer": "score", "centre": "score"}
    asked = [{**one, "unit": unit, "overlay": "support"} for unit in UNITS]
    asked.append({**one, "unit": (5, 16), "overlay": "expected"})
    code = "\n".join(
        [
            HARNESS.read_text(encoding="utf-8"),
            *map(asset, SCRIPTS),
            "function fillReading() {}",
            "harness(loadSubject, drawLens, unitNear, spotOf, visibleBox);",
        ]
    )
    given = {"texts": texts, "views": {"input": INPUT, "map": MAP}, "asked": asked}
    done = subprocess.run(
        ["node", "-e", code], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_the_frame_is_the_box_of_the_unit(drawn: list[dict[str, Any]]) -> None:
    for unit, found in zip(UNITS, drawn, strict=False):
        top, left, bottom, right = nets.seen_of(*unit)
        wanted = [10 * left, 10 * top, 10 * (right - left + 1), 10 * (bottom - top + 1)]
        assert found["input"]["rect"][0] == [0, 0, *INPUT]
        assert found["input"]["rect"][1:] == [wanted] * (len(found["input"]["rect"]) - 1)
        assert len(found["input"]["rect"]) >= 2
        (frame,) = found["input"]["strokeRect"]
        assert frame == pytest.approx(wanted, abs=2)


def test_what_is_not_read_stays_in_the_shade(drawn: list[dict[str, Any]]) -> None:
    for unit, found in zip(UNITS, drawn, strict=False):
        rows, columns = nets.touched(unit[0], 0), nets.touched(unit[1], 1)
        top, left, bottom, right = nets.seen_of(*unit)
        read = np.zeros(nets.IMAGE, bool)
        read[np.ix_(sorted(rows), sorted(columns))] = True
        if read.sum() == (bottom - top + 1) * (right - left + 1):
            assert found["input"]["images"] == []
            continue
        (veil,) = found["input"]["images"]
        assert veil["place"] == [0, 0, *INPUT]
        assert (np.array(veil["cells"]) == ~read).all()


def test_the_expected_field_is_the_less_shaded_the_more_it_holds(drawn: list[dict[str, Any]]) -> None:
    energy = nets.uneven().study.cell_field.energy
    assert energy is not None
    (veil,) = drawn[-1]["input"]["images"]
    shade = np.clip(-np.log10(np.maximum(energy / energy.max(), 1e-4)) / 4, 0, 1)
    assert np.array(veil["cells"]) == pytest.approx(shade, abs=0.003)


def test_the_cross_marks_the_middle_of_the_field(drawn: list[dict[str, Any]]) -> None:
    for unit, found in zip(UNITS, drawn, strict=False):
        row, column = 4 * unit[0], 2 * unit[1]  # -11 + (23 - 1) / 2 and -7 + (15 - 1) / 2 are 0
        assert found["spot"] == [row, column]
        x, y = (column + 0.5) * 10, (row + 0.5) * 10
        assert found["input"]["moveTo"][-2:] == [[x - 7, y], [x, y - 7]]
        assert found["input"]["lineTo"][-2:] == [[x + 7, y], [x, y + 7]]
        # The other network's scores have a stride of 4 both ways, and their first unit's middle at pixel 0.
        assert found["there"][0] == list(unit)
        assert found["there"][1] == [min(unit[0], 9), min(round(column / 4 + 1e-9), 15)]


def test_the_map_is_the_brighter_the_more_a_cell_sees(drawn: list[dict[str, Any]]) -> None:
    (picture,) = drawn[0]["map"]["images"]
    assert picture["place"] == [0, 0, *MAP]
    for row in range(10):
        for column in range(32):
            top, left, bottom, right = nets.seen_of(row, column)
            share = (bottom - top + 1) * (right - left + 1) / 2560
            assert picture["cells"][row][column] == pytest.approx(0.1 + 0.6 * share)
    for unit, found in zip(UNITS, drawn, strict=False):
        (x, y, wide, high) = found["map"]["strokeRect"][-1]
        assert (x + wide / 2, y + high / 2) == pytest.approx((10 * unit[1] + 5, 10 * unit[0] + 5))
        assert (wide, high) == (10, 10)
