"""MACs of every network of the zoo against two referees that count in their own ways.

fvcore traces a real forward pass with torch.jit and counts per operator; torch's FlopCounterMode counts in
the dispatcher, two a MAC. All three answers are integers and must be equal.
"""

from __future__ import annotations

import logging
import warnings

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from archlens.pipeline import analyze
from archlens.zoo.catalogue import CATALOGUE, Entry

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # fvcore compiles losses with torch.jit when it is imported
    from fvcore.nn import FlopCountAnalysis

COUNTED = ("conv", "linear", "matmul", "conv_transpose")
SMALL = 65


def small(entry: Entry) -> tuple[int, int, int]:
    """The smallest legal size from 65 px on: real convolutions are dear."""
    side = min(entry.legal_sizes().nearest(SMALL), key=lambda n: abs(n - SMALL))
    return (3, side, side)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.name)
def test_macs_equal_flop_counter_mode(entry: Entry) -> None:
    size = small(entry)
    with torch.device("meta"):
        model = entry.build().eval()
        x = torch.empty(1, *size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    assert counter.get_total_flops() == 2 * analyze(entry.name, size).totals["macs"]


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.name)
def test_macs_equal_fvcore(entry: Entry) -> None:
    size = small(entry)
    with torch.device("meta"):
        model = entry.build().eval()
    # Values don't matter to a counter, and drawing a hundred million of them takes longer than the pass.
    model = model.to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.zero_()
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        counter = FlopCountAnalysis(model, torch.zeros(1, *size)).unsupported_ops_warnings(False)
        counted = counter.uncalled_modules_warnings(False).by_operator()
    macs = sum(count for op, count in counted.items() if op in COUNTED)
    assert macs == analyze(entry.name, size).totals["macs"]
