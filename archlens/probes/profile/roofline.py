"""A device's two ceilings, measured once: how fast it copies, and how fast it multiplies matrices.

The roofline (Williams, Waterman & Patterson, CACM 52(4), 2009): work of F FLOP that moves B bytes takes at
least max(F / peak FLOP/s, B / peak bytes/s). Measured ceilings, not a data sheet's: what a large copy and a
large matrix product reach here, with this precision. They are cached by device, precision and torch version.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from archlens import cache
from archlens.probes.device import available_bytes, clean, facts, guarded, synchronize
from archlens.probes.profile import neighbours

Bound = Literal["compute", "memory"]


@dataclass(frozen=True)
class Ceilings:
    """What a device reaches at best.

    Attributes:
        device: Its name (with the number of threads for a CPU).
        dtype: `float32`, ...
        flops_per_second: Of a large square matrix product, 2 n^3 FLOP.
        bytes_per_second: Of a large copy, each byte read and written: 2 B bytes.
        torch: Version that it was measured with.
        matrix, copy_bytes: What was measured: the side of the product, the size of the copied buffer.
        note: What spoiled the measurement, if anything did. Such ceilings are not cached.
    """

    device: str
    dtype: str
    flops_per_second: float
    bytes_per_second: float
    torch: str
    matrix: int
    copy_bytes: int
    note: str = ""

    @property
    def ridge(self) -> float:
        """FLOP/byte at which both ceilings meet: work with less is bound by memory."""
        return self.flops_per_second / self.bytes_per_second

    def seconds(self, flops: float, moved: float) -> float:
        """The least time for work of so many FLOP that moves so many bytes."""
        return max(flops / self.flops_per_second, moved / self.bytes_per_second)

    def bound(self, flops: float, moved: float) -> Bound:
        """Which ceiling is in the way."""
        compute = flops / self.flops_per_second >= moved / self.bytes_per_second
        return "compute" if compute else "memory"


RESTED = 1.2
"""Seconds after which a card's utilization no longer holds our own work."""


def cache_file() -> Path:
    """Where ceilings are kept: in archlens' own cache folder, beside the captures."""
    return cache.folder() / "roofline" / "ceilings.json"


def ceilings(device: torch.device, dtype: torch.dtype, *, fresh: bool = False) -> Ceilings:
    """The ceilings of a device, from the cache where they were measured before.

    Args:
        fresh: Measure in any case, and replace what the cache has.
    """
    known = _load()
    key = _key(device, dtype)
    if not fresh and key in known:
        return known[key]
    before = neighbours.ask(device, rest=RESTED)
    others = neighbours.Others() if device.type == "cpu" else None
    measured = measure(device, dtype)
    load = others.remark() if others is not None else None
    spoiled = [*neighbours.remarks(before, neighbours.ask(device), capped=False), *([load] if load else [])]
    if spoiled:
        # Too low a ceiling makes every layer look good: say so, and measure again next time.
        return replace(measured, note="ceilings measured while " + "; ".join(spoiled))
    _save({**_load(), key: measured})
    return measured


def again(known: Ceilings, device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Measure once more and keep the higher of each: a ceiling that a layer beats was measured too low."""
    new = ceilings(device, dtype, fresh=True)
    best_of_both = replace(
        new,
        flops_per_second=max(known.flops_per_second, new.flops_per_second),
        bytes_per_second=max(known.bytes_per_second, new.bytes_per_second),
    )
    if not new.note:
        _save({**_load(), _key(device, dtype): best_of_both})
    return best_of_both


def measure(
    device: torch.device, dtype: torch.dtype, *, matrix: int | None = None, copy_bytes: int | None = None
) -> Ceilings:
    """Time a large copy and a large matrix product; the fastest of several counts, as ceilings do."""
    on_card = device.type == "cuda"
    matrix = matrix or (8192 if on_card else 2048)
    room = available_bytes(device) or 2**30
    copy_bytes = copy_bytes or min(2**30 if on_card else 2**28, room // 8)
    side, size = matrix, copy_bytes
    bytes_per_second, flops_per_second = guarded(
        device,
        "measuring its ceilings",
        "Free memory on the device first.",
        lambda: (_copying(device, dtype, size), _multiplying(device, dtype, side)),
    )
    clean(device)
    return Ceilings(
        device=facts(device).key,
        dtype=_name(dtype),
        flops_per_second=flops_per_second,
        bytes_per_second=bytes_per_second,
        torch=torch.__version__,
        matrix=matrix,
        copy_bytes=copy_bytes,
    )


def _copying(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Bytes read and written per second."""
    source = torch.ones(size // dtype.itemsize, dtype=dtype, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() * dtype.itemsize / best(lambda: target.copy_(source), device)


def _multiplying(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """FLOP per second, in the arithmetic that convolutions use: on a card float32 is TF32 by default there,
    though not in matrix products."""
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        return 2 * side**3 / best(lambda: torch.mm(a, b, out=out), device)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def best(work: Callable[[], object], device: torch.device, seconds: float = 0.3, least: int = 3) -> float:
    """Shortest time of some work, in seconds, over `least` tries or more within a time."""
    work()
    synchronize(device)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < least or (time.perf_counter() - begun < seconds and len(times) < 100):
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - start)
    # The very shortest may be a slip of the clock; the median of the three shortest is as good a ceiling.
    return statistics.median(sorted(times)[:3])


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _key(device: torch.device, dtype: torch.dtype) -> str:
    return "|".join([facts(device).key, _name(dtype), torch.__version__, _modes(device, dtype)])


def _modes(device: torch.device, dtype: torch.dtype) -> str:
    """What float32 means in a card's convolutions."""
    if device.type != "cuda" or dtype != torch.float32:
        return ""
    return "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"


def _load() -> dict[str, Ceilings]:
    try:
        raw = json.loads(cache_file().read_text())
        return {key: Ceilings(**value) for key, value in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # missing, half-understood or from another version: measure again


def _save(known: dict[str, Ceilings]) -> None:
    """Write beside the cache and rename, so that an interrupted run leaves the old file whole."""
    path = cache_file()
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            name = file.name
            json.dump({key: asdict(value) for key, value in known.items()}, file, indent=1)
        os.replace(name, path)
    except OSError:
        pass  # a read-only home: measured again next time
    finally:
        if name and os.path.exists(name):
            os.unlink(name)
