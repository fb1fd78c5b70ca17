"""What a picture of the graph shows: boxes, the modules around them, and the lines between. No DOT yet.

A `Block` stands for the rows of one leaf or one closed module, and of all its repeats. Modules are opened
level by level while the boxes still fit a page; the context module in any case, down to its branches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from archlens.render.graph.fold import Group, Item, Leaf, Run, tree
from archlens.report import Report

PAGE, COLUMN, FEW = 36, 26, 12
"""Boxes that fit a page and can still be read, in all and one below the other; and too few to say much."""

DEEPEST = 12


@dataclass(frozen=True)
class Block:
    """One box.

    Attributes:
        index: Place in the order of execution.
        name: Module or layer; of a run, that of the first repeat.
        last: Name in the last repeat.
        repeats: Row indices, one tuple a repeat.
        count: Repeats that the box itself stands for; those of the run around it are not counted.
        opens: Whether it is a closed module.
    """

    index: int
    name: str
    last: str
    repeats: tuple[tuple[int, ...], ...]
    count: int
    opens: bool

    @property
    def rows(self) -> tuple[int, ...]:
        """All rows that it stands for."""
        return tuple(row for repeat in self.repeats for row in repeat)


@dataclass(frozen=True)
class Frame:
    """An opened module, or a run of several boxes."""

    name: str
    last: str
    count: int
    content: tuple[Block | Frame, ...]

    @property
    def boxes(self) -> Iterator[Block]:
        """All boxes inside."""
        for item in self.content:
            if isinstance(item, Block):
                yield item
            else:
                yield from item.boxes


Shown: TypeAlias = Block | Frame


@dataclass(frozen=True)
class Line:
    """Data flows from one box to another; -1 is the input. `skip`: around the deepest map, at this stride."""

    source: int
    target: int
    skip: float | None = None


@dataclass(frozen=True)
class Drawing:
    """Everything that is drawn, as row indices and box indices.

    Attributes:
        content: Boxes and frames, nested.
        boxes: The boxes in order.
        lines: Without doubles.
        branches: How many the context module has; 0 without one.
        context_rows: Rows of its branches and merge.
        skip_rows: Rows that lie on a skip alone.
        rising: Boxes of the decoder: from the last upsampling before the first skip's merge to the output.
        levels: Boxes that belong side by side: where a skip leaves, what lies on it, and where it arrives.
        idle: Rows that can add nothing -> whether every unit of their input sees the whole image.
    """

    content: tuple[Shown, ...]
    boxes: tuple[Block, ...]
    lines: tuple[Line, ...]
    branches: int
    context_rows: frozenset[int]
    skip_rows: frozenset[int]
    rising: frozenset[int] = frozenset()
    levels: tuple[tuple[int, ...], ...] = ()
    idle: dict[int, bool] = field(default_factory=dict)


def drawing(report: Report, depth: int | None = None, fold: bool = True) -> Drawing:
    """Decide what to show.

    Args:
        depth: Levels of modules to show; 1 is the top level only. Default: as many as fit a page, with the
            context module opened.
        fold: Join small rows and fold repeats; otherwise every row is a box.
    """
    items = tree(report, fold)
    study = report.study
    module = study.any_module
    of = report.graph.layer_of
    branches = [frozenset(of[n] for n in b.nodes) for b in module.branches] if module else []
    if depth is None and not fold:
        depth = DEEPEST
    if depth is None:
        content, shown = _for_a_page(report, items, branches)
    else:
        content, shown = _Layout(depth, []).shown(items)
    context_rows = frozenset().union(*branches) | ({of[module.merge]} if module else frozenset())
    flagged, skip_rows = _skips(report)
    lines = _lines(report, shown, flagged)
    rising, levels = _decoder(report, shown, lines, skip_rows)
    return Drawing(
        content=content,
        boxes=shown,
        lines=lines,
        rising=rising,
        levels=levels,
        branches=len(branches),
        context_rows=context_rows,
        skip_rows=skip_rows,
        idle={of[u.node]: u.everywhere for u in study.unproductive if u.node in of},
    )


def _for_a_page(
    report: Report, items: Sequence[Item], branches: Sequence[frozenset[int]]
) -> tuple[tuple[Shown, ...], tuple[Block, ...]]:
    """The deepest level that fits; where that says too little, also single modules below it, costly ones."""

    def lay(depth: int, opened: frozenset[str]) -> tuple[tuple[Shown, ...], tuple[Block, ...]]:
        return _Layout(depth, branches, opened).shown(items)

    depth = next((d for d in range(DEEPEST, 1, -1) if _fits(report, lay(d, frozenset())[1])), 1)
    opened: frozenset[str] = frozenset()
    best = lay(depth, opened)
    tried: set[str] = set()
    while len(best[1]) < FEW:
        closed = [b for b in best[1] if b.opens and b.name not in tried]
        if not closed:
            break
        box = max(closed, key=lambda b: sum(report.layers[r].macs for r in b.rows))
        tried.add(box.name)
        found = lay(depth, opened | {box.name})
        if _fits(report, found[1]):
            best, opened = found, opened | {box.name}
    return best


def _fits(report: Report, shown: Sequence[Block]) -> bool:
    """Whether boxes fit a page."""
    if len(shown) > PAGE:
        return False
    height = [0] * len(shown)
    for line in sorted(_lines(report, shown, {}), key=lambda line: line.target):
        height[line.target] = max(height[line.target], 1 + (height[line.source] if line.source >= 0 else 0))
    return max(height, default=0) <= COLUMN


class _Layout:
    """Opens modules down to a depth, and below it those that hold several branches of the context module."""

    def __init__(
        self, depth: int, branches: Sequence[frozenset[int]], opened: frozenset[str] = frozenset()
    ) -> None:
        self.depth = depth
        self.opened = opened
        self.branches = branches
        self.boxes: list[Block] = []

    def shown(self, items: Sequence[Item]) -> tuple[tuple[Shown, ...], tuple[Block, ...]]:
        content = tuple(self.place([tuple(items)], self.depth - 1))
        return content, tuple(self.boxes)

    def place(self, repeats: Sequence[Sequence[Item]], depth: int) -> Iterator[Shown]:
        """Items of the first repeat, each with its like in the others."""
        for column in zip(*repeats, strict=True):
            first = column[0]
            if isinstance(first, Run):
                inner = [r for run in column if isinstance(run, Run) for r in run.repeats]
                alone = first.repeats[0][0] if len(first.repeats[0]) == 1 else None
                if alone is not None and not self.is_open(alone, depth):
                    yield self.box([r[0] for r in inner], len(first.repeats))
                else:
                    names = [_span(r) for r in (first.repeats[0], first.repeats[-1])]
                    content = self.place(inner, depth)
                    if alone is not None:  # one frame is enough for a module that repeats
                        content = self.place(
                            [r[0].children for r in inner if isinstance(r[0], Group)], depth - 1
                        )
                    yield Frame(names[0], names[1], len(first.repeats), tuple(content))
            elif isinstance(first, Group) and self.is_open(first, depth):
                children = [g.children for g in column if isinstance(g, Group)]
                yield Frame(first.name, first.name, 1, tuple(self.place(children, depth - 1)))
            else:
                yield self.box(list(column), 1)

    def is_open(self, item: Item, depth: int) -> bool:
        if not isinstance(item, Group):
            return False
        rows = set(item.rows)
        if any(rows <= b for b in self.branches):
            return False  # a branch is one box: they stand side by side
        return depth > 0 or item.name in self.opened or sum(bool(b & rows) for b in self.branches) > 1

    def box(self, column: Sequence[Item], count: int) -> Block:
        first, last = column[0], column[-1]
        assert not isinstance(first, Run)
        assert not isinstance(last, Run)
        rows = tuple(item.rows for item in column)
        # Within repeats of a frame around it, a box goes by the names of the first of them.
        name, end = first.name, column[min(count, len(column)) - 1]
        made = Block(
            len(self.boxes), name, end.name if not isinstance(end, Run) else name, rows, count,
            not isinstance(first, Leaf),
        )  # fmt: skip
        self.boxes.append(made)
        return made


def _span(items: Sequence[Item]) -> str:
    """A name for a few neighbours: that of the first."""
    first = items[0]
    return _span(first.repeats[0]) if isinstance(first, Run) else first.name


def _lines(report: Report, shown: Sequence[Block], skips: dict[tuple[int, int], float]) -> tuple[Line, ...]:
    """Between boxes. What would run backwards is the way from one repeat to the next, and not drawn."""
    index = report.graph.layer_index
    where = {row: box.index for box in shown for row in box.rows}
    found: dict[tuple[int, int], float | None] = {}
    for target, row in enumerate(report.layers):
        for name in row.inputs:
            source = index.get(name, -1)
            ends = (where.get(source, -1), where[target])
            if ends[0] < ends[1] and not (source == -1 and not name.startswith("input")):
                found[ends] = found.get(ends) or skips.get((source, target))
    return tuple(Line(*ends, skip) for ends, skip in found.items())


def _decoder(
    report: Report, shown: Sequence[Block], lines: Sequence[Line], skip_rows: frozenset[int]
) -> tuple[frozenset[int], tuple[tuple[int, ...], ...]]:
    """The boxes of the way back up, and those on one level with each other."""
    side = {b.index for b in shown if set(b.rows) <= skip_rows}
    merges = {line.target for line in lines if line.skip is not None} - side
    rising = set(merges)
    for line in lines:  # in order of their targets' rows: what follows a merge rises too
        if line.source in rising:
            rising.add(line.target)
    for line in lines:
        if line.target in merges and line.skip is None and line.source >= 0:
            ops = {report.layers[r].op for r in shown[line.source].rows}
            if any(op == "interpolate" or op.startswith("conv_transpose") for op in ops):
                rising.add(line.source)
    levels = []
    for merge in sorted(merges):
        level, todo = [merge], [merge]
        while todo:
            here = todo.pop()
            for line in lines:
                if line.target == here and line.skip is not None and line.source not in level:
                    level.append(line.source)
                    todo += [line.source] if line.source in side else []
        levels.append(tuple(sorted(level)))
    return frozenset(rising), tuple(levels)


def _skips(report: Report) -> tuple[dict[tuple[int, int], float], frozenset[int]]:
    """Edges between rows that lead a finer map around the deepest one -> its stride; and the rows on them."""
    index, of = report.graph.layer_index, report.graph.layer_of
    found = report.study.resolution
    edges: dict[tuple[int, int], float] = {}
    alone: set[int] = set()
    sources = [tuple(index.get(name, -1) for name in row.inputs) for row in report.layers]
    for skip in found.skips if found else ():
        if skip.merge not in of or skip.source not in of:
            continue
        merge, start = of[skip.merge], of[skip.source]
        deep = _ancestors(sources, [s for s in sources[merge] if s not in (start, -1)])
        edges[start, merge] = skip.stride
        todo = [start]
        while todo:
            row = todo.pop()
            if row in deep or row in alone:
                continue
            alone.add(row)
            for source in sources[row]:
                edges[source, row] = skip.stride
                if source >= 0:
                    todo.append(source)
    return edges, frozenset(alone)


def _ancestors(sources: Sequence[Sequence[int]], rows: Sequence[int]) -> set[int]:
    found: set[int] = set()
    todo = list(rows)
    while todo:
        row = todo.pop()
        if row >= 0 and row not in found:
            found.add(row)
            todo.extend(sources[row])
    return found
