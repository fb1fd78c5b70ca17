"""Which networks of other packages archlens takes, end to end: every analysis, `explain`, every output.

    pip install -e '.[timm,smp]' transformers monai einops dynamic-network-architectures
    python benchmarks/coverage.py                             # all libraries; goes on where it was
    python benchmarks/coverage.py timm smp:unet               # what begins with these words
    python benchmarks/coverage.py --all timm                  # every network, not one a family
    python benchmarks/coverage.py --table                     # what the results file holds; --page: the page

A library that is not installed is left out with a word. Each network is gone over in a worker with a limit of
time and memory; rows go to the results file as they are done, so a run that was stopped goes on where it was
(give another file, or --again, after archlens has changed). An exception that is no ArchlensError is a crash;
a layer's field is exact, bound or unknown; its energy (the expected field) is known where every operation
before it has a rule. Parameters are held against `sum(p.numel())`, multiply-accumulates against half of what
torch's FlopCounterMode counts.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from coverage_networks import LIBRARIES, Job, installed, jobs
from coverage_one import Row, dumped, serve

DOCS = Path(__file__).parent.parent / "docs" / "coverage.md"
LIMIT = 120
"""Seconds a network."""
MEMORY = 10
"""GiB a worker."""
LASTS = 25
"""Networks that a worker goes over before a fresh one takes its place."""


class Worker:
    """A process that goes over networks; one that dies or takes too long is replaced."""

    def __init__(self, limit: float, memory: float) -> None:
        self.limit, self.memory = limit, memory
        self.folder = tempfile.TemporaryDirectory()
        self.dump = Path(self.folder.name) / "traceback"
        self.process: Any = None
        self.done = 0

    def row(self, job: Job) -> Row:
        """Everything about one network, or what was found of it before the worker died."""
        if self.process is None or self.done >= LASTS:
            self._start()
        row: Row = {"name": job.name}
        step = "start"
        try:
            self.end.send(job)
            while (part := self.end.recv()) is not None:
                step = part.pop("step", step)
                row.update(part)
            self.done += 1
        except (EOFError, OSError):
            self.process.join()
            text = self.dump.read_text() if self.dump.is_file() else ""
            late = "Timeout" in text
            error = f"more than {self.limit:g} s" if late else f"the process died ({self.process.exitcode})"
            fault = {"step": step, "error": error, "frame": dumped(text)}
            row["crashes"] = [*row.get("crashes", []), fault]
            row["late"] = late
            self.process = None
        return row

    def _start(self) -> None:
        self.stop()
        context = multiprocessing.get_context("spawn")
        self.end, other = context.Pipe()
        self.process = context.Process(target=_limited, args=(other, str(self.dump), self.limit, self.memory))
        self.process.start()
        other.close()
        self.done = 0

    def stop(self) -> None:
        """Let it end."""
        if self.process is not None:
            self.end.send(None)
            self.process.join(10)
            self.process.kill()
            self.process = None


def _limited(end: Any, dump: str, limit: float, memory: float) -> None:
    most = int(memory * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    serve(end, dump, limit)


def run(wanted: Sequence[Job], file: Path, limit: float, memory: float) -> None:
    """Go over what is not in the file yet, and append it."""
    known = {row["name"] for row in rows_of(file)}
    worker = Worker(limit, memory)
    for job in wanted:
        if job.name in known:
            continue
        begin = time.perf_counter()
        row = worker.row(job)
        row["wall"] = round(time.perf_counter() - begin, 1)
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        print(told(row), flush=True)
    worker.stop()


def rows_of(file: Path) -> list[Row]:
    """The rows of a results file; of several of one network the last."""
    if not file.is_file():
        return []
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return list({row["name"]: row for row in lines}.values())


# ------------------------------------------------------------------ tables


def told(row: Row) -> str:
    """A row in a line, its crashes below."""
    status = row.get("status", {})
    shares = "  ".join(f"{word} {_percent(status.get(word, 0), row.get('layers', 0))}" for word in
                       ("exact", "bound", "unknown"))  # fmt: skip
    energy = _percent(row.get("energy", 0), row.get("energy_rows", 0))
    cell = row.get("cell", {})
    lines = [
        f"{row['name']:44} {row['wall']:6.1f} s  {shares}  energy {energy}  cell {cell.get('name', '-')}"
    ]
    lines += [f"    CRASH {c['step']}: {c['error']}  [{c['frame']}]" for c in row.get("crashes", [])]
    lines += [f"    WRONG {words}" for words in row.get("wrong", [])]
    lines += [f"    refused {r['step']}: {r['error']}" for r in row.get("refused", []) if r["step"] in _WHOLE]
    return "\n".join(lines)


_WHOLE = ("explain", "compare", "analyze")
"""A refusal of these is one of the network; of a plot that has nothing to show it is an answer."""


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def library_of(row: Row) -> str:
    """The library of a row."""
    return str(row["name"]).partition(":")[0]


def table(rows: Sequence[Row]) -> list[str]:
    """A line a library, in Markdown."""
    out = [
        "| library | networks | crash | refused | layers | exact | bound | unknown | wholly known "
        "| energy of layers | energy of cells | cells found | median s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for library in LIBRARIES:
        own = [r for r in rows if library_of(r) == library]
        done = [r for r in own if "layers" in r]
        if not own:
            continue
        layers = sum(r["layers"] for r in done)
        shares = [_percent(sum(r["status"].get(w, 0) for r in done), layers) for w in _WORDS]
        asked = [r for r in done if _classes().get(r["name"])]
        walls = sorted(r["wall"] for r in own)
        cells: list[object] = [
            library,
            len(own),
            sum(bool(r.get("crashes")) for r in own),
            sum(any(f["step"] in _WHOLE for f in r.get("refused", [])) for r in own),
            layers,
            *shares,
            f"{sum(not r['status'].get('unknown') for r in done)} of {len(done)}",
            _percent(sum(r.get("energy", 0) for r in done), sum(r.get("energy_rows", 0) for r in done)),
            f"{sum(bool(r.get('cell_energy')) for r in done)} of {len(done)}",
            f"{sum(r['cell']['found'] for r in asked)} of {len(asked)}",
            f"{walls[len(walls) // 2]:.0f}",
        ]
        out.append("| " + " | ".join(map(str, cells)) + " |")
    return out


_WORDS = ("exact", "bound", "unknown")


def _classes() -> dict[str, int]:
    """Network -> its classes, where it segments."""
    if not _KNOWN:
        _KNOWN.update({job.name: job.classes for job in jobs(True)})
    return _KNOWN


_KNOWN: dict[str, int] = {}


def spoilers(rows: Sequence[Row], of: Callable[[Row], dict[str, int]]) -> list[str]:
    """Operations by the number of networks that have one, with a few of the networks."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for op in of(row):
            found.setdefault(op, []).append(row["name"])
    ordered = sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [f"* {op}: {len(n)} ({', '.join(n[:4])}{', …' if len(n) > 4 else ''})" for op, n in ordered]


