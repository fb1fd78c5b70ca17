"""What a trained copy answers, and the controls that the answer stands on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from archlens.analyses.expected.summaries import centred_sides, far_share
from archlens.probes.cue import curves
from archlens.probes.cue.curves import Hits, Interval
from archlens.probes.cue.task import Task
from archlens.probes.cue.training import STATISTICS, Trained, Trainee, first
from archlens.probes.device import in_float32
from archlens.probes.erf.energy import Probe
from archlens.trained import CHANCE, CLASSES

IMAGES = 1024
"""That every network is asked about: the same noise and places for all networks and seeds of a size."""
EVALUATION, PROBE = 10_007, 10_009
FIELD_IMAGES = 32
ROUNDING = 1e-4
"""Of a cell's outputs, relative to their deviation: more is no rounding."""


def evaluated(
    trainee: Trainee, task: Task, seed: int, run: Trained, before: dict[str, Any] | None, rate: float
) -> dict[str, Any]:
    """One seed's result as plain values, with all controls.

    Args:
        trainee: As training left it.
        task: Of the same seed.
        seed: Of the run.
        run: How training went.
        before: The field of the fresh copy.
        rate: The learning rate.
    """

    def work() -> dict[str, Any]:
        trainee.freeze(task, STATISTICS, seed, 3)
        found = trainee.answers(task, IMAGES, EVALUATION)
        fields = {"before": before, "after": field(trainee, task)}
        return {**_told(found), "swap": swap(trainee, task), "field": fields}

    own: dict[str, Any] = in_float32(work)()
    return {
        "seed": seed,
        "steps": run.steps,
        "seconds": round(run.seconds, 1),
        "rate": rate,
        "loss": run.loss,
        **own,
        "converged": run.converged,
        "learning": [
            {"steps": g.steps, "near": g.near, "far": g.far, "inside": g.inside, "reach": g.reach}
            for g in run.learning
        ],
        "steps_to_near": first(run.learning, "near"),
        "steps_to_far": first(run.learning, "far"),
    }


def _told(found: Hits) -> dict[str, Any]:
    near, far, beyond = (curves.accuracy(p) for p in (found.near, found.far, found.beyond))
    knows = curves.learnt(near)
    reach = curves.reach(found)
    return {
        "learnt": knows,
        "near_accuracy": None if near is None else near.value,
        "near": interval(near),
        "far_accuracy": None if far is None else far.value,
        "far": interval(far),
        "reach": reach.value if knows else None,
        "reach_interval": [reach.low, reach.high] if knows else None,
        "curve": binned(found.edges, found.hits, found.cells),
        "inner_curve": binned(found.edges, found.inner_hits, found.inner_cells),
        "beyond": interval(beyond),
        "void": leaks(beyond),
        "far_by_image": [[int(h), int(c)] for h, c in found.far],
    }


def leaks(beyond: Interval | None) -> bool:
    """Whether cells that cannot see the cue do better or worse than chance: by more than the 99.9 % interval,
    since many runs are asked."""
    if beyond is None:
        return False
    deviation = (beyond.high - beyond.low) / (2 * 1.96)
    return abs(beyond.value - CHANCE) > 3.3 * deviation


def interval(found: Interval | None) -> dict[str, Any] | None:
    """An accuracy with its interval over images."""
    if found is None:
        return None
    return {"accuracy": found.value, "low": found.low, "high": found.high, "images": found.images}


def binned(edges: Any, hits: Any, cells: Any) -> list[dict[str, Any]]:
    """A curve's bins that any cell answered in."""
    images = (cells > 0).sum(0)
    return [
        {
            "distance": [float(edges[k]), float(edges[k + 1])],
            "hits": int(hits[:, k].sum()),
            "cells": int(cells[:, k].sum()),
            "images": int(images[k]),
        }
        for k in range(len(images))
        if images[k]
    ]


# ------------------------------------------------------------------ controls


@torch.no_grad()
def swap(trainee: Trainee, task: Task, images: int = 64) -> dict[str, Any] | None:
    """Another pattern at another place, both outside of a cell's exact box: its outputs may move by rounding.

    Returns:
        `cells` compared, the `largest` move relative to the outputs' deviation, whether that `holds`; None
        where no cell's box leaves room.
    """
    if not trainee.cells.known:
        return None
    rng, count, largest = task.generator(PROBE, 1), 0, 0.0
    for _ in range(images // 16):
        first_, other = task.batch(16, rng), task.batch(16, rng)
        noise = torch.randn(first_.images.shape, device=task.device, generator=rng)
        labels = (first_.labels + 1 + other.labels % (CLASSES - 1)) % CLASSES
        one = trainee.scores(task.placed(noise, first_.labels, first_.corners))
        two = trainee.scores(task.placed(noise, labels, other.corners))
        blind = trainee.cells.misses(first_.corners.cpu().numpy(), task.patch)
        blind &= trainee.cells.misses(other.corners.cpu().numpy(), task.patch)
        moved = (one - two).abs().amax(1).cpu().numpy() / max(float(one.std()), 1e-12)
        count += int(blind.sum())
        largest = max(largest, float(moved[blind].max(initial=0.0)))
    return {"cells": count, "largest": largest, "holds": largest <= ROUNDING} if count else None


def field(trainee: Trainee, task: Task) -> dict[str, Any]:
    """The gradient field of the centre cell over cue images, in frozen statistics: the same estimator before
    and after training; and whether all of its energy lies inside of the cell's exact box."""
    network, layer = trainee.network, trainee.cells.layer
    probe = Probe(network, layer, None, None, "input", 1, False, 0)
    rng, energy = task.generator(PROBE, 2), np.zeros(task.size)
    for batch in task.batches(FIELD_IMAGES, CLASSES, rng):
        for own in probe.maps(batch.images, alone=False):
            energy += own
    total = float(energy.sum())
    if not np.isfinite(total) or total <= 0:
        return {"erf_50": None, "erf_95": None, "far_share": None, "outside": None}
    half, most = centred_sides(energy, probe.centre, (0.5, 0.95))
    return {
        "erf_50": half,
        "erf_95": most,
        "far_share": far_share(energy, probe.centre),
        "outside": _outside(trainee, energy) / total,
    }


def _outside(trainee: Trainee, energy: Any) -> float:
    """Energy outside of the centre cell's exact box."""
    network = trainee.network
    node = network.node(trainee.cells.layer)
    seen = network.walks.seen(node.id)
    if seen is None or not trainee.cells.known:
        return 0.0
    inside = tuple(slice(a, b + 1) for a, b in zip(*seen, strict=True))
    return float(energy.sum() - energy[inside].sum())
