"""What was measured of a network, beside what its arithmetic says: latency, memory, and the context module's
part of the time.

A report that was measured carries it under `measured`, the network's own and each layer's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from archlens.report import Report


@dataclass(frozen=True)
class Measured:
    """Of one network on one device.

    Attributes:
        device, dtype, batch_size, runs: How: the device's name, the precision, images a pass, passes timed.
        latency, low, high: Of the whole pass, s: median and quartiles.
        images_per_second: Of the median.
        peak_bytes: Most held at any moment, the input included, the weights not.
        layer_sum: Sum of the layers' medians, s; None where they have none.
        module_seconds: Those of the context module's branches and their merge; None without a module.
        fusion_seconds: That of the convolution that fuses them.
        notes: What may have spoiled the figures.
    """

    device: str
    dtype: str
    batch_size: int
    runs: int
    latency: float
    low: float
    high: float
    images_per_second: float
    peak_bytes: int
    layer_sum: float | None
    module_seconds: float | None
    fusion_seconds: float | None
    notes: tuple[str, ...] = ()

    @property
    def how(self) -> str:
        """Where and how, in words."""
        return f"on {self.device}, {self.dtype}, batch {self.batch_size}"

    def share(self, seconds: float | None) -> float | None:
        """Of the layers' time [0..1]; None where either is not known."""
        return None if seconds is None or not self.layer_sum else seconds / self.layer_sum


def measured(report: Report, module: Collection[str], fusion: str | None) -> Measured | None:
    """The measurement that a report carries.

    Args:
        report: Of the network.
        module: Layers of its context module; none without one.
        fusion: The layer that fuses its branches, if there is one.
    """
    found = report.extra.get("measured")
    if found is None:
        return None
    times = {row.name: row.extra["measured"]["seconds"] for row in report.layers if "measured" in row.extra}
    known = [times[name] for name in module if name in times]
    return Measured(
        device=found["device"],
        dtype=found["dtype"],
        batch_size=found["batch_size"],
        runs=found["latency"]["runs"],
        latency=found["latency"]["median"],
        low=found["latency"]["low"],
        high=found["latency"]["high"],
        images_per_second=found["images_per_second"],
        peak_bytes=found["peak_bytes"],
        layer_sum=found["layer_sum"],
        module_seconds=sum(known) if known else None,
        fusion_seconds=times.get(fusion) if fusion else None,
        notes=tuple(found["notes"]),
    )
