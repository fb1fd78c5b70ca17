"""Verify every network of the zoo at a small legal size: python benchmarks/oracle_zoo.py [UNITS [SIDE]]"""

from __future__ import annotations

import sys

import torch

from archlens.capture.run import capture_module
from archlens.probes.verify.run import verify
from archlens.zoo.catalogue import CATALOGUE


def main(units: int = 12, side: int = 65) -> int:
    """Number of networks with a disagreement."""
    torch.set_num_threads(2)
    failed = 0
    for entry in CATALOGUE:
        size = min(entry.legal_sizes().nearest(side), key=lambda n: abs(n - side))
        with torch.device("meta"):
            model = entry.build()
        found = verify(model, capture_module(model, (3, size, size)), units=units, seconds=3600, macs=False)
        failed += not found.passed
        words = ", ".join(f"{c.name} {c.agreed}/{c.checked}" for c in found.checks)
        left_out = {words for c in found.checks for words in c.left_out}
        print(f"{entry.name} {size} px, {found.seconds:.0f} s: {words} {left_out or ''}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(*(int(a) for a in sys.argv[1:])) else 0)
