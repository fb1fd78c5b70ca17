"""`archlens diff` as text and markdown."""

from __future__ import annotations

from typing import Any

from archlens.findings.diff import Diff, FigureChange, LayerChange
from archlens.render.text.checks import number

_MARK = {"added": "+", "removed": "-", "changed": "~", "renamed": ">"}


def text(found: Diff) -> str:
    """Figures that moved, then the layers that differ."""
    lines = [
        f"old  {_who(found.old.spec, found.old.input_shape)}",
        f"new  {_who(found.new.spec, found.new.input_shape)}",
        "",
    ]
    if found.same:
        return "\n".join([*lines, "no difference"])
    moved = [f for f in found.figures if f.old != f.new]
    rows = [(f.figure, number(f.old), number(f.new), _percent(f)) for f in moved]
    if rows:
        head = ("figure", "old", "new", "change")
        widths = [max(len(r[i]) for r in [head, *rows]) for i in range(4)]
        for row in [head, *rows]:
            cells = [row[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
    else:
        lines.append("the figures of the whole are the same")
    lines += [
        "",
        f"{len(found.layers)} layers differ (+ added, - removed, ~ changed, > renamed)"
        if found.layers
        else "",
    ]
    lines += [_layer(c) for c in found.layers]
    return "\n".join(lines).rstrip()


def markdown(found: Diff) -> str:
    """The same as tables."""
    lines = [f"### {found.old.spec} → {found.new.spec}", ""]
    if found.same:
        return "\n".join([*lines, "No difference."])
    lines += ["| figure | old | new | change |", "|---|---:|---:|---:|"]
    lines += [
        f"| {f.figure} | {number(f.old)} | {number(f.new)} | {_percent(f)} |"
        for f in found.figures
        if f.old != f.new
    ]
    if found.layers:
        lines += ["", "| | layer | what |", "|---|---|---|"]
        for c in found.layers:
            lines.append(f"| {_MARK[c.kind]} | `{_name(c)}` | {_what(c).replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def _who(spec: str, shape: tuple[int, ...]) -> str:
    return f"{spec} at {'x'.join(map(str, shape[1:]))}"


def _percent(f: FigureChange) -> str:
    return "" if f.percent is None else f"{f.percent:+.2f} %"


def _layer(c: LayerChange) -> str:
    return f"{_MARK[c.kind]} {_name(c)}  {_what(c)}".rstrip()


def _name(c: LayerChange) -> str:
    return f"{c.old} -> {c.new}" if c.kind == "renamed" else str(c.new or c.old)


def _what(c: LayerChange) -> str:
    parts = []
    for key, (old, new) in c.changes.items():
        if c.kind in ("added", "removed"):
            value = new if c.kind == "added" else old
            if value:
                parts.append(f"{key} {_value(value)}")
        else:
            parts.append(f"{key} {_value(old)} -> {_value(new)}")
    return ", ".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
