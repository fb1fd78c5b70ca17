"""Write archlens/zoo/costs.json: parameters and MACs of every network of the zoo at its default input.

    python benchmarks/zoo_costs.py

A test compares the file with the code; run this after a change to a network, and say in the changelog's
"Numbers changed" what changed and why.
"""

from __future__ import annotations

import json

from archlens.pipeline import analyze
from archlens.zoo.catalogue import CATALOGUE
from archlens.zoo.costs import FILE


def main() -> None:
    """Analyze every network and write the file."""
    rows = {}
    for entry in CATALOGUE:
        totals = analyze(entry.name).totals
        rows[entry.name] = {"params": totals["params"], "macs": totals["macs"]}
        print(f"{entry.name:32} {totals['params']:>12,} params {totals['macs']:>18,} MACs")
    FILE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
