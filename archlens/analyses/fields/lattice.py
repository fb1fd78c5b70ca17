"""The theoretical field along one axis: a periodic map over an unbounded lattice of units.

Unit i of a layer may see the origin's positions lo(i) .. hi(i). Without borders both are periodic up to a
shift, lo(i + P) = lo(i) + P * jump, so one period of integers says all. A period of 1 is the field of
Araujo, Norris & Sim (Distill 2019): size r, jump j, start; resizes and transposed convolutions need more,
because what a unit sees depends on its phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

from archlens.graph import (
    AdaptivePool,
    Geometry,
    Pad,
    Resize,
    Roll,
    Slice,
    TransposedWindow,
    Window,
)

LONGEST_PERIOD = 4096  # beyond it (a resize between unrelated sizes) the field counts as varying


@dataclass(frozen=True)
class Lattice:
    """One period of intervals. `lo[p]`/`hi[p]` belong to unit p; None where a phase reads nothing."""

    jump: Fraction
    lo: tuple[int | None, ...]
    hi: tuple[int | None, ...]

    @property
    def period(self) -> int:
        """Units after which the field repeats."""
        return len(self.lo)

    @property
    def size(self) -> int:
        """The largest field over the phases, in positions of the origin; 0 where all phases are empty."""
        return max(self.sizes, default=0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The distinct sizes over the phases, ascending."""
        return tuple(sorted({h - low + 1 for low, h in self._filled()}))

    @property
    def start(self) -> int | None:
        """First position that unit 0 may see; negative with padding."""
        return self.lo[0]

    @property
    def padding(self) -> int:
        """How far unit 0 reaches beyond the border: the accumulated (effective) padding."""
        return -(self.lo[0] or 0)

    def at(self, unit: int) -> tuple[int, int] | None:
        """The interval of any unit."""
        turn, phase = divmod(unit, self.period)
        low, high = self.lo[phase], self.hi[phase]
        if low is None or high is None:
            return None
        shift = turn * self._step
        return low + shift, high + shift

    def centre(self, unit: int) -> Fraction | None:
        """Middle of a unit's interval."""
        interval = self.at(unit)
        return None if interval is None else Fraction(interval[0] + interval[1], 2)

    @property
    def _step(self) -> int:
        step = self.jump * self.period
        assert step.denominator == 1
        return step.numerator

    def _filled(self) -> Iterable[tuple[int, int]]:
        return (
            (low, high)
            for low, high in zip(self.lo, self.hi, strict=True)
            if low is not None and high is not None
        )


POINT = Lattice(Fraction(1), (0,), (0,))


