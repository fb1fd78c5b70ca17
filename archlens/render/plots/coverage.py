"""How much of the image each output cell sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archlens.errors import UsageError
from archlens.render.colours import PAPER, TEXT
from archlens.render.plots.canvas import HEAT, figure, look, written
from archlens.report import Report
from archlens.words import percent


def coverage_map(report: Report) -> NDArray[np.float64]:
    """Share of the image's area inside the visible box of each class-score cell, (H, W).

    Raises:
        UsageError: What the cells see is unknown, or the map has not two axes.
    """
    shares = report.study.seen_shares(report.study.cell)
    if shares is None:
        raise UsageError(f"what {report.class_score} sees is unknown", "`archlens rf` names the operation.")
    if shares.ndim != 2:
        raise UsageError(
            f"{report.class_score} has no map of two axes", "Give a layer that has one with --at."
        )
    return shares


def coverage_picture(report: Report, form: str) -> bytes:
    """The map with its figures at the corner, the edge and the centre.

    Raises:
        UsageError: As `coverage_map`.
    """
    shares = coverage_map(report)
    with look():
        made, (ax,) = figure(5.8, 4.8)
        image = ax.imshow(shares, cmap=HEAT, vmin=0, vmax=1, interpolation="nearest")
        bar = made.colorbar(image, ax=ax, label="share of the image inside the visible box", shrink=0.9)
        bar.set_ticks([0, 0.25, 0.5, 0.75, 1])
        if float(np.ptp(shares)) > 0:
            lines = ax.contour(shares, levels=[0.25, 0.5, 0.75, 0.999], colors=PAPER, linewidths=0.8)
            ax.clabel(lines, fmt=lambda v: "all" if v > 0.99 else percent(v), fontsize=7)
        for name, at in report.study.places.items():
            corner = name == "corner"
            ax.annotate(
                f"{name} {percent(float(shares[at]))}",
                (at[1], at[0]),
                xytext=(4 if corner else 0, -9),
                ha="left" if corner else "center",
                textcoords="offset points",
                va="top",
                fontsize=8,
                color=TEXT,
                bbox={
                    "boxstyle": "round,pad=0.2",
                    "facecolor": PAPER,
                    "edgecolor": "none",
                    "alpha": 0.85,
                },
            )
        ax.set_title(f"{report.name}: what each cell of {report.class_score} sees")
        ax.set_xlabel(
            f"column; mean {percent(float(shares.mean()))}, all of the image: "
            f"{percent(float((shares >= 1).mean()))} of the cells"
        )
        ax.set_ylabel("row")
        return written(made, form, "Share of the image that each cell sees")
