"""A table, for a terminal and for a pipe.

What goes into one is decided elsewhere (`layers`, `comparison`, `lineage`); this file knows only how to set
it. On a terminal Rich draws it, and columns fold or stay away where there is no room. In a pipe or a file
it is plain aligned text of any width: nothing is cut, nothing is wrapped, nothing is coloured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

GAP = 2
NAME = 20
"""Characters that the first column keeps, whatever the others want."""


@dataclass(frozen=True)
class Column:
    """A column: its heading, its side, and what it gives up where a terminal is narrow.

    Attributes:
        title: Heading.
        right: Set to the right, for numbers.
        drop: Left out where there is no room, the highest first; 0: never.
        narrow: Characters that it can be folded to where there is no room; 0: as wide as its widest cell.
    """

    title: str
    right: bool = False
    drop: int = 0
    narrow: int = 0


@dataclass(frozen=True)
class Table:
    """Cells as they are read.

    Attributes:
        title: One line above.
        columns: From left to right.
        rows: Cells, one a column.
        totals: A last row, set apart.
        remarks: Sentences below: what the figures say.
        notes: Lines below those: conventions, what was left out, what to try next.
        strong: Indices of rows that stand out.
        groups: Index of a row -> heading of the rows from there on.
        paths: Whether the first column holds dotted names, whose repeated beginnings are dimmed.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    totals: tuple[str, ...] | None = None
    remarks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    strong: frozenset[int] = frozenset()
    groups: tuple[tuple[int, str], ...] = ()
    paths: bool = False


def plain(table: Table) -> str:
    """Aligned text, two spaces between the columns. Title, headings and notes begin with `#`."""
    lines = [f"# {table.title}"] if table.title else []
    body = [*table.rows, *([table.totals] if table.totals else [])]
    cells = [[" ".join(cell.split()) for cell in row] for row in body]
    heads = [column.title for column in table.columns]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    groups = dict(table.groups)

    def line(row: Sequence[str]) -> str:
        parts = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        ]
        return "  ".join(parts).rstrip()

    lines.append(line(heads))
    for index, row in enumerate(cells):
        if index in groups:
            lines.append(f"# {groups[index]}")
        lines.append(line(row))
    lines += [f"# {note}" for note in (*table.remarks, *table.notes)]
    return "\n".join(lines) + "\n"


def draw(table: Table, console: Console) -> None:
    """Set the table on a terminal."""
    from rich.table import Table as RichTable
    from rich.text import Text

    if table.title:
        console.print(Text(table.title, style="bold"))
    console.print()
    widths = fit(table, console.width)
    groups = table.groups or ((0, ""),)
    ends = [start for start, _ in groups[1:]] + [len(table.rows)]
    for (start, heading), end in zip(groups, ends, strict=True):
        if heading:
            console.print(Text(heading, style="cyan"), soft_wrap=False)
        console.print(_rich(table, widths, start, end))
        if heading:
            console.print()
    if table.remarks:
        bullets = RichTable.grid(padding=(0, 1))
        for sentence in table.remarks:
            bullets.add_row(Text("•", style="cyan"), Text(sentence))
        console.print()
        console.print(bullets)
    if table.notes:
        if not table.groups:
            console.print()
        for note in table.notes:
            console.print(Text(note, style="dim"))


def fit(table: Table, room: int) -> dict[int, int]:
    """Index -> width of the columns that a terminal of `room` characters is shown.

    Folding comes before leaving out, and leaving out before folding names.
    """
    body = [*table.rows, *([table.totals] if table.totals else [])]
    natural = {
        i: max([len(column.title), *(len(line) for row in body for line in row[i].split("\n"))])
        for i, column in enumerate(table.columns)
    }
    if _total(natural) <= room:
        return natural
    limits = {i: min(w, table.columns[i].narrow or w) for i, w in natural.items()}
    least = dict(limits)
    least[0] = min(least[0], 24)
    for i in sorted(natural, key=lambda i: -table.columns[i].drop):
        if _total(least) <= room or not table.columns[i].drop:
            break
        del least[i], limits[i]
    widths = least
    if _total(widths) > room:
        widths[0] = max(NAME, widths[0] - (_total(widths) - room))
    for i in widths:  # what is left goes to whom it serves, the names first
        widths[i] += max(0, min(natural[i] - widths[i], room - _total(widths)))
    return widths


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _rich(table: Table, widths: dict[int, int], start: int, end: int) -> RichTable:
    """The rows from `start` to `end`, with the headings over the first and the totals under the last."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    grid = RichTable(
        box=box.SIMPLE_HEAD,  # puts one blank between columns
        show_header=start == 0,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
        header_style="dim",
        border_style="dim",
    )
    for i, width in widths.items():
        column = table.columns[i]
        grid.add_column(
            column.title, justify="right" if column.right else "left", overflow="fold", width=width
        )
    before = ""
    for index in range(start, end):
        row = table.rows[index]
        cells = [Text(row[i]) for i in widths]
        if table.paths:
            cells[0] = _dimmed(row[0], before)
            before = row[0]
        grid.add_row(*cells, style="bold" if index in table.strong else "")
    if end == len(table.rows) and table.totals:
        grid.add_section()
        grid.add_row(*(Text(table.totals[i]) for i in widths), style="bold")
    return grid


def _dimmed(name: str, before: str) -> Text:
    """A dotted name whose beginning, as far as the row above has it too, steps back."""
    from rich.text import Text

    head = shared(name, before)
    return Text.assemble((head, "dim"), name[len(head) :])


def shared(name: str, other: str) -> str:
    """The modules that two dotted names begin with: `a.b.` of a.b.c and a.b.d."""
    pairs = zip(name.split(".")[:-1], other.split(".")[:-1], strict=False)
    return "".join(f"{module}." for module, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
