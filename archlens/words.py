"""How a number is written: in tables, sentences, plots and pages alike, in every language.

Three or four digits that mean something, the unit behind a blank, and never 0 for something.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Number = int | float
NONE = "-"
"""What stands where there is no number."""

_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def number(value: Number) -> str:
    """12345 -> `12,345`; fractions with as few decimals as they need, three at most."""
    if not math.isfinite(value):
        return NONE if math.isnan(value) else "-inf" if value < 0 else "inf"
    if float(value).is_integer():
        return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))
    if abs(value) < 0.0005:
        return "<0.001" if value > 0 else ">-0.001"
    return (f"{value:,.3f}" if abs(value) >= 10_000 else f"{value:.3f}").rstrip("0").rstrip(".")


def digits(value: Number) -> str:
    """1319.535 -> `1320`: three digits that mean something, of what is measured or divided."""
    return number(float(f"{value:.3g}"))


def si(value: Number) -> str:
    """188885763264 -> `188.9 G`. Below 1000 the number itself."""
    return _stepped(value, _STEPS) or number(value)


def memory(value: Number) -> str:
    """16908544 bytes -> `16.1 MiB`."""
    return _stepped(value, _BYTES) or f"{number(value)} B"


def duration(seconds: float) -> str:
    """0.0123 -> `12.3 ms`."""
    if math.isnan(seconds):
        return NONE
    return _stepped(seconds, _SECONDS) or f"{number(round(1e9 * seconds)) if seconds > 5e-10 else '<1'} ns"


def _stepped(value: Number, steps: Sequence[tuple[float, str]]) -> str:
    """A value in the largest unit that it fills, with one decimal, or two below ten."""
    for step, unit in steps:
        if abs(value) >= 0.9995 * step:
            return f"{value / step:,.{2 if abs(value / step) < 9.995 else 1}f} {unit}"
    return ""


def percent(share: float) -> str:
    """0.0123 -> `1.2 %`; never 0 for something, never 100 for less."""
    value = 100 * share
    if abs(value) < 1e-9:
        return "0 %"
    if abs(value) < 0.01:
        return "<0.01 %" if value > 0 else ">-0.01 %"
    if abs(value) < 0.995:
        return f"{value:.2g} %"
    if 99.95 <= abs(value) < 100 - 1e-7:
        return ">99.9 %" if value > 0 else "<-99.9 %"
    return f"{number(round(value))} %" if abs(value) >= 99.95 else f"{value:.1f} %"


def px(value: Number) -> str:
    """A length in pixels: whole from a hundred on, else with a decimal where it needs one."""
    if 0 < value < 0.05:
        return "<0.1"
    return number(round(value)) if abs(value) >= 99.95 else number(round(value, 1))


def times(ratio: float) -> str:
    """3.4412 -> `3.4`: how many times more."""
    if 0 < ratio < 0.05:
        return "<0.1"
    return f"{ratio:.1f}" if ratio < 99.95 else number(round(ratio))


def signed(text: str) -> str:
    """A number with its sign in front: `+1.2 %`, `−1.2 %`; nothing, and a bound, as they are: `<0.01 %`."""
    return text.replace("-", "−") if "-" in text or text.startswith(("<", ">", "0 ")) else f"+{text}"


def points(gain: float) -> str:
    """A difference of two shares in per cent: `+25.0 points`."""
    if 0 < abs(gain) < 0.05:
        return "<0.1 points" if gain > 0 else ">−0.1 points"
    return f"{signed(f'{gain:.1f}')} points"


def measured(value: Number, error: float, write: Callable[[float], str]) -> str:
    """A figure with its standard error: `12.3 ± 0.4`; without one where there is none (NaN)."""
    return write(value) + ("" if math.isnan(error) else f" ± {write(error)}")


def axes(values: Sequence[Number | None] | None) -> str:
    """One number where the axes agree (`7`), else all of them (`7x11`); `-` where there is none."""
    if not values:
        return NONE
    texts = [NONE if v is None else number(v) for v in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def sides(lengths: Sequence[Number]) -> str:
    """Lengths in pixels, one an axis: `404` where they agree, else `404x302`."""
    texts = list(map(px, lengths))
    return (texts[0] if len(set(texts)) == 1 else "x".join(texts)) if texts else NONE


def by(shape: Sequence[int]) -> str:
    """(3, 513, 513) -> `3x513x513`."""
    return "x".join(map(str, shape)) or NONE


def phases(sizes: Sequence[Sequence[Number] | None] | None) -> str:
    """`436|468` where the size depends on the unit's phase; `3x5`, `436|468 x 3` where the axes differ."""
    if not sizes:
        return NONE
    texts = [NONE if s is None else _phases(s) for s in sizes]
    if len(set(texts)) == 1:
        return texts[0]
    return (" x " if any("|" in text for text in texts) else "x").join(texts)


def between(least: Number, most: Number) -> str:
    """The ends of a range of pixels: `31-95`; one number where they agree."""
    return px(least) if least == most else f"{px(least)}-{px(most)}"


def _phases(sizes: Sequence[Number]) -> str:
    if len(sizes) <= 3:
        return "|".join(map(number, sizes))
    return f"{number(min(sizes))}..{number(max(sizes))}"


def count(n: int, one: str, many: str = "") -> str:
    """`1 layer`, `2 layers`."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"
