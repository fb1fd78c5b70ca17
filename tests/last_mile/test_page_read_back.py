"""The HTML page: tables, pictures, plots, graphs and what its scripts are given, against the analysis."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import zlib
from typing import Any

import numpy as np
import pytest
import read_nets as nets
from numpy.typing import NDArray
from PIL import Image
from read_back import Scale, Tag, by_first, extent, page_of, points, says, spelled, svg_of

from archlens.findings.comparison import Comparison, compared
from archlens.pipeline import analyze
from archlens.render.page.page import html
from archlens.report import Report


@pytest.fixture(scope="module")
def small() -> Comparison:
    return compared([nets.uneven(), nets.branched_small()])


@pytest.fixture(scope="module")
def text(small: Comparison) -> str:
    return html(small, "archlens compare a b")


@pytest.fixture(scope="module")
def page(text: str) -> Tag:
    return page_of(text)


@pytest.fixture(scope="module")
def shipped() -> Comparison:
    return compared([analyze(name, use_cache=True) for name in ("fcn", "pspnet")])


@pytest.fixture(scope="module")
def shipped_text(shipped: Comparison) -> str:
    return html(shipped, "archlens compare fcn pspnet")


@pytest.fixture(scope="module")
def alone() -> str:
    return html(compared([nets.branched()]), "archlens explain c")


# ------------------------------------------------------------------ the numbers


def figures(page: Tag) -> dict[str, list[tuple[str, str]]]:
    """Label -> (figure, difference) of each network."""
    out = {}
    for table in page.all("table", class_="numbers"):
        for row in table.one("tbody").all("tr"):
            label = row.one("th").text(without=("small",))
            out[label] = [
                (cell.text(without=("span",)), "".join(s.text() for s in cell.all("span", class_="diff")))
                for cell in row.all("td")
            ]
    return out


HAND = {
    "Parameters": (589, 1_333), "MACs": (355_200, 199_728), "Layers": (4, 10), "Weights": (2_356, 5_332),
    "Reach, of the area": (345 / 2560, 38 * 62 / 2560), "Peak memory": (51_200, None),
    "Module's MACs": (None, 145_968),
    "Module's parameters": (None, 984), "Fusing convolution's MACs": (None, 19_200),
}  # fmt: skip


def test_numbers_are_those_of_the_networks(page: Tag, small: Comparison) -> None:
    said = figures(page)
    for label, values in HAND.items():
        for (cell, _), value in zip(said[label], values, strict=True):
            assert value is None or says(cell, value), (label, cell)
    sides = [report.study.energy_use for report in small.reports]
    for (cell, _), used in zip(said["95 % of energy within, px"], sides, strict=True):
        assert used.sides is not None
        assert says(cell, used.sides[95])
    assert [cell for cell, _ in said["Theoretical field, px"]] == ["23x15", "global (local 35)"]
    assert [cell for cell, _ in said["Score map"]] == ["10x32", "10x16"]
    heads = [tag.text() for tag in page.all("table", class_="numbers")[0].one("thead").all("th")]
    assert heads == ["Uneven", "Branched"]


def test_differences_are_against_the_first(page: Tag) -> None:
    said = figures(page)
    assert all(pairs[0][1] == "" for pairs in said.values())
    checked = 0
    for label, (first, second) in HAND.items():
        word = said[label][1][1]
        if first is None or second is None:
            continue
        checked += 1
        if label == "Reach, of the area":
            assert says(word.removeprefix("+"), second - first)
        elif word.endswith("%"):
            assert says(word.removeprefix("+"), (second - first) / first)
            assert word[0] == ("+" if second > first else "−")
        else:
            assert says(word[2:], second / first if word[0] == "×" else first / second)
            assert word[0] == ("×" if second > first else "÷")
    assert checked == 5


def test_numbers_of_shipped_networks(shipped: Comparison, shipped_text: str) -> None:
    said = figures(page_of(shipped_text))
    for index, report in enumerate(shipped.reports):
        assert says(said["MACs"][index][0], sum(row.macs for row in report.layers))
        assert says(said["Parameters"][index][0], sum(row.params for row in report.layers))
        assert says(said["Far energy"][index][0], report.study.energy_use.far)  # type: ignore[arg-type]


# ------------------------------------------------------------------ the layer tables


def layer_rows(page: Tag, index: int) -> dict[str, dict[str, str]]:
    table = page.one("table", id=f"layers-{index}")
    heads = [tag.one("span").text() for tag in table.one("thead").all("th")]
    rows = [
        [cell.text().strip() for cell in row.walk() if cell.name in ("th", "td")]
        for row in table.one("tbody").all("tr")
    ]
    return by_first(heads, rows)


def test_layer_tables_have_each_layers_figures(page: Tag) -> None:
    rows = layer_rows(page, 0)
    assert list(rows) == list(nets.LAYERS)
    for name, row in rows.items():
        top, left, bottom, right = nets.SEEN[name]
        rows_px, columns_px = nets.FIELDS[name]
        assert row["Result"] == "x".join(map(str, nets.SHAPES[name]))
        assert row["Field, px"] == (f"{rows_px}x{columns_px}" if rows_px != columns_px else str(rows_px))
        assert row["Jump"] == "x".join(map(str, nets.JUMPS[name]))
        assert row["Centre sees"] == f"{top}..{bottom} x {left}..{right}"
        assert says(row["Of image"], (bottom - top + 1) * (right - left + 1) / 2560)
        assert says(row["Parameters"], nets.PARAMS[name])
        assert says(row["MACs"], nets.MACS[name])
        assert says(row["Memory"], nets.BYTES[name])


def test_layer_tables_of_shipped_networks(shipped: Comparison, shipped_text: str) -> None:
    page = page_of(shipped_text)
    for index, report in enumerate(shipped.reports):
        rows = layer_rows(page, index)
        assert list(rows) == [row.name for row in report.layers]
        for row in report.layers:
            said = rows[row.name]
            assert says(said["MACs"], row.macs) if row.macs else said["MACs"] == ""
            assert says(said["Parameters"], row.params) if row.params else said["Parameters"] == ""
            assert row.rf is not None
            assert row.rf.visible is not None
            sides = [h - low + 1 for low, h in zip(row.rf.visible.lo, row.rf.visible.hi, strict=True)]
            assert says(said["Of image"], sides[0] * sides[1] / 513**2)
        table = page.one("table", id=f"layers-{index}")
        marked = [
            row.one("a").text()
            for row in table.all("tr")
            if "cell" in row.attributes.get("class", "").split()
        ]
        assert marked == [report.class_score]


def test_measured_time_stands_beside_the_layer() -> None:
    from dataclasses import replace

    plain = nets.uneven()
    seconds = {"stem": 0.00312, "down": 0.00045, "wide": 0.00078, "score": 0.0000124}
    rows = tuple(replace(row, extra={"measured": {"seconds": seconds[row.name]}}) for row in plain.layers)
    whole = {
        "device": "a processor", "dtype": "float32", "batch_size": 1, "peak_bytes": 66_560,
        "layer_sum": 0.0044, "latency": {"median": 0.0051, "low": 0.005, "high": 0.0053, "runs": 7},
        "images_per_second": 196.08,
        "notes": [], "memory_method": "counted", "channels_last": False, "compiled": False, "versions": {},
    }  # fmt: skip
    page = page_of(html(compared([replace(plain, layers=rows, extra={"measured": whole})]), "archlens"))
    assert all(says(row["Time"], seconds[name]) for name, row in layer_rows(page, 0).items())
    said = figures(page)
    assert says(next(row for label, row in said.items() if label.startswith("Latency"))[0][0], 0.0051)
    assert says(said["Images a second"][0][0], 196.08)
    assert says(said["Peak memory, measured"][0][0], 66_560)


# ------------------------------------------------------------------ findings and what the papers print


def test_evidence_is_spelled_as_it_was_found(shipped: Comparison, shipped_text: str) -> None:
    """Each number of each finding's evidence beside its own label."""
    page, checked, seen = page_of(shipped_text), 0, {}
    for found in shipped.found:
        if found.confidence == "published":
            continue
        seen[found.id] = seen.get(found.id, 0) + 1
        again = f":{seen[found.id]}" if seen[found.id] > 1 else ""
        item = page.one("li", id=f"finding-{found.id}{again}")
        lines = [tag.text() for tag in item.all("dd")]
        values: list[Any] = []
        for value in found.evidence.values():
            records = isinstance(value, (list, tuple)) and value and isinstance(value[0], dict)
            values += [None] * len(value) if records else [value]
        assert len(lines) == len(values)
        for line, value in zip(lines, values, strict=True):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                checked += 1
                assert says(line.removesuffix(" times"), value), (found.id, line, value)
    assert checked > 20