def summary(rows: Sequence[Row]) -> list[str]:
    """Tables and lists, in Markdown."""
    crashes: dict[str, list[str]] = {}
    for row in rows:
        for fault in row.get("crashes", []):
            key = f"{fault['frame'] or '?'}: {fault['error'].partition(':')[0]}"
            crashes.setdefault(key, []).append(f"{row['name']} ({fault['step']})")
    ordered = sorted(crashes.items(), key=lambda pair: -len(pair[1]))
    done = [r for r in rows if "params" in r]
    counted = [r for r in done if not r["macs"].startswith("not")]
    return [
        *table(rows),
        "",
        f"* Parameters equal: {sum(r['params'] == '=' for r in done)} of {len(done)}.",
        f"* Multiply-accumulates equal half of FlopCounterMode: {sum(r['macs'] == '=' for r in counted)} of "
        f"{len(counted)}.",
        "",
        "## Crashes",
        "",
        *([f"* `{key}`: {len(n)} ({', '.join(n[:4])})" for key, n in ordered] or ["None."]),
        "",
        "## Contradictions",
        "",
        *([f"* {r['name']}: {words}" for r in rows for words in r.get("wrong", [])] or ["None."]),
        "",
        "## Operations that are not understood, by networks",
        "",
        *(spoilers(rows, lambda r: r.get("unknown", {})) or ["None."]),
        "",
        "## Operations without a rule of the expected field, by networks",
        "",
        *(spoilers(rows, lambda r: r.get("energy_missing", {})) or ["None."]),
        "",
        "## Why a field is a bound, by networks",
        "",
        *(spoilers(rows, lambda r: r.get("bound", {})) or ["None."]),
        "",
        "## Networks that segment whose class-score cell was not found",
        "",
        *(list(_lost_cells(rows)) or ["None."]),
    ]


