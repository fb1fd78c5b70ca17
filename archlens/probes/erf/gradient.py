"""The gradient effective receptive field, on the live network (Luo, Li, Urtasun & Zemel, NeurIPS 2016).

The energy of input pixel p for a unit is (d y_c / d x_p)^2, mean over the unit's channels c and summed over
the input's. It is averaged over fresh random weights, or over images with the weights as they are.

A backward pass gives the gradient of one number. With random signs s_c, the number sum_c s_c y_c has

    E[(sum_c s_c g_c)^2] = sum_c g_c^2,  since E[s_c s_d] = 0 for c != d and s_c^2 = 1,

so one pass divided by the number of channels is an unbiased estimate of the mean over channels, and of all
independent cotangents of unit variance signs have the least variance (Hutchinson, 1990). The plain gradient
of the sum over channels, which other tools take, has the cross terms g_c g_d in it. Where the unit has no
more channels than `draws`, each is passed back by itself, which is exact.

With frozen batch norms, images do not see each other, so one pass serves the whole batch. With batch
statistics they do (`batch_norm="batch"`): each image's unit is then passed back alone and only that image's
gradient counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archlens.errors import UsageError
from archlens.probes import images as pictures
from archlens.probes.device import guarded, in_float32
from archlens.probes.erf import weights
from archlens.probes.erf.energy import Probe
from archlens.probes.erf.uncertainty import Estimate, estimates
from archlens.probes.network import Network
from archlens.progress import Count, uncounted

T = TypeVar("T")
BatchNorm = Literal["calibrated", "batch"]


@dataclass(frozen=True)
class GradientField:
    """A measured gradient ERF.

    Attributes:
        layer, unit, channel: What was probed; channel None is the mean over all.
        origin: `input`, or the layer that the map lies on.
        map: Over the origin's positions, float64, sum 1; all NaN where no gradient arrived at all.
        centre: The unit's own centre on the map, in px.
        sides: Percent of the energy -> side of the smallest centred square that holds it, px.
        far: Energy share outside the centred square of half the input's side.
        total: Energy before normalisation.
        runs: Weight draws or images that count.
        dead: Those of them whose gradient was zero everywhere; they count with their zero energy.
        overflown: Runs with an infinite or undefined gradient; they do not count.
        off: Share of (run, image, channel) in which the unit's value was exactly 0, as behind a ReLU.
        source: `random weights, white noise`, or `12 images`.
        precision: Of the network's arithmetic.
        seed: Of weights, noise and signs.
        notes: What a reader must know.
    """

    layer: str
    unit: tuple[int, ...]
    channel: int | None
    origin: str
    map: NDArray[np.float64]
    centre: tuple[float, ...]
    sides: dict[int, Estimate]
    far: Estimate
    total: Estimate
    runs: int
    dead: int
    overflown: int
    off: float
    source: str
    precision: str
    seed: int
    notes: tuple[str, ...]

    @property
    def known(self) -> bool:
        """Whether there is a map: some run has had a finite gradient that is not zero."""
        return bool(np.isfinite(self.map).all())


def over_weights(
    network: Network,
    layer: str,
    unit: Sequence[int] | None = None,
    *,
    channel: int | None = None,
    origin: str = "input",
    runs: int = 32,
    batch_size: int = 2,
    noise: pictures.Noise = "white",
    batch_norm: BatchNorm = "calibrated",
    calibration: int = 8,
    draws: int = 1,
    mixed: bool = False,
    seed: int = 0,
    progress: Count = uncounted,
) -> GradientField:
    """Average over fresh random weights; each run draws a network and a batch of noise images.

    Args:
        network: Its weights are drawn anew; frozen ones (bilinear kernels) stay.
        runs: Weight draws. The standard errors are between them.
        batch_size: Images a run; their maps are averaged within the run.
        noise: `white`, or `natural` with the 1/f amplitudes of photographs.
        batch_norm: `calibrated`: statistics of `calibration` images, then frozen, so that a unit depends on
            its own image only; `batch`: those of the very batch, whose mean and variance pass gradients too.
        draws: Backward passes a run (see the module).
        mixed: bfloat16 arithmetic where autocast allows it.
        progress: Called with (runs done, runs).
    """
    if runs < 1 or batch_size < 1:
        raise UsageError("At least one run of one image is needed.", hint="For instance runs=32.")
    norms = bool(weights.batch_norms(network.model))
    if norms and batch_norm == "batch" and batch_size < 2:
        raise UsageError("Batch statistics need at least two images.", hint="Use --batch-size 2 or more.")
    probe = Probe(network, layer, unit, channel, origin, draws, mixed, seed)
    notes: list[str] = []
    idle = network.idle(layer)
    generator = torch.Generator().manual_seed(seed)

    def fresh(count: int) -> Tensor:
        x = pictures.noise(noise, count, network.input_shape, generator)
        return x.to(network.device, network.dtype)

    def work() -> int:
        fewest = 0
        for run in range(runs):
            left = weights.draw(network.model, generator, network.frozen, idle)
            if run == 0 and left:
                notes.append("not drawn, but left as they are: " + _few(left))
            batch = fresh(batch_size)
            if norms and batch_norm == "batch":
                with weights.batch_statistics(network.model):
                    maps = probe.maps(batch, alone=True)
            else:
                if norms:
                    size = max(2, batch_size)
                    chunks = (fresh(size) for _ in range(max(1, -(-calibration // size))))
                    fewest = weights.calibrate(network.model, chunks, lambda c: network.run(c, [layer]))
                maps = probe.maps(batch, alone=False)
            probe.add(np.mean(maps, axis=0))
            progress(run + 1, runs)
        return fewest

    fewest = _guarded(network, layer, work)
    if norms:
        how = f"statistics of {calibration} noise images, then frozen" if batch_norm == "calibrated" else ""
        notes.append("batch norm: " + (how or f"statistics of each batch of {batch_size}"))
        if 0 < fewest < 30:
            notes.append(
                f"a batch norm takes its variance over {fewest} values (a pooled map): its share is uncertain"
            )
    return _result(probe, f"random weights, {noise} noise", _precision(network, mixed), seed, notes)


def over_images(
    network: Network,
    layer: str,
    paths: Sequence[Path],
    unit: Sequence[int] | None = None,
    *,
    how: pictures.Preprocessing = pictures.IMAGENET,
    channel: int | None = None,
    origin: str = "input",
    batch_size: int = 4,
    draws: int = 1,
    mixed: bool = False,
    seed: int = 0,
    progress: Count = uncounted,
) -> GradientField:
    """Average over images, the weights as they are and batch norms frozen. Each image is one run.

    Args:
        paths: From `images.find`.
        how: Gradients are with respect to the network's input, behind this preprocessing.
    """
    if not paths or batch_size < 1:
        raise UsageError("No images to measure with.", hint="Give a folder by --images.")
    probe = Probe(network, layer, unit, channel, origin, draws, mixed, seed)

    def work() -> None:
        done = 0
        for batch in pictures.batches(paths, network.input_shape[1:], how, batch_size):
            for energy in probe.maps(batch, alone=False):
                probe.add(energy)
            done += len(batch)
            progress(done, len(paths))

    _guarded(network, layer, work)
    source = f"{len(paths)} image{'s' if len(paths) > 1 else ''}"
    return _result(probe, source, _precision(network, mixed), seed, [f"preprocessing: {how.name}"])


def _guarded(network: Network, layer: str, work: Callable[[], T]) -> T:
    doing = f"measuring the gradient of {layer}"
    return guarded(network.device, doing, "Use a smaller --batch-size or --input-size.", in_float32(work))


def _precision(network: Network, mixed: bool) -> str:
    name = str(network.dtype).removeprefix("torch.")
    return f"{name}, bfloat16 by autocast" if mixed else name


def _few(names: Sequence[str]) -> str:
    rest = len(names) - 3
    return ", ".join(names[:3]) + (f" and {rest} more" if rest > 0 else "")


def _result(probe: Probe, source: str, precision: str, seed: int, notes: Sequence[str]) -> GradientField:
    """Everything that was counted."""
    runs = len(probe.curves)
    whole = probe.sum.sum()
    mean = probe.sum / whole if runs and whole > 0 else np.full(probe.size, np.nan)
    curves = np.array(probe.curves) if runs else np.zeros((0, len(probe.squares.halves) + 1))
    summary = estimates(probe.squares, probe.sum / max(1, runs), curves, seed)
    said = [*probe.network.notes, *notes]
    if probe.dead:
        said.append(
            f"dead in {probe.dead} of {runs + probe.overflown} runs: no gradient reaches {probe.origin}"
        )
    if probe.overflown:
        said.append(
            f"{probe.overflown} of {runs + probe.overflown} runs had an infinite or undefined gradient "
            "and do not count"
        )
    return GradientField(
        layer=probe.layer,
        unit=probe.unit,
        channel=probe.channel,
        origin=probe.origin,
        map=mean,
        centre=probe.centre,
        sides=summary.sides,
        far=summary.far,
        total=summary.total,
        runs=runs,
        dead=probe.dead,
        overflown=probe.overflown,
        off=probe.zeros / probe.values if probe.values else float("nan"),
        source=source,
        precision=precision,
        seed=seed,
        notes=tuple(said),
    )
