"""Hold the boxes of thousands of drawn networks to the oracle: python benchmarks/oracle_long.py N SEED

Prints what was compared, and for each kind of disagreement the shortest network that shows it.
"""

from __future__ import annotations

import random
import sys
import time
import traceback
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracle"))

from drawn_nets import Drawn, network
from oracle_compare import Tally, compare


def main(count: int, seed: int) -> int:
    """Number of networks that disagree."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tally, start = Tally(), time.time()
    kinds: dict[str, list[tuple[int, Drawn, str]]] = {}
    for k in range(count):
        rng = random.Random(seed * 1_000_003 + k)
        n = rng.choice([1, 2, 2, 2, 2, 3])
        net, shape = network(rng.choice, n, rng.randint(1, 9))
        before = len(tally.wrong)
        try:
            compare(net, shape, tally)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            words = f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"
            kinds.setdefault(words[-120:], []).append((k, net, f"{shape}"))
            continue
        if len(tally.wrong) > before:
            words = tally.wrong[before]
            kinds.setdefault(words.split(":")[0].split(" ")[2], []).append((k, net, f"{shape} {words}"))
    wrong = sum(len(found) for found in kinds.values())
    print(
        f"{count} networks in {time.time() - start:.0f} s: {tally.units} units, {tally.exact} exact, "
        f"{tally.bound} bounds that hold, {wrong} networks wrong"
    )
    print(f"unknown {tally.unknown}, without a rule in the twin {tally.unplayed}, bounds {tally.bounds}")
    for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        k, net, words = min(found, key=lambda f: len(f[1].steps))
        print(f"\n{len(found)} x {kind}\n  network {k}: {words}\n  " + net.text().replace("\n", "\n  "))
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main(int(sys.argv[1]), int(sys.argv[2])) else 0)
