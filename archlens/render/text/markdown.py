"""Markdown: a table that GitHub and every other reader of pipe tables understands."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.render.text.table import Table


def markdown(table: Table) -> str:
    """The table under its title, with its notes as a list. All columns, the wide ones too."""
    heads = [_escape(column.title) for column in table.columns]
    rules = ["---:" if column.right else "---" for column in table.columns]
    lines = [f"### {_escape(table.title)}", "", _line(heads), _line(rules)]
    groups = dict(table.groups)
    for index, row in enumerate(table.rows):
        if index in groups:
            lines.append(_line([f"**{_escape(groups[index])}**", *[""] * (len(heads) - 1)]))
        cells = [_escape(cell) for cell in row]
        if index in table.strong:
            cells = [f"**{cell}**" if cell.strip() else cell for cell in cells]
        lines.append(_line(cells))
    if table.totals:
        lines.append(_line([f"**{_escape(cell)}**" if cell else "" for cell in table.totals]))
    below = (*table.remarks, *table.notes)
    if below:
        lines += ["", *(f"- {_escape(line)}" for line in below)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape(text: str) -> str:
    """A layer may be called anything: bars, stars, tags and line ends stay text."""
    text = " ".join(text.split())
    for sign in ("\\", "|", "*", "_", "`", "<", "[", "]", "#"):
        text = text.replace(sign, "&lt;" if sign == "<" else f"\\{sign}")
    return text
