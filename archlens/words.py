"""Numbers, shapes and fields in the words of a table. Short, and the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `models` has numbers to write and no report to read
    from archlens.report import FieldReport, Visible

Number = int | float
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def si(value: Number) -> str:
    """188885763264 -> `188.9 G`. Below 1000 the number itself."""
    for step, letter in _STEPS:
        if abs(value) >= 0.9995 * step:
            return f"{_three(value / step)} {letter}"
    return number(value)


def memory(value: Number) -> str:
    """16908544 bytes -> `16.1 MiB`."""
    for step, unit in _BYTES:
        if abs(value) >= 0.9995 * step:
            return f"{_three(value / step)} {unit}"
    return f"{number(value)} B"


def _three(value: float) -> str:
    """Three significant digits, or the whole number."""
    digits = 2 if abs(value) < 9.995 else 1
    return f"{value:.{digits}f}"


def number(value: Number) -> str:
    """Whole numbers without a point, others with as few decimals as they need, three at most."""
    if isinstance(value, int) or float(value).is_integer():
        return str(int(value))
    return f"{value:.3f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """0.0123 -> `1.2 %`; never `0.0 %` for something."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if share < 0.9995 else "100 %"


def axes(values: Sequence[Number | None] | None) -> str:
    """One number where the axes agree (`7`), else all of them (`7x11`); `-` where there is none."""
    if not values:
        return "-"
    texts = ["-" if v is None else number(v) for v in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def by(shape: Sequence[int]) -> str:
    """(3, 513, 513) -> `3x513x513`."""
    return "x".join(map(str, shape)) or "-"


def phases(sizes: Sequence[Sequence[Number] | None] | None) -> str:
    """`436|468` where the size depends on the phase of the unit."""
    if not sizes:
        return "-"
    texts = ["-" if s is None else _phases(s) for s in sizes]
    return texts[0] if len(set(texts)) == 1 else " x ".join(texts)


def _phases(sizes: Sequence[Number]) -> str:
    if len(sizes) <= 3:
        return "|".join(map(number, sizes))
    return f"{number(min(sizes))}..{number(max(sizes))}"


def size_words(field: FieldReport | None) -> str:
    """The theoretical size: `1411`, `436|468`, `global (local 495)`, `varies`, `unknown: op`."""
    if field is None:
        return "none"
    if field.kind == "local":
        return phases(field.sizes)
    if field.kind == "unknown":
        return f"unknown: {field.reason}" if field.reason else "unknown"
    if field.local is not None and field.local.sizes:
        return f"{field.kind} (local {phases(field.local.sizes)})"
    return field.kind


def box(visible: Visible | None, image: Sequence[int]) -> str:
    """Rows and columns of a visible box, `253..259`; a bracket at the image's edge: `[0..300`."""
    if visible is None:
        return "nothing"
    if len(visible.lo) != len(image):
        return "-"
    if visible.size == tuple(image):
        return "whole image"
    sides = []
    for low, high, side in zip(visible.lo, visible.hi, image, strict=True):
        sides.append(f"{'[' if low == 0 else ''}{low}..{high}{']' if high == side - 1 else ''}")
    return sides[0] if len(set(sides)) == 1 else " x ".join(sides)


def box_share(visible: Visible | None, image: Sequence[int]) -> float | None:
    """Share of the image inside the box."""
    if visible is None or len(visible.lo) != len(image):
        return None
    return math.prod(visible.size) / math.prod(image)