def apply(geometry: Geometry, source: Lattice, n_in: int, n_out: int) -> Lattice | None:
    """The lattice after one geometry, or None where the field is no longer periodic.

    Args:
        geometry: Along this axis. `Full` is not handled here.
        source: The field of the units that it reads.
        n_in, n_out: Map sizes; only resizes by size and adaptive pools look at them.
    """
    match geometry:
        case Window(kernel, stride, padding, dilation):
            period = source.period // gcd(source.period, stride)
            taps = [[i * stride - padding + t * dilation for t in range(kernel)] for i in range(period)]
            return _collect(source, source.jump * stride, taps)
        case TransposedWindow(kernel, stride, padding, dilation):
            period = source.period * stride
            taps = [_transposed(i, kernel, stride, padding, dilation) for i in range(period)]
            return _collect(source, source.jump / stride, taps)
        case AdaptivePool():
            if n_in % n_out == 0:
                return apply(Window(n_in // n_out, n_in // n_out), source, n_in, n_out)
            if n_out % n_in == 0:
                return apply(Resize("nearest"), source, n_in, n_out)
            return None
        case Resize():
            return _resize(geometry, source, n_in, n_out)
        case Pad(before, _):
            return apply(Slice(-before), source, n_in, n_out)
        case Roll(shift):
            return apply(Slice(-shift), source, n_in, n_out)
        case Slice(start, step) if step > 0:
            period = source.period // gcd(source.period, step)
            return _collect(source, source.jump * step, [[start + i * step] for i in range(period)])
    return None


def union(parts: Sequence[Lattice]) -> Lattice | None:
    """The hull of several fields, unit by unit; None where they drift apart (different jumps: `drift`)."""
    if len({p.jump for p in parts}) != 1:
        return None
    period = 1
    for p in parts:
        period = period * p.period // gcd(period, p.period)
    if period > LONGEST_PERIOD:
        return None
    lo: list[int | None] = []
    hi: list[int | None] = []
    for i in range(period):
        seen = [interval for p in parts if (interval := p.at(i)) is not None]
        lo.append(min((s[0] for s in seen), default=None))
        hi.append(max((s[1] for s in seen), default=None))
    return _shortest(parts[0].jump, lo, hi)


def agree(parts: Sequence[Lattice]) -> bool:
    """Whether branches are aligned: the same jump and, phase by phase, the same centre."""
    if len({p.jump for p in parts}) > 1:
        return False
    period = lcm(*(p.period for p in parts))
    return all(len({p.centre(i) for p in parts} - {None}) <= 1 for i in range(period))


def _transposed(i: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    reach = (i + padding - t * dilation for t in range(kernel))
    return [r // stride for r in reach if r % stride == 0]


def _resize(geometry: Resize, source: Lattice, n_in: int, n_out: int) -> Lattice | None:
    """Interpolation in rational numbers; borders are ignored, so no source index is clamped."""
    ratio = _ratio(geometry, n_in, n_out)
    if ratio == 0:
        return None
    turns = source.period // gcd(ratio.numerator, source.period)
    period = ratio.denominator * turns
    if period > LONGEST_PERIOD:
        return None
    half = Fraction(1, 2)
    taps = []
    for i in range(period):
        position = i * ratio if geometry.align_corners else (i + half) * ratio - half
        low = position.numerator // position.denominator
        exact = position.denominator == 1
        match geometry.mode:
            case "nearest":
                taps.append([(i * ratio).numerator // (i * ratio).denominator])
            case "nearest-exact":
                middle = (i + half) * ratio
                taps.append([middle.numerator // middle.denominator])
            case "linear":
                taps.append([low] if exact else [low, low + 1])
            case "cubic":
                taps.append([low] if exact else [low - 1, low, low + 1, low + 2])
    return _collect(source, source.jump * ratio, taps)


def _ratio(geometry: Resize, n_in: int, n_out: int) -> Fraction:
    """Source positions per output position."""
    if geometry.align_corners:
        return Fraction(n_in - 1, n_out - 1) if n_out > 1 else Fraction(0)
    if geometry.scale:
        return 1 / Fraction(geometry.scale).limit_denominator(1_000_000)
    return Fraction(n_in, n_out)


def _collect(source: Lattice, jump: Fraction, taps: Sequence[Sequence[int]]) -> Lattice:
    lo: list[int | None] = []
    hi: list[int | None] = []
    for reads in taps:
        seen = [interval for j in reads if (interval := source.at(j)) is not None]
        lo.append(min((s[0] for s in seen), default=None))
        hi.append(max((s[1] for s in seen), default=None))
    return _shortest(jump, lo, hi)


def _shortest(jump: Fraction, lo: list[int | None], hi: list[int | None]) -> Lattice:
    """The same map with its least period."""
    n = len(lo)
    for period in range(1, n + 1):
        step = jump * period
        if n % period or step.denominator != 1:
            continue
        shift = step.numerator
        if all(_shifted(v[i], shift) == v[i + period] for v in (lo, hi) for i in range(n - period)):
            return Lattice(jump, tuple(lo[:period]), tuple(hi[:period]))
    raise AssertionError("a period of jump * n units is always an integer")


def _shifted(value: int | None, shift: int) -> int | None:
    return None if value is None else value + shift
