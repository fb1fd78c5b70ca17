"""The page's own plots: SVG in the page's colours, whose points lead to their layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from archlens.report import LayerReport, Report
from archlens.words import number, percent

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 14, 58
DASHES = ("", "7 4", "2 3", "9 3 2 3", "12 4", "4 2", "1 3", "7 3 1 3 1 3")

Point = tuple[float, float]


@dataclass(frozen=True)
class Plot:
    """One figure: its title, what is drawn, and a sentence on how to read it."""

    id: str
    title: str
    svg: Markup
    caption: str


@dataclass(frozen=True)
class Series:
    """One network's line: where it runs, and marks (x, y, row of the layer, what it is)."""

    index: int
    label: str
    line: tuple[Point, ...]
    marks: tuple[tuple[float, float, int, str], ...] = ()


def plots(reports: Sequence[Report], labels: Sequence[str]) -> list[Plot]:
    """The plots that these networks have data for."""
    out = []
    growth = [_growth(i, label, r) for i, (label, r) in enumerate(zip(labels, reports, strict=True))]
    side = max(reports[0].input_shape[2:], default=0)
    if side and any(s.line for s in growth):
        out.append(
            Plot(
                "growth",
                "What the centre sees, as MACs are spent",
                _draw(growth, 100, side, "MACs spent on the way to the class scores, %", "visible side, px"),
                "The side of the visible box of each layer's centre unit. A flat line spends without seeing "
                "more. Each point is a layer whose field or map differs from what it reads, and leads to it; "
                "points off the line lie on side branches.",
            )
        )
    used = [
        _profile(i, label, curve)
        for i, (label, report) in enumerate(zip(labels, reports, strict=True))
        if (curve := _curve(report))
    ]
    if used:
        out.append(
            Plot(
                "use",
                "What it is expected to use",
                _draw(used, 100, 100, "centred square, % of the image's side", "energy inside, %"),
                "How much of the expected energy of the gradient lies inside a square around the cell, "
                "under random weights. The later a line rises, the farther the context that counts.",
            )
        )
    return out


def _growth(index: int, label: str, report: Report) -> Series:
    places = report.graph.layer_index
    way = report.before(report.class_score)
    total = sum(row.macs for row in way) or 1
    line: list[Point] = [(0.0, 1.0)]
    marks = []
    spent, best = 0, 1.0
    for row in way:
        spent += row.macs
        side = _side(row)
        if side is None:
            continue
        x = 100 * spent / total
        whole = best >= side == max(report.input_shape[2:])  # once all is seen, a point says nothing more
        best = max(best, side)
        if line[-1] != (x, best):
            line.append((x, best))
        if not whole and report.changes(row):
            marks.append((x, float(side), places[row.name], f"{label}, {row.name}: {number(side)} px"))
    return Series(index, label, tuple(line), tuple(marks))


def _side(row: LayerReport) -> int | None:
    seen = row.rf.visible if row.rf is not None else None
    return max(seen.size) if seen is not None and seen.size else None


def _curve(report: Report) -> Sequence[Point]:
    return () if report.origin or report.class_score == "input" else report.study.curve


def _profile(index: int, label: str, curve: Sequence[Point]) -> Series:
    marks = [
        (100 * x, 100 * y, -1, f"{label}: {percent(y)} within {percent(x)} of the side")
        for x, y in curve
        if round(y, 6) in (0.5, 0.95)
    ]
    return Series(index, label, tuple((100 * x, 100 * y) for x, y in curve), tuple(marks))


# ------------------------------------------------------------------ drawing


def _draw(series: Sequence[Series], right: float, top: float, across: str, up: str) -> Markup:
    """Lines and marks between labelled axes, from 0 to `right` and `top`."""

    def at(x: float, y: float) -> tuple[str, str]:
        px = LEFT + x / right * (WIDTH - LEFT - RIGHT)
        py = HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)
        return f"{px:.1f}", f"{py:.1f}"

    parts = [_axes(at, right, top, across, up)]
    for s in series:
        path = " ".join(f"{'M' if i == 0 else 'L'}{' '.join(at(*p))}" for i, p in enumerate(s.line))
        shape = Markup('<path class="m{} line" stroke-dasharray="{}" d="{}"/>')
        parts.append(shape.format(s.index % 8, DASHES[s.index % 8], path))
    for s in series:
        for x, y, row, words in s.marks:
            link = Markup(' data-point="{}-{}"').format(s.index, row) if row >= 0 else ""
            cx, cy = at(x, y)
            dot = Markup('<circle class="m{} mark" cx="{}" cy="{}" r="3.2"{}><title>{}</title></circle>')
            parts.append(dot.format(s.index % 8, cx, cy, link, words))
    names = ", ".join(s.label for s in series)
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>{}').format(
        WIDTH, HEIGHT, f"{up} against {across}, for {names}", Markup("").join(parts), _legend(series)
    )


def _axes(at: object, right: float, top: float, across: str, up: str) -> Markup:
    assert callable(at)
    parts = []
    for value in ticks(right):
        x, bottom = at(value, 0)
        shape = Markup(
            '<path class="grid" d="M{0} {1}V{2}"/><text x="{0}" y="{3}" text-anchor="middle">{4}</text>'
        )
        parts.append(shape.format(x, bottom, TOP, HEIGHT - BOTTOM + 20, number(value)))
    for value in ticks(top):
        left, y = at(0, value)
        shape = Markup('<path class="grid" d="M{} {}H{}"/><text x="{}" y="{}" text-anchor="end">{}</text>')
        parts.append(shape.format(left, y, WIDTH - RIGHT, LEFT - 8, float(y) + 4, number(value)))
    middle = f"{TOP + (HEIGHT - TOP - BOTTOM) / 2:.1f}"
    parts.append(
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, across
        )
    )
    turned = Markup('<text x="15" y="{0}" text-anchor="middle" transform="rotate(-90 15 {0})">{1}</text>')
    parts.append(turned.format(middle, up))
    return Markup("").join(parts)


def ticks(top: float) -> list[float]:
    """Round numbers from 0 on, five or so, and the top itself."""
    step = next(s * 10**e for e in range(7) for s in (1, 2, 5) if top / (s * 10**e) <= 5)
    values = [float(v) for v in range(0, int(top) + 1, step)]
    if top - values[-1] < step / 2:
        values.pop()
    return [*values, float(top)]


def _legend(series: Sequence[Series]) -> Markup:
    if len(series) < 2:
        return Markup("")
    entry = Markup(
        '<li><svg class="key" width="34" height="10" aria-hidden="true">'
        '<path class="m{} line" stroke-dasharray="{}" d="M1 5H33"/></svg>{}</li>'
    )
    rows = [entry.format(s.index % 8, DASHES[s.index % 8], s.label) for s in series]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(rows))
