"""What the centre unit of each stage sees: nested boxes on an image, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from archlens.errors import UsageError
from archlens.render.colours import SERIES
from archlens.render.plots.canvas import STYLES, figure, look, written
from archlens.render.plots.scene import background
from archlens.report import Report
from archlens.words import by, sides

_WORST = ("local", "varies", "global", "unknown")


@dataclass(frozen=True)
class StageBox:
    """What the centre unit at the end of a stage sees at this input size.

    Attributes:
        name: The stage, or the class-score cell.
        layer: Its last layer on the widest way.
        theoretical: Field there per axis, px; of a global one the finite path beside it.
        kind: Of the field: local | varies | global | unknown.
        lo, hi: The visible box, inclusive (row, column).
    """

    name: str
    layer: str
    theoretical: tuple[int, ...] | None
    kind: str
    lo: tuple[int, ...]
    hi: tuple[int, ...]


def stage_boxes(report: Report) -> list[StageBox]:
    """One box a stage in order (a stage that strides on the way counts once a stride), and the cell's."""
    s = report.study
    ends = {name: layers[-1].node for name, layers in s.strides}
    ends["class scores"] = s.cell
    out: list[StageBox] = []
    for name, node_id in ends.items():
        seen = s.seen(node_id) if s.graph.nodes[node_id].positions else None
        if seen is None:
            continue
        field = s.fields()[node_id] or ()
        sizes = tuple(a.path.size for a in field if a.path is not None)
        kind = max((a.kind for a in field), key=_WORST.index, default="unknown")
        known = sizes if field and len(sizes) == len(field) else None
        out.append(StageBox(name, s.name(node_id), known, kind, *seen))
    return out


def drawn_boxes(shown: Sequence[StageBox]) -> list[tuple[StageBox, str]]:
    """The boxes that differ, each with its words: stages after one another that see the same share one."""
    out = []
    for _, alike in groupby(shown, key=lambda box: (box.lo, box.hi)):
        group = list(alike)
        first, last = group[0], group[-1]
        seen = by([h - low + 1 for low, h in zip(first.lo, first.hi, strict=True)])
        name = first.name if first is last else f"{first.name} … {last.name}"
        local = [b.theoretical if b.kind == "local" else None for b in (first, last)]
        ends = zip(local, (first, last), strict=True)
        fields = dict.fromkeys(f"{sides(own)} px" if own else b.kind for own, b in ends)
        out.append((first, f"{name}: sees {seen}, field {' … '.join(fields)}"))
    return out


def nested_picture(report: Report, form: str, *, image: str | None = None) -> bytes:
    """The boxes on the image, or on the synthetic street.

    Raises:
        UsageError: The input has not two axes, or the image cannot be read.
    """
    size = report.input_shape[2:]
    if len(size) != 2:
        raise UsageError(
            f"boxes are drawn on images, not on inputs of {len(size)} axes", "Use --figure growth."
        )
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    shown = drawn_boxes(stage_boxes(report))
    with look():
        made, (ax,) = figure(7.4, 5.0 * min(max(size[0] / size[1], 0.5), 1.4) + 0.16 * len(shown) + 0.6)
        ax.imshow(background(size, image), extent=(-0.5, size[1] - 0.5, size[0] - 0.5, -0.5), alpha=0.85)
        halo = [withStroke(linewidth=3.6, foreground="#ffffff")]
        for index, (box, words) in reversed(list(enumerate(shown))):
            colour = SERIES[index % len(SERIES)]
            height, width = (h - low + 1 for low, h in zip(box.lo, box.hi, strict=True))
            ax.add_patch(
                Rectangle(
                    (box.lo[1] - 0.5, box.lo[0] - 0.5),
                    width,
                    height,
                    fill=False,
                    edgecolor=colour,
                    linewidth=2.0,
                    linestyle=STYLES[index % len(STYLES)],
                    path_effects=halo,
                    gid=f"box-{index}",
                    label=f"{index + 1}  {words}",
                )
            )
            ax.text(
                box.lo[1] + 3,
                box.lo[0] + 3,
                str(index + 1),
                color=colour,
                fontsize=8,
                weight="bold",
                va="top",
                path_effects=halo,
                clip_on=True,
            )
        ax.set_xlim(-size[1] * 0.015, size[1] * 1.015)
        ax.set_ylim(size[0] * 1.015, -size[0] * 0.015)
        ax.set_title(f"{report.name}: what the centre unit sees, stage by stage")
        ax.set_xlabel("column, px")
        ax.set_ylabel("row, px")
        made.legend(loc="outside lower center", handlelength=3, reverse=True)
        return written(made, form, "Nested boxes of what stages see")
