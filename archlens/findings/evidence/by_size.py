"""By input size: where a rate degenerates, where a trunk stops covering the image. Geometry only."""

from __future__ import annotations

from dataclasses import dataclass

from archlens.study import Study


@dataclass(frozen=True)
class RateAtSize:
    """A branch's (or the head's) widest dilated window on its map at one input size."""

    layer: str
    rate: int
    map: int
    taps: int
    mean_taps: float
    centre_taps: int


@dataclass(frozen=True)
class AtSize:
    """A network at one input size.

    Attributes:
        side: Of the input, px.
        field: Theoretical field of the cell along its finite ways, px.
        trunk: That of the map that the head reads, px.
        trunk_share: The same over the image's side: below 1 the trunk does not cover the image.
        seen, least: Mean and least share of the image's area that a cell sees.
        rates: The head's dilated windows.
        macs: At this size.
    """

    side: int
    field: int | None
    trunk: int | None
    trunk_share: float | None
    seen: float | None
    least: float | None
    rates: tuple[RateAtSize, ...]
    macs: int


def at_size(s: Study) -> AtSize:
    """The figures of a network that depend on the input size."""
    side = s.image[0] if s.image else 0
    trunk = None if s.head_input is None else _finite(s, s.head_input)
    seen = s.coverage
    windows = [(b, s.widest_window(b)) for b in s.module.branches] if s.module else []
    return AtSize(
        side,
        _finite(s, s.cell),
        trunk,
        trunk / side if trunk is not None and side else None,
        seen.mean if seen else None,
        seen.least if seen else None,
        tuple(
            RateAtSize(b.name, w.rate, w.map[0], w.taps, w.mean_taps, w.centre)
            for b, w in windows
            if w is not None and w.rate > 1
        ),
        sum(n.macs for n in s.graph.nodes),
    )


def _finite(s: Study, node: int) -> int | None:
    """A node's field along its finite ways, px; None where there are none."""
    field = s.fields()[node]
    return field[0].path.size if field and field[0].path is not None else None
