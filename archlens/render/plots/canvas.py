"""Figures without pyplot's state, and their bytes: SVG that follows the page, PNG for print; reproducible."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from archlens.errors import UsageError
from archlens.render.colours import INK, PAPER
from archlens.render.svg import finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")
DPI = 160

STYLES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (1, 1)), (0, (9, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "//", "\\\\")
HEAT = "cividis"
"""One hue from dark to light, made for those who confuse red and green."""

_LOOK: dict[Any, Any] = {
    "svg.hashsalt": "archlens",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.6,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "path.simplify": True,
}


@contextmanager
def look() -> Iterator[None]:
    """matplotlib in our style; the user's own settings come back afterwards."""
    import matplotlib

    with matplotlib.rc_context(_LOOK):
        yield


def figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Figure, list[Axes]]:
    """A figure (inches) and its axes, row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    axes = made.subplots(rows, columns, squeeze=False, **grid)
    return made, [ax for row in axes for ax in row]


def written(made: Figure, form: str, label: str) -> bytes:
    """The bytes of a figure.

    Args:
        form: svg | png | pdf.
        label: What the picture is, for those who cannot see it.

    Raises:
        UsageError: Another form.
    """
    if form not in FORMATS:
        raise UsageError(
            f"cannot draw a {form or 'file without a suffix'}", f"Use one of {', '.join(FORMATS)}."
        )
    out = io.BytesIO()
    if form == "svg":
        made.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return finish(out.getvalue().decode("utf-8"), label).encode("utf-8")
    metadata = (
        {"Software": None} if form == "png" else {"CreationDate": None, "Creator": None, "Producer": None}
    )
    made.savefig(out, format=form, dpi=DPI, facecolor=PAPER, metadata=metadata)
    return out.getvalue()


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]], least: float) -> None:
    """Names beside the ends of lines (x, y, text, colour), moved apart by at least `least` points."""
    figure_of = ax.figure
    places = sorted(
        ((float(ax.transData.transform((x, y))[1]), x, y, text, colour) for x, y, text, colour in ends),
        key=lambda p: p[0],
    )
    scale = 72 / figure_of.dpi
    last = float("-inf")
    for height, x, y, text, colour in places:
        at = max(height * scale, last + least)
        last = at
        ax.annotate(
            text,
            (x, y),
            xytext=(6, at - height * scale),
            textcoords="offset points",
            color=colour,
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
