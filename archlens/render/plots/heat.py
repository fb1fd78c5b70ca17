"""One unit's effective field as a picture: its energy, box and squares; or the support with its holes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from archlens.errors import UsageError
from archlens.render.colours import CONTEXT, INK, PAPER, SERIES
from archlens.render.plots.canvas import HEAT, figure, look, written
from archlens.shades import thinned
from archlens.unit_field.result import FieldMap
from archlens.words import by, number, percent, px

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLOOR = 1e-6
"""Share of the brightest cell where a logarithmic scale ends."""

MARGIN = 0.08
"""Of the box's side, around a support."""


@dataclass(frozen=True)
class Heat:
    """What is drawn.

    Attributes:
        map: Over rows and columns: energy, or True where the support touches.
        centre: Of the unit, in the map.
        box: (top, left, bottom, right) of the visible box, inclusive; None where unknown.
        squares: Percent of the energy -> side of the centred square that holds it.
        window: (top, left, bottom, right) that is shown.
    """

    map: NDArray[Any]
    centre: tuple[float, float]
    box: tuple[int, int, int, int] | None
    squares: Mapping[int, float]
    window: tuple[int, int, int, int]


def heat(found: FieldMap) -> Heat:
    """The data of the picture.

    Raises:
        UsageError: There is no map, or it has not two axes.
    """
    if found.map is None:
        reason = found.reason or "nothing reaches it"
        raise UsageError(
            f"there is no {found.method} map of {found.layer}: {reason}", "Leave -o out to see why."
        )
    if found.map.ndim != 2:
        raise UsageError(f"a picture needs a map of two axes, not {found.map.ndim}", "Write an .npz instead.")
    rows, columns = found.map.shape
    box = None
    if found.visible is not None:
        (top, left), (bottom, right) = found.visible
        box = (top, left, bottom, right)
    window = (0, 0, rows - 1, columns - 1)
    if found.map.dtype == bool and box is not None:
        pad = max(2, round(MARGIN * max(box[2] - box[0], box[3] - box[1])))
        window = (
            max(box[0] - pad, 0),
            max(box[1] - pad, 0),
            min(box[2] + pad, rows - 1),
            min(box[3] + pad, columns - 1),
        )
    return Heat(found.map, (found.centre[0], found.centre[1]), box, found.squares, window)


def field_picture(found: FieldMap, form: str, *, log: bool = False) -> bytes:
    """The picture's bytes; `log` for a logarithmic colour scale.

    Raises:
        UsageError: No map of two axes, or an unknown form.
    """
    data = heat(found)
    with look():
        made, (ax,) = figure(6.4, 6.2)
        if data.map.dtype == bool:
            _support(ax, data)
        else:
            what = "share in the unit" if found.details.get("projective") else "energy"
            _energy(ax, data, log, what)
        unit = ", ".join(map(str, found.unit))
        title, cells = f"{found.method} field of {found.layer} [{unit}]", found.origin
        if found.details.get("projective"):
            title, cells = f"units of {found.layer} that {found.origin} [{unit}] reaches", found.layer
        ax.set_title(f"{found.name}: {title}")
        axis = "px" if cells == "input" else f"cells of {cells}"
        ax.set_xlabel(f"column, {axis}")
        ax.set_ylabel(f"row, {axis}")
        # Below everything, where the layout keeps room for it: beside the axes alone it would be cut off.
        if ax.get_legend_handles_labels()[0]:
            made.legend(loc="outside lower center", ncols=2)
        return written(made, form, f"{found.method} field of {found.layer}")


def _energy(ax: Axes, data: Heat, log: bool, what: str) -> None:
    from matplotlib.colors import LogNorm, PowerNorm

    cells = thinned(data.map)
    cells = cells / cells.max()
    floor = max(FLOOR, float(cells[cells > 0].min()))
    norm = LogNorm(min(floor, 0.5), 1) if log else PowerNorm(0.5, 0, 1)
    image = _image(ax, np.maximum(cells, floor) if log else cells, data, cmap=HEAT, norm=norm)
    assert ax.figure is not None
    scale = "logarithmic" if log else "square root"
    ax.figure.colorbar(image, ax=ax, label=f"{what}, relative to the peak ({scale} scale)", shrink=0.85)
    _box(ax, data)
    for (share, side), style in zip(data.squares.items(), (":", "-.", "--", "-"), strict=False):
        _outline(ax, data.centre, side, style, f"{share} % of the energy: {px(side)} px")


def _support(ax: Axes, data: Heat) -> None:
    from matplotlib.colors import ListedColormap

    top, left, bottom, right = data.window
    part = data.map[top : bottom + 1, left : right + 1]
    big = max(part.shape) > 700
    cells = thinned(part, 512) if big else part.astype(float)
    # Cells of a thinned map hold shares: any that is touched shows, more where it is denser.
    shades = "Blues" if big else ListedColormap(["#f2f2f2", SERIES[0]])
    _image(ax, cells, data, cmap=shades, vmin=0, vmax=1)
    _box(ax, data)
    if data.box is not None:
        inside = data.map[data.box[0] : data.box[2] + 1, data.box[1] : data.box[3] + 1]
        holes = 1 - float(inside.mean())
        ax.plot([], [], " ", label=f"{number(int(inside.sum()))} touched, {percent(holes)} holes")


def _image(ax: Axes, cells: NDArray[Any], data: Heat, **how: Any) -> Any:
    top, left, bottom, right = data.window
    return ax.imshow(
        cells, extent=(left - 0.5, right + 0.5, bottom + 0.5, top - 0.5), interpolation="nearest", **how
    )


def _box(ax: Axes, data: Heat) -> None:
    """The visible box, white below its colour so that it shows on any cell."""
    from matplotlib.patches import Rectangle

    if data.box is None:
        return
    top, left, bottom, right = data.box
    size = (right - left + 1, bottom - top + 1)
    for colour, width, label in (
        (PAPER, 3.2, None),
        (CONTEXT, 1.6, f"visible box: {by(size[::-1])}"),
    ):
        ax.add_patch(
            Rectangle(
                (left - 0.5, top - 0.5), *size, fill=False, edgecolor=colour, linewidth=width, label=label
            )
        )


def _outline(ax: Axes, centre: tuple[float, float], side: float, style: str, label: str) -> None:
    from matplotlib.patches import Rectangle

    corner = (centre[1] - side / 2, centre[0] - side / 2)
    for colour, width, name in (("#000000", 2.6, None), ("#ffffff", 1.3, None)):
        ax.add_patch(
            Rectangle(
                corner,
                side,
                side,
                fill=False,
                edgecolor=colour,
                linewidth=width,
                linestyle=style if colour == "#ffffff" else "-",
                alpha=1 if colour == "#ffffff" else 0.55,
                label=name,
            )
        )
    ax.plot([], [], linestyle=style, color=INK, label=label)
