"""Cost against context for several networks, and where in a network the cost lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archlens.errors import UsageError
from archlens.findings.comparison import Comparison
from archlens.findings.evidence.published import Ablation, about, family_of
from archlens.render.colours import INK, SERIES, SOFT, STEPS, TEXT
from archlens.render.plots.canvas import HATCHES, MARKERS, figure, look, written
from archlens.report import LayerReport, Report
from archlens.words import number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 0.015
"""Share of the MACs below which a stage joins its neighbour `other`."""


@dataclass(frozen=True)
class CostPoint:
    """One network.

    Attributes:
        name: The network.
        gmacs: 10^9 multiply-accumulates.
        erf: Percent of the expected energy -> side of the square that holds it, px; None: no rule.
        far: Expected energy beyond half the image's side.
        published: The best single-network mean IoU printed for its family on VOC 2012 val, with its setting.
    """

    name: str
    gmacs: float
    erf: dict[int, float] | None
    far: float | None
    published: Ablation | None


def cost_points(found: Comparison) -> list[CostPoint]:
    """One point a network, in the order given."""
    return [
        CostPoint(
            name=name,
            gmacs=report.totals["macs"] / 1e9,
            erf=evidence.use.sides,
            far=evidence.use.far,
            published=published(report),
        )
        for name, report, evidence in zip(found.names, found.reports, found.evidence, strict=True)
    ]


def published(report: Report) -> Ablation | None:
    """The best figure of the network's family on VOC 2012 val; None where the papers print none."""
    rows = [row for row in about(family_of(report)) if "VOC 2012 val" in row.setting]
    return max(rows, key=lambda row: row.with_, default=None)


def cost_picture(points: Sequence[CostPoint], form: str, *, miou: bool = False) -> bytes:
    """MACs against the effective field and against the far share; with `miou`, published figures too.

    Raises:
        UsageError: No network has an expected field.
    """
    if not any(p.erf for p in points):
        raise UsageError("no effective field is known of these networks", "`archlens erf MODEL` says why.")
    with look():
        made, axes = figure(4.6 * (3 if miou else 2), 4.4, 1, 3 if miou else 2)
        _scatter(
            axes[0],
            "erf",
            points,
            [p.erf.get(50) if p.erf else None for p in points],
            "side of half the expected energy, px",
        )
        _scatter(
            axes[1],
            "far",
            points,
            [None if p.far is None else 100 * p.far for p in points],
            "far share, % of the energy",
        )
        if miou:
            _scatter(
                axes[2],
                "miou",
                points,
                [p.published.with_ if p.published else None for p in points],
                "published mIoU, %, VOC 2012 val",
            )
            axes[2].set_title("as printed; trunks and data differ", fontsize=8)
        made.suptitle("What context costs", fontsize=11)
        return written(made, form, "Cost against context")


def _scatter(
    ax: Axes, name: str, points: Sequence[CostPoint], values: Sequence[float | None], title: str
) -> None:
    """Named points, joined in the order given by a thin line."""
    known = [(p, v) for p, v in zip(points, values, strict=True) if v is not None]
    ax.plot([p.gmacs for p, _ in known], [v for _, v in known], color=INK, alpha=0.35, linewidth=0.9)
    for index, (point, value) in enumerate(zip(points, values, strict=True)):
        if value is None:
            continue
        colour = SERIES[index % len(SERIES)]
        marker = MARKERS[index % len(MARKERS)]
        ax.plot(point.gmacs, value, marker, color=colour, markersize=8, gid=f"{name}-{index}")
    ax.set_xscale("log")
    ax.margins(x=0.22, y=0.14)
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("GMACs")
    ax.set_ylabel(title)
    if not title.startswith("published"):
        ax.set_ylim(bottom=-0.05 * max((v for _, v in known), default=1))
    _names(ax, known)
    ax.grid(color=INK, alpha=0.15, linewidth=0.6)


