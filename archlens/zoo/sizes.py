"""Which input sizes a network takes. One rule, used by the catalogue and by the networks' own forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archlens.errors import InputSizeError


@dataclass(frozen=True)
class SizeRule:
    """Legal heights and widths, in pixels: `minimum` to `maximum`, `remainder` modulo `multiple`.

    Both axes follow the same rule, each for itself.
    """

    minimum: int = 1
    multiple: int = 1
    remainder: int = 0
    maximum: int | None = None

    def allows(self, length: int) -> bool:
        """Whether an axis may have this length."""
        inside = self.minimum <= length and (self.maximum is None or length <= self.maximum)
        return inside and length % self.multiple == self.remainder

    def nearest(self, length: int) -> tuple[int, ...]:
        """The legal lengths on either side of `length`, at least one; `length` alone where it is legal."""
        if self.allows(length):
            return (length,)
        below = length - (length - self.remainder) % self.multiple
        first = self.minimum + (self.remainder - self.minimum) % self.multiple
        candidates = [max(below, first), max(below + self.multiple, first)]
        if self.maximum is not None:
            last = self.maximum - (self.maximum - self.remainder) % self.multiple
            candidates = [min(candidate, last) for candidate in candidates]
        return tuple(sorted({candidate for candidate in candidates if self.allows(candidate)}))

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return f"{self.minimum}"
        parts = []
        if self.multiple > 1:
            parts.append(f"{self.multiple} m + {self.remainder}" if self.remainder else f"{self.multiple} m")
        parts.append(f"at least {self.minimum}")
        if self.maximum is not None:
            parts.append(f"at most {self.maximum}")
        return ", ".join(parts)

    def check(self, network: str, size: Sequence[int]) -> None:
        """Raise InputSizeError, naming the nearest legal sizes, unless (height, width) is legal."""
        if all(self.allows(length) for length in size):
            return
        choices = [self.nearest(length) for length in size]
        smaller = "x".join(str(choice[0]) for choice in choices)
        larger = "x".join(str(choice[-1]) for choice in choices)
        near = smaller if smaller == larger else f"{smaller} and {larger}"
        raise InputSizeError(
            f"{network} cannot take an input of {'x'.join(map(str, size))} pixels: "
            f"height and width must be {self}.",
            hint=f"Nearest legal: {near}.",
        )


ANY = SizeRule()
"""Networks that resize their scores to the input's size, whatever it is."""

ZOOM8 = SizeRule(minimum=1, multiple=8, remainder=1)
"""Output stride 8 with a corners-aligned zoom by 8: m + 1 cells make 8 m + 1 pixels."""

ZOOM8_CROPPED = SizeRule(minimum=2, multiple=8, remainder=2)
"""DeepLabv1's 4x4 and 7x7 nets: pool4 adds a cell, the zoom by 8 is cropped by 7 and 8 pixels."""

ZOOM8_SCORES = SizeRule(minimum=2)
"""The same nets as trained, up to the score map: pool4, 2x2 without padding, needs two cells."""

DILATED = SizeRule(minimum=187)
"""A reflected margin of 186 pixels needs one pixel more than that."""

ALEXNET = SizeRule(minimum=227, maximum=227)
"""Dense layers over a 6x6 map, which comes from this crop."""
