"""Fields without a period: branches whose jumps differ, and bins that differ from place to place.

Where branches meet whose units stand for unlike numbers of pixels (a map resized by 3.9 beside one of stride
4), unit i reads around one place through one branch and around another through the next, and they drift apart
along the map. Each branch is still periodic. So what is kept is the branches themselves (`Drift`), and the
field of a unit is the hull of theirs. Adaptive bins are listed one by one (`Listed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from archlens.analyses.fields import lattice
from archlens.analyses.fields.lattice import Lattice
from archlens.analyses.fields.taps import reads
from archlens.graph import Geometry

Interval = tuple[int, int] | None


@dataclass(frozen=True)
class Drift:
    """A union of periodic fields, looked at over the positions of one map. It has a `Lattice`'s figures, the
    largest over those positions where they differ.

    Attributes:
        parts: The branches, the one that runs on the map's own grid first.
        units: Positions of the map.
    """

    parts: tuple[Lattice, ...]
    units: int

    @property
    def jump(self) -> Fraction:
        """Of the branch that runs on the map's own grid."""
        return self.parts[0].jump

    def at(self, unit: int) -> Interval:
        """The interval of any unit."""
        return _hull([part.at(unit) for part in self.parts])

    def centre(self, unit: int) -> Fraction | None:
        """Middle of a unit's interval."""
        interval = self.at(unit)
        return None if interval is None else Fraction(interval[0] + interval[1], 2)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The distinct sizes over the map's positions, ascending."""
        found = (self.at(unit) for unit in range(self.units))
        return tuple(sorted({i[1] - i[0] + 1 for i in found if i is not None}))

    @property
    def size(self) -> int:
        """The largest."""
        return max(self.sizes, default=0)

    @property
    def start(self) -> int | None:
        """First position that unit 0 may see; negative with padding."""
        interval = self.at(0)
        return None if interval is None else interval[0]

    @property
    def padding(self) -> int:
        """How far unit 0 reaches beyond the border."""
        return -(self.start or 0)

    @property
    def period(self) -> int:
        """Units to look at to see all: every one."""
        return self.units


Path = Lattice | Drift


@dataclass(frozen=True)
class Listed:
    """The interval of each position of a map, one by one; beyond the map there is none."""

    intervals: tuple[Interval, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The distinct sizes, ascending."""
        return tuple(sorted({i[1] - i[0] + 1 for i in self.intervals if i is not None}))

    def at(self, unit: int) -> Interval:
        """The interval of a unit on the map."""
        return self.intervals[unit] if 0 <= unit < len(self.intervals) else None


Whole = Lattice | Drift | Listed


def apply(geometry: Geometry, source: Path, n_in: int, n_out: int) -> Path | None:
    """The path after one geometry; None where a branch is no longer periodic."""
    if isinstance(source, Lattice):
        return lattice.apply(geometry, source, n_in, n_out)
    parts = [lattice.apply(geometry, part, n_in, n_out) for part in source.parts]
    found = [part for part in parts if part is not None]
    return united(found, n_out, found[0].jump) if len(found) == len(parts) else None


def united(paths: Sequence[Path], units: int, grid: Fraction) -> Path:
    """The hull of several paths.

    Args:
        paths: At least one.
        units: Positions of the map where they meet.
        grid: Pixels of the origin between its units: the branch nearest to it comes first.
    """
    parts = [part for p in paths for part in ([p] if isinstance(p, Lattice) else p.parts)]
    together: list[Lattice] = []
    for part in dict.fromkeys(parts):
        for k, other in enumerate(together):
            if (both := lattice.union([other, part])) is not None:
                together[k] = both
                break
        else:
            together.append(part)
    together.sort(key=lambda p: abs(p.jump - grid))
    return together[0] if len(together) == 1 else Drift(tuple(together), units)


def listed(geometry: Geometry, source: Whole, n_in: int, n_out: int) -> Listed:
    """The field after one geometry, position by position; taps beyond the map read nothing."""
    index = reads(geometry, n_in, n_out)
    return Listed(tuple(_hull([source.at(int(j)) for j in row if j >= 0]) for row in index))


def over(parts: Sequence[Whole], units: int) -> Listed:
    """The hull of several fields over a map's positions."""
    return Listed(tuple(_hull([part.at(unit) for part in parts]) for unit in range(units)))


def _hull(intervals: Sequence[Interval]) -> Interval:
    seen = [i for i in intervals if i is not None]
    return (min(i[0] for i in seen), max(i[1] for i in seen)) if seen else None
