"""What a unit uses of a map, in few numbers: see `lens`, which finds them. Apart from it, since a figure that
was kept is read where no walk is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Use:
    """What the centre unit uses of a map (the image, or the map that the head reads).

    Attributes:
        sides: Percent of the energy -> side of the smallest centred square that holds it, in cells of that
            map (pixels of the image).
        relative: The same as a share of the map's side.
        far: Share of the pixel energy that is far.
        coherent_far: The far region's share of the coherent responses to a near and a far change.
        gathering: Coherent response of the far region over its pixel energy; 1: nothing is gathered.
        border: Energy on the outermost 2 % of the map.
        assumptions: What the expectation is taken over.
        missing: Operations without a rule; then the figures are None.
    """

    sides: dict[int, float] | None = None
    relative: dict[int, float] | None = None
    far: float | None = None
    coherent_far: float | None = None
    gathering: float | None = None
    border: float | None = None
    assumptions: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why there are no figures."""
        return no_rule(self.missing) or "nothing reaches the unit"

    @property
    def known(self) -> bool:
        """Whether there are figures."""
        return self.far is not None


def no_rule(missing: Sequence[str]) -> str:
    """Operations without a rule as a reason, "" where nothing is missing."""
    return "no rule for " + ", ".join(missing) if missing else ""


def far_part(far: float, near: float) -> float | None:
    """The far share of two responses; None where they are too large or too small to tell."""
    whole = far + near
    return far / whole if 0 < whole < inf else None
