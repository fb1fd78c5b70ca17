"""What the network itself does not answer to, though the twin says that it is connected:
python benchmarks/witness_misses.py [SIDE [PIXELS [NAME ...]]]

Of (pixel, unit) pairs that the twin connects, over all units of all layers: the share that no draw of the
witness made answer, and the same by the number of draws; then that of half images, which `verify` asks first.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from archlens.probes.verify.by_twin import lit_units
from archlens.probes.verify.claims import Claims, Part, pixel
from archlens.probes.verify.oracle import Oracle
from archlens.probes.verify.witness import Witness
from archlens.zoo.catalogue import CATALOGUE

DRAWS = 8


def missed(model: nn.Module, size: Sequence[int], pixels: int, seed: int = 0) -> dict[str, str]:
    """Shares in words, for single pixels and for half images."""
    oracle = Oracle(model, (1, *size))
    witness = Witness(model, [size], draws=DRAWS, seed=seed)
    claims = Claims(oracle.graph)
    rng = random.Random(seed)
    layers = frozenset(layer.output for layer in oracle.graph.layers)
    witness.watch(layers)
    singles = [pixel(claims.shape, [rng.randrange(n) for n in claims.shape]) for _ in range(pixels)]
    out = {}
    for what, parts in (("pixels", singles), ("halves", claims.halves(rng, 1))):
        silent, silent_of_last, connected, of_last, beyond = _count(claims, oracle, witness, parts, layers)
        shares = ", ".join(f"{100 * n / connected:.3f} %" for n in silent)
        out[what] = (
            f"{connected} pairs, missed after 1 to {DRAWS} draws: {shares}; "
            f"of the last layer {silent_of_last} of {of_last}; beyond the twin {beyond}"
        )
    return out


def _count(
    claims: Claims, oracle: Oracle, witness: Witness, parts: list[Part], layers: frozenset[int]
) -> tuple[list[int], int, int, int, int]:
    last = claims.graph.layers[-1].output
    twins = [lit_units(oracle, part.mask, layers) for part in parts]
    seen = [{node: np.zeros_like(lit) for node, lit in twin.items()} for twin in twins]
    silent, beyond = [0] * DRAWS, 0
    for turn in range(DRAWS):
        for part, known in zip(parts, seen, strict=True):
            for node, moved in witness.answer(turn, part.mask).items():
                if node in known:
                    known[node] |= moved
        witness.forget(turn)  # one image's values at a time
        for twin, known in zip(twins, seen, strict=True):
            silent[turn] += sum(int((lit & ~known[node]).sum()) for node, lit in twin.items())
    for twin, known in zip(twins, seen, strict=True):
        beyond += sum(int((known[node] & ~lit).sum()) for node, lit in twin.items())
    connected = sum(int(lit.sum()) for twin in twins for lit in twin.values())
    of_last = sum(int(twin[last].sum()) for twin in twins)
    silent_of_last = sum(
        int((twin[last] & ~known[last]).sum()) for twin, known in zip(twins, seen, strict=True)
    )
    return silent, silent_of_last, connected, of_last, beyond


def main(side: int = 65, pixels: int = 6, *names: str) -> None:
    """One line a network and kind of part."""
    torch.set_num_threads(1)
    for entry in CATALOGUE:
        if names and entry.name not in names:
            continue
        size = min(entry.legal_sizes().nearest(side), key=lambda n: abs(n - side))
        torch.manual_seed(0)
        for what, words in missed(entry.build(), (3, size, size), pixels).items():
            print(f"{entry.name} {size} px, {what}: {words}", flush=True)


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:3]), *sys.argv[3:])
