"""Plants faults in the last mile, between what is derived and what is drawn, and sees whether a test notices.

Each fault is one edit (or two that belong together) of a copy of the package: a box eight pixels too large, a
share halved, a heat map transposed. The tests of `tests/last_mile` run against the copy and must fail. The
checkout itself is never touched.

    python benchmarks/planted_faults.py                    all of them, about ten minutes
    python benchmarks/planted_faults.py box share          those whose names hold one of these words
    python benchmarks/planted_faults.py --everything       each against the whole folder, not one file

Exit status 1 where a fault survived.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

HERE = Path(__file__).resolve().parent.parent
FOLDER = "tests/last_mile"
RENDER = "archlens/render/"
GUARD = """
from pathlib import Path
import archlens
assert Path(archlens.__file__).resolve().is_relative_to(Path(__file__).resolve().parent), archlens.__file__
"""
"""A plugin of the copy: pytest stops where it would test another package than the copy's."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: What is wrong then.
        file: Below `archlens/render/`, or from the root where it begins with `archlens/`.
        edits: (old, new) texts; each old one stands in the file exactly once.
        test: The file of `tests/last_mile` that looks there.
    """

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    test: str

    @property
    def path(self) -> str:
        """From the root."""
        return self.file if self.file.startswith("archlens/") else RENDER + self.file


def fault(test: str, file: str, name: str, *texts: str) -> Fault:
    """A fault by its texts: old, new, old, new."""
    return Fault(name, file, tuple(zip(texts[::2], texts[1::2], strict=True)), f"test_{test}_read_back.py")


FAULTS = (
    # ---------------------------------------------------------------- figures of --plot
    fault("plots", "plots/nested.py", "a box drawn 8 px too large",
          "                    width,\n                    height,\n",
          "                    width + 8,\n                    height + 8,\n"),
    fault("plots", "plots/nested.py", "a box whose row stands for its column",
          "(box.lo[1] - 0.5, box.lo[0] - 0.5)", "(box.lo[0] - 0.5, box.lo[1] - 0.5)"),
    fault("plots", "plots/nested.py", "an inclusive end taken for an exclusive one, in words",
          "by([h - low + 1 for low, h in zip(first.lo, first.hi, strict=True)])",
          "by([h - low for low, h in zip(first.lo, first.hi, strict=True)])"),
    fault("plots", "plots/costs.py", "a cost share halved",
          "shares = [100 * getattr(s, key) / total for s in stages]",
          "shares = [50 * getattr(s, key) / total for s in stages]"),
    fault("plots", "plots/costs.py", "bars of the maximum, not of the sum",
          "total = sum(getattr(s, key) for s in stages) or 1",
          "total = max(getattr(s, key) for s in stages) or 1"),
    fault("plots", "plots/costs.py", "bars beside the wrong names",
          "[s.name for s in stages])\n    ax.invert_yaxis()\n    ax.margins(x=0.12)",
          "[s.name for s in reversed(stages)])\n    ax.invert_yaxis()\n    ax.margins(x=0.12)"),
    fault("plots", "plots/costs.py", "stacked bars in FLOPs under GMACs",
          "width = stage.macs / 1e9", "width = 2 * stage.macs / 1e9"),
    fault("plots", "plots/costs.py", "a share drawn where per cent is written",
          "[None if p.far is None else 100 * p.far for p in points]", "[p.far for p in points]"),
    fault("plots", "plots/costs.py", "FLOPs on the axis of GMACs",
          'gmacs=report.totals["macs"] / 1e9', 'gmacs=report.totals["flops"] / 1e9'),
    fault("plots", "plots/coverage.py", "a transposed heat map",
          "ax.imshow(shares, cmap", "ax.imshow(shares.T, cmap"),
    fault("plots", "plots/coverage.py", "a colour bar with other figures",
          "bar.set_ticks([0, 0.25, 0.5, 0.75, 1])",
          'bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0", "0.2", "0.4", "0.6", "0.8"])'),
    fault("plots", "plots/coverage.py", "figures at the wrong cell",
          "                (at[1], at[0]),\n", "                (at[0], at[1]),\n"),
    fault("plots", "plots/heat.py", "the box of a heat map with its axes swapped",
          "(left - 0.5, top - 0.5), *size, fill", "(top - 0.5, left - 0.5), *size, fill"),
    fault("plots", "plots/heat.py", "a heat map upside down",
          'cells, extent=(left - 0.5, right + 0.5, bottom + 0.5, top - 0.5), interpolation="nearest", **how',
          'cells, extent=(left - 0.5, right + 0.5, top - 0.5, bottom + 0.5), interpolation="nearest", **how'),
    fault("plots", "plots/heat.py", "squares of half the side",
          "corner = (centre[1] - side / 2, centre[0] - side / 2)",
          "side, corner = side / 2, (centre[1] - side / 4, centre[0] - side / 4)"),
    fault("plots", "plots/growth.py", "what is seen one pixel short",
          "seen[1][0] - seen[0][0] + 1)", "seen[1][0] - seen[0][0])"),
    fault("plots", "plots/growth.py", "the squares of 50 % for those of 95 %",
          "line.used.get(percent, ())", "line.used.get(145 - percent, ())"),
    fault("plots", "plots/growth.py", "a name at another network's line",
          "                    n.name,\n", "                    lines[-1 - i].name,\n"),
    fault("plots", "plots/branches.py", "a ring at the swapped cell",
          "ax.plot(view.unit[1], view.unit[0],", "ax.plot(view.unit[0], view.unit[1],"),
    fault("plots", "plots/branches.py", "the energy of the branch before",
          "energy=shares[index].share if shares", "energy=shares[index - 1].share if shares"),
    fault("plots", "plots/growth.py", "the field before a layer, not behind it",
          "theoretical=tuple(g.after for g in way)", "theoretical=tuple(g.before for g in way)"),
    fault("plots", "plots/growth.py", "stages half a layer too narrow",
          "ax.axvspan(first - 0.5, last + 0.5,", "ax.axvspan(first, last + 0.5,"),
    fault("plots", "plots/growth.py", "an arrow at another layer",
          "            (at, line.theoretical[at]),\n", "            (at - 1, line.theoretical[at]),\n"),
    fault("plots", "plots/coverage.py", "the least for the mean",
          "percent(float(shares.mean()))", "percent(float(shares.min()))"),
    fault("plots", "plots/costs.py", "a total of the stage before",
          "number(round(left))", "number(round(left - width))"),
    fault("plots", "plots/heat.py", "holes for what is touched",
          "holes = 1 - float(inside.mean())", "holes = float(inside.mean())"),
    # ---------------------------------------------------------------- the graph
    fault("graph", "graph/cards.py", "a box with its shape turned",
          "shape=by(last.shape[1:])", "shape=by(last.shape[:0:-1])"),
    fault("graph", "graph/cards.py", "a per cent of the wrong total",
          'total = report.totals.get("macs", 0)', 'total = report.totals.get("flops", 0)'),
    fault("graph", "graph/cards.py", "one of all repeats counted",
          "cost = sum(rows[r].macs for r in box.rows)", "cost = sum(rows[r].macs for r in box.repeats[0])"),
    fault("graph", "graph/cards.py", "a run that begins where it ends",
          "field=field_words(result.rf, last.rf),", "field=field_words(last.rf, result.rf),"),
    fault("graph", "graph/drawing.py", "an edge of the wrong branch",
          "source = index.get(name, -1)\n            ends",
          "source = index.get(row.inputs[0], -1)\n            ends"),
    fault("graph", "graph/drawing.py", "skips that are not told apart",
          "skips.get((source, target))", "skips.get((target, source))"),
    fault("graph", "graph/dot.py", "a legend one step too dark",
          "known = [(i, STEPS[i], t) for", "known = [(i, STEPS[i + 1], t) for"),
    fault("graph", "graph/dot.py", "colours of twice the value",
          "sum(value >= e for e in edges)", "sum(2 * value >= e for e in edges)"),
    fault("graph", "graph/cards.py", "layers that add nothing left unmarked",
          "idle = sum(r in shown.idle for r in box.rows)",
          "idle = sum(r in shown.idle for r in box.rows[1:])"),
    fault("graph", "graph/dot.py", "the title with its totals swapped",
          "{si(r.totals.get('params', 0))} parameters · {si(r.totals.get('macs', 0))} MACs",
          "{si(r.totals.get('macs', 0))} parameters · {si(r.totals.get('params', 0))} MACs"),
    # ---------------------------------------------------------------- tables
    fault("tables", "text/layers.py", "FLOPs in the column of MACs",
          "            work(row, row.macs),\n", "            work(row, 2 * row.macs),\n"),
    fault("tables", "text/layers.py", "two columns swapped",
          "        axes(field.path.jump),\n        axes(field.path.start),\n",
          "        axes(field.path.start),\n        axes(field.path.jump),\n"),
    fault("tables", "text/layers.py", "a share of the peak",
          'percent(row.macs / total["macs"])', 'percent(row.macs / max(r.macs for r in rows))'),
    fault("tables", "text/table.py", "a cell under another heading",
          "    body = [*table.rows, *([table.totals] if table.totals else [])]\n    cells = [",
          "    body = [(r[0], *r[2:], r[1]) for r in table.rows] + ([table.totals] if table.totals else [])\n"
          "    cells = ["),
    fault("tables", "text/markdown.py", "Markdown one row off",
          "enumerate(table.rows)", "enumerate((*table.rows[1:], table.rows[0]))"),
    fault("tables", "text/csv.py", "the columns of lo and hi swapped in CSV",
          '**{f"visible_{key}": visible.get(key) for',
          '**{f"visible_{key}": visible.get({"lo": "hi", "hi": "lo"}.get(key, key)) for'),
    fault("tables", "text/comparison.py", "networks under each other's names",
          "rows.append((figure.label, *cells))", "rows.append((figure.label, *reversed(cells)))"),
    fault("tables", "text/lineage.py", "parameters for MACs",
          'si(row["params"]),\n                si(row["macs"]),',
          'si(row["macs"]),\n                si(row["params"]),'),
    fault("tables", "archlens/findings/diff.py", "a difference with its sign turned",
          "return 100 * (new - old) / abs(old)", "return 100 * (old - new) / abs(old)"),
    fault("tables", "archlens/findings/budgets.py", "an excess of the value, not of the limit",
          "100 * over / abs(limit)", "100 * over / abs(value)"),
    fault("tables", "text/fields.py", "a share of the shorter side",
          "percent(side / max(image))", "percent(side / min(image))"),
    fault("tables", "archlens/report.py", "an inclusive bound taken for an exclusive one",
          "return tuple(h - low + 1 for low, h in zip(self.lo, self.hi, strict=True))",
          "return tuple(h - low for low, h in zip(self.lo, self.hi, strict=True))"),
    fault("measured_tables", "text/profile.py", "quartiles the wrong way round",
          "{duration(latency.low)}..{duration(latency.high)}",
          "{duration(latency.high)}..{duration(latency.low)}"),
    fault("measured_tables", "text/verification.py", "checked of agreed",
          "{number(c.agreed)} of {number(c.checked)}", "{number(c.checked)} of {number(c.agreed)}"),
    fault("measured_tables", "text/fields.py", "a share upside down",
          "percent(row.size / theory)", "percent(theory / row.size)"),
    fault("tables", "text/diffs.py", "old for new",
          "figure(f.old), figure(f.new)", "figure(f.new), figure(f.old)"),
    fault("tables", "archlens/words.py", "a kibibyte of a thousand bytes",
          '(2**10, "KiB")', '(10**3, "KiB")'),
    fault("tables", "archlens/report.py", "a bracket at the wrong edge",
          "if high == side - 1", "if high == side"),
    # ---------------------------------------------------------------- the page
    fault("page", "page/plots.py", "growth that counts layers instead of MACs",
          "        spent += row.macs\n", "        spent += 1\n",
          "total = sum(row.macs for row in way) or 1", "total = len(way) or 1"),
    fault("page", "page/plots.py", "the axes of a curve swapped",
          "tuple((100 * x, 100 * y) for x, y in curve)", "tuple((100 * y, 100 * x) for x, y in curve)"),
    fault("page", "page/plots.py", "a legend with the next one's dashes",
          "DASHES[s.index % 8], s.label)", "DASHES[(s.index + 1) % 8], s.label)"),
    fault("page", "page/plots.py", "marks of the wrong layers",
          "marks.append((x, float(side), places[row.name],", "marks.append((x, float(side), len(marks),"),
    fault("page", "page/pictures.py", "a rectangle whose y uses the x axis",
          "left, top, right - left + 1, bottom - top + 1", "left, left, right - left + 1, bottom - top + 1"),
    fault("page", "page/pictures.py", "a rectangle one pixel short",
          "left, top, right - left + 1, bottom - top + 1", "left, top, right - left, bottom - top"),
    fault("page", "page/pictures.py", "boxes of the graph that lead elsewhere",
          "for i, row in enumerate(report.layers)}", "for i, row in enumerate(reversed(report.layers))}"),
    fault("page", "page/use.py", "a flipped PNG",
          ".reshape(used.size)", ".reshape(used.size)[::-1]"),
    fault("page", "page/use.py", "the scripts' map transposed",
          "list(used.values)}", "np.reshape(list(used.values), used.size).T.ravel().tolist()}"),
    fault("page", "page/units.py", "the scripts' boxes one off", "prepend=0", "prepend=1"),
    fault("page", "page/numbers.py", "differences against the second",
          "against(values[0], value)", "against(value, values[0])"),
    fault("page", "page/layers.py", "elementwise work for MACs",
          "work(row, row.macs)", "work(row, row.elementwise)"),
    fault("page", "page/templates/numbers.html", "cells under each other's networks",
          "in row.cells %}", "in row.cells|reverse %}"),
    fault("page", "page/templates/layers.html", "the head of a table in another order",
          "{% for key, heading, right in columns %}", "{% for key, heading, right in columns|reverse %}"),
    fault("page", "page/plots.py", "growth that falls again", "best = max(best, side)", "best = side"),
    fault("page", "../shades.py", "a decade less below the peak",
          "FLOOR = 1e-4", "FLOOR = 1e-3"),
    fault("page", "page/findings.py", "after for before",
          'number(e["before"])', 'number(e["after"])'),
    fault("page", "page/numbers.py", "points that are shares",
          "gap = 100 * (value - first)", "gap = value - first"),
    # ---------------------------------------------------------------- the page's scripts
    fault("page_script", "page/assets/lens.js", "a frame whose y uses the x axis",
          "return [left * sx, top * sy,", "return [left * sx, left * sy,"),
    fault("page_script", "page/assets/lens.js", "cells by another area",
          "(0.6 * areaOf(box)) / whole", "(0.6 * areaOf(box)) / (2 * whole)"),
    fault("page_script", "page/assets/lens.js", "the mark of a unit at the swapped place",
          "(column + 0.5) * cw - side / 2, (row + 0.5) * ch",
          "(row + 0.5) * cw - side / 2, (column + 0.5) * ch"),
    fault("page_script", "page/assets/lens.js", "the shade on what is read",
          "shade, (i) => 1 - bits[i]", "shade, (i) => bits[i]"),
    fault("page_script", "page/assets/lens.js", "a cross without the stride",
          "+ here.index * own.jump :", "+ here.index :"),
)  # fmt: skip


def main() -> int:
    """Plant, test, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="only faults whose names hold one of these")
    parser.add_argument("--everything", action="store_true", help="each against all of tests/last_mile")
    parser.add_argument("--jobs", type=int, default=2, help="copies that are tested at the same time")
    asked = parser.parse_args()
    chosen = [f for f in FAULTS if not asked.words or any(word in f.name for word in asked.words)]
    if not chosen:
        parser.error("no fault is called so")
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copies: Queue[Path] = Queue()
        for number in range(max(1, asked.jobs)):
            copies.put(copied(Path(folder) / str(number)))
        copy = copies.get()
        for one in FAULTS:
            planted(
                (copy / one.path).read_text(encoding="utf-8"), one
            )  # all of them fit before the first runs
        start = time.monotonic()
        status, said = tested(copy, "")
        if status != 0:
            print(said)
            raise SystemExit("the copy fails as it is: nothing can be said of faults")
        print(f"as it is: passes, {time.monotonic() - start:.0f} s", flush=True)
        copies.put(copy)

        def judged(one: Fault) -> tuple[Fault, str]:
            own = copies.get()
            try:
                return one, caught(own, one, asked.everything)
            finally:
                copies.put(own)

        with ThreadPoolExecutor(max(1, asked.jobs)) as pool:
            rows = list(pool.map(judged, chosen))
    return report(rows)


