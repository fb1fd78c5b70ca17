"""`archlens diff` as a table: figures that moved, then the layers that differ."""

from __future__ import annotations

import math
from typing import Any

from archlens.findings.diff import Diff, LayerChange
from archlens.findings.figures import LIMITS
from archlens.render.text.table import Column, Table
from archlens.words import NONE, axes, by, count, number, percent, signed

_MARK = {"added": "+", "removed": "-", "changed": "~", "renamed": ">"}


def diff_table(found: Diff) -> Table:
    """Old and new side by side, and by how much a figure moved."""
    rows = [
        (LIMITS[f.figure].label, figure(f.old), figure(f.new), change(f.percent))
        for f in found.figures
        if f.old != f.new
    ]
    first = len(rows)
    rows += [row for change in found.layers for row in _layer(change)]
    ends = [f"{r.spec} at {by(r.input_shape[1:])}" for r in (found.old, found.new)]
    groups = [(0, "figures of the whole")] if first else []
    if found.layers:
        said = f"{count(len(found.layers), 'layer')}: + added, - removed, ~ changed, > renamed"
        groups.append((first, said))
    return Table(
        title=" -> ".join(ends),
        columns=(
            Column("what"),
            Column("old", right=True, narrow=20),
            Column("new", right=True, narrow=20),
            Column("change", right=True),
        ),
        rows=tuple(rows),
        notes=("no difference",) if found.same else (),
        groups=tuple(groups),
    )


def figure(value: float | None) -> str:
    """A figure of budgets and baselines: an infinite field is a global one."""
    if value is None:
        return "unknown"
    return "global" if value == math.inf else number(value)


def change(moved: float | None) -> str:
    """A change in per cent, `+1.2 %`."""
    return "" if moved is None else signed(percent(moved / 100))


def _layer(c: LayerChange) -> list[tuple[str, str, str, str]]:
    name = f"{c.old} -> {c.new}" if c.kind == "renamed" else str(c.new or c.old)
    rows = [(f"{_MARK[c.kind]} {name}", "", "", "")]
    for key, (old, new) in c.changes.items():
        if old or new:
            rows.append((f"· {key}", _value(old), _value(new), ""))
    return rows


def _value(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, tuple):
        return axes(value) if len(set(value)) == 1 else by(value)
    return number(value) if isinstance(value, (int, float)) else str(value)
