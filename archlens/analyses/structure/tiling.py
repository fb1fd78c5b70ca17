"""The overlap that tiled inference needs, each side by itself, and the grid that tiles must start on.

A tile's output equals the whole image's where no unit's field crosses the tile's edge. For an output at
position y that reads lo(y) .. hi(y), that takes y - lo(y) pixels before it and hi(y) - y after it; the
margin is the most over the phases. Networks that are not symmetric need different margins on either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

from archlens.analyses.fields.drift import Path
from archlens.analyses.fields.theoretical import Field


@dataclass(frozen=True)
class Tiling:
    """Per axis of the input.

    Attributes:
        before, after: Pixels that a tile needs beyond what it answers for: top and bottom, left and right.
        multiple: Tiles must start at multiples of this many pixels, or the strided grid shifts.
        exact: False where something reads the whole input: then no overlap makes tiles equal to the whole
            image, and the margins are those of the finite paths.
        source: The node that reads the whole input, or whose bins depend on the position.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    multiple: tuple[int, ...]
    exact: bool
    source: int | None


def tiling(fields: Sequence[Field | None], output: int) -> Tiling | None:
    """Margins of the output's pixels; None where no finite path exists."""
    field = fields[output]
    if not field:
        return None
    before, after, multiple = [], [], []
    for axis, part in enumerate(field):
        if part.path is None:
            return None
        left, right = margins(part.path)
        before.append(left)
        after.append(right)
        multiple.append(_multiple(fields, output, axis))
    worst = next((part for part in field if part.kind != "local"), None)
    return Tiling(
        tuple(before), tuple(after), tuple(multiple), worst is None, None if worst is None else worst.source
    )


def margins(path: Path) -> tuple[int, int]:
    """(before, after): how far a unit's field reaches beyond the pixels that the unit stands for."""
    before = after = 0
    for phase in range(path.period):
        interval = path.at(phase)
        if interval is None:
            continue
        # Unit i stands for the pixels from i * jump to the next unit's.
        first = int(phase * path.jump)
        last = max(first, -int(-((phase + 1) * path.jump) // 1) - 1)
        before, after = max(before, first - interval[0]), max(after, interval[1] - last)
    return before, after


def _multiple(fields: Sequence[Field | None], output: int, axis: int) -> int:
    """The least shift of the input that shifts every strided map on the way by whole cells."""
    strides = [1]
    for field in fields[: output + 1]:
        path = field[axis].path if field else None
        if path is not None and path.jump.denominator == 1:
            strides.append(path.jump.numerator)
    return lcm(*strides)
