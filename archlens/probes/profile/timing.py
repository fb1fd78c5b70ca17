"""Clocks and ledgers: how long a forward pass and each of its rows take, and how much memory they hold."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from archlens.probes.calls import Calls, Site
from archlens.probes.device import synchronize
from archlens.probes.network import Network

Forward = Callable[[], object]


class Clock:
    """Marks on the device's own timeline: CUDA events, or the processor's performance counter."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def mark(self) -> Any:
        """Now."""
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event

    def between(self, start: Any, end: Any) -> float:
        """Seconds between two marks that the device has passed."""
        if self.device.type != "cuda":
            return float(end - start)
        return float(start.elapsed_time(end)) / 1e3


def time_whole(
    forward: Forward, device: torch.device, warmup: int, repeat: int, done: Callable[[], None] | None = None
) -> list[float]:
    """Seconds of each of `repeat` forward passes, nothing attached to them."""
    clock = Clock(device)
    times = []
    for i in range(warmup + repeat):
        synchronize(device)
        start = clock.mark()
        forward()
        end = clock.mark()
        synchronize(device)
        if i >= warmup:
            times.append(clock.between(start, end))
        if done is not None:
            done()
    return times


def time_rows(
    network: Network,
    forward: Forward,
    warmup: int,
    repeat: int,
    done: Callable[[], None] | None = None,
) -> dict[int, list[float]]:
    """Seconds of each layer row (by its index) in each of `repeat` passes.

    A row's time is that of the calls that make it; what runs between calls belongs to no row.
    """
    clock = Clock(network.device)
    times: dict[int, list[float]] = {}
    for i in range(warmup + repeat):
        marks: list[tuple[Site, Any, Any]] = []
        begun: list[Any] = []

        def begin(_call: Site, begun: list[Any] = begun) -> None:
            begun.append(clock.mark())

        def end(
            call: Site,
            _out: Any,
            marks: list[tuple[Site, Any, Any]] = marks,
            begun: list[Any] = begun,
        ) -> None:
            marks.append((call, begun.pop(), clock.mark()))

        synchronize(network.device)
        with Calls(network.model, begin, end).walking():
            forward()
        synchronize(network.device)
        if i >= warmup:
            sums: dict[int, float] = {}
            for call, a, b in marks:
                row = network.row_of_call.get(call)
                if row is not None:
                    sums[row] = sums.get(row, 0.0) + clock.between(a, b)
            for row, seconds in sums.items():
                times.setdefault(row, []).append(seconds)
        if done is not None:
            done()
    return times


@dataclass
class Memory:
    """Bytes held during a forward pass, beyond the weights.

    Attributes:
        peak: Most at any moment, the input included.
        rows: Row index -> most held at any moment while the row ran.
        method: What was counted.
    """

    peak: int
    rows: dict[int, int] = field(default_factory=dict)
    method: str = ""


def measure_memory(network: Network, forward: Forward, x: Tensor) -> Memory:
    """Peak memory of a pass and of each row: the card's allocator, or a ledger of tensors on the CPU."""
    if network.device.type == "cuda":
        return _on_card(network, forward, x)
    ledger = Ledger([*network.model.parameters(), *network.model.buffers()], x)
    rows: dict[int, int] = {}

    def begin(_call: Site) -> None:
        ledger.row_peak = ledger.held

    def end(call: Site, _out: Any) -> None:
        row = network.row_of_call.get(call)
        if row is not None:
            rows[row] = max(rows.get(row, 0), ledger.row_peak)

    with ledger, Calls(network.model, begin, end).walking():
        forward()
    return Memory(ledger.peak, rows, "tensors counted as they come and go; kernels' workspaces are not in it")


def _on_card(network: Network, forward: Forward, x: Tensor) -> Memory:
    device = network.device
    own = x.numel() * x.element_size()
    synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    forward()
    synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) - before + own
    rows: dict[int, int] = {}

    def begin(_call: Site) -> None:
        torch.cuda.reset_peak_memory_stats(device)

    def end(call: Site, _out: Any) -> None:
        row = network.row_of_call.get(call)
        if row is not None:
            held = torch.cuda.max_memory_allocated(device) - before + own
            rows[row] = max(rows.get(row, 0), held)

    with Calls(network.model, begin, end).walking():
        forward()
    synchronize(device)
    return Memory(peak, rows, "the card's allocator, kernels' workspaces included")


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up storages as operators make them and as they are freed."""

    def __init__(self, known: list[Tensor], x: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._open = {t.untyped_storage()._cdata: 0 for t in known}
        self.held = x.untyped_storage().nbytes()
        self._open[x.untyped_storage()._cdata] = 0  # the caller holds it to the end
        self.peak = self.row_peak = self.held

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, (list, tuple)) else (out,):
            if isinstance(value, Tensor):
                self._note(value)
        return out

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._open:
            return
        self._open[key] = storage.nbytes()
        self.held += storage.nbytes()
        # torch keeps a storage's Python object as long as the storage itself lives.
        weakref.finalize(storage, self._free, key)
        self.peak, self.row_peak = max(self.peak, self.held), max(self.row_peak, self.held)

    def _free(self, key: int) -> None:
        self.held -= self._open.pop(key, 0)
