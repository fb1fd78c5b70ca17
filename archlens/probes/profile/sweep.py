"""Latency over input sizes and batch sizes, until memory runs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import nn

from archlens.capture.load.weightless import copied
from archlens.capture.process import alone
from archlens.errors import DeviceError, InputSizeError, UsageError
from archlens.probes.device import available_bytes, clean, facts, guarded, is_lost, is_out_of_memory
from archlens.probes.profile.layer_profile import Latency
from archlens.probes.profile.run import DTYPES
from archlens.probes.profile.timing import Ledger, time_whole
from archlens.progress import Count, uncounted
from archlens.words import memory

Status = Literal["ok", "out of memory", "not tried", "illegal size"]
SHARE = 0.8  # of the CPU's free memory that a point may be expected to take


@dataclass(frozen=True)
class Point:
    """One input size and batch size.

    Attributes:
        batch_size, size: What was tried; size is (H, W).
        status: `not tried`: a smaller one ran out of memory, or this one surely would.
        latency: None unless ok.
        images_per_second: None unless ok.
        peak_bytes: Most held beyond the weights, None unless ok.
        reason: Why there is no latency.
    """

    batch_size: int
    size: tuple[int, ...]
    status: Status
    latency: Latency | None = None
    images_per_second: float | None = None
    peak_bytes: int | None = None
    reason: str = ""


@alone
def sweep(
    model: nn.Module,
    channels: int,
    sizes: Sequence[Sequence[int]],
    batches: Sequence[int],
    device: torch.device,
    *,
    dtype: str = "float32",
    channels_last: bool = False,
    warmup: int = 3,
    repeat: int = 10,
    progress: Count = uncounted,
) -> list[Point]:
    """Time every size with every batch size, smallest first, until memory runs out.

    A card says when it is out of memory. A CPU's process is killed instead, so there a point is not tried
    where the smaller ones let expect more than the memory that is free.

    Raises:
        DeviceError: The card was lost.
    """
    if dtype not in DTYPES:
        raise UsageError(f"{dtype!r} is not a precision to run in.", hint="Known: " + ", ".join(DTYPES) + ".")
    if any(b < 1 for b in batches):
        raise UsageError("Batch sizes start at 1.")
    number = DTYPES[dtype]
    network: nn.Module = guarded(
        device,
        "moving the network to it",
        "Use --device cpu, or a smaller precision.",
        lambda: copied(model).eval().requires_grad_(False).to(device=device, dtype=number),
    )
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
    out: list[Point] = []
    grid = sorted({tuple(s) for s in sizes}, key=lambda s: (prod(s), s))
    held = 0.0  # bytes a pixel of the batch, the most seen so far
    for size in grid:
        stop: tuple[Status, str] | None = None
        for batch in sorted(set(batches)):
            expected = held * prod(size) * batch
            free = available_bytes(device) if device.type == "cpu" else None
            if stop is None and free is not None and expected > SHARE * free:
                gib = f"needs about {memory(expected)} of {memory(free)} free"
                stop = ("not tried", gib)
            if stop is not None:
                out.append(Point(batch, size, stop[0], reason=stop[1]))
            else:
                shape = (batch, channels, *size)
                point = _point(network, shape, device, number, channels_last, warmup, repeat)
                out.append(point)
                if point.status == "illegal size":
                    stop = ("illegal size", point.reason)
                elif point.status != "ok":
                    stop = ("not tried", f"a batch of {batch} ran out of memory")
                elif point.peak_bytes is not None:
                    held = max(held, point.peak_bytes / (prod(size) * batch))
            progress(len(out), len(grid) * len(set(batches)))
    del network
    clean(device)
    return out


def _point(
    network: nn.Module,
    shape: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
    channels_last: bool,
    warmup: int,
    repeat: int,
) -> Point:
    """Time one shape; out of memory is an answer."""
    batch, size = shape[0], tuple(shape[2:])
    try:
        seconds, peak = _measure(network, shape, device, dtype, channels_last, warmup, repeat)
    except InputSizeError as error:
        return Point(batch, size, "illegal size", reason=error.message)
    except Exception as error:
        if is_lost(error):
            raise DeviceError(
                f"The card was lost at a batch of {batch}, {'x'.join(map(str, size))} px: {error}",
                hint="Start again in a new process.",
            ) from error
        if not is_out_of_memory(error):
            raise
    else:
        latency = Latency.of(seconds)
        return Point(batch, size, "ok", latency, batch / latency.median, peak)
    clean(device)  # outside of the handler, which keeps the failed run's tensors alive
    return Point(batch, size, "out of memory", reason=f"{facts(device).name} ran out of memory")


@torch.no_grad()
def _measure(
    network: nn.Module,
    shape: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
    channels_last: bool,
    warmup: int,
    repeat: int,
) -> tuple[list[float], int]:
    """Seconds of each run, and the most bytes held beyond the weights."""
    x = torch.randn(shape, device=device).to(dtype)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    if device.type == "cuda":
        own = x.numel() * x.element_size()
        network(x)  # libraries take their workspaces once; they are no point's own
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        network(x)
        peak = torch.cuda.max_memory_allocated(device) - before + own
    else:
        with Ledger([*network.parameters(), *network.buffers()], x) as ledger:
            network(x)
        peak = ledger.peak
    return time_whole(lambda: network(x), device, warmup, repeat), peak