def test_no_branch_reads_more_cells_than_its_window_has(page: Tag) -> None:
    """On a map of 10 x 16 the pooled branch reads all 160."""
    claim = next(tag for tag in page.all("li") if tag.attributes.get("id", "").startswith("finding-roles"))
    said = re.findall(r"reads (\d+) of (\d+)x(\d+) cells", claim.text())
    assert [int(read) for read, _, _ in said] == [1, 9, 9, 160]
    assert all(int(read) <= int(rows) * int(columns) for read, rows, columns in said)


def test_published_figures_are_the_papers(shipped_text: str) -> None:
    table = page_of(shipped_text).one("table", class_="published")
    rows = [[c.text() for c in row.walk() if c.name in ("th", "td")] for row in table.one("tbody").all("tr")]
    found = {(row[0], float(row[2]), float(row[3])): row[4] for row in rows}
    assert found == {
        ("fcn", 59.4, 62.7): "+3.3", ("pspnet", 37.23, 40.07): "+2.84", ("pspnet", 40.07, 41.07): "+1",
    }  # fmt: skip


# ------------------------------------------------------------------ plots


def plot(text: str, name: str) -> Any:
    """The SVG of a plot."""
    figure = text.split(f'id="plot-{name}"', 1)[1].split("</figure>", 1)[0]
    return svg_of(figure[figure.index("<svg") : figure.index("</svg>") + 6])


