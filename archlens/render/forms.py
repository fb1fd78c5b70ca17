"""How each kind of result is written: one list of formats a kind, by suffix, the default first.

Commands and `save` write what stands here. Only the form that is asked for is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from archlens.render.text import csv
from archlens.render.text.json import dumps
from archlens.render.text.layers import rf_table
from archlens.render.text.markdown import markdown
from archlens.render.text.table import Table, draw, plain
from archlens.report import Report
from archlens.showing import Maker

if TYPE_CHECKING:  # a table of layers needs none of these
    from rich.console import Console

    from archlens.findings.comparison import Comparison
    from archlens.findings.diff import Diff
    from archlens.trained import CueResult
    from archlens.unit_field.result import FieldMap


def forms(result: object) -> Mapping[str, Maker]:
    """The forms of a result of any kind."""
    return _kind(result)[0]()


def notebook(result: object) -> str:
    """A result as an HTML table; every text in it stays text."""
    table = _kind(result)[1]()
    head = "".join(f"<th>{escape(column.title)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return (
        f"<table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _kind(result: object) -> tuple[Callable[[], Mapping[str, Maker]], Callable[[], Table]]:
    """What makes the forms of a result, and what makes the table that a notebook shows."""
    from archlens.findings.comparison import Comparison, compared
    from archlens.findings.diff import Diff
    from archlens.render.text.comparison import comparison_table
    from archlens.render.text.cue import cue_table
    from archlens.render.text.diffs import diff_table
    from archlens.render.text.fields import field_table
    from archlens.trained import CueResult
    from archlens.unit_field.result import FieldMap

    match result:
        case Report():
            page = {".html": lambda: page_of(compared([result]), f"archlens report {result.spec}")}
            return (
                lambda: {**report_forms(result, rf_table(result)), **page},
                lambda: comparison_table(compared([result]), full=False),
            )
        case Comparison():
            command = "explain" if len(result.reports) == 1 else "compare"
            line = f"archlens {command} {' '.join(result.names)}"
            return lambda: comparison_forms(result, True, line), lambda: comparison_table(result, full=False)
        case FieldMap():
            return lambda: field_forms(result), lambda: field_table(result)
        case CueResult():
            return lambda: cue_forms(result), lambda: cue_table(result)
        case Diff():
            return lambda: diff_forms(result), lambda: diff_table(result)
    raise TypeError(f"{type(result).__name__} has no forms")


def table_forms(table: Table, data: Callable[[], Any]) -> dict[str, Maker]:
    """Of what is a table and plain data: text, JSON, Markdown."""
    return {
        ".txt": lambda: plain(table),
        ".json": lambda: dumps(data(), indent=1),
        ".md": lambda: markdown(table),
    }


def report_forms(report: Report, table: Table, layer: str | None = None) -> dict[str, Maker]:
    """JSON is all of the report, with its graph; CSV every layer; text and Markdown the table."""
    return {
        ".txt": lambda: plain(table),
        ".json": report.to_json,
        ".csv": lambda: csv.layers(report, layer),
        ".md": lambda: markdown(table),
    }


def comparison_forms(result: Comparison, full: bool, command: str) -> dict[str, Maker]:
    """Of a comparison, or of one network explained; `command` makes the page again."""
    from archlens.findings.figures import summary
    from archlens.render.text import findings
    from archlens.render.text.comparison import comparison_table

    return {
        ".txt": lambda: plain(comparison_table(result, full)) + "\n" + findings.text(result, full),
        ".json": lambda: dumps(result.to_dict()),
        ".csv": lambda: csv.records(
            {"name": name, **summary(report)}
            for name, report in zip(result.names, result.reports, strict=True)
        ),
        ".md": lambda: markdown(comparison_table(result)) + "\n" + findings.markdown(result),
        ".html": lambda: page_of(result, command),
    }


def page_of(result: Comparison, command: str) -> str:
    """The page; templates are only loaded for it."""
    from archlens.render.page.page import html

    return html(result, command)


def draw_comparison(result: Comparison, full: bool, console: Console) -> None:
    """On a terminal: as many networks side by side as fit."""
    from rich.text import Text

    from archlens.render.text import findings
    from archlens.render.text.comparison import comparison_tables

    for table in comparison_tables(result, console.width, full):
        draw(table, console)
    console.print()
    for line in findings.lines(result, full, min(console.width, findings.WIDTH)):
        console.print(Text(line))


def field_forms(found: FieldMap, log: bool = False) -> dict[str, Maker]:
    """Of one unit's field; `log`: with logarithmic colours in pictures."""
    from archlens.render.text.fields import text

    return {
        ".txt": lambda: text(found),
        ".json": lambda: dumps(found.to_dict(), indent=1),
        ".npz": found.to_npz,
        ".png": lambda: _picture(found, "png", log),
        ".svg": lambda: _picture(found, "svg", log),
    }


def _picture(found: FieldMap, form: str, log: bool) -> bytes:
    from archlens.render.plots.heat import field_picture

    return field_picture(found, form, log=log)


def cue_forms(result: CueResult) -> dict[str, Maker]:
    """Of trained networks."""
    from archlens.render.text.cue import cue_table

    def picture(form: str) -> bytes:
        from archlens.render.plots.cue import cue_picture

        return cue_picture(result, form)

    return {
        **table_forms(cue_table(result), result.to_dict),
        ".png": lambda: picture("png"),
        ".svg": lambda: picture("svg"),
    }


def diff_forms(found: Diff) -> dict[str, Maker]:
    """Of two versions of a network."""
    from archlens.render.text.diffs import diff_table

    return table_forms(diff_table(found), found.to_json)
