"""Pictures of the page that need no script: what a cell sees, and the folded graph."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from archlens.errors import MissingPackageError
from archlens.render.graph.dot import graph_element
from archlens.render.page.use import png
from archlens.report import Report
from archlens.shades import Shades

ENERGY = (20, 28, 40)
"""Colour of the expected field over the box, on light and (inverted by the stylesheet) on dark pages."""


@dataclass(frozen=True)
class Picture:
    """An SVG element; `rows` says which layers (by their index) each of its ids stands for."""

    svg: Markup
    rows: dict[str, list[int]]


def graph_picture(report: Report, index: int) -> Picture | None:
    """The folded graph; None where nothing is installed that lays graphs out."""
    try:
        svg, ids = graph_element(report, f"g{index}-")
    except MissingPackageError:
        return None
    places = {row.name: i for i, row in enumerate(report.layers)}
    rows: dict[str, list[int]] = {}
    for name, place in ids.items():
        rows.setdefault(place, []).append(places[name])
    return Picture(Markup(svg), {place: sorted(found) for place, found in rows.items()})


def still(report: Report, used: Shades | None) -> Markup:
    """The input with the visible box of the centre class-score cell and the energy that it expects."""
    image = report.input_shape[2:]
    field = report.cell.rf if report.class_score != "input" else None
    if len(image) != 2 or report.origin is not None:
        return Markup("")
    height, width = image
    parts = [Markup('<rect width="{}" height="{}" fill="none"/>').format(width, height)]
    if used is not None:
        parts.append(
            Markup(
                '<image class="energy" href="{}" width="{}" height="{}" preserveAspectRatio="none"/>'
            ).format(png(used, ENERGY), width, height)
        )
    seen = field.visible if field is not None else None
    if seen is not None and len(seen.lo) == 2:
        (top, left), (bottom, right) = seen.lo, seen.hi
        parts.append(
            Markup('<rect class="seen" x="{}" y="{}" width="{}" height="{}"/>').format(
                left, top, right - left + 1, bottom - top + 1
            )
        )
    label = f"What the centre of {report.class_score} sees of the input, {height}x{width}"
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, escape(label), Markup("").join(parts)
    )
