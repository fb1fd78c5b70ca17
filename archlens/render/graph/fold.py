"""From rows to what a picture shows: a tree of modules in which small rows are joined and repeats are folded.

Three steps, each of them safe for a drawing without cycles:

* modules become groups, but only over rows that ran one after the other, so that a group can be drawn as
  one box (a module called twice, with others in between, makes two groups);
* inside a module, a batch norm, an activation or a crop joins the layer whose only reader it is, and adds
  that only feed the next add become one sum;
* neighbours of the same structure (operations, shapes, attributes and wiring) in one chain become a `Run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from archlens.report import LayerReport, Report

LONGEST_PERIOD = 4
"""Blocks in one repeat of a run: Swin alternates two, few networks more."""

MOVES_FIELD = ("max_pool", "avg_pool", "adaptive", "interpolate", "conv", "linear")
MERGES = ("add", "cat", "mul")
ONLY_MOVES = (
    "crop",
    "permute",
    "reshape",
    "flatten",
    "view",
    "transpose",
    "squeeze",
    "unsqueeze",
    "copy",
    "roll",
)
"""Operations that move elements and compute nothing: they join what they follow."""


@dataclass(frozen=True)
class Leaf:
    """Rows drawn as one box: a layer with what only follows it."""

    name: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """A module: drawn as one box, or opened."""

    name: str
    children: tuple[Item, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """All rows inside, in order."""
        return tuple(row for child in self.children for row in child.rows)


@dataclass(frozen=True)
class Run:
    """`repeats` of one structure after another, each of one item or of a few."""

    repeats: tuple[tuple[Item, ...], ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """All rows of all repeats."""
        return tuple(row for repeat in self.repeats for item in repeat for row in item.rows)


Item: TypeAlias = Leaf | Group | Run


def tree(report: Report, fold: bool = True) -> tuple[Item, ...]:
    """The rows of a report as nested modules.

    Args:
        fold: Join small rows and fold repeats. Otherwise every row is a leaf of its own.
    """
    maker = _Maker(report)
    items = maker.level(range(len(report.layers)), 0, fold)
    return maker.folded(items) if fold else items


class _Maker:
    """What the steps look up: rows, who reads whom, and each row's structure."""

    def __init__(self, report: Report) -> None:
        self.rows = report.layers
        index = report.graph.layer_index
        self.sources = [tuple(index.get(name, -1) for name in row.inputs) for row in self.rows]
        self.readers = [0] * len(self.rows)
        for sources in self.sources:
            for source in sources:
                if source >= 0:
                    self.readers[source] += 1
        for name in report.outputs.values():
            if name in index:
                self.readers[index[name]] += 1
        self.structure = _structures(report)

    # -------------------------------------------------------------- modules

    def level(self, rows: Sequence[int], depth: int, fold: bool) -> tuple[Item, ...]:
        """The items of one module: consecutive rows with the same next component form a group."""
        items: list[Item] = []
        at = 0
        while at < len(rows):
            part = self.path(rows[at])[: depth + 1]
            end = at + 1
            if len(self.path(rows[at])) > depth + 1:
                while end < len(rows) and self.inside(rows[end], part):
                    end += 1
                items.append(_group(".".join(part), self.level(rows[at:end], depth + 1, fold), fold))
            else:
                items.append(Leaf(self.rows[rows[at]].name, (rows[at],)))
            at = end
        return self.joined(items) if fold else tuple(items)

    def path(self, row: int) -> list[str]:
        return self.rows[row].name.split(".")

    def inside(self, row: int, part: list[str]) -> bool:
        path = self.path(row)
        return len(path) > len(part) and path[: len(part)] == part

    # -------------------------------------------------------------- small rows

    def joined(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Leaves of one module joined with what only follows or precedes them."""
        out: list[Item] = []
        where: dict[int, int] = {}  # last row of a leaf -> its place in `out`
        for item in items:
            if not isinstance(item, Leaf):
                out.append(item)
                continue
            row = item.rows[-1]
            place = self.follows(row, out, where) if len(item.rows) == 1 else None
            if place is not None:  # into the earlier one: what it follows is all that it reads
                out[place] = Leaf(_name(out[place]), (*out[place].rows, row))
                where[row] = place
                continue
            rows = list(item.rows)
            for source in self.sources[rows[0]]:
                earlier = where.get(source)
                if earlier is not None and self.feeds_only(source, rows[-len(item.rows)], out[earlier].rows):
                    rows = [*out[earlier].rows, *rows]  # into the later one: it is the only reader
                    out[earlier] = Leaf("", ())
            where[row] = len(out)
            out.append(Leaf(item.name, tuple(rows)))
        return tuple(item for item in out if not isinstance(item, Leaf) or item.rows)

    def follows(self, row: int, out: Sequence[Item], where: dict[int, int]) -> int | None:
        """The leaf that this row only passes on, or None."""
        if len(self.sources[row]) != 1 or not (self.is_small(row) or self.rows[row].op in ONLY_MOVES):
            return None
        source = self.sources[row][0]
        if source < 0 or self.readers[source] != 1 or source not in where:
            return None
        return where[source] if out[where[source]].rows[-1] == source else None

    def feeds_only(self, source: int, row: int, earlier: Sequence[int]) -> bool:
        """Whether an earlier leaf is only there for this row: a pad in front, an add of a chain."""
        if self.readers[source] != 1:
            return False
        if self.rows[row].op == "add":
            return all(self.rows[r].op == "add" for r in earlier)
        if len(self.sources[row]) != 1 or self.is_small(row):
            return False
        return all(self.is_small(r) or self.rows[r].op == "pad" for r in earlier)

    def is_small(self, row: int) -> bool:
        """One position in, the same one out, and nothing else: batch norm, activation, dropout."""
        here = self.rows[row]
        if len(self.sources[row]) != 1 or here.macs or here.op.startswith((*MOVES_FIELD, *MERGES)):
            return False
        source = self.sources[row][0]
        before = self.rows[source] if source >= 0 else None
        if before is None or before.shape != here.shape or before.rf is None or here.rf is None:
            return False
        return (before.rf.kind, before.rf.size) == (here.rf.kind, here.rf.size)

    # -------------------------------------------------------------- repeats

    def folded(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Repeats among these items, and inside of each."""
        found: list[Item] = []
        at = 0
        while at < len(items):
            period, count = self.longest(items, at)
            if count > 1:
                repeats = [items[at + k * period : at + (k + 1) * period] for k in range(count)]
                inner = tuple(self.repeat(r) for r in repeats)
                # A picture shows the first repeat for all: they must have folded alike inside.
                alike = len({_outline(r) for r in inner}) == 1
                found.extend([Run(inner)] if alike else [i for r in inner for i in r])
                at += period * count
            else:
                found.append(self.inside_of(items[at]))
                at += 1
        return tuple(found)

    def repeat(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """One repeat, folded inside. One that is nothing but a run stays a module: 3 × (2 × conv) is no
        6 × conv, and the outer count needs a box or a frame of its own."""
        inner = tuple(self.inside_of(i) for i in items)
        only = items[0]
        if len(inner) == 1 and isinstance(inner[0], Run) and isinstance(only, Group):
            return (Group(only.name, inner),)
        return inner

    def inside_of(self, item: Item) -> Item:
        """The item with its repeats folded; a module that is nothing but a run is that run."""
        if not isinstance(item, Group):
            return item
        children = self.folded(item.children)
        only = children[0] if len(children) == 1 else None
        return only if isinstance(only, Run) and len(only.repeats[0]) == 1 else Group(item.name, children)

    def longest(self, items: Sequence[Item], at: int) -> tuple[int, int]:
        """(period, repeats) of the run that begins here and covers most."""
        best = (1, 1)
        for period in range(1, LONGEST_PERIOD + 1):
            first = [row for item in items[at : at + period] for row in item.rows]
            wanted, before, count = self.signature(items[at : at + period]), first, 1
            if period > 1 and len({self.signature([item]) for item in items[at : at + period]}) == 1:
                continue  # all alike: the period is shorter
            while True:
                begin = at + period * count
                part = items[begin : begin + period]
                if len(part) < period or self.signature(part) != wanted:
                    break
                rows = [row for item in part for row in item.rows]
                if not self.chained(before, rows):
                    break
                before, count = rows, count + 1
            if count > 1 and period * count > best[0] * best[1]:
                best = (period, count)
        return best

    def signature(self, items: Sequence[Item]) -> tuple[Any, ...]:
        """Operations, shapes, attributes and inner wiring; sources outside are numbered as they are read."""
        rows = [row for item in items for row in item.rows]
        local = {row: i for i, row in enumerate(rows)}
        outside: dict[int, int] = {}
        out = []
        for row in rows:
            reads = tuple(
                ("in", local[s]) if s in local else ("out", outside.setdefault(s, len(outside)))
                for s in self.sources[row]
            )
            out.append((self.structure[row], reads))
        return tuple(out)

    def chained(self, before: Sequence[int], rows: Sequence[int]) -> bool:
        """Whether a repeat reads the last row of the one before it, else only what that one reads."""
        own, earlier = set(rows), set(before)
        outside = {s for row in rows for s in self.sources[row] if s not in own}
        shared = {s for row in before for s in self.sources[row] if s not in earlier}
        return before[-1] in outside and outside - {before[-1]} <= shared


def _group(name: str, children: tuple[Item, ...], fold: bool) -> Item:
    """A module; one that holds a single box or a single module is that one."""
    if fold and len(children) == 1:
        only = children[0]
        if isinstance(only, Leaf):
            return Leaf(name, only.rows) if len(only.rows) > 1 else only
        if isinstance(only, Group):
            return Group(only.name, only.children)
    return Group(name, children)


def _structures(report: Report) -> list[tuple[Any, ...]]:
    """What makes two rows alike, wiring apart."""
    nodes = report.graph.nodes

    def alike(n: int) -> tuple[Any, ...]:
        edges = tuple((edge.steps, edge.gate) for edge in nodes[n].edges)
        return nodes[n].op, nodes[n].shape, edges, repr(sorted(nodes[n].attrs.items()))

    pairs = zip(report.layers, report.graph.layers, strict=True)
    return [(row.op, row.kind, row.params, *map(alike, layer.nodes)) for row, layer in pairs]


def _name(item: Item) -> str:
    return "" if isinstance(item, Run) else item.name


def _outline(items: Sequence[Item]) -> tuple[Any, ...]:
    """The nesting alone."""
    return tuple(
        (type(i).__name__, len(i.rows))
        if isinstance(i, Leaf)
        else (type(i).__name__, *map(_outline, i.repeats if isinstance(i, Run) else (i.children,)))
        for i in items
    )


def head(rows: Sequence[LayerReport]) -> LayerReport:
    """The row that stands for joined ones: the costliest, else the first that is no small one."""
    best = max(rows, key=lambda r: r.macs)
    if best.macs:
        return best
    return next((r for r in rows if r.op in MERGES or r.op.startswith(MOVES_FIELD)), rows[0])
