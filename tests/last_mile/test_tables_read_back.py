"""Tables as text, Markdown, CSV and on a screen: every cell against the analysis or a count by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import numpy as np
import pytest
import read_nets as nets
from read_back import by_first, markdown_table, numbers_in, page_of, plain_table, says, spelled
from rich.console import Console
from torch import nn

from archlens.cli.commands.models import row_of
from archlens.findings.budgets import baseline_of, check
from archlens.findings.comparison import Comparison, compared
from archlens.findings.diff import Diff, diff
from archlens.findings.watched import Budget, Watched
from archlens.pipeline import analyze
from archlens.render.forms import field_forms, forms, notebook, report_forms
from archlens.render.text import checks as check_texts
from archlens.render.text.comparison import comparison_table, comparison_tables
from archlens.render.text.diffs import diff_table
from archlens.render.text.layers import rf_table, summary_table
from archlens.render.text.lineage import lineage_table
from archlens.render.text.markdown import markdown
from archlens.render.text.table import Table, draw, plain
from archlens.report import Report
from archlens.unit_field.call import field_map
from archlens.unit_field.result import FieldMap
from archlens.zoo.catalogue import CATALOGUE
from archlens.zoo.costs import FILE

WAYS = ("plain", "markdown", "screen")


@pytest.fixture(scope="module")
def uneven() -> Report:
    return nets.uneven().with_erf(nets.LAYERS)


@pytest.fixture(scope="module")
def both(uneven: Report) -> Comparison:
    return compared([uneven, nets.branched_small()])


def cells(table: Table, way: str) -> dict[str, dict[str, str]]:
    """First cell -> heading -> cell, read from what is printed."""
    if way == "markdown":
        return by_first(*markdown_table(markdown(table)))
    if way == "plain":
        return by_first(*plain_table(plain(table)))
    screen = io.StringIO()
    draw(table, Console(file=screen, width=220))
    return by_first(*plain_table(screen.getvalue().split("\n\n")[1]))


# ------------------------------------------------------------------ summary and rf


@pytest.mark.parametrize("way", WAYS)
def test_summary_says_each_layers_cost(uneven: Report, way: str) -> None:
    rows = cells(summary_table(uneven), way)
    assert list(rows) == [*nets.LAYERS, "total"]
    for name in nets.LAYERS:
        row = rows[name]
        assert row["shape"] == "x".join(map(str, nets.SHAPES[name]))
        assert says(row["params"], nets.PARAMS[name])
        assert says(row["MACs"], nets.MACS[name])
        assert says(row["share"], nets.MACS[name] / nets.TOTAL_MACS)
        assert says(row["memory"], nets.BYTES[name])
        assert row["elementwise"] == ""
    total = rows["total"]
    assert says(total["params"], nets.TOTAL_PARAMS)
    assert says(total["MACs"], nets.TOTAL_MACS)
    assert says(total["memory"], nets.PEAK)
    assert total["share"] == "100 %"


def test_summary_says_elementwise_work() -> None:
    """Pooling reads 8 x 12 x 20 cells; the resizes give 6 x 12 x 20 and 5 x 48 x 80 of four taps."""
    rows = cells(summary_table(nets.branched()), "plain")
    report = nets.branched()
    for row in report.layers:
        if row.elementwise and row.name in rows:
            assert says(rows[row.name]["elementwise"], row.elementwise)
    assert says(rows["head.image.0"]["elementwise"], 8 * 12 * 20)
    assert says(rows["total"]["elementwise"], report.totals["elementwise"])


@pytest.mark.parametrize("way", WAYS)
def test_rf_says_each_layers_field(uneven: Report, way: str) -> None:
    rows = cells(rf_table(uneven, everything=True), way)
    assert list(rows) == list(nets.LAYERS)
    for row, (name, said) in zip(uneven.layers, rows.items(), strict=True):
        top, left, bottom, right = nets.SEEN[name]
        assert said["map"] == "x".join(map(str, nets.SHAPES[name][1:]))
        assert pair(said["size"]) == nets.FIELDS[name]
        assert pair(said["jump"]) == nets.JUMPS[name]
        assert pair(said["start"]) == nets.STARTS[name]
        assert said["sees"] == f"{top}..{bottom} x {left}..{right}"
        assert says(said["of image"], (bottom - top + 1) * (right - left + 1) / (40 * 64))
        assert says(said["ERF 50 %"], row.extra["erf"]["erf_50"])
        assert says(said["ERF 95 %"], row.extra["erf"]["erf_95"])


def pair(text: str) -> tuple[int, ...]:
    """`23x15`, `2x1`, `-3`: a number an axis."""
    values = [int(part) for part in re.split(r"\s*x\s*", text)]
    return tuple(values * 2 if len(values) == 1 else values)


def test_rf_at_the_edge_has_its_brackets() -> None:
    """Rows 0 to 45 of 48 and columns 0 to 77 of 80: the pooling reads what the stride does not leave out."""
    rows = cells(rf_table(nets.branched()), "plain")
    assert rows["score"]["sees"] == "[0..45 x [0..77"
    assert says(rows["score"]["of image"], 46 * 78 / (48 * 80))
    assert rows["score"]["size"] == "global (local 35)"
    corner = analyze(nets.Uneven(), (3, *nets.IMAGE), unit=(9, 0))
    top, left, bottom, right = nets.seen_of(9, 0)
    assert cells(rf_table(corner), "plain")["score"]["sees"] == f"{top}..{bottom}] x [{left}..{right}"
    assert bottom == 39


def test_rf_from_another_layer_counts_its_cells() -> None:
    """From the stem's map of 20 x 64: 3 x 3 with stride 2, then 3 x 3 with rate 2 on that."""
    report = analyze(nets.Uneven(), (3, *nets.IMAGE), origin="stem")
    rows = cells(rf_table(report, everything=True), "plain")
    assert (rows["down"]["size"], rows["wide"]["size"], rows["wide"]["jump"]) == ("3", "11", "2")
    assert says(rows["down"]["of map"], 9 / (20 * 64))


