"""What training made of networks: results of the cue experiment as data, joined, summed up and compared.

Nothing here trains, and nothing here needs torch: `probes.cue` makes results, whoever reads a file of them
reads it here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.errors import UsageError
from archlens.report import GENERATOR, SCHEMA_VERSION
from archlens.showing import Shown

PROTOCOL = 1
"""How networks are trained and asked: docs/cue.md."""
CLASSES = 4
CHANCE = 1 / CLASSES
FEWEST_IMAGES = 100
"""Below so many images a bin's accuracy is null."""
RESAMPLES = 400
"""Draws of images that an interval is taken over."""
SAME = ("spec", "width", "input_shape", "normalised", "batch_size")
"""What runs have to share to be seeds of one model."""

Model = Mapping[str, Any]
Seed = Mapping[str, Any]


@dataclass(frozen=True)
class CueResult(Shown):
    """Trained networks.

    Attributes:
        device: What it ran on, by name; of several, all of them.
        models: One entry a network, with its seeds, as `docs/cue.md` describes them.
        notes: What a reader must know.
    """

    device: str
    models: tuple[Model, ...]
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Contract form."""
        return {
            "schema_version": SCHEMA_VERSION,
            "generator": GENERATOR,
            "task": "cue",
            "protocol": PROTOCOL,
            "device": self.device,
            "models": [dict(m) for m in self.models],
            "comparisons": [c.to_dict() for c in comparisons(self.models)],
            "notes": list(self.notes),
        }

    def joined(self, other: CueResult) -> CueResult:
        """Both results' networks; seeds of the same network together, this result's first."""
        models = [dict(m) for m in self.models]
        for new in other.models:
            same = next((m for m in models if alike(m, new)), None)
            if same is None:
                models.append(dict(new))
                continue
            known = {s["seed"] for s in same["seeds"]}
            seeds = [*same["seeds"], *(s for s in new["seeds"] if s["seed"] not in known)]
            same.update(summed_up(sorted(seeds, key=lambda s: int(s["seed"]))))
        devices = dict.fromkeys([*self.device.split(" and "), *other.device.split(" and ")])
        return CueResult(
            " and ".join(devices), tuple(models), tuple(dict.fromkeys([*self.notes, *other.notes]))
        )


def read(path: Path) -> CueResult:
    """The result in a file.

    Raises:
        UsageError: It is none, or of another protocol.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        result = from_dict(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} holds no result of `archlens cue` ({error})", "Give a file that it wrote."
        ) from error
    if data["protocol"] != PROTOCOL:
        raise UsageError(f"{path} is of protocol {data['protocol']}, not {PROTOCOL}", "Run it again.")
    return result


def from_dict(data: Mapping[str, Any]) -> CueResult:
    """The result that `to_dict` wrote."""
    if data["task"] != "cue":
        raise ValueError(f"its task is {data['task']!r}")
    models = []
    for model in data["models"]:
        fixed = {key: model[key] for key in (*SAME, "name", "chance", "changes", "cell")}
        models.append({**fixed, **summed_up([dict(s) for s in model["seeds"]])})
    return CueResult(str(data["device"]), tuple(models), tuple(map(str, data.get("notes", ()))))


def alike(a: Model, b: Model) -> bool:
    """Whether two entries are of one network, at one width and size."""
    return all(a[key] == b[key] for key in SAME)


# ------------------------------------------------------------------ over seeds


def summed_up(seeds: Sequence[Seed]) -> dict[str, Any]:
    """A model's figures over its seeds: medians and means of those that have learnt, with their spread."""
    able = able_of(seeds)
    word = "all" if len(able) == len(seeds) and seeds else "some" if able else "none"
    return {
        "learnt": word,
        "converged": bool(able) and all(s["converged"] for s in able),
        "void": any(s["void"] for s in seeds),
        "curve": curve_over(able or seeds, "curve"),
        "inner_curve": curve_over(able or seeds, "inner_curve"),
        "reach": reach_over(able),
        "near_accuracy": _mean(s["near_accuracy"] for s in able or seeds),
        "far_accuracy": _mean(s["far_accuracy"] for s in able or seeds),
        "steps_to_near": _middle(s["steps_to_near"] for s in able or seeds),
        "steps_to_far": _middle(s["steps_to_far"] for s in able or seeds),
        "beyond": _beyond(seeds),
        "field": {when: _field([s["field"][when] for s in able or seeds]) for when in ("before", "after")},
        "seeds": [dict(s) for s in seeds],
    }


def reach_over(able: Sequence[Seed]) -> dict[str, Any] | None:
    """The median reach of the seeds that learnt, and its spread; `median` null where the accuracy of most of
    them never falls half-way to chance. None where none has learnt."""
    if not able:
        return None
    values = sorted(float("inf") if s["reach"] is None else s["reach"] for s in able)
    middle = median(values)

    def known(value: float) -> float | None:
        return None if value == float("inf") else value

    return {
        "median": known(middle),
        "low": known(values[0]),
        "high": known(values[-1]),
        "bounded": middle != float("inf"),
    }