def _names(ax: Axes, known: Sequence[tuple[CostPoint, float]]) -> None:
    """Each point's name above it, or below where another point is close above."""
    assert ax.figure is not None
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    places = [ax.transData.transform((p.gmacs, v)) for p, v in known]
    for index, (point, value) in enumerate(known):
        near = [b for a, b in enumerate(places) if a != index and abs(b[0] - places[index][0]) < 70]
        crowded = any(0 <= b[1] - places[index][1] < 26 for b in near)
        ax.annotate(
            point.name,
            (point.gmacs, value),
            xytext=(0, -8 if crowded else 8),
            textcoords="offset points",
            ha="center",
            va="top" if crowded else "bottom",
            fontsize=8,
        )


# ------------------------------------------------------------------ cost by stage


@dataclass(frozen=True)
class StageCost:
    """A stage's costs: multiply-accumulates, parameters, activation bytes."""

    name: str
    macs: int
    params: int
    activation_bytes: int


def stage_costs(report: Report) -> list[StageCost]:
    """By module, in order of execution: two levels of names where there are three. They add up to all."""
    sums: dict[str, list[LayerReport]] = {}
    for row in report.layers:
        parts = row.name.split(":")[0].split(".")
        sums.setdefault(".".join(parts[:2]) if len(parts) > 2 else parts[0], []).append(row)
    made = [_summed(name, rows) for name, rows in sums.items()]
    total = sum(s.macs for s in made) or 1
    small = [s for s in made if s.macs < LEAST * total]
    return made if len(small) < 2 else [*(s for s in made if s not in small), _summed("other", small)]


def _summed(name: str, parts: Sequence[LayerReport | StageCost]) -> StageCost:
    kinds = ("macs", "params", "activation_bytes")
    return StageCost(name, *(sum(getattr(part, kind) for part in parts) for kind in kinds))


def stages_picture(networks: Sequence[tuple[str, Sequence[StageCost]]], form: str) -> bytes:
    """One network: three bars a stage. Several: one bar a network, of the MACs of its stages."""
    with look():
        made = _one(*networks[0]) if len(networks) == 1 else _several(networks)
        return written(made, form, "Cost by stage")


def _one(name: str, stages: Sequence[StageCost]) -> Figure:
    made, (ax,) = figure(7.2, 1.4 + 0.42 * len(stages))
    kinds = (("macs", "MACs"), ("params", "parameters"), ("activation_bytes", "activation bytes"))
    for index, (key, label) in enumerate(kinds):
        total = sum(getattr(s, key) for s in stages) or 1
        shares = [100 * getattr(s, key) / total for s in stages]
        places = [i + 0.27 * (index - 1) for i in range(len(stages))]
        bars = ax.barh(
            places,
            shares,
            height=0.25,
            color=SERIES[index],
            hatch=HATCHES[index],
            edgecolor="#ffffff",
            linewidth=0.4,
            label=label,
        )
        ax.bar_label(bars, [percent(share / 100) for share in shares], fontsize=6.5, padding=2, color=INK)
    ax.set_yticks(range(len(stages)), [s.name for s in stages])
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set_xlabel("share of the network's total, %")
    ax.set_title(f"{name}: cost by stage")
    ax.legend(loc="best")
    return made


def _several(networks: Sequence[tuple[str, Sequence[StageCost]]]) -> Figure:
    made, (ax,) = figure(8.6, 1.3 + 0.55 * len(networks))
    widest = max(sum(s.macs for s in stages) for _, stages in networks) / 1e9
    for row, (_, stages) in enumerate(networks):
        left = 0.0
        for index, stage in enumerate(stages):
            width = stage.macs / 1e9
            ax.barh(
                row,
                width,
                left=left,
                height=0.68,
                color=STEPS[index % len(STEPS)],
                edgecolor=SOFT,
                linewidth=0.6,
            )
            word = stage.name.split(".")[-1]
            if width > widest * 0.011 * len(word):
                ax.text(left + width / 2, row, word, ha="center", va="center", fontsize=7, color=TEXT)
            left += width
        ax.text(left + widest * 0.01, row, number(round(left)), va="center", fontsize=8)
    ax.set_yticks(range(len(networks)), [name for name, _ in networks])
    ax.invert_yaxis()
    ax.margins(x=0.08)
    ax.set_xlabel("GMACs")
    ax.set_title("Cost by stage")
    return made
