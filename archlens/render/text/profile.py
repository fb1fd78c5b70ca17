"""`archlens profile` as tables and plain values. Takes the probes' results as they are; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from archlens.render.text.table import Column, Table
from archlens.report import GENERATOR, SCHEMA_VERSION, json_value
from archlens.words import NONE, by, count, digits, duration, memory, number, percent, si

LEAST_SHARE = 0.005


def profile_table(found: Any, everything: bool = False) -> Table:
    """A `probes.profile.Profile`: one row a layer that takes time, dearest figures beside each other."""
    shown = [r for r in found.layers if everything or (r.latency is not None and r.share >= LEAST_SHARE)]
    rows = tuple(
        (
            r.name,
            r.op,
            duration(r.latency.median) if r.latency is not None else NONE,
            _spread(r.latency),
            percent(r.share) if r.latency is not None else NONE,
            si(r.macs) if r.macs else NONE,
            f"{si(r.flops_per_second)}FLOP/s" if r.flops_per_second else NONE,
            NONE if r.intensity is None else digits(r.intensity),
            NONE if r.roof_share is None else percent(r.roof_share),
            r.bound or NONE,
            NONE if r.held is None else memory(r.held),
        )
        for r in shown
    )
    left = len(found.layers) - len(shown)
    totals = (
        "whole pass", "", duration(found.latency.median), _spread(found.latency), "", si(found.macs),
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
            *([f"{count(left, 'layer')} below {percent(LEAST_SHARE)} each: --all"] if left else []),
        ),
        paths=True,
    )


def sweep_table(model: str, points: Sequence[Any]) -> Table:
    """`probes.sweep.Point`s."""
    rows = tuple(
        (
            by(p.size),
            number(p.batch_size),
            duration(p.latency.median) if p.latency is not None else p.status,
            _spread(p.latency),
            NONE if p.images_per_second is None else digits(p.images_per_second),
            NONE if p.peak_bytes is None else memory(p.peak_bytes),
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
    parts = [by(found.input_shape), found.dtype]
    parts += ["channels-last"] if found.channels_last else []
    parts += ["compiled"] if found.compiled else []
    return ", ".join(parts)


def _notes(found: Any) -> list[str]:
    roof = found.ceilings
    out = [
        f"{digits(found.images_per_second)} images/s; "
        f"median of {number(found.latency.runs)} passes after warm-up"
    ]
    if found.layer_sum is not None:
        share = abs(found.unattributed) / found.latency.median
        verdict = "within" if found.adds_up else "beyond"
        side = "less" if found.unattributed > 0 else "more"
        out.append(
            f"layers add up to {duration(found.layer_sum)}, {percent(share)} {side} than the whole pass "
            f"({verdict} {percent(found.margin)})"
        )
    out.append(
        f"roofline measured here: {si(roof.flops_per_second)}FLOP/s by a {roof.matrix}-square matrix "
        f"product, {si(roof.bytes_per_second)}B/s by a copy; "
        f"ridge at {digits(roof.ridge)} FLOP/byte"
    )
    out.append(f"memory: {found.memory_method}; weights {memory(found.param_bytes)} apart")
    out.append("work: 2 FLOP a MAC, 1 an elementwise operation; traffic: each operand once")
    return out + list(found.notes)


def _spread(latency: Any) -> str:
    return NONE if latency is None else f"{duration(latency.low)}..{duration(latency.high)}"
