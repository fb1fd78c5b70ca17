"""What else happens on the device while it is measured: other processes, throttling, a drifting clock."""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import torch

# Bits of NVML's clocks-event reasons (nvml.h) that make a timing unfit.
THROTTLED = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal limit (software)",
    0x40: "thermal limit (hardware)",
    0x80: "power brake",
}
DRIFT = 0.10  # a change of the median beyond this share is said


@dataclass(frozen=True)
class CardState:
    """A card at one moment, as nvidia-smi tells.

    Attributes:
        utilization: Percent of the last interval in which a kernel ran; None where not told.
        temperature: Degrees Celsius.
        clock: SM clock, MHz.
        throttled: Reasons, in words.
        others: Memory in bytes of each other process on the card, by process id.
    """

    utilization: float | None
    temperature: float | None
    clock: float | None
    throttled: tuple[str, ...]
    others: dict[int, int]


def ask(device: torch.device) -> CardState | None:
    """The state of a card; None on the CPU, or where nvidia-smi is not there or does not answer."""
    if device.type != "cuda":
        return None
    card = torch.cuda.get_device_properties(device)
    # CUDA_VISIBLE_DEVICES renumbers cards for torch but not for nvidia-smi: ask by identity.
    uuid = getattr(card, "uuid", None)
    if uuid is None:
        return None
    name = str(uuid) if str(uuid).startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    fields = "utilization.gpu,temperature.gpu,clocks.sm,clocks_throttle_reasons.active"
    state = _smi(name, f"--query-gpu={fields}")
    if state is None:
        return None
    processes = _smi(name, "--query-compute-apps=pid,used_memory") or ""
    return parse(state, processes, os.getpid())


def parse(state: str, processes: str, own: int) -> CardState | None:
    """nvidia-smi's csv (no header, no units) -> a state; fields that it can't tell read `[N/A]`."""
    rows = [line.split(",") for line in state.splitlines() if line.strip()]
    if not rows or len(rows[0]) < 4:
        return None
    utilization, temperature, clock = (_number(v) for v in rows[0][:3])
    try:
        bits = int(rows[0][3].strip(), 16)
    except ValueError:
        bits = 0
    others: dict[int, int] = {}
    for line in processes.splitlines():
        pid, _, memory = line.partition(",")
        if pid.strip().isdigit() and int(pid) != own:
            others[int(pid)] = int((_number(memory) or 0) * 2**20)
    reasons = tuple(word for bit, word in THROTTLED.items() if bits & bit)
    return CardState(utilization, temperature, clock, reasons, others)


def remarks(before: CardState | None, after: CardState | None) -> list[str]:
    """Sentences on what may have spoiled a measurement."""
    out: list[str] = []
    others = {**(before.others if before else {}), **(after.others if after else {})}
    if others:
        gib = sum(others.values()) / 2**30
        out.append(
            f"{len(others)} other process{'es' if len(others) > 1 else ''} on the card, "
            f"holding {gib:.1f} GiB: times may include theirs"
        )
    if before is not None and before.utilization is not None and before.utilization > 20:
        out.append(f"the card was {before.utilization:.0f} % busy before the measurement began")
    if after is not None and after.throttled:
        clock = f" at {after.clock:.0f} MHz" if after.clock else ""
        out.append(f"the card was throttled{clock}: {', '.join(after.throttled)}")
    return out


def drift(seconds: Sequence[float]) -> str | None:
    """A sentence where the last third of repeated timings differs from the first, else None."""
    third = len(seconds) // 3
    if third < 2:
        return None
    first, last = statistics.median(seconds[:third]), statistics.median(seconds[-third:])
    change = last / first - 1 if first > 0 else 0.0
    if abs(change) <= DRIFT:
        return None
    word = "slower" if change > 0 else "faster"
    return (
        f"the last third of the runs was {abs(change):.0%} {word} than the first: "
        "throttling, other work on the machine, or too short a warm-up"
    )


def busy() -> str | None:
    """A sentence where the processors are asked for more than there are; None where that can't be told."""
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):
        return None
    count = os.cpu_count() or 1
    if load <= 0.5 * count:
        return None
    return f"the machine's load was {load:.1f} on {count} processors: times include waiting for other work"


def _number(text: str) -> float | None:
    try:
        return float(text.strip().split()[0])
    except (ValueError, IndexError):
        return None


def _smi(card: str, query: str) -> str | None:
    command = ["nvidia-smi", "-i", card, query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
