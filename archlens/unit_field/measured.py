"""`gradient` and `occlusion` fields: build the network with values, run it, and hand the result over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from archlens.capture.load import load
from archlens.capture.load.unwrap import unwrap
from archlens.capture.run import capture_spec
from archlens.errors import UsageError
from archlens.probes import images
from archlens.probes.device import guarded, resolve
from archlens.probes.erf import gradient, occlusion
from archlens.probes.erf.occluder import Occluder
from archlens.probes.network import Live as Network
from archlens.probes.profile import run
from archlens.probes.verify.run import Verification, verify
from archlens.spec import Spec
from archlens.zoo.weights import load_checkpoint

if TYPE_CHECKING:
    from archlens.report import Report
    from archlens.unit_field.call import Live, Statistics
    from archlens.unit_field.result import FieldMap

Count = Callable[[int, int], None]
WARMUP = 3
REPEAT = {True: 20, False: 7}
"""Passes that are timed for a comparison, on a card and on a CPU."""


def live_module(
    spec: Spec, weights: str | None
) -> tuple[torch.nn.Module, str, tuple[int, ...], tuple[str, ...]]:
    """The module that a spec names, with values.

    Returns:
        The module, its name, its own input size (C, *spatial), and notes on what was loaded.

    Raises:
        UsageError: The spec is a saved report, which has no weights to run.
        WeightsError: The checkpoint does not fit.
    """
    loaded = load(spec)
    model = unwrap(loaded.build())
    notes: tuple[str, ...] = ()
    if weights is not None:
        notes = (f"{weights}: {load_checkpoint(model, weights)}",)
    return model, loaded.name, loaded.input_size, notes


def timed(report: Report, spec: Spec, device: str, progress: Callable[[str], None], count: Count) -> Report:
    """The report with what running its network on a device takes: `measured`, its own and each layer's.

    A saved report has nothing to run: it keeps what it was measured with, or gets a note that says so.
    """
    if spec.kind == "report":
        if "measured" in report.extra:
            return report
        return replace(report, notes=(*report.notes, "not measured: a saved report has nothing to run"))
    where = resolve(device)
    progress(f"building {report.name} with values")
    module = live_module(spec, None)[0]
    found = run.profile(
        module,
        report.input_shape[1:],
        where,
        name=report.name,
        warmup=WARMUP,
        repeat=REPEAT[where.type == "cuda"],
        progress=count,
    )
    times = {p.name: p for p in found.layers if p.latency is not None}
    rows = []
    for row in report.layers:
        p = times.get(row.name)
        if p is not None and p.latency is not None:
            own = {"seconds": p.latency.median, "low": p.latency.low, "high": p.latency.high, "held": p.held}
            row = replace(row, extra={**row.extra, "measured": own})
        rows.append(row)
    whole = {
        "device": found.device.name,
        "dtype": found.dtype,
        "batch_size": found.input_shape[0],
        "latency": asdict(found.latency),
        "images_per_second": found.images_per_second,
        "peak_bytes": found.peak_bytes,
        "memory_method": found.memory_method,
        "layer_sum": found.layer_sum,
        "adds_up": found.adds_up,
        "notes": list(found.notes),
    }
    return replace(report, layers=tuple(rows), extra={**report.extra, "measured": whole})


def verified(
    spec: Spec,
    size: Sequence[int] | None,
    *,
    units: int,
    cuts: int,
    seed: int,
    seconds: float,
    macs: bool,
    device: str,
    progress: Callable[[str], None],
) -> Verification:
    """Run the oracles on a copy of the network that a spec names (`probes.verify`)."""
    if spec.kind == "report":
        raise UsageError(f"{spec.text} is a saved report, without a network", "Give the model itself.")
    where = resolve(device)
    graph, _ = capture_spec(spec, tuple(size) if size else None, progress)
    progress("building the network with values")
    model = unwrap(load(spec).build()).eval()
    found: Verification = guarded(
        where,
        f"verifying {graph.name}",
        "Use a smaller --input-size, or --device cpu.",
        lambda: verify(
            model, graph, units=units, cuts=cuts, seed=seed, seconds=seconds, macs=macs, device=where,
            progress=progress,
        ),
    )  # fmt: skip
    return found


def measured(
    base: FieldMap,
    spec: Spec,
    live: Live,
    statistics: Statistics,
    noise: Literal["white", "natural"],
    progress: Callable[[str], None],
    count: Count,
) -> FieldMap:
    """The field of `base`'s unit, measured on the live network."""
    if spec.kind == "report":
        raise UsageError(f"{spec.text} is a saved report, without weights to run", "Give the model itself.")
    device = resolve(live.device)
    progress("building the network with values")
    model, name, _, loaded = live_module(spec, live.weights)
    network = _on(device, model, base.input_shape[1:], name)
    how = images.preprocessing(name, live.mean, live.std, live.bgr)
    progress(f"measuring the {base.method} field")
    if base.method == "gradient":
        found = _gradient(base, network, live, how, statistics, noise, count)
    else:
        found = _occlusion(base, network, live, how, count)
    return replace(found, notes=(*loaded, *found.notes), details={"device": str(device), **found.details})


