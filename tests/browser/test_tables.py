"""The layer tables, the links between row, graph and explorer, and the download."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import NETWORKS, SIZE, until

from archlens.cli.main import run

Visits = Callable[..., Any]


def names(page: Any, network: int = 0) -> list[str]:
    """The layers shown, from top to bottom."""
    rows = page.locator(f"#layers-{network} tbody tr:not([hidden]) th").all_text_contents()
    return [row.strip() for row in rows]


def test_columns_sort_both_ways_and_back(one: Path, visit: Visits) -> None:
    page = visit(one).page
    order = names(page)
    heading = page.locator("#layers-0 thead th[data-key=macs]")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    data = page.evaluate("archlens.report(0)")
    macs = {row["name"]: row["macs"] for row in data["layers"]}
    assert [macs[n] for n in names(page)] == sorted(macs.values(), reverse=True)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [macs[n] for n in names(page)] == sorted(macs.values())
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") is None
    assert names(page) == order
    page.locator("#layers-0 thead th[data-key=layer] button").click()
    assert names(page) == sorted(order)
    field = page.locator("#layers-0 thead th[data-key=field]")
    field.locator("button").click()
    assert field.get_attribute("aria-sort") == "descending"
    kinds = {row["name"]: row["rf"]["kind"] for row in data["layers"]}
    shown = [kinds[n] for n in names(page)]
    assert shown == sorted(shown, key=["global", "local"].index)


def test_the_filter_and_changes_only(pair: Path, visit: Visits) -> None:
    page = visit(pair).page
    page.locator("#filter").fill("RATES d3")
    assert names(page, 1) == ["head.rates.1"]
    assert names(page, 0) == []
    assert page.locator("#count-1").inner_text().startswith("1 of ")
    page.locator("#filter").fill("")
    everything = names(page)
    page.locator("#changes").check()
    assert set(everything) - set(names(page)) == {"norm", "relu", "score"}
    page.locator("#filter").fill("conv 3x3")
    assert "norm" not in names(page)
    assert "gaps" in names(page)


def test_row_graph_and_explorer_are_linked(pair: Path, visit: Visits) -> None:
    opened = visit(pair)
    page = opened.page
    row = page.locator("#layers-1 tbody tr", has_text="head.rates.2").first
    row.locator("a").click()
    assert "layer=head.rates.2" in page.evaluate("location.hash")
    assert row.get_attribute("aria-current") == "true"
    assert opened.seen(1)["layer"] == "head.rates.2"
    assert page.locator("#graph-1 .on").count() == 1
    bar = page.locator("#selection")
    assert "head.rates.2" in bar.inner_text()
    bar.locator("[data-goto=explorer]").click()
    until(page, "document.activeElement.closest('#lens-1') !== null")
    bar.locator("[data-goto=graph]").click()
    until(page, "document.activeElement.closest('#graph-1') !== null")
    page.locator("#graph-0 [role=button]").first.focus()
    page.keyboard.press("Enter")
    assert opened.seen(0)["layer"] != "score"
    assert page.locator("#layers-0 tr.on").count() == 1
    assert page.locator("#layers-1 tr.on").count() == 0
    bar.locator("[data-goto=row]").click()
    until(page, "document.activeElement.closest('#layers-0 tr.on') !== null")
    bar.locator("[data-goto=close]").click()
    assert not bar.is_visible()


def test_points_of_the_plot_and_layers_of_findings_lead_to_their_row(pair: Path, visit: Visits) -> None:
    opened = visit(pair)
    page = opened.page
    point = page.locator("#plot-growth [data-point^='0-']").nth(1)
    point.click(force=True)
    row = page.locator("#layers-0 tr.on")
    assert row.get_attribute("id") == "r" + point.get_attribute("data-point")
    assert "on" in point.get_attribute("class").split()
    link = page.locator("#findings a[href^='#model=']").first
    link.evaluate("(a) => { for (let d = a; d = d.closest('details'); d = d.parentElement) d.open = true; }")
    link.click()
    name = link.inner_text()
    until(page, "(n) => document.querySelector('tr.on th').innerText.trim() === n", name)


def test_a_link_from_elsewhere_opens_the_layer(pair: Path, visit: Visits) -> None:
    first = visit(pair)
    key = first.page.evaluate("archlens.keys()[1]")
    target = first.page.evaluate("(k) => '#' + new URLSearchParams({model: k, layer: 'gaps'})", key)
    opened = visit(pair, at=target)
    assert opened.seen(1)["layer"] == "gaps"
    assert opened.page.locator("#layers-1 tr.on").count() == 1
    assert visit(pair, at="#model=nobody&layer=none").seen(0)["layer"] == "score"


def test_the_graph_moves_and_scales_by_keyboard_and_button(one: Path, visit: Visits) -> None:
    page = visit(one).page
    drawing = page.locator("#graph-0 svg")
    start = drawing.get_attribute("viewBox")
    frame = page.locator("#graph-0")
    frame.focus()
    page.keyboard.press("+")
    larger = drawing.get_attribute("viewBox")
    assert float(larger.split()[2]) < float(start.split()[2])
    page.keyboard.press("ArrowRight")
    assert float(drawing.get_attribute("viewBox").split()[0]) > float(larger.split()[0])
    page.locator("[data-zoom=fit]").click()
    whole = drawing.get_attribute("viewBox")
    frame.hover()
    box = frame.bounding_box()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 50, box["y"] + box["height"] / 2 + 30)
    page.mouse.up()
    assert drawing.get_attribute("viewBox") != whole


def test_the_saved_report_is_the_report_and_compare_reads_it(
    pair: Path, visit: Visits, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = visit(pair).page
    saved = []
    for index in (0, 1):
        with page.expect_download() as download:
            page.locator(f"[data-download=report-{index}]").click()
        saved.append(tmp_path / f"{index}.json")
        download.value.save_as(saved[-1])
    assert run(["rf", f"{NETWORKS}:plain", "--input-size", SIZE, "-o", str(tmp_path / "own.json")]) == 0
    assert json.loads(saved[0].read_text("utf-8")) == json.loads((tmp_path / "own.json").read_text("utf-8"))
    capsys.readouterr()
    assert run(["compare", *map(str, saved), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["models"]) == 2
    with page.expect_download() as download:
        page.locator("[data-download=comparison]").click()
    assert download.value.suggested_filename == "comparison.json"