def test_csv_of_layers_is_not_rounded(uneven: Report) -> None:
    text = report_forms(uneven, rf_table(uneven))[".csv"]()
    rows = list(csv.DictReader(io.StringIO(str(text))))
    assert [row["name"] for row in rows] == list(nets.LAYERS)
    for row in rows:
        name = row["name"]
        top, left, bottom, right = nets.SEEN[name]
        found = {
            "shape": by(1, *nets.SHAPES[name]), "params": nets.PARAMS[name], "macs": nets.MACS[name],
            "elementwise": 0, "activation_bytes": nets.BYTES[name], "rf_size": by(*nets.FIELDS[name]),
            "rf_jump": by(*nets.JUMPS[name]), "rf_start": by(*nets.STARTS[name]),
            "visible_lo": by(top, left), "visible_hi": by(bottom, right), "rf_kind": "local",
        }  # fmt: skip
        assert {key: row[key] for key in found} == {key: str(value) for key, value in found.items()}


def by(*values: int) -> str:
    return "x".join(map(str, values))


def test_json_of_a_report_is_the_count_by_hand(uneven: Report) -> None:
    data = json.loads(str(report_forms(uneven, rf_table(uneven))[".json"]()))
    for row in data["layers"]:
        name = row["name"]
        assert (row["macs"], row["params"], row["activation_bytes"]) == (
            nets.MACS[name], nets.PARAMS[name], nets.BYTES[name],
        )  # fmt: skip
        assert tuple(row["rf"]["size"]) == nets.FIELDS[name]
        assert (*row["rf"]["visible"]["lo"], *row["rf"]["visible"]["hi"]) == nets.SEEN[name]
    assert (data["totals"]["macs"], data["totals"]["flops"]) == (nets.TOTAL_MACS, 2 * nets.TOTAL_MACS)


# ------------------------------------------------------------------ compare, in every form


def expected(report: Report) -> dict[str, Any]:
    """Label -> value, of what is not counted by hand from the report's own walks."""
    used = report.study.energy_use
    macs = [row.macs for row in report.layers]
    assert used.sides is not None
    return {
        "Parameters": sum(row.params for row in report.layers),
        "MACs": sum(macs),
        "Elementwise work": sum(row.elementwise for row in report.layers),
        "Peak memory": report.totals["peak_activation_bytes"],
        "Weights": 4 * sum(row.params for row in report.layers),
        "Layers": len(macs),
        "50 % of energy within, px": used.sides[50],
        "95 % of energy within, px": used.sides[95],
        "Far energy": used.far,
    }


