"""The command line from end to end: what it prints and writes, read back against the library's report."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from read_back import by_first, markdown_table, page_of, panels, plain_table, says, svg_of

from archlens.pipeline import analyze
from archlens.report import Report

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def fcn() -> Report:
    return analyze("fcn", use_cache=True)


@pytest.fixture(scope="module")
def pspnet() -> Report:
    return analyze("pspnet", use_cache=True)


def test_summary_prints_every_layer(cli: Cli, fcn: Report) -> None:
    rows = by_first(*plain_table(cli("summary", "fcn", "--all").out))
    assert len(rows) == len(fcn.layers) + 1
    total = sum(row.macs for row in fcn.layers)
    for row in fcn.layers:
        said = rows[row.name]
        assert says(said["MACs"], row.macs) if row.macs else said["MACs"] == ""
        assert says(said["share"], row.macs / total) if row.macs else said["share"] == ""
        assert says(said["params"], row.params) if row.params else said["params"] == ""
        assert says(said["memory"], row.activation_bytes) if row.activation_bytes else said["memory"] == ""
        assert said["shape"] == "x".join(map(str, row.shape[1:]))
    assert says(rows["total"]["MACs"], total)


def test_rf_prints_every_field(cli: Cli, fcn: Report) -> None:
    rows = by_first(*plain_table(cli("rf", "fcn", "--all").out))
    assert list(rows) == [row.name for row in fcn.layers]
    for row in fcn.layers:
        said = rows[row.name]
        assert row.rf is not None
        assert row.rf.size is not None
        assert row.rf.jump is not None
        assert row.rf.visible is not None
        lo, hi = row.rf.visible.lo, row.rf.visible.hi
        # A field that depends on the phase has all its sizes, the largest last.
        assert int(said["size"].replace(",", "").split("|")[-1]) == row.rf.size[0]
        assert float(said["jump"]) == row.rf.jump[0]
        assert says(said["of image"], (hi[0] - lo[0] + 1) * (hi[1] - lo[1] + 1) / 513**2)
        if said["sees"] != "whole image":
            low, high = said["sees"].strip("[]").split("..")
            assert (int(low), int(high)) == (lo[0], hi[0])
            assert said["sees"].startswith("[") == (lo[0] == 0)
            assert said["sees"].endswith("]") == (hi[0] == 512)


def test_rf_writes_csv_and_markdown(cli: Cli, fcn: Report, tmp_path: Path) -> None:
    assert cli("rf", "fcn", "--all", "-o", str(tmp_path / "x.csv")).code == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text(encoding="utf-8"))))
    assert [(r["name"], int(r["macs"]), int(r["params"])) for r in rows] == [
        (row.name, row.macs, row.params) for row in fcn.layers
    ]
    assert cli("summary", "fcn", "--all", "-o", str(tmp_path / "x.md")).code == 0
    marked = by_first(*markdown_table((tmp_path / "x.md").read_text(encoding="utf-8")))
    assert all(says(marked[row.name]["MACs"], row.macs) for row in fcn.layers if row.macs)


def test_compare_prints_and_writes_both(cli: Cli, tmp_path: Path) -> None:
    names = ("alexnet_imagenet", "alexnet_places365")
    asked = ("compare", *names, "--sizes", "")
    heading, *body = cli(*asked).out.split("\n 1. ")[0].splitlines()
    rows = by_first(*plain_table("\n".join(body)))
    assert heading == f"# {' | '.join(names)} at 3x227x227"
    target = tmp_path / "p.html"
    assert cli(*asked, "-o", str(target)).code == 0
    page = page_of(target.read_text(encoding="utf-8"))
    on_page = {
        row.one("th").text(without=("small",)): [cell.text(without=("span",)) for cell in row.all("td")]
        for table in page.all("table", class_="numbers")
        for row in table.one("tbody").all("tr")
    }
    for index, name in enumerate(names):
        report = analyze(name, use_cache=True)
        for label, value in (
            ("MACs", sum(row.macs for row in report.layers)),
            ("Parameters", sum(row.params for row in report.layers)),
            ("Peak memory", report.totals["peak_activation_bytes"]),
        ):
            assert says(rows[label][name], value)
            assert says(on_page[label][index], value)


def test_a_plot_is_of_the_network_that_is_asked_for(cli: Cli, fcn: Report, tmp_path: Path) -> None:
    target = tmp_path / "x.svg"
    assert cli("rf", "fcn", "--plot", str(target), "--figure", "growth").code == 0
    (panel,) = panels(svg_of(target.read_bytes()))
    assert fcn.cell.rf is not None
    assert fcn.cell.rf.size is not None
    assert panel.line("theoretical-0")[-1][1] == pytest.approx(fcn.cell.rf.size[0], rel=1e-3)


def test_a_graph_is_of_the_network_that_is_asked_for(cli: Cli, fcn: Report, tmp_path: Path) -> None:
    pygraphviz = pytest.importorskip("pygraphviz")
    target = tmp_path / "x.dot"
    assert cli("graph", "fcn", "-o", str(target)).code == 0
    graph = pygraphviz.AGraph(string=target.read_text(encoding="utf-8"))
    head = page_of(graph.graph_attr["label"]).all("tr")[0].text()
    said = re.match(rf"{fcn.name}\s+(.*) parameters · (.*) MACs", head)
    assert said is not None
    assert says(said[1], sum(row.params for row in fcn.layers))
    assert says(said[2], sum(row.macs for row in fcn.layers))
    graph.close()


def test_diff_prints_the_change_between_saved_reports(
    cli: Cli, fcn: Report, pspnet: Report, tmp_path: Path
) -> None:
    for name in ("fcn", "pspnet"):
        assert cli("rf", name, "-o", str(tmp_path / f"{name}.json")).code == 0
    text = cli("diff", str(tmp_path / "fcn.json"), str(tmp_path / "pspnet.json")).out
    rows = by_first(*plain_table(text))
    old, new = (sum(row.macs for row in r.layers) for r in (fcn, pspnet))
    assert says(rows["MACs"]["old"], old)
    assert says(rows["MACs"]["new"], new)
    assert says(rows["MACs"]["change"].removeprefix("+"), (new - old) / old)
    saved = json.loads((tmp_path / "fcn.json").read_text(encoding="utf-8"))
    assert saved["totals"]["macs"] == old
