"""How often a command walks over a network: calls of each walk, and over how many graphs and origins.

    python benchmarks/walks.py [compare fcn pspnet --no-cache -o /tmp/p.html]

Every walk is to be made once a graph and origin: a network at its own size, at each further size, and each
edited network is a graph of its own.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

WALKS = ("receptive_fields", "boxes", "walk_back", "context_module", "forward")


def main() -> int:
    """Run the command under a profiler that counts; print what it counted."""
    from archlens.cli.main import run

    calls: Counter[str] = Counter()
    over: dict[str, set[Any]] = {name: set() for name in WALKS}
    alive: list[Any] = []  # an id is a graph's own only as long as the graph is there

    def look(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_name not in WALKS or "/analyses/" not in code.co_filename:
            return
        given = frame.f_locals
        if "self" in given or (code.co_name == "forward" and "lit" in given):
            return
        about = given.get("graph") or given.get("walks") or given.get("fwd")
        graph = getattr(about, "graph", about)
        origin = given.get("origin")
        unit = tuple(given["seeds"]) if "seeds" in given else ()
        only = repr(sorted((given.get("only") or {}).items()))
        alive.append(graph)
        calls[code.co_name] += 1
        over[code.co_name].add((id(graph), origin, unit, only))

    with tempfile.TemporaryDirectory() as folder:
        words = sys.argv[1:] or ["compare", "fcn", "pspnet", "--no-cache", "-o", str(Path(folder) / "p.html")]
        sys.setprofile(look)
        with contextlib.redirect_stdout(io.StringIO()):
            code = run(words)
        sys.setprofile(None)
    print(f"{'walk':18} {'calls':>6} {'different':>10}")
    for name in WALKS:
        print(f"{name:18} {calls[name]:6} {len(over[name]):10}")
    return code


if __name__ == "__main__":
    sys.exit(main())
