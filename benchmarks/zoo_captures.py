"""Make the captures that ship with archlens (archlens/zoo/captures), or hold them to fresh ones.

    python benchmarks/zoo_captures.py                       # write them again, and the figures beside them
    python benchmarks/zoo_captures.py --check               # exit code 1 where one differs from a fresh one
    python benchmarks/zoo_captures.py --check --no-figures  # the captures alone

Every network of the zoo at its own input size; those with a short name also at 321, 513, 713 and 1025 px, or
the nearest sizes that they take. A capture does not depend on torch's version: `--check` under the oldest and
the newest that are supported proves it.

Of the short names at their own sizes the slow figures of a comparison and of an explanation ship too: those
that stand on expected energies. They are derived from the graph alone and found again by its content and that
of the code (`cache.DERIVERS`), so that no other code ever reads them.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from archlens import cache
from archlens.capture.run import capture_spec
from archlens.comparing import SIDES
from archlens.errors import InputSizeError
from archlens.findings.evidence.gather import expected, unstructured
from archlens.graph.serialise import encode
from archlens.pipeline import analyze
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


def figures() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(key, figures derived anew) of each record."""
    for entry in CATALOGUE:
        for extend in (False, True) if entry.aliases else ():
            study = analyze(entry.name).study
            key = cache.figures_key(study.graph, study.cell, study.output, extend)
            yield key, json.loads(json.dumps(unstructured(expected(study, extend))))


def same(a: Any, b: Any) -> bool:
    """Whether two records say the same, up to the order that another machine adds up in: a picture's bytes up
    to one shade, small differences of large sums up to what rounding leaves of them."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() == b.keys() == {"size", "values"}:
            one, other = (np.frombuffer(base64.b64decode(d["values"]), np.uint8).astype(int) for d in (a, b))
            return bool(a["size"] == b["size"] and abs(one - other).max() <= 1)
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(a == b)


def figures_held(check: bool) -> list[str]:
    """Write the figures, or hold them to fresh ones: what is stale."""
    stale, names = [], set()
    for key, found in figures():
        kept = cache.load(key, lambda data: data)
        names.add(cache.file_of(key, cache.SHIPPED).name)
        if kept is None or not same(kept, found):
            stale.append(f"figures of {key['name']}")
            if not check:
                cache.store(key, found, cache.SHIPPED)
    for file in cache.SHIPPED.glob("*.kept"):
        if file.name not in names:
            stale.append(file.name)
            if not check:
                file.unlink()
    print(f"{len(names)} records of figures, {len(stale)} {'stale' if check else 'written or deleted'}")
    return stale


def main() -> int:
    """Write or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--no-figures", action="store_true")
    asked = parser.parse_args()
    check = asked.check
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
        if not asked.no_figures:
            stale += figures_held(check)
        for name in (*stale, *sorted(extra)):
            print(f"  {name}: python benchmarks/zoo_captures.py writes it again")
        return 1 if stale or extra else 0
    (cache.SHIPPED / "index.json").write_text(text, "utf-8")
    for file in cache.SHIPPED.glob("*.graph"):
        if file.name not in names:
            file.unlink()
    print(f"{len(names)} captures, {sum(f.stat().st_size for f in cache.SHIPPED.glob('*.graph'))} bytes")
    if not asked.no_figures:
        figures_held(check)
    return 0


if __name__ == "__main__":
    sys.exit(main())
