"""How the field grows along depth: theoretical, visible, and what is used; several networks overlaid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archlens.render.colours import INK, SERIES
from archlens.render.plots.canvas import MARKERS, figure, label_ends, look, written
from archlens.report import Report
from archlens.study import Study
from archlens.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 20
"""Layers of a network whose effective field is derived: a walk back through the network each."""

PERCENT = (50, 95)


@dataclass(frozen=True)
class GrowthLine:
    """One network's growth, along the widest way to the class-score cell.

    Attributes:
        name: The network.
        image: Side of its input, px.
        layers: Layers that compute or widen, in order: the depth.
        theoretical: Their fields (the finite path where the field is global), px.
        visible: Side of what their centre unit sees at this size, px; None where unknown.
        used: Percent of the energy -> (depth, side of the square that holds it) of some of the layers.
        stages: (name, first depth, last depth).
        global_from: Depth from which a unit's field is the whole input, whatever its size.
    """

    name: str
    image: int
    layers: tuple[str, ...]
    theoretical: tuple[int, ...]
    visible: tuple[int | None, ...]
    used: dict[int, tuple[tuple[int, float], ...]]
    stages: tuple[tuple[str, int, int], ...]
    global_from: int | None


def growth_line(report: Report, name: str = "", points: int = POINTS) -> GrowthLine | None:
    """The data of one line; None where nothing has a finite field.

    Args:
        points: Layers whose effective field is derived; 0 for none.
    """
    s = report.study
    way = [g for g in s.way if g.added or report.layer(s.name(g.node)).macs]
    if not way or not s.image:
        return None
    visible = []
    for g in way:
        seen = s.seen(g.node) if s.graph.nodes[g.node].positions else None
        visible.append(None if seen is None else seen[1][0] - seen[0][0] + 1)
    kinds = [field[0].kind if (field := s.fields()[g.node]) else "" for g in way]
    depth = {g.node: i for i, g in enumerate(way)}
    stages = []
    for stage, layers in s.strides:
        inside = [depth[g.node] for g in layers if g.node in depth]
        if inside:
            stages.append((stage, inside[0], inside[-1]))
    return GrowthLine(
        name=name or report.name,
        image=s.image[0],
        layers=tuple(s.name(g.node) for g in way),
        theoretical=tuple(g.after for g in way),
        visible=tuple(visible),
        used=_used(s, [g.node for g in way], points),
        stages=tuple(stages),
        global_from=kinds.index("global") if "global" in kinds else None,
    )


def _used(s: Study, nodes: Sequence[int], points: int) -> dict[int, tuple[tuple[int, float], ...]]:
    """Sides of the squares that hold the energy, at some depths: evenly spread, the last one always."""
    if not points:
        return {}
    step = max(1, -(-len(nodes) // points))
    chosen = sorted({*range(0, len(nodes), step), len(nodes) - 1})
    out: dict[int, list[tuple[int, float]]] = {p: [] for p in PERCENT}
    for depth in chosen:
        if not s.graph.nodes[nodes[depth]].positions:
            continue
        found = s.lens.use(nodes[depth])
        for percent in PERCENT:
            if found.sides is not None and percent in found.sides:
                out[percent].append((depth, found.sides[percent]))
    return {p: tuple(values) for p, values in out.items() if values}


def growth_picture(lines: Sequence[GrowthLine], form: str) -> bytes:
    """The picture's bytes: a line style a quantity; a colour, a marker and a label a network."""
    with look():
        made, (ax,) = figure(7.6, 4.8)
        deepest = max(len(line.layers) for line in lines)
        ax.set_xlim(-0.5, (deepest - 1) * (1.02 if len(lines) == 1 else 1.2) + 0.5)
        top = max(max(line.theoretical) for line in lines)
        ax.set_yscale("log", base=2)
        ax.set_ylim(1, 1.6 * max(top, max(line.image for line in lines)))
        from matplotlib.ticker import FuncFormatter

        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: number(y)))
        for side in sorted({line.image for line in lines}):
            ax.axhline(side, color=INK, linewidth=1.1, linestyle=(0, (8, 3)))
            ax.annotate(
                f"input {number(side)} px",
                (0.005, side),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
        for index, line in enumerate(lines):
            _line(ax, line, index)
        if len(lines) == 1:
            _stages(ax, lines[0])
            made.suptitle(f"{lines[0].name}: how the field grows", fontsize=10)
        else:
            made.draw_without_rendering()
            ends = [
                (
                    len(n.layers) - 1.0,
                    float(n.theoretical[-1]),
                    n.name,
                    SERIES[i % len(SERIES)],
                )
                for i, n in enumerate(lines)
            ]
            label_ends(ax, ends, 10)
            ax.set_title("How the field grows")
        ax.set_xlabel("depth: layers that compute or widen, along the widest way")
        ax.set_ylabel("side, px")
        ax.grid(axis="y", color=INK, alpha=0.18, linewidth=0.6)
        _legend(ax, lines)
        return written(made, form, "Growth of the receptive field")


def _line(ax: Axes, line: GrowthLine, index: int) -> None:
    colour, marker = SERIES[index % len(SERIES)], MARKERS[index % len(MARKERS)]
    depth = range(len(line.layers))
    ax.plot(
        depth,
        line.theoretical,
        color=colour,
        linewidth=1.8,
        drawstyle="steps-post",
        gid=f"theoretical-{index}",
    )
    seen = [float("nan") if v is None else float(v) for v in line.visible]
    ax.plot(
        depth,
        seen,
        color=colour,
        linewidth=1.4,
        linestyle=(0, (4, 2)),
        drawstyle="steps-post",
        gid=f"visible-{index}",
    )
    for percent, style, size in ((95, (0, (1.2, 1.4)), 4.0), (50, (0, (4, 1.5, 1, 1.5)), 4.0)):
        points = line.used.get(percent, ())
        ax.plot(
            [p[0] for p in points],
            [max(p[1], 1.0) for p in points],
            color=colour,
            linewidth=1.2,
            linestyle=style,
            marker=marker,
            markersize=size,
            markerfacecolor=colour if percent == 95 else "none",
            gid=f"erf{percent}-{index}",
        )
    if line.global_from is not None:
        at = line.global_from
        ax.annotate(
            "global",
            (at, line.theoretical[at]),
            xytext=(0, 16),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=colour,
            arrowprops={"arrowstyle": "<-", "color": colour, "linewidth": 1.2},
        )


def _stages(ax: Axes, line: GrowthLine) -> None:
    """Bands of stages, with their names above where there is room."""
    taken = -1.0
    for index, (name, first, last) in enumerate(line.stages):
        if index % 2 == 0:
            ax.axvspan(first - 0.5, last + 0.5, color=INK, alpha=0.07, linewidth=0)
        middle_of, room = (first + last) / 2, len(line.layers) / 12
        if middle_of - taken < room / 4:
            continue
        upright = last - first < room
        taken = middle_of if upright else last
        ax.annotate(
            name.split(".")[-1],
            (middle_of, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7,
            rotation=90 if upright else 0,
        )


def _legend(ax: Axes, lines: Sequence[GrowthLine]) -> None:
    from matplotlib.lines import Line2D

    marker = MARKERS[0] if len(lines) == 1 else "o"
    colour = SERIES[0] if len(lines) == 1 else INK
    handles = [
        Line2D([], [], color=colour, linewidth=1.8, label="theoretical"),
        Line2D([], [], color=colour, linewidth=1.4, linestyle=(0, (4, 2)), label="visible (centre)"),
    ]
    if any(95 in line.used for line in lines):
        how = {"color": colour, "linewidth": 1.2, "marker": marker, "markersize": 4}
        handles += [
            Line2D([], [], linestyle=(0, (1.2, 1.4)), label="expected ERF, 95 %", **how),  # type: ignore[arg-type]
            Line2D(
                [],
                [],
                linestyle=(0, (4, 1.5, 1, 1.5)),
                markerfacecolor="none",
                label="expected ERF, 50 %",
                **how,  # type: ignore[arg-type]
            ),
        ]
    ax.legend(handles=handles, loc="lower right")
