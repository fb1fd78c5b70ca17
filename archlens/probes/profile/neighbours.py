"""What else happens on the device while it is measured: other processes, throttling, a drifting clock."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from archlens.words import count, digits, memory, number, percent

# Bits of NVML's clocks-event reasons (nvml.h) that make a timing unfit.
THROTTLED = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal limit (software)",
    0x40: "thermal limit (hardware)",
    0x80: "power brake",
}
DRIFT = 0.10  # a change of the median beyond this share is said
OTHERS = 0.10  # of the machine's processors: more work of others than this is said


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


def ask(device: torch.device, rest: float = 0.0) -> CardState | None:
    """The state of a card; None on the CPU, or where nvidia-smi is not there or does not answer.

    Args:
        device: The card.
        rest: Seconds to leave it alone first: its utilization is a mean over the last second, and our own
            work of a moment ago would be in it.
    """
    if device.type != "cuda":
        return None
    if rest:
        torch.cuda.synchronize(device)
        time.sleep(rest)
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
    return parse(state, processes, os.getpid(), torch.cuda.memory_reserved(device))


def ask_under(device: torch.device, work: Callable[[], object]) -> CardState | None:
    """The state of a card while some work runs on it: an idle card is not throttled any more."""
    if device.type != "cuda":
        return None
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(ask, device)
        while not told.done():
            work()
            torch.cuda.synchronize(device)
        return told.result()


def parse(state: str, processes: str, own: int, held: int = 0) -> CardState | None:
    """nvidia-smi's csv (no header, no units) -> a state; fields that it can't tell read `[N/A]`.

    Args:
        state, processes: Its answers.
        own: Our process id.
        held: Bytes that we hold on the card. In a container nvidia-smi may tell the host's ids: then the
            process that holds most nearly as much is us.
    """
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
        if pid.strip().isdigit():
            others[int(pid)] = int((_number(memory) or 0) * 2**20)
    if own in others:
        del others[own]
    elif others and held:
        del others[min(others, key=lambda pid: abs(others[pid] - held))]
    reasons = tuple(word for bit, word in THROTTLED.items() if bits & bit)
    return CardState(utilization, temperature, clock, reasons, others)


def remarks(before: CardState | None, after: CardState | None, capped: bool = True) -> list[str]:
    """Sentences on what may have spoiled a measurement; without `capped`, its power cap is the card's own."""
    out: list[str] = []
    others = {**(before.others if before else {}), **(after.others if after else {})}
    if others:
        out.append(
            f"{count(len(others), 'other process', 'other processes')} on the card, "
            f"holding {memory(sum(others.values()))}: times may include theirs"
        )
    if before is not None and before.utilization is not None and before.utilization > 20:
        out.append(f"the card was {percent(before.utilization / 100)} busy before the measurement began")
    reasons = [r for r in after.throttled if capped or r != THROTTLED[0x4]] if after is not None else []
    if after is not None and reasons:
        clock = f" at {digits(after.clock)} MHz" if after.clock else ""
        out.append(f"the card was throttled{clock}: {', '.join(reasons)}")
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
        f"the last third of the runs was {percent(abs(change))} {word} than the first: "
        "throttling, other work on the machine, or too short a warm-up"
    )


class Others:
    """What other processes, and other machines on the same processors, work while something is measured.

        others = Others()
        ...
        sentence = others.remark()

    The load average would not do: it holds our own threads, and those of a minute ago.
    """

    def __init__(self) -> None:
        self._start = _work()

    def processors(self) -> float | None:
        """How many processors were kept busy by others, in the mean; None where that can't be told."""
        now = _work()
        if self._start is None or now is None or now[0] <= self._start[0]:
            return None
        wall, every, own = (after - before for before, after in zip(self._start, now, strict=True))
        return max(0.0, (every - own) / wall)

    def remark(self) -> str | None:
        """A sentence where they were more than a tenth of the machine."""
        taken, all_of = self.processors(), os.cpu_count() or 1
        if taken is None or taken <= max(OTHERS * all_of, 0.2):
            return None
        busy = f"{digits(taken)} of {number(all_of)} processors"
        return f"other work kept {busy} busy: times include waiting for it"


def _work() -> tuple[float, float, float] | None:
    """(wall clock, processor time of the whole machine, of this process and its children), seconds."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(n) for n in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    idle = ticks[3] + ticks[4]  # the rest is user, nice, system, interrupts and what a host took away
    own = os.times()
    return (
        time.monotonic(),
        (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"),
        own.user + own.system + own.children_user + own.children_system,
    )


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