def _on(device: torch.device, model: torch.nn.Module, size: Sequence[int], name: str) -> Network:
    """The network on its device."""
    return guarded(
        device, f"moving {name} to it", "Use --device cpu.", lambda: Network(model, size, device, name=name)
    )


def _gradient(
    base: FieldMap,
    network: Network,
    live: Live,
    how: images.Preprocessing,
    statistics: Statistics,
    noise: Literal["white", "natural"],
    count: Count,
) -> FieldMap:
    if live.images is not None:
        found = gradient.over_images(
            network,
            base.layer,
            images.find(live.images, live.limit),
            base.unit,
            how=how,
            channel=live.channel,
            origin=base.origin,
            batch_size=live.batch_size,
            mixed=live.mixed,
            seed=live.seed,
            progress=count,
        )
    else:
        found = gradient.over_weights(
            network,
            base.layer,
            base.unit,
            channel=live.channel,
            origin=base.origin,
            runs=live.runs,
            batch_size=live.batch_size,
            noise="pink" if noise == "natural" else "white",
            batch_norm="batch" if statistics == "batch" else "calibrated",
            mixed=live.mixed,
            seed=live.seed,
            progress=count,
        )
    figures: dict[str, Any] = {f"erf_{round(100 * s)}": _pair(f) for s, f in found.sides.items()}
    figures["far_share"] = _pair(found.far)
    return replace(
        base,
        map=found.map if found.known else None,
        channel=found.channel,
        centre=found.centre,
        summary=figures,
        status="assumed" if found.known else "unknown",
        reason=found.source if found.known else "no gradient arrives",
        notes=found.notes,
        details={
            "runs": found.runs,
            "dead": found.dead,
            "overflown": found.overflown,
            "off": found.off,
            "source": found.source,
            "precision": found.precision,
            "seed": found.seed,
        },
    )


def _occlusion(
    base: FieldMap, network: Network, live: Live, how: images.Preprocessing, count: Count
) -> FieldMap:
    if base.origin != "input":
        raise UsageError("the occlusion method covers pixels of the input", "Leave --from out.")
    (found,) = _occluded(network, [base.layer], base.unit, live, how, count)
    figures: Mapping[str, Any] = {
        "size": (found.size, found.spread),
        "theoretical_size": found.theoretical,
        "channels": len(found.channels),
        "silent": found.silent,
    }
    return replace(
        base,
        map=found.map if found.known else None,
        channel=live.channel,
        centre=found.centre,
        summary=figures,
        status="assumed" if found.known else "unknown",
        reason=found.source if found.known else "no channel answers",
        notes=found.notes,
        details={
            "source": found.source,
            "occluder": {"size": live.patch, "stride": live.stride},
            "threshold": found.threshold,
            "top": found.top,
            "overflown": found.overflown,
            "seed": live.seed,
        },
    )


def occlusion_table(
    spec: Spec,
    input_shape: tuple[int, ...],
    layers: Sequence[str],
    live: Live,
    progress: Callable[[str], None],
    count: Count,
) -> tuple[list[occlusion.OcclusionField], tuple[str, ...]]:
    """Theoretical and empirical size of several layers over the same occluded images (as Zhou et al.)."""
    device = resolve(live.device)
    progress("building the network with values")
    model, name, _, notes = live_module(spec, live.weights)
    network = _on(device, model, input_shape[1:], name)
    how = images.preprocessing(name, live.mean, live.std, live.bgr)
    progress("measuring the occlusion fields")
    if live.weights is None:
        notes = (*notes, "random weights: give a checkpoint by --weights to see what training made of them")
    return _occluded(network, layers, None, live, how, count), notes


def _occluded(
    network: Network,
    layers: Sequence[str],
    unit: Sequence[int] | None,
    live: Live,
    how: images.Preprocessing,
    count: Count,
) -> list[occlusion.OcclusionField]:
    if live.images is not None:
        paths = images.find(live.images, live.limit)
        batches: Iterable[torch.Tensor] = images.batches(paths, network.input_shape[1:], how, live.batch_size)
        source = live.images
    else:
        generator = torch.Generator().manual_seed(live.seed)
        batches = [images.noise("pink", live.limit or 4, network.input_shape, generator)]
        source = "1/f noise (give photographs by --images)"
    return occlusion.measure(
        network,
        layers,
        batches,
        unit=unit,
        channel=live.channel,
        occluder=Occluder(live.patch, live.stride),
        source=source,
        seed=live.seed,
        progress=count,
    )


def _pair(figure: Any) -> tuple[float, float]:
    return figure.value, figure.error
