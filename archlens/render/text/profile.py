"""`archlens profile` as tables and plain values. Takes the probes' results as they are; no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from archlens.render.text.table import Column, Table
from archlens.report import GENERATOR, SCHEMA_VERSION, json_value
from archlens.words import memory, percent, si

LEAST_SHARE = 0.005


def profile_table(found: Any, everything: bool = False) -> Table:
    """A `probes.profile.Profile`: one row a layer that takes time, dearest figures beside each other."""
    shown = [r for r in found.layers if everything or (r.latency is not None and r.share >= LEAST_SHARE)]
    rows = tuple(
        (
            r.name,
            r.op,
            _time(r.latency.median) if r.latency is not None else "-",
            _spread(r.latency),
            percent(r.share) if r.latency is not None else "-",
            si(r.macs) if r.macs else "-",
            f"{si(r.flops_per_second)}FLOP/s" if r.flops_per_second else "-",
            "-" if r.intensity is None else f"{r.intensity:.1f}",
            "-" if r.roof_share is None else f"{100 * r.roof_share:.0f} %",
            r.bound or "-",
            "-" if r.held is None else memory(r.held),
        )
        for r in shown
    )
    left = len(found.layers) - len(shown)
    totals = (
        "whole pass", "", _time(found.latency.median), _spread(found.latency), "", si(found.macs),
        f"{si(found.flops_per_second)}FLOP/s", "", "", "", memory(found.peak_bytes),
    )  # fmt: skip
    return Table(
        title=f"{found.model} on {found.device.name}, {_how(found)}",
        columns=(
            Column("layer", narrow=18),
            Column("op", drop=3),
            Column("time", right=True),
            Column("quartiles", right=True, drop=5),
            Column("share", right=True),
            Column("MACs", right=True, drop=2),
            Column("achieved", right=True, drop=4),
            Column("FLOP/B", right=True, drop=7),
            Column("of roof", right=True, drop=1),
            Column("bound", drop=6),
            Column("held", right=True, drop=8),
        ),
        rows=rows,
        totals=totals,
        remarks=tuple(m.sentence for m in found.mismatches),
        notes=(
            *_notes(found),
            *([f"{left} layers below {percent(LEAST_SHARE)} each: --all"] if left else []),
        ),
        paths=True,
    )


def sweep_table(model: str, points: Sequence[Any]) -> Table:
    """`probes.sweep.Point`s."""
    rows = tuple(
        (
            "x".join(map(str, p.size)),
            str(p.batch_size),
            _time(p.latency.median) if p.latency is not None else p.status,
            _spread(p.latency),
            "-" if p.images_per_second is None else f"{p.images_per_second:.2f}",
            "-" if p.peak_bytes is None else memory(p.peak_bytes),
            p.reason,
        )
        for p in points
    )
    return Table(
        title=f"{model}: latency by input size and batch size",
        columns=(
            Column("size"),
            Column("batch", right=True),
            Column("time", right=True),
            Column("quartiles", right=True, drop=2),
            Column("images/s", right=True),
            Column("peak", right=True),
            Column("why not", narrow=16),
        ),
        rows=rows,
    )


def profile_json(found: Any) -> dict[str, Any]:
    """All of a profile as plain values; seconds, bytes, FLOP."""
    return json_value({"schema_version": SCHEMA_VERSION, "generator": GENERATOR, **asdict(found)})  # type: ignore[no-any-return]


def sweep_json(model: str, points: Sequence[Any]) -> dict[str, Any]:
    """All points of a sweep as plain values."""
    data = {"schema_version": SCHEMA_VERSION, "generator": GENERATOR, "model": model}
    return json_value({**data, "points": [asdict(p) for p in points]})  # type: ignore[no-any-return]


def _how(found: Any) -> str:
    parts = ["x".join(map(str, found.input_shape)), found.dtype]
    parts += ["channels-last"] if found.channels_last else []
    parts += ["compiled"] if found.compiled else []
    return ", ".join(parts)


def _notes(found: Any) -> list[str]:
    roof = found.ceilings
    out = [f"{found.images_per_second:.2f} images/s; median of {found.latency.runs} passes after warm-up"]
    if found.layer_sum is not None:
        share = abs(found.unattributed) / found.latency.median
        verdict = "within" if found.adds_up else "beyond"
        side = "less" if found.unattributed > 0 else "more"
        out.append(
            f"layers add up to {_time(found.layer_sum)}, {percent(share)} {side} than the whole pass "
            f"({verdict} {found.margin:.0%})"
        )
    out.append(
        f"roofline measured here: {si(roof.flops_per_second)}FLOP/s by a {roof.matrix}-square matrix "
        f"product, {si(roof.bytes_per_second)}B/s by a copy; ridge at {roof.ridge:.1f} FLOP/byte"
    )
    out.append(f"memory: {found.memory_method}; weights {memory(found.param_bytes)} apart")
    out.append("work: 2 FLOP a MAC, 1 an elementwise operation; traffic: each operand once")
    return out + list(found.notes)


def _time(seconds: float) -> str:
    if math.isnan(seconds):
        return "-"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def _spread(latency: Any) -> str:
    return "-" if latency is None else f"{_time(latency.low)}..{_time(latency.high)}"
