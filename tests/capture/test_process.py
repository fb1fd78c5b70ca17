"""A capture leaves the process as it was, and is no other thread's business."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from context_nets import aspp, ppm
from torch import nn

import archlens
from archlens.comparing import CompareOptions

SIZE = (3, 65, 65)


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Identity(), nn.Conv2d(4, 2, 3, dilation=2))


def test_calls_of_another_thread_are_not_taken() -> None:
    alone = archlens.analyze(aspp(), SIZE)
    other, x, stop, calls = small(), torch.zeros(1, 3, 9, 9), threading.Event(), [0]

    def busy() -> None:
        while not stop.is_set():
            other(x)
            calls[0] += 1

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        before = calls[0]
        for _ in range(5):
            assert archlens.analyze(aspp(), SIZE).to_dict() == alone.to_dict()
        assert calls[0] > before  # it did run meanwhile; on a busy machine not during each of them
    finally:
        stop.set()
        thread.join()


def test_captures_at_once_are_captures_one_by_one() -> None:
    makers: list[Callable[[], nn.Module]] = [aspp, ppm, small]
    expected = [archlens.analyze(make(), SIZE).to_dict() for make in makers]
    found: dict[int, object] = {}

    def work(k: int) -> None:
        found[k] = archlens.analyze(makers[k % 3](), SIZE).to_dict()

    functions = torch.tensor, torch.as_tensor, sys.stdout, nn.init._no_grad_normal_
    threads = [threading.Thread(target=work, args=(k,)) for k in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[k] for k in range(9)] == expected * 3
    assert (torch.tensor, torch.as_tensor, sys.stdout, nn.init._no_grad_normal_) == functions


NETS = """
import torch
from torch import nn
def make():
    torch.rand(3)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1))
"""


@pytest.mark.parametrize("ask", ["analyze", "profile", "gradient"])
def test_random_numbers_go_on_where_they_were(ask: str, tmp_path: Path) -> None:
    file = tmp_path / "nets.py"
    file.write_text(NETS)
    spec = f"{file}:make"
    before = torch.random.get_rng_state()
    if ask == "analyze":
        archlens.analyze(spec, (3, 17, 17))
    elif ask == "profile":
        archlens.explain(spec, options=CompareOptions(input_size=(3, 17, 17), profile=True, device="cpu"))
    else:
        archlens.field_map(spec, "gradient", input_size=(3, 17, 17), run=archlens.RunOptions(runs=2))
    assert torch.equal(torch.random.get_rng_state(), before)
