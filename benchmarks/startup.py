"""How much a command costs beside importing torch, and how quickly the torch-free ones answer.

    python benchmarks/startup.py [--rounds 7]

Whole-process wall times, interleaved round by round in one run, so that a busy machine is unfair to all
alike; medians, and the ratio of medians to `python -c "import torch"`. "first" and "cold" runs get an empty
cache folder each: a first one finds the capture that ships, a cold one is of options that none ships for and
captures. "warm" ones find what the run before kept. The slow figures of a comparison ship for the networks'
own sizes: at 321 px a first one derives them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

PYTHON = sys.executable
# An installed package is compiled once, at its installation; every run is to find its byte code.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
ARCHLENS = [PYTHON, "-m", "archlens"]
TORCH = "import torch"
CASES: dict[str, tuple[list[str], str]] = {
    TORCH: ([PYTHON, "-c", "import torch"], "none"),
    "rf deeplabv2, first": ([*ARCHLENS, "rf", "deeplabv2"], "cold"),
    "rf deeplabv2?num_classes=19, cold": ([*ARCHLENS, "rf", "deeplabv2?num_classes=19"], "cold"),
    "rf deeplabv2?num_classes=19, warm": ([*ARCHLENS, "rf", "deeplabv2?num_classes=19"], "warm"),
    "rf deeplabv2, 4097 px, cold": ([*ARCHLENS, "rf", "deeplabv2", "--input-size", "3x4097x4097"], "cold"),
    "compare fcn pspnet, first": ([*ARCHLENS, "compare", "fcn", "pspnet"], "cold"),
    "compare fcn pspnet, 321 px, first": (
        [*ARCHLENS, "compare", "fcn", "pspnet", "--input-size", "3x321x321"],
        "cold",
    ),
    "compare fcn pspnet, 321 px, again": (
        [*ARCHLENS, "compare", "fcn", "pspnet", "--input-size", "3x321x321"],
        "warm",
    ),
    "compare fcn pspnet, page": ([*ARCHLENS, "compare", "fcn", "pspnet", "-o", "PAGE"], "cold"),
    "report --lineage, page": ([*ARCHLENS, "report", "--lineage", "-o", "PAGE"], "cold"),
    "compare fcn pspnet, 4097 px, page": (
        [*ARCHLENS, "compare", "fcn", "pspnet", "--input-size", "3x4097x4097", "--sizes", "", "-o", "PAGE"],
        "warm",
    ),
    "--help": ([*ARCHLENS, "--help"], "none"),
    "--version": ([*ARCHLENS, "--version"], "none"),
    "models": ([*ARCHLENS, "models"], "none"),
}


MiB = 2**20


def run(command: list[str], cache: str, version: str | None) -> tuple[float, float]:
    """(wall time, MiB that it took at most) of one process; `version`: a folder to import archlens from.

    Raises:
        CalledProcessError: It fails.
    """
    environment = {**_ENVIRONMENT, "ARCHLENS_CACHE_DIR": cache}
    if version is not None:
        environment["PYTHONPATH"] = version
    words = [f"{cache}/page.html" if word == "PAGE" else word for word in command]
    start = time.perf_counter()
    process = subprocess.Popen(
        words, env=environment, cwd=cache, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - start
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), words)
    return took, used.ru_maxrss * 1024 / MiB


def main() -> None:
    """Time every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--against", metavar="FOLDER", help="a checkout of another version, timed beside it")
    asked = parser.parse_args()
    versions = {"": None} if asked.against is None else {"": None, " (other)": os.path.abspath(asked.against)}
    cases = {n: c for n, c in CASES.items() if n == TORCH or asked.only in n}
    found: dict[str, list[tuple[float, float]]] = {
        name + mark: [] for name in cases for mark in versions if name != TORCH or not mark
    }
    folders = {mark: tempfile.TemporaryDirectory() for mark in versions}
    for _ in range(asked.rounds + 1):  # the first round fills the file system's and Python's caches
        for name, (command, kind) in cases.items():
            for mark, version in versions.items():
                if name + mark in found:
                    with tempfile.TemporaryDirectory() as cold:
                        cache = cold if kind == "cold" else folders[mark].name
                        found[name + mark].append(run(command, cache, version))
    base = statistics.median(took for took, _ in found[TORCH][1:])
    print("| command | median, s | least, s | of `import torch` | peak, MiB |")
    print("|---|---|---|---|---|")
    for name, values in found.items():
        times = [took for took, _ in values[1:]]
        median = statistics.median(times)
        peak = max(used for _, used in values)
        print(f"| {name} | {median:.2f} | {min(times):.2f} | {median / base:.2f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
