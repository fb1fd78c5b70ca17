"""Sizes and build times of the pages: one network, two, four, the lineage.

    python benchmarks/pages.py [-o benchmarks/pages.md]

Capture, evidence and drawing apart, in one process that has torch loaded already.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from archlens.cli.networks import SIZES, gathered, parse_sides

from archlens.findings.evidence.published import LINEAGE
from archlens.pipeline import analyze
from archlens.render.page.page import html

PAGES = {
    "pspnet": ["pspnet"],
    "deeplabv3plus": ["deeplabv3plus"],
    "fcn, pspnet": ["fcn", "pspnet"],
    "fcn, pspnet, deeplabv2, deeplabv3plus": ["fcn", "pspnet", "deeplabv2", "deeplabv3plus"],
    "the lineage": list(LINEAGE),
}
LIMITS = {1: 400_000, 4: 1_500_000}


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", type=Path, default=Path(__file__).with_suffix(".md"))
    target = parser.parse_args().o
    analyze("fcn")  # torch is loaded, tap matrices are not: each page finds its own
    lines = [
        "# Pages",
        "",
        "Written by `benchmarks/pages.py`: input 3 x 513 x 513, CPU. Figures: capture, evidence at four",
        "input sizes and findings. Page: boxes of all units, expected fields, graph, plots, templates.",
        "",
        "| networks | figures, s | page, s | size, kB | limit, kB |",
        "|---|---|---|---|---|",
    ]
    for name, models in PAGES.items():
        asked = {"--at": None, "--set": None, "--cut": None}
        start = time.perf_counter()
        result = gathered(models, asked, "auto", "3x513x513", parse_sides(SIZES), "en")
        middle = time.perf_counter()
        size = len(html(result, "archlens report").encode("utf-8"))
        end = time.perf_counter()
        limit = LIMITS.get(len(models))
        cells = [name, f"{middle - start:.1f}", f"{end - middle:.1f}", f"{size / 1000:.0f}"]
        lines.append(f"| {' | '.join(cells)} | {limit // 1000 if limit else ''} |")
        print(lines[-1])
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
