"""archlens beside its peers: wall time and peak memory of whole processes, in one run, as ratios.

    pip install -e '.[peers]'
    python benchmarks/peers.py [--rounds 5] [--sizes 512,1024] [--models resnet50,...] [-o docs/peers.md]

Each tool does its nearest job on the same torchvision network: a layer table or a count (torchinfo, fvcore,
ptflops, calflops), a graph (torchview), an executed graph with receptive fields (torchlens). archlens answers
all of that at once: layer table, MACs, memory, theoretical and visible fields. "cold" starts with an empty
cache folder, "cached" finds the capture of an earlier run. Rounds are interleaved, so that a busy machine is
unfair to all alike; figures are medians. A tool that fails is shown as such.
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = sys.executable
# An installed package is compiled once, at its installation; every run is to find its byte code.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
BUILD = (
    "import torch, torchvision\n"
    "kw = {{'weights_backbone': None}} if '{name}'.startswith(('fcn', 'deeplab', 'lraspp')) else {{}}\n"
    "m = torchvision.models.get_model('{name}', weights=None, **kw).eval()\n"
)
JOBS = {
    "torchinfo": "from torchinfo import summary\n"
    "summary(m, (1, 3, {size}, {size}), device='cpu', depth=10, verbose=1)\n",
    "fvcore": "from fvcore.nn import FlopCountAnalysis, flop_count_table\n"
    "print(flop_count_table(FlopCountAnalysis(m, torch.zeros(1, 3, {size}, {size})), max_depth=10))\n",
    "ptflops": "from ptflops import get_model_complexity_info\n"
    "get_model_complexity_info(m, (3, {size}, {size}), print_per_layer_stat=True)\n",
    "calflops": "from calflops import calculate_flops\n"
    "calculate_flops(m, input_shape=(1, 3, {size}, {size}), print_detailed=True)\n",
    "torchview": "from torchview import draw_graph\n"
    "made = draw_graph(m, input_data=torch.zeros(1, 3, {size}, {size}), device='meta', depth=10)\n"
    "print(len(made.visual_graph.source))\n",
    "torchlens": "import torchlens\nprint(torchlens.trace(m, torch.zeros(1, 3, {size}, {size})))\n",
}
OURS = ("archlens, cold", "archlens, cached")


@dataclass
class Figures:
    """Of one tool on one network at one size."""

    seconds: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    failure: str = ""


def run(command: list[str], cache: str, limit: float = 300) -> tuple[float, float, str]:
    """Wall seconds, peak MiB of the process, and the last line of what it complained of if it failed."""
    environment = {**_ENVIRONMENT, "ARCHLENS_CACHE_DIR": cache, "PYTHONWARNINGS": "ignore"}
    start = time.perf_counter()
    # The peak of one child: a fresh interpreter that does nothing but wait for it.
    watcher = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "print((done.stderr.strip().splitlines() or [''])[-1] if done.returncode else '')\n"
    )
    try:
        done = subprocess.run(
            [PYTHON, "-S", "-c", watcher, *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return limit, 0.0, f"longer than {limit:.0f} s"
    seconds = time.perf_counter() - start
    lines = done.stdout.splitlines()
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return seconds, int(lines[0]) / unit, lines[1] if len(lines) > 1 else ""


def command(tool: str, name: str, size: int) -> list[str]:
    """The process that does a tool's job."""
    if tool in OURS:
        return [
            PYTHON,
            "-m",
            "archlens",
            "rf",
            f"torchvision:{name}",
            "--input-size",
            f"3x{size}x{size}",
            "--all",
        ]
    return [PYTHON, "-c", (BUILD + JOBS[tool]).format(name=name, size=size)]


def measure(models: list[str], sizes: list[int], rounds: int) -> dict[tuple[str, int], dict[str, Figures]]:
    """All tools on all networks at all sizes, interleaved; the first round is not counted."""
    out: dict[tuple[str, int], dict[str, Figures]] = {}
    with tempfile.TemporaryDirectory() as warm:
        for name in models:
            for size in sizes:
                found = out[name, size] = {tool: Figures() for tool in (*OURS, *JOBS)}
                for turn in range(rounds + 1):
                    for tool, figures in found.items():
                        if figures.failure:
                            continue
                        with tempfile.TemporaryDirectory() as cold:
                            cache = warm if tool == OURS[1] else cold
                            seconds, mib, failure = run(command(tool, name, size), cache)
                        figures.failure = failure
                        if turn:
                            figures.seconds.append(seconds)
                            figures.mib.append(mib)
                print(f"{name} at {size}: done", file=sys.stderr)
    return out


def table(found: dict[tuple[str, int], dict[str, Figures]]) -> str:
    """Markdown: seconds and MiB, and both as multiples of archlens cold."""
    lines = [
        "| network | tool | s | MiB | time / archlens cold | memory / archlens cold |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for (name, size), tools in found.items():
        base = tools[OURS[0]]
        base_s, base_mib = (statistics.median(v) if v else float("nan") for v in (base.seconds, base.mib))
        for tool, f in tools.items():
            if f.failure or not f.seconds:
                reason = f.failure.replace("|", "\\|")[:100]
                lines.append(f"| {name} {size} | {tool} | failed: {reason} | | | |")
                continue
            s, mib = statistics.median(f.seconds), statistics.median(f.mib)
            lines.append(
                f"| {name} {size} | {tool} | {s:.2f} | {mib:.0f} | {s / base_s:.2f} | {mib / base_mib:.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", default="512,1024")
    parser.add_argument("--models", default="resnet50,resnet101,fcn_resnet50,deeplabv3_resnet101")
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    found = measure(args.models.split(","), [int(s) for s in args.sizes.split(",")], args.rounds)
    # Those that it may use: `taskset` gives it fewer.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    head = (
        "# archlens beside its peers\n\n"
        "Each tool does its nearest job on the same network of torchvision: a layer table or a count "
        "(torchinfo, fvcore, ptflops, calflops), a graph (torchview), an executed graph (torchlens). "
        "`archlens rf --all` answers layer table, costs, theoretical and visible fields at once. *cold*: "
        "with an empty cache folder; *cached*: it finds the capture of an earlier run.\n\n"
        f"Whole processes, medians of {args.rounds} interleaved rounds, {datetime.date.today()}, "
        f"{cores} cores{load}; `benchmarks/peers.py` takes it again.\n\n"
    )
    text = head + table(found) + "\n"
    print(text)
    if args.output:
        args.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
