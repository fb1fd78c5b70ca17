"""Parameters and MACs of every network at its default input, from a generated file.

`archlens models` shows them without building anything; a test holds the file against the code. To write it
again: `python benchmarks/zoo_costs.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FILE = Path(__file__).with_name("costs.json")


@dataclass(frozen=True)
class ZooFigures:
    """What a network costs at its default input."""

    params: int
    macs: int


@lru_cache(maxsize=1)
def zoo_figures() -> dict[str, ZooFigures]:
    """Canonical name -> figures."""
    data = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: ZooFigures(row["params"], row["macs"]) for name, row in data.items()}
