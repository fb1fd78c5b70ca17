"""Drawn networks against themselves; `benchmarks/witness_long.py` draws ten thousand."""

from __future__ import annotations

import pytest
from drawn import network
from holding import hold


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", [0, *range(2, 10)])
def test_nothing_answers_that_is_said_not_to_be_seen(seed: int) -> None:
    net, sizes = network(seed)
    for origin in range(len(sizes)):
        held = hold(net, *sizes, draws=3, first=3, origin=origin)
        assert held.missed == [], net.text()
        if held.word not in ("none", "unknown"):
            assert held.units > 0
