"""`archlens cue` as a table: how far a cue carries in each network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archlens.render.text.table import Column, Table
from archlens.trained import CueResult, Model, comparisons
from archlens.words import NONE, by, count, digits, duration, percent, px


def cue_table(result: CueResult) -> Table:
    """A network a row."""
    rows = tuple(_row(model) for model in result.models)
    return Table(
        title=f"How far a cue carries, on {result.device}",
        columns=(
            Column("network"),
            Column("size", drop=3),
            Column("width", right=True, drop=2),
            Column("learnt", right=True),
            Column("reach, px", right=True),
            Column("near", right=True),
            Column("far", right=True),
            Column("steps to near", right=True, drop=4, narrow=8),
            Column("to far", right=True, drop=4),
            Column("95 % square before", right=True, drop=1, narrow=10),
            Column("after", right=True, drop=1),
        ),
        rows=rows,
        remarks=tuple(_orderings(result.models)),
        notes=(*_meaning(result.models), *_changes(result.models), *_warnings(result.models), *result.notes),
    )


def _row(model: Model) -> tuple[str, ...]:
    fields = (model["field"]["before"], model["field"]["after"])
    able = sum(bool(s["learnt"]) for s in model["seeds"])
    return (
        model["spec"],
        by(model["input_shape"][2:]),
        digits(model["width"]),
        f"{able} of {len(model['seeds'])}",
        reach_words(model),
        *(NONE if model[key] is None else percent(model[key]) for key in ("near_accuracy", "far_accuracy")),
        *(NONE if model[key] is None else str(model[key]) for key in ("steps_to_near", "steps_to_far")),
        *(NONE if f is None or f["erf_95"] is None else px(f["erf_95"]) for f in fields),
    )


def reach_words(model: Model) -> str:
    """The reach with its spread over seeds: `everywhere` where accuracy never falls half-way to chance, at
    least so far where training had not settled."""
    found = model["reach"]
    if model["void"]:
        return "void"
    if found is None:
        return "not learnt"
    if not found["bounded"]:
        return "everywhere"
    least = "" if model["converged"] else "≥ "
    ends = (found["low"], found["high"])
    spread = "" if ends[0] == ends[1] else f" ({px(ends[0])}..{NONE if ends[1] is None else px(ends[1])})"
    return f"{least}{px(found['median'])}{spread}"


def _orderings(models: Sequence[Model]) -> list[str]:
    out = []
    for found in comparisons(models):
        if found.further is not None:
            other = found.b if found.further == found.a else found.a
            out.append(f"{found.further} reaches further than {other}: in all seeds.")
        else:
            out.append(f"{found.a} and {found.b}: not told apart by their reach.")
    return out


def _meaning(models: Sequence[Model]) -> list[str]:
    if not models:
        return []
    return [
        "Trained from scratch to name a patch in noise: four classes, chance 25 %. reach: distance at which "
        "accuracy falls half-way to chance; near: half a patch away at most; far: a quarter of the side.",
        "Before and after: the square that holds 95 % of the gradient's energy, by one estimator.",
    ]


def _changes(models: Sequence[Model]) -> list[str]:
    changes: dict[str, list[str]] = {}
    for model in models:
        for words in model["changes"]:
            changes.setdefault(words, []).append(model["spec"])
    every = len(models)
    return [
        f"{'All' if len(names) == every > 1 else ', '.join(names)}: {words}."
        for words, names in changes.items()
    ]


def _warnings(models: Sequence[Model]) -> list[str]:
    out = []
    for model in models:
        name, seeds = model["spec"], model["seeds"]
        if model["void"]:
            out.append(f"{name} is void: cells that cannot see the cue did not answer by chance.")
        if any(s["swap"] is not None and not s["swap"]["holds"] for s in seeds):
            out.append(f"{name} is void: outputs moved with a cue outside of the exact box.")
        late = sum(bool(s["learnt"]) and not s["converged"] for s in seeds)
        if late:
            out.append(
                f"{name}: {count(late, 'seed')} stopped at the bound of steps: reaches are lower bounds."
            )
        if model["learnt"] != "all":
            failed = sum(not s["learnt"] for s in seeds)
            out.append(f"{name}: {count(failed, 'seed')} of {len(seeds)} did not learn the task.")
    return out


def dry_table(planned: Sequence[Mapping[str, Any]]) -> Table:
    """What a run would take."""
    whole = sum(p["seconds_at_most"] for p in planned)
    return Table(
        title="What it would take",
        columns=(
            Column("network"),
            Column("size"),
            Column("width", right=True),
            Column("steps a second", right=True),
            Column("at most", right=True),
        ),
        rows=tuple(
            (p["spec"], by(p["input_shape"][2:]), digits(p["width"]), digits(p["steps_per_second"]),
             _minutes(p["seconds_at_most"]))
            for p in planned
        ),
        totals=("all", "", "", "", _minutes(whole)) if len(planned) > 1 else None,
        notes=("If every seed runs to its bound of steps; most settle earlier.",),
    )  # fmt: skip


def _minutes(seconds: float) -> str:
    return f"{digits(seconds / 60)} min" if seconds >= 60 else duration(seconds)
