"""The explorer draws what `archlens rf --unit` says, by mouse and by keyboard."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import NETWORKS, SIZE, until

from archlens.analyses.fields.support import support
from archlens.cli.main import run
from archlens.report import Report, report_from_dict

Visits = Callable[..., Any]


def rf_unit(network: str, layer: str, unit: list[int], capsys: pytest.CaptureFixture[str]) -> list[list[int]]:
    """The visible box as the command line says it: [[lo, hi] per axis]."""
    where = ",".join(map(str, unit))
    words = ["rf", f"{NETWORKS}:{network}", "--input-size", SIZE, "--layer", layer, "--unit", where, "--json"]
    assert run(words) == 0
    rows = json.loads(capsys.readouterr().out)["layers"]
    box = next(row for row in rows if row["name"] == layer)["rf"]["visible"]
    return [[lo, hi] for lo, hi in zip(box["lo"], box["hi"], strict=True)]


def report_in(page: Any, index: int = 0) -> Report:
    """The report that the page holds."""
    data = page.evaluate("(i) => archlens.report(i)", index)
    return report_from_dict(data)


def test_it_begins_at_the_centre_of_the_class_score_cell(pair: Path, visit: Visits) -> None:
    opened = visit(pair)
    for network in (0, 1):
        seen = opened.seen(network)
        report = report_in(opened.page, network)
        assert seen["layer"] == report.class_score == "score"
        assert seen["unit"] == [8, 8]


def test_pointing_at_a_cell_draws_its_box_for_all_networks(
    pair: Path, visit: Visits, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = visit(pair)
    view = opened.page.locator("#lens-0 [data-part=map]")
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    for row, column in ((0, 0), (3, 12), (16, 16)):
        opened.page.mouse.move(
            box["x"] + (column + 0.5) / 17 * box["width"], box["y"] + (row + 0.5) / 17 * box["height"]
        )
        for network, name in enumerate(("plain", "pyramid")):
            seen = opened.seen(network)
            assert seen["unit"] == [row, column]
            assert seen["box"] == rf_unit(name, "score", [row, column], capsys)
    opened.page.mouse.move(0, 0)
    assert opened.seen()["unit"] == [8, 8], "hovering only looks"


def test_a_click_stays_and_stands_in_the_address(pair: Path, visit: Visits) -> None:
    opened = visit(pair)
    view = opened.page.locator("#lens-1 [data-part=input]")
    view.scroll_into_view_if_needed()
    box = view.bounding_box()
    view.click(position={"x": box["width"] * 0.1, "y": box["height"] * 0.9})
    unit = opened.seen(1)["unit"]
    assert unit[0] > 13
    assert unit[1] < 3
    assert opened.seen(0)["unit"] == unit
    address = opened.page.evaluate("location.hash")
    assert f"unit={unit[0]}%2C{unit[1]}" in address
    again = visit(pair, at=address)
    assert again.seen(1)["unit"] == unit


def test_the_keyboard_does_all_of_it(pair: Path, visit: Visits, capsys: pytest.CaptureFixture[str]) -> None:
    opened = visit(pair)
    page = opened.page
    page.locator("#lens-0 [data-part=map]").focus()
    for key, unit in (
        ("ArrowUp", [7, 8]),
        ("ArrowLeft", [7, 7]),
        ("Shift+ArrowDown", [15, 7]),
        ("Home", [8, 8]),
    ):
        page.keyboard.press(key)
        assert opened.seen()["unit"] == unit, key
    page.keyboard.press("PageUp")
    assert opened.seen()["layer"] == "head"
    page.keyboard.press("PageUp")
    seen = opened.seen()
    assert seen["layer"] == "gaps"
    assert seen["box"] == rf_unit("plain", "gaps", seen["unit"], capsys)
    page.keyboard.press("PageDown")
    assert opened.seen()["layer"] == "head"
    page.locator("#lens-0 [data-part=row]").fill("2")
    page.keyboard.press("Tab")
    assert opened.seen()["unit"][0] == 2
    assert "2, 8 of head" in page.locator("#reading-0").inner_text()


@pytest.mark.parametrize("network", ["plain", "pyramid", "split"])
def test_boxes_and_supports_are_those_of_the_analyses(network: str, visit: Visits, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    size = "3x64x64" if network == "split" else SIZE
    assert run(["report", f"{NETWORKS}:{network}", "--input-size", size, "-o", str(path)]) == 0
    opened = visit(path)
    report = report_in(opened.page)
    draw = random.Random(0)
    for layer in report.graph.layers:
        node = report.graph.nodes[layer.output]
        for unit in ([0] * len(node.positions), [draw.randrange(node.shape[d]) for d in node.positions]):
            opened.page.evaluate(
                """([layer, unit]) => { const model = archlens.keys()[0];
                                        location.hash = new URLSearchParams({model, layer, unit}); }""",
                [layer.name, ",".join(map(str, unit))],
            )
            seen = opened.seen()
            expected = support(report.graph, node.id, unit)
            assert expected is not None
            assert seen["layer"] == layer.name
            if seen["box"] == "nothing":
                assert not expected.any()
                continue
            assert seen["support"] == "".join(str(int(v)) for v in expected.ravel()), (layer.name, unit)
            rows, columns = expected.any(1).nonzero()[0], expected.any(0).nonzero()[0]
            assert seen["box"] == [[rows[0], rows[-1]], [columns[0], columns[-1]]]


def test_what_is_not_read_lies_in_the_shade(pair: Path, visit: Visits) -> None:
    opened = visit(pair, at="#model=" + "&layer=gaps&unit=8,8")
    page = opened.page
    page.locator("[data-scene=none]").click()
    page.locator("#pick-0").select_option(label="gaps")
    seen = opened.seen()
    lit = page.evaluate(
        """() => { const c = document.querySelector("#lens-0 [data-part=input] canvas");
                   const g = c.getContext("2d"), n = 65, out = [];
                   for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) {
                     const at = [(x + .5) * c.width / n, (y + .5) * c.height / n].map(Math.floor);
                     const px = g.getImageData(...at, 1, 1);
                     out.push(px.data[0] > 170 ? 1 : 0); }
                   return out.join(""); }"""
    )
    (top, bottom), (left, right) = seen["box"]
    # Away from the frame, the cross and the ruler, a pixel is bright where the support has it.
    for y in range(65):
        for x in range(65):
            edge = min(abs(y - top), abs(y - bottom), abs(x - left), abs(x - right)) <= 1
            cross = abs(y - 32) < 3 or abs(x - 32) < 3
            if not edge and not cross and y % 8 and x % 8:
                assert lit[y * 65 + x] == seen["support"][y * 65 + x], (y, x)


def test_a_users_picture_is_shown_and_stays_in_the_page(one: Path, visit: Visits, tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "red.png"
    Image.new("RGB", (20, 20), (255, 0, 0)).save(picture)
    opened = visit(one)
    opened.page.locator("#picture").set_input_files(picture)
    until(opened.page, "document.getElementById('picture-note').textContent.includes('red.png')")
    opened.seen()
    middle = opened.page.evaluate(
        """() => { const c = document.querySelector("#lens-0 [data-part=input] canvas");
                   return [...c.getContext("2d").getImageData(c.width * .7, c.height * .7, 1, 1).data]; }"""
    )
    assert middle[0] > 200
    assert middle[1] < 60
    assert [url for url in opened.requests if not url.startswith("blob:")] == [one.as_uri()]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    opened.page.locator("#picture").set_input_files(broken)
    until(opened.page, "document.getElementById('picture-note').textContent.includes('not a picture')")


def test_the_expected_field_is_drawn_at_the_centre_of_the_class_score(one: Path, visit: Visits) -> None:
    opened = visit(one)
    opened.page.locator("[data-overlay=expected]").click()
    assert opened.seen()["support"] is None
    assert "energy" in opened.page.locator("#reading-0").inner_text()
    opened.page.locator("#lens-0 [data-part=map]").focus()
    opened.page.keyboard.press("ArrowUp")
    assert opened.seen()["support"] is not None
    assert "kept for the centre" in opened.page.locator("#reading-0").inner_text()
