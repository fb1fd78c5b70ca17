"""`gradient` and `occlusion` fields: build the network with values, run it, and hand the result over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from archlens.analyses.expected.forward.state import Premises
from archlens.capture.load.checkpoint import live_module
from archlens.errors import UsageError
from archlens.probes import images
from archlens.probes.device import guarded, resolve
from archlens.probes.erf import gradient, occlusion
from archlens.probes.erf.occluder import Occluder
from archlens.probes.network import Network
from archlens.progress import Count, Say
from archlens.spec import Spec
from archlens.unit_field.result import FieldMap, RunOptions


def measured(
    base: FieldMap, spec: Spec, run: RunOptions, premises: Premises, progress: Say, count: Count
) -> FieldMap:
    """The field of `base`'s unit, measured on the live network."""
    network, loaded = _network(spec, base.input_shape, run, progress)
    how = images.preprocessing(network.graph.name, run.mean, run.std, run.bgr)
    progress(f"measuring the {base.method} field")
    if base.method == "gradient":
        found = _gradient(base, network, run, how, premises, count)
    else:
        found = _occlusion(base, network, run, how, count)
    details = {"device": str(network.device), **found.details}
    return replace(found, notes=(*loaded, *found.notes), details=details)


def _network(
    spec: Spec, input_shape: tuple[int, ...], run: RunOptions, progress: Say
) -> tuple[Network, tuple[str, ...]]:
    """The network on its device, and what was loaded."""
    device = resolve(run.device)
    progress("building the network with values")
    model, name, _, loaded = live_module(spec, run.weights, run.seed)

    def made() -> Network:
        return Network(model, input_shape[1:], device, name=name)

    return guarded(device, f"moving {name} to it", "Use --device cpu.", made), loaded


def _gradient(
    base: FieldMap,
    network: Network,
    run: RunOptions,
    how: images.Preprocessing,
    premises: Premises,
    count: Count,
) -> FieldMap:
    if run.images is not None:
        found = gradient.over_images(
            network,
            base.layer,
            images.find(run.images, run.limit),
            base.unit,
            how=how,
            channel=run.channel,
            origin=base.origin,
            batch_size=run.batch_size,
            mixed=run.mixed,
            seed=run.seed,
            progress=count,
        )
    else:
        found = gradient.over_weights(
            network,
            base.layer,
            base.unit,
            channel=run.channel,
            origin=base.origin,
            runs=run.runs,
            batch_size=run.batch_size,
            noise=premises.images,
            batch_norm="batch" if premises.statistics == "batch" else "calibrated",
            mixed=run.mixed,
            seed=run.seed,
            progress=count,
        )
    figures: dict[str, Any] = {f"erf_{share}": _pair(f) for share, f in found.sides.items()}
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
    base: FieldMap, network: Network, run: RunOptions, how: images.Preprocessing, count: Count
) -> FieldMap:
    if base.origin != "input":
        raise UsageError("the occlusion method covers pixels of the input", "Leave --from out.")
    (found,) = _occluded(network, [base.layer], base.unit, run, how, count)
    figures: Mapping[str, Any] = {
        "size": (found.size, found.spread),
        "theoretical_size": found.theoretical,
        "channels": len(found.channels),
        "silent": found.silent,
    }
    return replace(
        base,
        map=found.map if found.known else None,
        channel=run.channel,
        centre=found.centre,
        summary=figures,
        status="assumed" if found.known else "unknown",
        reason=found.source if found.known else "no channel answers",
        notes=found.notes,
        details={
            "source": found.source,
            "occluder": {"size": run.patch, "stride": run.stride},
            "threshold": found.threshold,
            "top": found.top,
            "overflown": found.overflown,
            "seed": run.seed,
        },
    )


def occluded(
    spec: Spec,
    input_shape: tuple[int, ...],
    layers: Sequence[str],
    run: RunOptions,
    progress: Say,
    count: Count,
) -> tuple[list[occlusion.OcclusionField], tuple[str, ...]]:
    """The occlusion fields of several layers over the same images, and notes."""
    network, notes = _network(spec, input_shape, run, progress)
    how = images.preprocessing(network.graph.name, run.mean, run.std, run.bgr)
    progress("measuring the occlusion fields")
    if run.weights is None:
        notes = (*notes, "random weights: give a checkpoint by --weights to see what training made of them")
    return _occluded(network, layers, None, run, how, count), notes


def _occluded(
    network: Network,
    layers: Sequence[str],
    unit: Sequence[int] | None,
    run: RunOptions,
    how: images.Preprocessing,
    count: Count,
) -> list[occlusion.OcclusionField]:
    if run.images is not None:
        paths = images.find(run.images, run.limit)
        batches: Iterable[torch.Tensor] = images.batches(paths, network.input_shape[1:], how, run.batch_size)
        source = run.images
    else:
        generator = torch.Generator().manual_seed(run.seed)
        batches = [images.noise("natural", run.limit or 4, network.input_shape, generator)]
        source = "1/f noise (give photographs by --images)"
    return occlusion.measure(
        network,
        layers,
        batches,
        unit=unit,
        channel=run.channel,
        occluder=Occluder(run.patch, run.stride),
        source=source,
        seed=run.seed,
        progress=count,
    )


def _pair(figure: Any) -> tuple[float, float]:
    return figure.value, figure.error