def scales(root: Any) -> tuple[Scale, Scale]:
    """From the ticks that are drawn: texts under and beside the lines of the grid."""
    grid = [e.attrib["d"] for e in root.iter("path") if e.get("class") == "grid"]
    down = [float(re.match(r"M(\S+) \S+V", d)[1]) for d in grid if "V" in d]  # type: ignore[index]
    across = [float(re.match(r"M\S+ (\S+)H", d)[1]) for d in grid if "H" in d]  # type: ignore[index]
    labels = [float("".join(e.itertext())) for e in root.iter("text") if _is_number("".join(e.itertext()))]
    return Scale.of(list(zip(down, labels, strict=False))), Scale.of(
        list(zip(across, labels[len(down) :], strict=True))
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def lines(root: Any) -> dict[str, list[tuple[float, float]]]:
    """Class -> the line of a network in values."""
    x, y = scales(root)
    return {
        e.attrib["class"].split(" ")[0]: [(x(a), y(b)) for a, b in points(e.attrib["d"])]
        for e in root.iter("path")
        if "line" in e.get("class", "").split()
    }


def marks(root: Any, network: int) -> dict[str, tuple[float, float]]:
    """Row of the layer, or words where it has none -> place of its mark in values."""
    x, y = scales(root)
    out = {}
    for e in root.iter("circle"):
        if f"m{network}" in e.attrib["class"].split():
            key = e.get("data-point", "".join(e.itertext()))
            out[key] = (x(float(e.attrib["cx"])), y(float(e.attrib["cy"])))
    return out


def test_growth_follows_the_macs_that_are_spent(text: str) -> None:
    """Each layer at its share of all MACs so far, and at the longest side of what its centre sees."""
    root = plot(text, "growth")
    spent = np.cumsum([nets.MACS[name] for name in nets.LAYERS]) / nets.TOTAL_MACS * 100
    wanted = [(0, 1), *zip(spent, (5, 7, 23, 23), strict=True)]
    assert np.array(lines(root)["m0"]) == pytest.approx(np.array(wanted), abs=0.1)
    found = marks(root, 0)
    assert set(found) == {"0-0", "0-1", "0-2"}
    for row, place in enumerate(wanted[1:4]):
        assert found[f"0-{row}"] == pytest.approx(place, abs=0.1)
    words = ["".join(e.itertext()) for e in root.iter("circle")][:3]
    assert words == ["Uneven, stem: 5 px", "Uneven, down: 7 px", "Uneven, wide: 23 px"]


def test_growth_stays_inside_the_plot(text: str) -> None:
    """The image is 40 x 64; what is seen is 62 px wide."""
    root = plot(text, "growth")
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for path in root.iter("path"):
        if "line" in path.get("class", ""):
            left, top, right, bottom = extent(path.attrib["d"])
            assert 0 <= left <= right <= width
            assert 0 <= top <= bottom <= height


def test_growth_of_shipped_networks(shipped: Comparison, shipped_text: str) -> None:
    root = plot(shipped_text, "growth")
    for index, report in enumerate(shipped.reports):
        wanted, best, spent = [(0.0, 1.0)], 1.0, 0
        way = needed(report)
        total = sum(row.macs for row in way)
        places = {}
        for row in way:
            spent += row.macs
            assert row.rf is not None
            assert row.rf.visible is not None
            side = max(h - low + 1 for low, h in zip(row.rf.visible.lo, row.rf.visible.hi, strict=True))
            best = max(best, side)
            wanted.append((100 * spent / total, best))
            places[f"{index}-{report.layers.index(row)}"] = (100 * spent / total, side)
        line = lines(root)[f"m{index}"]
        for x, y in wanted:
            assert min(abs(x - a) + abs(y - b) for a, b in line) < 0.6
        for a, b in line:
            assert min(abs(x - a) + abs(y - b) for x, y in wanted) < 0.6
        for key, place in marks(root, index).items():
            assert place == pytest.approx(places[key], abs=0.6)


def needed(report: Report) -> list[Any]:
    """The rows that the class scores depend on, found by their inputs."""
    rows = {row.name: row for row in report.layers}
    found, todo = set(), [report.class_score]
    while todo:
        name = todo.pop()
        if name in rows and name not in found:
            found.add(name)
            todo += rows[name].inputs
    return [row for row in report.layers if row.name in found]


def test_use_is_the_energy_inside_a_square(small: Comparison, text: str) -> None:
    root = plot(text, "use")
    for index, report in enumerate(small.reports):
        cells = report.study.cell_field.energy
        centre = report.study.cell_field.centre
        assert cells is not None
        line = lines(root)[f"m{index}"]
        assert line[0] == pytest.approx((0, 0), abs=0.1)
        assert len(line) > 15
        for x, y in line[1:]:
            assert inside(cells, centre, x / 100 * 64) == pytest.approx(y / 100, abs=0.015)
        said = marks(root, index)
        assert len(said) == 2
        for word, (x, y) in said.items():
            energy, side = re.search(r": (.*) within (.*) of the side", word).groups()  # type: ignore[union-attr]
            assert spelled(energy)[0] == pytest.approx(y / 100, abs=0.002)
            assert spelled(side)[0] == pytest.approx(x / 100, abs=0.002)


def inside(cells: NDArray[Any], centre: Any, side: float) -> float:
    """Share of a map in a square; pixels that it cuts count by their part."""
    parts = []
    for n, c in zip(cells.shape, centre, strict=True):
        i = np.arange(n)
        parts.append(np.clip(np.minimum(i + 0.5, c + side / 2) - np.maximum(i - 0.5, c - side / 2), 0, 1))
    return float(parts[0] @ cells @ parts[1]) / float(cells.sum())


def test_the_legend_names_each_line(text: str) -> None:
    for name in ("growth", "use"):
        root = plot(text, name)
        drawn = {
            e.attrib["class"]: e.attrib["stroke-dasharray"]
            for e in root.iter("path")
            if "line" in e.get("class", "").split()
        }
        legend = text.split(f'id="plot-{name}"', 1)[1].split('<ul class="legend">')[1].split("</ul>")[0]
        entries = re.findall(
            r'<path class="([^"]*)" stroke-dasharray="([^"]*)"[^>]*></svg>([^<]*)</li>', legend
        )
        assert [(drawn[c], word) for c, dash, word in entries] == [
            (dash, word) for (c, dash, _), word in zip(entries, ("Uneven", "Branched"), strict=True)
        ]
        assert [c for c, _, _ in entries] == ["m0 line", "m1 line"]


# ------------------------------------------------------------------ the still picture


def stills(text: str) -> list[Any]:
    return [svg_of(part[: part.index("</svg>") + 6]) for part in text.split('<div class="still no-js">')[1:]]


def test_the_still_frames_what_the_centre_sees(text: str) -> None:
    for root, (high, wide), box in zip(
        stills(text), (nets.IMAGE, nets.IMAGE), (nets.SEEN["score"], (0, 0, 37, 61)), strict=True
    ):
        assert root.attrib["viewBox"] == f"0 0 {wide} {high}"
        top, left, bottom, right = box
        (frame,) = [e for e in root.iter("rect") if e.get("class") == "seen"]
        drawn = [float(frame.attrib[k]) for k in ("x", "y", "width", "height")]
        assert drawn == [left, top, right - left + 1, bottom - top + 1]


def alpha(root: Any) -> NDArray[np.int64]:
    """The opacity of the picture over the input."""
    (image,) = list(root.iter("image"))
    data = base64.b64decode(image.attrib["href"].split("base64,")[1])
    size = [float(image.attrib[k]) for k in ("width", "height")]
    assert size == [float(v) for v in root.attrib["viewBox"].split()[2:]]
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGBA"))[..., 3].astype(np.int64)


def test_the_still_is_shaded_by_the_energy(small: Comparison, text: str) -> None:
    for root, report in zip(stills(text), small.reports, strict=True):
        cells = report.study.cell_field.energy
        assert cells is not None
        assert alpha(root) == pytest.approx(shades(cells), abs=0.51)


def shades(cells: NDArray[Any]) -> NDArray[np.float64]:
    """Four decades below the brightest cell, 0 to 235."""
    shown = np.maximum(cells / cells.max(), 1e-4)
    return np.asarray(235 * (1 + np.log10(shown) / 4))


def test_the_still_of_a_large_image_shows_blocks_of_it(shipped: Comparison, shipped_text: str) -> None:
    """513 pixels are shown in 103 blocks of five; the last has three."""
    for root, report in zip(stills(shipped_text), shipped.reports, strict=True):
        cells = report.study.cell_field.energy
        assert cells is not None
        ends = [*range(0, 513, 5), 513]
        blocks = np.array(
            [
                [cells[a:b, c:d].mean() for c, d in itertools.pairwise(ends)]
                for a, b in itertools.pairwise(ends)
            ]
        )
        assert alpha(root) == pytest.approx(shades(blocks), abs=0.51)


# ------------------------------------------------------------------ what the scripts are given


def held(text: str, name: str) -> Any:
    found = re.search(rf'id="{name}">([^<]*)</script>', text)
    assert found is not None
    return json.loads(zlib.decompress(base64.b64decode(found[1]), -15))


def unpacked(entry: Any) -> NDArray[np.int64]:
    """An array from its shape and its differences."""
    return np.cumsum(entry[1]).reshape(entry[0])


def test_scripts_get_the_box_of_every_unit(text: str) -> None:
    boxes = held(text, "intervals-0")
    assert boxes["size"] == list(nets.IMAGE)
    ends = [[unpacked(boxes["arrays"][i]) for i in pair] for pair in boxes["layers"][3]]
    (top, bottom), (left, right) = [[np.broadcast_to(a, (10, 32)) for a in pair] for pair in ends]
    for unit in itertools.product(range(10), range(32)):
        assert (top[unit], left[unit], bottom[unit], right[unit]) == nets.seen_of(*unit)
    for index, name in enumerate(nets.LAYERS):
        map_size = nets.SHAPES[name][1:]
        middle = tuple(n // 2 for n in map_size)
        found = [
            [int(np.broadcast_to(unpacked(boxes["arrays"][i]), map_size)[middle]) for i in pair]
            for pair in boxes["layers"][index]
        ]
        (a, b), (c, d) = found
        assert (a, c, b, d) == nets.SEEN[name]


def test_scripts_get_the_energy(small: Comparison, text: str) -> None:
    for index, report in enumerate(small.reports):
        cells = report.study.cell_field.energy
        assert cells is not None
        energy = held(text, f"intervals-{index}")["energy"]
        assert energy["size"] == list(nets.IMAGE)
        assert np.array(energy["values"]).reshape(nets.IMAGE) == pytest.approx(shades(cells), abs=0.51)


def test_scripts_get_the_reports(small: Comparison, text: str) -> None:
    data = held(text, "report-0")
    for row in data["layers"]:
        assert (row["macs"], row["params"]) == (nets.MACS[row["name"]], nets.PARAMS[row["name"]])
        assert (*row["rf"]["visible"]["lo"], *row["rf"]["visible"]["hi"]) == nets.SEEN[row["name"]]
        assert (row["rf"]["start"], row["rf"]["jump"]) == (
            list(nets.STARTS[row["name"]]), list(nets.JUMPS[row["name"]]),
        )  # fmt: skip
    whole = held(text, "comparison")
    assert [m["summary"]["macs"] for m in whole["models"]] == [355_200, 199_728]
    meta = re.search(r'id="meta">([^<]*)</script>', text)
    assert meta is not None
    subjects = json.loads(meta[1])["subjects"]
    assert [(s["index"], s["key"], s["originName"]) for s in subjects] == [
        (0, "Uneven", "input"), (1, "Branched", "input"),
    ]  # fmt: skip


def test_boxes_of_the_graph_lead_to_their_layers(shipped: Comparison, shipped_text: str, text: str) -> None:
    """Every layer is in one box, and the box says its name."""
    for made, reports in ((shipped_text, shipped.reports), (text, (nets.uneven(), nets.branched_small()))):
        page = page_of(made)
        for index, report in enumerate(reports):
            drawn = held(made, f"intervals-{index}")["drawn"]
            assert sorted(row for rows in drawn.values() for row in rows) == list(range(len(report.layers)))
            frame = page.one("div", id=f"graph-{index}")
            boxes = {
                t.attributes["id"]: t
                for t in frame.all("g")
                if "box" in t.attributes.get("class", "").split()
            }
            assert set(drawn) == set(boxes)
            total = sum(row.macs for row in report.layers)
            for name, rows in drawn.items():
                words = [t.text().strip() for t in boxes[name].all("text")]
                macs = sum(report.layers[row].macs for row in rows)
                share = [w for w in words if re.fullmatch(r"<?[\d.]+ %", w)]
                assert len(share) == (1 if macs else 0)
                assert not macs or says(share[0], macs / total)
                shape = "x".join(map(str, report.layers[rows[-1]].shape[1:]))
                assert any(w.split(" ")[0] == shape for w in words)


# ------------------------------------------------------------------ one network alone


def test_a_page_of_one_network(alone: str) -> None:
    page = page_of(alone)
    said = figures(page)
    assert says(said["MACs"][0][0], 299_568)
    assert says(said["Module's MACs"][0][0], 218_928)
    assert says(said["Reach, of the area"][0][0], 46 * 78 / (48 * 80))
    (root,) = stills(alone)
    frame = next(e for e in root.iter("rect") if e.get("class") == "seen")
    assert [float(frame.attrib[k]) for k in ("x", "y", "width", "height")] == [0, 0, 78, 46]
    assert 'id="comparison"' not in alone
    assert '<ul class="legend">' not in alone
