"""The branches of a context module side by side: which cells of the fork's map each of them reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlens.errors import UsageError
from archlens.render.colours import CONTEXT, SERIES
from archlens.render.plots.canvas import figure, look, written
from archlens.report import Report
from archlens.words import by, count, number, percent, px

COLUMNS = 5


@dataclass(frozen=True)
class BranchView:
    """One branch, at the centre unit of the merge.

    Attributes:
        name: Of the branch, inside the module.
        cells: Over the fork's map, True where the branch reads.
        unit: The unit that looks, on that map.
        field: Its field from the image in words.
        energy: Its share of the class-score cell's expected energy; None where that has no rule.
        far: Its share of what comes from outside the centred square of half the image's side.
    """

    name: str
    cells: NDArray[np.bool_]
    unit: tuple[int, ...]
    field: str
    energy: float | None
    far: float | None


def branch_views(report: Report) -> tuple[str, list[BranchView]]:
    """The module's name and its branches.

    Raises:
        UsageError: There is no context module, or its map has not two axes.
    """
    s = report.study
    if s.module is None:
        raise UsageError(
            f"{report.name} has no context module: no three branches of one fork that differ in their fields",
            "Use --figure growth or boxes.",
        )
    fork = s.graph.nodes[s.module.fork]
    if len(fork.positions) != 2:
        raise UsageError(f"the map before {s.module.name} has not two axes", "Use --figure growth.")
    shares = s.branch_shares
    out = []
    for index, branch in enumerate(s.module.branches):
        node = s.graph.nodes[branch.end]
        cells = s.support(branch.end, origin=s.module.fork)
        if cells is None:
            continue
        path = branch.field[0].path
        local = branch.field[0].kind == "local" and path is not None
        out.append(
            BranchView(
                name=branch.name.removeprefix(s.module.name + "."),
                cells=cells,
                unit=node.middle,
                field=f"{px(path.size)} px" if local and path is not None else branch.kind,
                energy=shares[index].share if shares else None,
                far=shares[index].far if shares else None,
            )
        )
    return s.module.name, out


def branches_picture(report: Report, form: str) -> bytes:
    """Panels side by side, one a branch.

    Raises:
        UsageError: As `branch_views`.
    """
    from matplotlib.colors import ListedColormap

    name, views = branch_views(report)
    columns = min(len(views), COLUMNS)
    rows = -(-len(views) // columns)
    with look():
        made, axes = figure(2.05 * columns + 0.3, 2.75 * rows + 0.5, rows, columns)
        for ax in axes[len(views) :]:
            ax.set_axis_off()
        for ax, view in zip(axes, views, strict=False):
            ax.imshow(
                view.cells.astype(float),
                cmap=ListedColormap(["#ededed", SERIES[0]]),
                vmin=0,
                vmax=1,
                interpolation="nearest",
            )
            ax.plot(view.unit[1], view.unit[0], "o", color=CONTEXT, markersize=9, markerfacecolor="none")
            ax.set_title(view.name, fontsize=9)
            ax.set_xticks([0, view.cells.shape[1] - 1])
            ax.set_yticks([0, view.cells.shape[0] - 1])
            ax.tick_params(labelsize=7)
            ax.set_xlabel("\n".join(_words(view)), fontsize=8)
        sides: Any = by(views[0].cells.shape)
        made.suptitle(
            f"{report.name}: cells of the {sides} map that each branch of {name} reads (ring: the unit)",
            fontsize=10,
        )
        return written(made, form, f"Fields of the branches of {name}")


def _words(view: BranchView) -> list[str]:
    lines = [f"{number(int(view.cells.sum()))} of {count(view.cells.size, 'cell')}", f"field {view.field}"]
    if view.energy is not None and view.far is not None:
        lines.append(f"energy {percent(view.energy)}, far {percent(view.far)}")
    return lines
