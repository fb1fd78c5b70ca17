"""Where time and MACs part company, and the reason that the roofline gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from archlens.probes.profile.layer_profile import LayerProfile
from archlens.probes.profile.roofline import Ceilings
from archlens.words import digits, duration, memory, percent, si

Cause = Literal["no MACs", "memory", "slow kernel", "overhead", "fast kernel"]
LEAST = 0.01  # shares that differ by less are no news
OVERHEAD_SECONDS = 30e-6  # what a call may cost whatever it does
FAR_FROM_ROOF = 0.25


@dataclass(frozen=True)
class Mismatch:
    """A layer whose share of the time is not its share of the MACs.

    Attributes:
        layer: Its name.
        time_share, mac_share: Of the layers' sum, and of the network's MACs.
        cause: See `find_mismatches`.
        roof_share: Least time by the roofline / time.
        intensity: FLOP per byte.
        sentence: The cause in words and numbers.
    """

    layer: str
    time_share: float
    mac_share: float
    cause: Cause
    roof_share: float | None
    intensity: float | None
    sentence: str


def find_mismatches(layers: Sequence[LayerProfile], roof: Ceilings, most: int = 10) -> list[Mismatch]:
    """Layers whose shares differ most, largest difference first.

    `no MACs`: pure traffic. `memory`: too little work for its bytes. `overhead`: so small that the call costs
    more than the work. `slow kernel`: neither; it stays below its ceiling. `fast kernel`: less time than its
    MACs suggest.
    """
    macs = sum(p.macs for p in layers)
    timed = [p for p in layers if p.latency is not None]
    time = sum(p.latency.median for p in timed if p.latency is not None)
    if not macs or not time:
        return []
    least = sum(p.roof_seconds for p in timed)
    usual = least / time
    found: list[tuple[float, Mismatch]] = []
    for p in timed:
        gap = p.share - p.macs / macs
        if abs(gap) >= LEAST and p.latency is not None:
            found.append((abs(gap), _explain(p, p.macs / macs, p.latency.median, roof, usual)))
    found.sort(key=lambda f: -f[0])
    return [mismatch for _, mismatch in found[:most]]


def _explain(p: LayerProfile, mac_share: float, seconds: float, roof: Ceilings, usual: float) -> Mismatch:
    share = p.roof_share or 0.0
    cause: Cause
    at = f"{percent(share)} of its ceiling (the network: {percent(usual)})"
    if p.share < mac_share:
        cause = "fast kernel"
        why = f"its kernel reaches {at}"
    elif seconds < OVERHEAD_SECONDS and share < FAR_FROM_ROOF:
        cause = "overhead"
        why = f"{duration(seconds)} for work of {duration(p.roof_seconds)}: the call costs more"
    elif not p.macs:
        cause = "no MACs"
        why = f"no MACs, but {memory(p.moved)} to move, at {percent(share)} of the copy ceiling"
        if p.bound == "compute":
            why = f"no MACs, but {si(p.elementwise)} elementwise operations"
    elif p.bound == "memory":
        cause = "memory"
        why = (
            f"{digits(p.intensity or 0.0)} FLOP/byte, below the ridge of {digits(roof.ridge)}: memory-bound, "
            f"at {percent(share)} of the copy ceiling"
        )
    else:
        cause = "slow kernel"
        why = f"compute-bound, and its kernel reaches {at}"
    sentence = f"{p.name}: {percent(p.share)} of the time, {percent(mac_share)} of the MACs: {why}"
    return Mismatch(p.name, p.share, mac_share, cause, p.roof_share, p.intensity, sentence)
