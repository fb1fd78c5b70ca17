"""Where a measurement runs: names to devices, facts about them, and the errors that they raise."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import torch

from archlens.errors import DeviceError

T = TypeVar("T")
# Errors after which a process gets nothing more from its card. Others (an unsupported call, no kernel for
# this card) leave it usable.
STICKY = (
    "illegal memory access", "illegal instruction", "misaligned address", "launch failure",
    "launch timed out", "device-side assert", "ECC error", "hardware stack", "program counter",
    "fallen off the bus", "device unavailable", "devices unavailable",
)  # fmt: skip


def resolve(name: str = "auto", *, allow_meta: bool = False) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:1` or `meta` as a device that is there.

    Args:
        name: `auto` is CUDA where there is a usable card, else the CPU.
        allow_meta: Measurements need values, so `meta` is refused unless the caller says otherwise.

    Raises:
        DeviceError: The device is not there, or is none.
    """
    text = name.strip().lower()
    if text == "auto":
        return torch.device("cuda", 0) if _works() else torch.device("cpu")
    if text == "cpu":
        return torch.device("cpu")
    if text == "meta":
        if allow_meta:
            return torch.device("meta")
        raise DeviceError(
            "The meta device has shapes and no values: nothing can be measured on it.",
            hint="Use --device cpu, or --device cuda where there is a card.",
        )
    kind, _, number = text.partition(":")
    if kind != "cuda" or (number and not number.isdigit()) or text.endswith(":"):
        raise DeviceError(
            f"{name!r} is not a device that archlens knows.", hint="Use auto, cpu, cuda, cuda:N or meta."
        )
    if not torch.cuda.is_available():
        built = torch.version.cuda
        why = (
            "this PyTorch was built without it"
            if built is None
            else f"PyTorch, built for CUDA {built}, finds no usable card"
        )
        raise DeviceError(f"CUDA was asked for and is not there: {why}.", hint="Use --device cpu or auto.")
    index = int(number or 0)
    count = torch.cuda.device_count()
    if index >= count:
        raise DeviceError(
            f"There is no cuda:{index}: this machine has {count} card{'s' if count > 1 else ''}.",
            hint="Use " + " or ".join(f"cuda:{i}" for i in range(count)) + ".",
        )
    return torch.device("cuda", index)


@dataclass(frozen=True)
class DeviceFacts:
    """What a reader must know about the device to judge a figure.

    Attributes:
        type: `cpu` or `cuda`.
        name: The card's or the processor's own name.
        memory_bytes: Total memory; 0 where the system does not say.
        threads: CPU threads that torch uses (0 on a card).
        torch: PyTorch's version.
        cuda: CUDA version that PyTorch was built for, None on the CPU.
    """

    type: str
    name: str
    memory_bytes: int
    threads: int
    torch: str
    cuda: str | None = None

    @property
    def key(self) -> str:
        """Identifies ceilings measured on the device: the name, and the threads where they matter."""
        return self.name if self.type == "cuda" else f"{self.name} ({self.threads} threads)"


def facts(device: torch.device) -> DeviceFacts:
    """Name and memory of a device."""
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        return DeviceFacts("cuda", card.name, card.total_memory, 0, torch.__version__, torch.version.cuda)
    total = meminfo().get("MemTotal", 0)
    return DeviceFacts("cpu", _cpu_name(), total, torch.get_num_threads(), torch.__version__)


def available_bytes(device: torch.device) -> int | None:
    """Memory that a new tensor may take, or None where the system does not say."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + cached)
    return meminfo().get("MemAvailable")


def meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes; empty where there is none."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    out = {}
    for line in lines:
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            out[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return out


@lru_cache(maxsize=1)
def _works() -> bool:
    """Whether there is a card that this build of torch has kernels for."""
    if not torch.cuda.is_available():
        return False
    try:
        return (torch.zeros(1, device="cuda") + 1).item() == 1
    except RuntimeError:
        return False


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or os.name


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clean(device: torch.device) -> None:
    """Give back what torch keeps for reuse, so that the next try (or another process) finds the memory."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a card or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    # The CPU allocator and some libraries raise a plain RuntimeError.
    signs = (
        "can't allocate memory", "not enough memory", "CUDA out of memory", "ALLOC_FAILED",
        "CUDA error: out of memory", "CUDA_ERROR_OUT_OF_MEMORY",
    )  # fmt: skip
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)


def is_lost(error: BaseException) -> bool:
    """Whether an error says that the card is gone or in a state from which only a new process recovers."""
    if not isinstance(error, RuntimeError) or is_out_of_memory(error):
        return False
    text = str(error)
    return any(sign in text for sign in STICKY)


def in_float32(work: Callable[[], T]) -> Callable[[], T]:
    """The work in the precision that it names: a card's convolutions round float32 to TF32 by default."""

    def exactly() -> T:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return work()

    return exactly


def guarded(device: torch.device, doing: str, hint: str, work: Callable[[], T]) -> T:
    """Do some work; memory that runs out and a lost card become a `DeviceError`, and the card is left clean.

    A function and not a context manager: a `with` keeps the failed work's frames, and with them its tensors,
    alive until after the cleaning.

    Args:
        device: Where the work runs.
        doing: What is tried, for the message.
        hint: What to do when memory runs out.
    """
    try:
        return work()
    except Exception as error:
        if is_lost(error):
            first = str(error).splitlines()[0]
            # Asking the card anything more would fail the same way.
            raise DeviceError(
                f"The card was lost while {doing}: {first}",
                hint="Start again in a new process; look at nvidia-smi and the system's log first.",
            ) from error
        if not is_out_of_memory(error):
            raise
    clean(device)
    raise DeviceError(f"{facts(device).name} ran out of memory while {doing}.", hint=hint)
