"""Make the captures that ship with archlens (archlens/zoo/captures), or hold them to fresh ones.

    python benchmarks/zoo_captures.py            # write them again
    python benchmarks/zoo_captures.py --check    # exit code 1 where one differs from a fresh capture

Every network of the zoo at its own input size; those with a short name also at 321, 513, 713 and 1025 px, or
the nearest sizes that they take. A capture does not depend on torch's version: `--check` under the oldest and
the newest that are supported proves it.
"""

from __future__ import annotations

import argparse
import json
import sys

from archlens import cache
from archlens.capture.run import capture_spec
from archlens.comparing import SIDES
from archlens.errors import InputSizeError
from archlens.graph.serialise import encode
from archlens.spec import parse_spec
from archlens.zoo.catalogue import CATALOGUE


def wanted() -> list[tuple[str, tuple[int, ...]]]:
    """(network, input shape) of each capture."""
    out = []
    for entry in CATALOGUE:
        shapes = {entry.input_shape}
        for side in SIDES if entry.aliases else ():
            for length in entry.legal_sizes().nearest(side)[:1]:
                shapes.add((entry.input_shape[0], length, length))
        out += [(entry.name, shape) for shape in sorted(shapes)]
    return out


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale, names = [], []
    for network, shape in wanted():
        try:
            graph, _ = capture_spec(parse_spec(network), shape, lambda _: None)
        except InputSizeError:
            continue
        name = cache.shipped_name(network, shape)
        names.append(name)
        data = json.loads(json.dumps(encode(graph)))
        file = cache.SHIPPED / name
        if check:
            if not file.exists() or cache.unpacked(file.read_bytes()) != data:
                stale.append(name)
        elif not file.exists() or cache.unpacked(file.read_bytes()) != data:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(cache.packed(data))
    index = {"source": cache.source(*cache.MAKERS), "captures": sorted(names)}
    text = json.dumps(index, indent=1) + "\n"
    if check:
        if (cache.SHIPPED / "index.json").read_text("utf-8") != text:
            stale.append("index.json")
        extra = {f.name for f in cache.SHIPPED.glob("*.graph")} - set(names)
        import torch

        found = f"{len(names)} captures, {len(stale)} stale, {len(extra)} not asked for"
        print(f"torch {torch.__version__}: {found}")
        for name in (*stale, *sorted(extra)):
            print(f"  {name}: python benchmarks/zoo_captures.py writes it again")
        return 1 if stale or extra else 0
    (cache.SHIPPED / "index.json").write_text(text, "utf-8")
    for file in cache.SHIPPED.glob("*.graph"):
        if file.name not in names:
            file.unlink()
    print(f"{len(names)} captures, {sum(f.stat().st_size for f in cache.SHIPPED.glob('*.graph'))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