HAND = {
    "Uneven": {
        "Parameters": nets.TOTAL_PARAMS, "MACs": nets.TOTAL_MACS, "Peak memory": nets.PEAK,
        "Reach, of the area": 345 / 2560, "Weights": 4 * nets.TOTAL_PARAMS, "Layers": 4,
        "Theoretical field, px": "23x15", "Sees at the centre, px": "23x15", "Score map": "10x32",
        "Output stride": "4x2", "Deepest stride": "4x2", "Context module": "none",
    },
    "Branched": {
        "Parameters": 1_333, "MACs": 199_728, "Layers": 10, "Theoretical field, px": "global (local 35)",
        "Finite local path, px": "35", "Global from": "head.image.0", "Context module": "head, 4 branches",
        "Module's MACs": 145_968, "Module's parameters": 984, "Fusing convolution's MACs": 19_200,
        "Output stride": "4",
    },
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_compare_puts_each_figure_under_its_network(both: Comparison, way: str) -> None:
    rows = cells(comparison_table(both), way)
    for name, report in zip(both.names, both.reports, strict=True):
        for label, value in {**expected(report), **HAND[name]}.items():
            assert_cell(rows[label][name], value, label)


def assert_cell(cell: str, value: Any, label: str) -> None:
    assert cell == value if isinstance(value, str) else says(cell, value), (label, cell, value)


def test_compare_folded_to_a_narrow_screen_loses_nothing(both: Comparison) -> None:
    tables = comparison_tables(both, room=50, full=True)
    assert len(tables) == 2
    whole = cells(comparison_table(both), "plain")
    for name, table in zip(both.names, tables, strict=True):
        assert {label: row[name] for label, row in cells(table, "plain").items()} == {
            label: row[name] for label, row in whole.items()
        }


def test_compare_as_csv_and_json(both: Comparison) -> None:
    made = forms(both)
    rows = list(csv.DictReader(io.StringIO(str(made[".csv"]()))))
    data = json.loads(str(made[".json"]()))
    for row, model, report in zip(rows, data["models"], both.reports, strict=True):
        hand = HAND[row["name"]]
        assert int(row["params"]) == model["summary"]["params"] == hand["Parameters"]
        assert int(row["macs"]) == model["summary"]["macs"] == hand["MACs"]
        assert int(row["layers"]) == model["summary"]["layers"] == hand["Layers"]
        seen = report.cell.rf.visible  # type: ignore[union-attr]
        assert seen is not None
        assert float(row["reach"]) == pytest.approx(seen.size[0] * seen.size[1] / (40 * 64))
        assert row["visible_field"] == by(*seen.size)


def test_a_notebook_shows_the_same_cells(both: Comparison) -> None:
    page = page_of(notebook(both))
    heads = [tag.text() for tag in page.one("thead").all("th")]
    rows = by_first(heads, [[c.text() for c in tr.all("td")] for tr in page.one("tbody").all("tr")])
    for name in both.names:
        for label, value in HAND[name].items():
            if label in rows:
                assert_cell(rows[label][name], value, label)


def test_a_notebook_shows_a_report_and_a_difference(uneven: Report, change: Diff) -> None:
    rows = page_of(notebook(uneven)).one("tbody").all("tr")
    said = {row.all("td")[0].text(): row.all("td")[1].text() for row in rows}
    assert says(said["MACs"], nets.TOTAL_MACS)
    assert says(said["Reach, of the area"], 345 / 2560)
    moved = page_of(notebook(change)).one("tbody").all("tr")
    macs = next(row.all("td") for row in moved if row.all("td")[0].text() == "MACs")
    assert says(macs[1].text(), OLD_MACS)
    assert says(macs[2].text(), NEW_MACS)


# ------------------------------------------------------------------ the lineage


def test_models_says_what_the_captures_add_up_to() -> None:
    rows = [row_of(entry) for entry in CATALOGUE]
    heads, body = plain_table(plain(lineage_table(rows)))
    said = by_first(heads, [[row[0].split(" = ")[0], *row[1:]] for row in body])
    costs = json.loads(FILE.read_text(encoding="utf-8"))
    names = [row["name"] for row in rows]
    assert set(names) <= set(said)
    for row in rows:
        assert says(said[row["name"]]["params"], costs[row["name"]]["params"])
        assert says(said[row["name"]]["MACs"], costs[row["name"]]["macs"])
    for name in ("fcn8s_vgg16", "pspnet_resnet50"):
        report = analyze(name, use_cache=True)
        assert costs[name]["macs"] == sum(layer.macs for layer in report.layers)
        assert said[name]["at"] == by(*report.input_shape[1:])


# ------------------------------------------------------------------ diff and check


class Narrower(nets.Uneven):
    """The dilated window without its dilation, and with twice the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(4, 12, 3, 1, 1)
        self.score = nn.Conv2d(12, 5, 1)


@pytest.fixture(scope="module")
def narrower() -> Report:
    return analyze(Narrower(), (3, *nets.IMAGE))


@pytest.fixture(scope="module")
def change(uneven: Report, narrower: Report) -> Diff:
    return diff(uneven, narrower)


OLD_MACS, NEW_MACS = nets.TOTAL_MACS, nets.TOTAL_MACS + 69_120 + 9_600
OLD_PARAMS, NEW_PARAMS = nets.TOTAL_PARAMS, 589 + 222 + 30


@pytest.mark.parametrize("way", ["plain", "markdown"])
def test_diff_has_old_new_and_the_signed_change(change: Diff, way: str) -> None:
    rows = cells(diff_table(change), way)
    for label, old, new in (
        ("MACs", OLD_MACS, NEW_MACS),
        ("FLOPs", 2 * OLD_MACS, 2 * NEW_MACS),
        ("Parameters", OLD_PARAMS, NEW_PARAMS),
        ("Theoretical field, px", 15, 11),
        ("Reach, of the area", 345 / 2560, 165 / 2560),
    ):
        row = rows[label]
        assert says(row["old"], old)
        assert says(row["new"], new)
        assert row["change"][0] == ("+" if new > old else "−")
        assert says(row["change"].removeprefix("+"), (new - old) / old)


def test_diff_lists_what_is_different_of_a_layer(change: Diff) -> None:
    heads, body = plain_table(plain(diff_table(change)))
    start = next(i for i, row in enumerate(body) if row[0].endswith(" wide"))
    end = next(i for i, row in enumerate(body) if row[0].endswith(" score"))
    rows = by_first(heads, body[start:end])
    assert (rows["· macs"]["old"], rows["· macs"]["new"]) == ("69,120", "138,240")
    assert (rows["· params"]["old"], rows["· params"]["new"]) == ("222", "444")
    assert (rows["· rf"]["old"], rows["· rf"]["new"]) == ("23x15", "15x11")
    assert (rows["· shape"]["old"], rows["· shape"]["new"]) == ("1x6x10x32", "1x12x10x32")


LIMITS = Watched(
    "net",
    "net.py",
    budgets=(Budget("macs", maximum=300_000.0), Budget("visible_field", minimum=20.0, level="warn"),
             Budget("params", maximum=1_000.0)),
    allowed={"macs": 1.0},
)  # fmt: skip
WANTED = [  # figure, value, limit, change, verdict
    ("macs", 355_200, 300_000, 55_200 / 300_000, "FAIL"),
    ("visible_field", 15, 20, 5 / 20, "WARN"),
    ("params", 589, 1_000, None, "ok"),
    ("macs", 355_200, NEW_MACS, (355_200 - NEW_MACS) / NEW_MACS, "FAIL"),
]


def test_check_says_value_limit_and_excess(uneven: Report, narrower: Report) -> None:
    found = check(uneven, LIMITS, baseline_of(narrower))
    _, body = plain_table(plain(check_texts.check_table(found)))
    rows = [row for row in body if row[0] == "net"]
    _, marked = markdown_table(check_texts.markdown(found))
    order = sorted(WANTED, key=lambda w: ("FAIL", "WARN", "ok").index(w[4]))
    for printed, wanted in ((rows, WANTED), (marked, order)):
        for row, (figure, value, limit, excess, verdict) in zip(printed, wanted, strict=True):
            assert row[1].split("<br>")[0] == figure
            assert says(row[2], value)
            assert numbers_in(row[3])[0] == limit
            assert (row[4] == "") if excess is None else says(row[4].removeprefix("+"), excess)
            assert row[5] == verdict


def test_check_in_the_words_of_ci(uneven: Report, narrower: Report) -> None:
    found = check(uneven, LIMITS, baseline_of(narrower))
    said = [line for line in check_texts.github(found).splitlines() if line.startswith("::")]
    assert "macs is 355,200, 18.4 %25 above the maximum 300,000" in said[0]
    assert [line.split(" ")[0] for line in said] == ["::error", "::warning", "::error"]
    junit = check_texts.junit(found)
    assert 'tests="4" failures="2" skipped="0"' in junit
    assert "355,200, 18.4 % above the maximum 300,000. Behind it: stem, wide, down" in junit
    data = json.loads(check_texts.as_json(found))
    assert [(c["figure"], c["value"], c["limit"]) for c in data["checks"]] == [w[:3] for w in WANTED]


# ------------------------------------------------------------------ one unit's field


@pytest.fixture(scope="module")
def energy() -> FieldMap:
    return field_map(nets.Uneven(), "expected", input_size=(3, *nets.IMAGE))


def lines_of(found: FieldMap) -> dict[str, str]:
    text = str(field_forms(found)[".txt"]())
    return {line[2:11].strip(): line[11:] for line in text.splitlines()[1:]}


def test_erf_says_the_sides_that_hold_the_energy(energy: FieldMap) -> None:
    said = lines_of(energy)
    assert energy.map is not None
    assert numbers_in(said["centre"]) == [20, 32]
    assert said["visible"] == "23x15 px (9..31, 25..39)"
    for share in (25, 50, 75, 95):
        side, of = re.fullmatch(r"(\S+) px, (.*) of the image's longer side", said[f"ERF {share} %"]).groups()  # type: ignore[union-attr]
        value, half = spelled(side)
        assert inside(energy.map, value, value) == pytest.approx(share / 100, abs=0.01 + half / 10)
        assert spelled(of)[0] == pytest.approx(value / 64, abs=0.002)
    assert says(said["far"].split(" of the energy")[0], 1 - inside(energy.map, 20, 32))
    spreads = [
        np.sqrt((energy.map.sum(1 - axis) * (np.arange(n) - centre) ** 2).sum())
        for axis, (n, centre) in enumerate(((40, 20), (64, 32)))
    ]
    assert said["sigma"].endswith(" px")
    assert [float(s) for s in said["sigma"].removesuffix(" px").split("x")] == pytest.approx(
        spreads, abs=0.06
    )


def inside(cells: Any, high: float, wide: float) -> float:
    """Share of a map in a box around (20, 32); pixels that it cuts count by their part."""
    parts = []
    for n, centre, side in ((40, 20, high), (64, 32, wide)):
        i = np.arange(n)
        ends = np.minimum(i + 0.5, centre + side / 2) - np.maximum(i - 0.5, centre - side / 2)
        parts.append(np.clip(ends, 0, 1))
    return float(parts[0] @ cells @ parts[1]) / float(cells.sum())


def test_erf_of_a_support_counts_its_pixels() -> None:
    said = lines_of(field_map(nets.Uneven(), "support", input_size=(3, *nets.IMAGE)))
    pixels, density = re.fullmatch(r"(\S+), (.*) of the box", said["pixels"]).groups()  # type: ignore[union-attr]
    assert (pixels, said["lines"]) == ("315", "21x15 touched, largest gap 1x0 px")
    assert says(density, 315 / 345)
    assert "holes inside" in said["gridding"]


def test_erf_the_other_way_counts_units() -> None:
    """Pixel (0, 0): the units whose window has it."""
    found = field_map(
        nets.Uneven(), "support", input_size=(3, *nets.IMAGE), unit=(0, 0), projective=True, layer="wide"
    )
    rows, columns = ([u for u in range(n) if 0 in nets.touched(u, axis)] for axis, n in ((0, 10), (1, 32)))
    said = lines_of(found)["units"]
    assert numbers_in(said)[:3] == [len(rows) * len(columns), 10, 32]


def test_npz_holds_the_map(energy: FieldMap) -> None:
    with np.load(io.BytesIO(bytes(field_forms(energy)[".npz"]()))) as held:  # type: ignore[arg-type]
        assert held["map"].shape == nets.IMAGE
        assert (held["map"] == energy.map).all()
        top, left, bottom, right = nets.SEEN["score"]
        assert held["map"][top : bottom + 1, left : right + 1].sum() == pytest.approx(1)
