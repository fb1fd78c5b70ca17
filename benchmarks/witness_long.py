"""Random networks of all kinds of operators held to themselves: no unit may answer to a pixel that archlens
says it does not see.

    python benchmarks/witness_long.py --count 10000 --first 100000

Prints what was compared, and every network that disagrees, by its seed (`tests/operators/drawn.py`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "operators"))


def one(seed: int) -> tuple[int, int, str, list[str]]:
    """(seed, units compared, status of the output, what was missed)."""
    from drawn import network
    from holding import hold

    warnings.simplefilter("ignore")
    net, sizes = network(seed)
    units, missed, word = 0, [], "none"
    for origin in range(len(sizes)):
        try:
            held = hold(net, *sizes, draws=4, first=4, origin=origin)
        except Exception as error:
            missed.append(f"{type(error).__name__}: {error}"[:300])
            continue
        units += held.units
        word = held.word if origin == 0 else word
        missed += held.missed
    return seed, units, word, [f"{m} | {net.text()}" for m in missed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    start, units, words, wrong = time.monotonic(), 0, Counter[str](), 0
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        seeds = range(given.first, given.first + given.count)
        for k, (seed, own, word, missed) in enumerate(pool.imap_unordered(one, seeds, chunksize=8), 1):
            units += own
            words[word] += 1
            wrong += bool(missed)
            for line in missed:
                print(f"seed {seed}: {line}", flush=True)
            if k % 500 == 0:
                print(
                    f"{k} networks, {units:,} units, {wrong} wrong, {time.monotonic() - start:.0f} s",
                    flush=True,
                )
    print(f"{given.count} networks, {units:,} units, {wrong} wrong; outputs {dict(words)}")


if __name__ == "__main__":
    main()