def copied(to: Path) -> Path:
    """The package and its tests, without bytecode, which would outlive an edit."""
    to.mkdir()
    leave = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in ("archlens", "tests"):
        shutil.copytree(HERE / name, to / name, ignore=leave)
    shutil.copy(HERE / "pyproject.toml", to)
    (to / "planted_guard.py").write_text(GUARD, encoding="utf-8")
    return to


def planted(text: str, one: Fault) -> str:
    """The text of a file with a fault in it."""
    for old, new in one.edits:
        if (count := text.count(old)) != 1:
            raise SystemExit(
                f"{one.path}: {one.name}: the text to replace stands there {count} times:\n{old}"
            )
        text = text.replace(old, new)
    return text


def caught(copy: Path, one: Fault, everything: bool) -> str:
    """The first test that fails with a fault; empty where none does."""
    path = copy / one.path
    before = path.read_text(encoding="utf-8")
    path.write_text(planted(before, one), encoding="utf-8")
    try:
        status, said = tested(copy, "" if everything else one.test)
    finally:
        path.write_text(before, encoding="utf-8")
    failed = re.search(r"^(FAILED|ERROR) \S*?(test_\w+\.py)::(\S+)(?: - (\w+))?", said, re.MULTILINE)
    if status not in (0, 1) or (status == 1 and failed is None):
        print(said)
        raise SystemExit(f"{one.name}: pytest ended with {status}: no verdict")
    found = ""
    if status == 1 and failed is not None:
        # A copy that cannot run is no fault that a test has read back.
        by = "" if (failed[4] or "assert").lower().startswith("assert") else f" ({failed[4]})"
        found = f"{failed[2]}::{failed[3]}{by}"
    print(f"{'caught' if found else 'SURVIVED':9}{one.name}", flush=True)
    return found


def tested(copy: Path, file: str) -> tuple[int, str]:
    """Exit status and words of the tests in the copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-x", "-p", "no:cacheprovider",
               "-p", "planted_guard", "-o", "addopts=", f"{FOLDER}/{file}"]  # fmt: skip
    own = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
           "COLUMNS": "400"}  # fmt: skip
    done = subprocess.run(
        command, cwd=copy, env={**os.environ, **own}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def report(rows: list[tuple[Fault, str]]) -> int:
    """The table, and 1 where a fault survived."""
    print("\n| fault | where | caught by |\n|---|---|---|")
    for one, test in rows:
        print(f"| {one.name} | {one.path} | {test or '**nothing**'} |")
    survived = sum(not test for _, test in rows)
    print(f"\n{len(rows) - survived} of {len(rows)} faults caught")
    return 1 if survived else 0


if __name__ == "__main__":
    raise SystemExit(main())
