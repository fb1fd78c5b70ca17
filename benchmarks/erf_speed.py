"""How much faster the closed form is than sampling: deeplabv3 at 513 x 513. Writes benchmarks/erf_speed.md.

    python benchmarks/erf_speed.py [--model deeplabv3] [--side 513] [--samples 2] [--runs 100]

Sampling: one run is fresh weights, a forward pass of two images in training mode and one backward pass; a map
whose sides are known to about a per cent takes some hundred runs. A few are timed, the rest is arithmetic.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "analyses")]

from monte_carlo import monte_carlo  # noqa: E402

from archlens.analyses.expected.field import expected_erf  # noqa: E402
from archlens.analyses.expected.forward.walk import forward  # noqa: E402
from archlens.analyses.fields.walks import Walks  # noqa: E402
from archlens.analyses.structure.class_score import class_score  # noqa: E402
from archlens.capture.run import capture_module  # noqa: E402
from archlens.zoo import catalogue  # noqa: E402

WALK = """
import re, sys
from archlens.analyses.structure.class_score import main_output  # noqa: E402
from archlens.analyses.expected.field import expected_erf  # noqa: E402
from archlens.capture.run import capture_spec  # noqa: E402
from archlens.spec import parse_spec  # noqa: E402
graph, _ = capture_spec(parse_spec(sys.argv[1], ()), (3, 4097, 4097), lambda _: None)
peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1e6
before = peak()
expected_erf(forward(Walks(graph)), main_output(graph))
print(f"| {sys.argv[1]} | {before:.2f} | {peak():.2f} |")
"""


def memory(names: tuple[str, ...]) -> str:
    """Peak memory of a walk from the output's middle pixel at 4097 x 4097, a process each, GB."""
    rows = [
        subprocess.run([sys.executable, "-c", WALK, n], capture_output=True, text=True, check=True, cwd=ROOT)
        for n in names
    ]
    return "".join(r.stdout for r in rows)


def main() -> None:
    """Time both and write the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="deeplabv3")
    parser.add_argument("--side", type=int, default=513)
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    entry = catalogue.find(given.model)
    model = entry.build(**entry.parse_options({}))
    graph = capture_module(model, (3, given.side, given.side))
    cell = class_score(graph)
    seconds, work = [], []
    for _ in range(8):
        start, used = time.perf_counter(), time.process_time()
        expected_erf(forward(Walks(graph)), cell)
        seconds.append(time.perf_counter() - start)
        work.append(time.process_time() - used)
    first, best, spent = seconds[0], min(seconds[1:]), min(work[1:])
    layer = next(x.name for x in graph.layers if x.output == cell)
    module = dict(model.named_modules()).get(layer)
    start = time.perf_counter()
    monte_carlo(model, given.side, given.samples, batch=2, layer=module)
    run = (time.perf_counter() - start) / given.samples
    text = f"""# Speed of the expected effective field

Written by `benchmarks/erf_speed.py`: {given.model} at {given.side} x {given.side}, class-score cell, CPU,
{given.threads} threads for the sampling; load of the machine {os.getloadavg()[0]:.0f}.

| | seconds |
|---|---|
| closed form, after capture, first call (tap matrices are built) | {first:.2f} |
| closed form, later calls (best of 7) | {best:.2f} |
| closed form, later calls, processor time | {spent:.2f} |
| sampling, one run (two images; mean of {given.samples}) | {run:.1f} |
| sampling, {given.runs} runs | {run * given.runs:.0f} |

Ratio for {given.runs} runs: **{run * given.runs / best:.0f}** (first call: {run * given.runs / first:.0f}).

Peak memory of a process that walks back from the middle pixel of the output at 4097 x 4097, GB (torch itself,
loaded for the capture, is in both columns):

| network | after capture | after the walk |
|---|---|---|
{memory(("fcn", "deeplabv1", "pspnet", "deeplabv3", "deeplabv3plus"))}"""
    (ROOT / "benchmarks" / "erf_speed.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