def _lost_cells(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        cell = row.get("cell")
        if cell is not None and _classes().get(row["name"]) and not cell["found"]:
            shape = "x".join(map(str, cell["shape"][1:]))
            yield f"* {row['name']}: `{cell['name']}`, {cell['op']} of {shape}"


def line(row: Row) -> str:
    """A network's row of the page."""
    if "layers" not in row:
        why = [f["error"] for f in (*row.get("crashes", []), *row.get("refused", []))]
        return f"| {row['name']} | - | - | - | - | - | - | failed: {why[0] if why else '?'} |"
    status = row["status"]
    words = [
        f"crash: {', '.join(c['step'] for c in row['crashes'])}" if row.get("crashes") else "",
        "unknown: " + ", ".join(f"`{op}`" for op in row["unknown"]) if row["unknown"] else "",
        *row["notes"],
    ]
    cells = [
        row["name"],
        row["size"],
        row["layers"],
        " / ".join(_percent(status.get(w, 0), row["layers"]) for w in _WORDS),
        _percent(row.get("energy", 0), row.get("energy_rows", 0)),
        row.get("params", "-"),
        row.get("macs", "-"),
        "; ".join(filter(None, words)),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def page(rows: Sequence[Row]) -> str:
    """docs/coverage.md."""
    from importlib.metadata import PackageNotFoundError, version

    known = []
    for package in ("torch", "torchvision", "timm", "segmentation-models-pytorch", "transformers", "monai",
                    "dynamic-network-architectures"):  # fmt: skip
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    head = [
        "# Coverage",
        "",
        "Networks of other packages, each taken through every analysis and `explain`, and written in every "
        "form, by `python benchmarks/coverage.py`, which made this page. A layer's field is exact, bound or "
        "unknown; an operation that archlens does not understand is named, and every layer behind it says "
        "unknown. Its energy, the expected field, is known where every operation before it has a rule. "
        "`params` and `MACs`: `=` where they equal `sum(p.numel())` and half of what torch's FlopCounterMode "
        "counts.",
        "",
        "Versions: " + ", ".join(known) + ".",
        "",
        *summary(rows),
        "",
        "## Networks",
        "",
        "| network | input | layers | exact / bound / unknown | energy | params | MACs | remarks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *map(line, rows)]) + "\n"


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("words", nargs="*", help="what the networks' names begin with; default: all")
    parser.add_argument("--all", action="store_true", help="every network, not one a family")
    parser.add_argument("--again", action="store_true", help="those too that the results file has")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds a network (default {LIMIT})")
    parser.add_argument("--memory", type=float, default=MEMORY, help=f"GiB (default {MEMORY})")
    parser.add_argument("-o", "--output", type=Path, default=Path("coverage.jsonl"), help="the results file")
    parser.add_argument("--table", action="store_true", help="run nothing: say what the results file holds")
    parser.add_argument("--page", action="store_true", help="write docs/coverage.md too")
    options = parser.parse_args()
    for library, here in installed().items():
        if not here:
            print(f"{library} is left out: {LIBRARIES[library]} is not installed.", file=sys.stderr)
    wanted = [j for j in jobs(options.all) if not options.words or j.name.startswith(tuple(options.words))]
    if options.again and options.output.is_file():
        names = {j.name for j in wanted}
        kept = [row for row in rows_of(options.output) if row["name"] not in names]
        options.output.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    if not options.table:
        run(wanted, options.output, options.limit, options.memory)
    rows = rows_of(options.output)
    print(*summary(rows), sep="\n")
    if options.page:
        DOCS.write_text(page(rows), encoding="utf-8")
    return 1 if any(row.get("crashes") or row.get("wrong") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