def curve_over(seeds: Sequence[Seed], name: str) -> list[dict[str, Any]]:
    """Accuracy by distance over all seeds, and their spread; null below a hundred images a seed."""
    bins: dict[tuple[float, float], list[Mapping[str, Any]]] = {}
    for seed in seeds:
        for entry in seed[name]:
            bins.setdefault(tuple(entry["distance"]), []).append(entry)
    out = []
    for ends, entries in sorted(bins.items()):
        enough = [e["hits"] / e["cells"] for e in entries if e["images"] >= FEWEST_IMAGES]
        out.append(
            {
                "distance": list(ends),
                "accuracy": fmean(enough) if enough else None,
                "spread": [min(enough), max(enough)] if enough else None,
                "cells": sum(e["cells"] for e in entries),
                "images": sum(e["images"] for e in entries),
            }
        )
    return out


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return fmean(known) if known else None


def _middle(values: Iterable[int | None]) -> int | None:
    """The median; None where half of the seeds never got there."""
    found = sorted(float("inf") if v is None else v for v in values)
    middle = median(found) if found else float("inf")
    return None if middle == float("inf") else round(middle)


def _beyond(seeds: Sequence[Seed]) -> dict[str, Any] | None:
    """Accuracy of cells that cannot see the cue, over all seeds; the widest ends."""
    known = [s["beyond"] for s in seeds if s["beyond"] is not None]
    if not known:
        return None
    return {
        "accuracy": fmean(b["accuracy"] for b in known),
        "low": min(b["low"] for b in known),
        "high": max(b["high"] for b in known),
        "images": sum(b["images"] for b in known),
    }


def _field(found: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """Means of a field's figures over the seeds, and their spread."""
    known = [f for f in found if f is not None]
    if not known:
        return None
    keys = ("erf_50", "erf_95", "far_share")
    values = {key: [f[key] for f in known if f[key] is not None] for key in keys}
    means = {key: fmean(v) if v else None for key, v in values.items()}
    return {**means, "spread": {key: [min(v), max(v)] if v else None for key, v in values.items()}}


# ------------------------------------------------------------------ between networks


@dataclass(frozen=True)
class Ordering:
    """Which of two networks reaches further: only where all seeds of one exceed all of the other.

    Attributes:
        a, b: Their specs.
        further: The one that does; None: not told apart.
        far: Difference of the accuracies far away, a - b: mean over pairs of seeds, and over images its ends.
    """

    a: str
    b: str
    further: str | None
    far: tuple[float, float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        far = None if self.far is None else dict(zip(("mean", "low", "high"), self.far, strict=True))
        return {"a": self.a, "b": self.b, "further": self.further, "far_difference": far}


def comparisons(models: Sequence[Model]) -> list[Ordering]:
    """Each pair of networks that learnt, at the same size and width."""
    out = []
    for a, b in combinations(models, 2):
        if a["input_shape"] != b["input_shape"] or a["width"] != b["width"]:
            continue
        mine, theirs = (
            [float("inf") if s["reach"] is None else s["reach"] for s in able_of(m["seeds"])] for m in (a, b)
        )
        if not mine or not theirs:
            continue
        first = a["spec"] if min(mine) > max(theirs) else b["spec"] if min(theirs) > max(mine) else None
        out.append(Ordering(a["spec"], b["spec"], first, _far_apart(a, b)))
    return out


def able_of(seeds: Iterable[Seed]) -> list[Seed]:
    """The seeds that learnt, with controls that hold."""
    return [s for s in seeds if s["learnt"] and not s["void"]]


def resampled(images: int, *seeds: int) -> NDArray[np.float64]:
    """(RESAMPLES, images): how often each image is drawn, with putting back."""
    rng = np.random.default_rng([7, *seeds])
    return rng.multinomial(images, np.full(images, 1 / images), size=RESAMPLES).astype(float)


def _far_apart(a: Model, b: Model) -> tuple[float, float, float] | None:
    """Mean difference of the far accuracies, and the ends of its 95 % interval over images, which are the
    same for all networks."""
    tables = [np.sum([s["far_by_image"] for s in able_of(m["seeds"])], axis=0) for m in (a, b)]
    if tables[0].shape != tables[1].shape or not tables[0].size:
        return None
    draws = resampled(len(tables[0]))
    shares = [(draws @ t)[:, 0] / np.maximum((draws @ t)[:, 1], 1) for t in tables]
    whole = [t[:, 0].sum() / max(t[:, 1].sum(), 1) for t in tables]
    low, high = np.percentile(shares[0] - shares[1], (2.5, 97.5))
    return float(whole[0] - whole[1]), float(low), float(high)
