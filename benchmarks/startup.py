"""How much a cold command costs beyond importing torch, and how quickly the torch-free ones answer.

    python benchmarks/startup.py [--rounds 7]

Whole-process wall times, interleaved round by round in one run, so that a busy machine is unfair to all
alike; medians, and the ratio of medians to `python -c "import torch"`. "cold" runs get an empty cache folder
each, "warm" ones find the capture of the run before.
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
    "rf deeplabv2, 513 px, cold": ([*ARCHLENS, "rf", "deeplabv2"], "cold"),
    "rf deeplabv2, 4097 px, cold": ([*ARCHLENS, "rf", "deeplabv2", "--input-size", "3x4097x4097"], "cold"),
    "rf fcn, 513 px, cold": ([*ARCHLENS, "rf", "fcn"], "cold"),
    "rf pspnet, 513 px, cold": ([*ARCHLENS, "rf", "pspnet"], "cold"),
    "rf deeplabv2, 513 px, warm": ([*ARCHLENS, "rf", "deeplabv2"], "warm"),
    "--help": ([*ARCHLENS, "--help"], "none"),
    "--version": ([*ARCHLENS, "--version"], "none"),
    "models": ([*ARCHLENS, "models"], "none"),
}


def seconds(command: list[str], cache: str) -> float:
    """Wall time of one process. Raises CalledProcessError when it fails."""
    environment = {**_ENVIRONMENT, "ARCHLENS_CACHE_DIR": cache}
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Time every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as warm:
        for _ in range(rounds + 1):  # the first round fills the file system's and Python's caches
            for name, (command, kind) in CASES.items():
                with tempfile.TemporaryDirectory() as cold:
                    times[name].append(seconds(command, cold if kind == "cold" else warm))
    base = statistics.median(times[TORCH][1:])
    print(f"{'command':30} {'median':>8} {'least':>8} {'of import torch':>16}")
    for name, values in times.items():
        median = statistics.median(values[1:])
        print(f"{name:30} {median:7.2f}s {min(values[1:]):7.2f}s {median / base:15.2f}x")


if __name__ == "__main__":
    main()
