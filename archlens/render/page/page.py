"""The page: one file that needs no network, no server and nothing else.

Templates lay out what can be read without JavaScript (tables, pictures, text). The scripts get the report
itself and the boxes of all units as compressed JSON. A content security policy forbids the network and every
script but the two that are written here. The same input gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata, resources
from typing import Any

import jinja2
from markupsafe import Markup

from archlens.findings.comparison import Comparison
from archlens.render.page.findings import findings, published
from archlens.render.page.layers import COLUMNS, TIME, LayerRow, layer_rows
from archlens.render.page.numbers import number_rows
from archlens.render.page.pictures import Picture, graph_picture, still
from archlens.render.page.plots import plots
from archlens.render.page.units import intervals, pack
from archlens.render.page.use import shades, thumbnail
from archlens.report import Report
from archlens.version import __version__
from archlens.words import by, si

STYLES = ("page.css", "explorer.css")
HEAD_SCRIPTS = ("theme.js",)
SCRIPTS = ("words.js", "data.js", "taps.js", "support.js", "state.js", "scene.js", "lens.js", "explorer.js",
           "tables.js", "graph.js", "plots.js", "main.js")  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """One network on the page.

    Attributes:
        index: Its place, which tells its colour.
        key: Its name in the address.
        report: What was measured and derived.
        rows: The layer table.
        still: What that cell sees, as a picture that needs no script.
        graph: The folded graph; None where nothing is installed that lays it out.
        packed: The report's JSON, and
        boxes: the boxes of all units; compressed.
    """

    index: int
    key: str
    report: Report
    rows: tuple[LayerRow, ...]
    still: Markup
    graph: Picture | None
    packed: str
    boxes: str

    @property
    def measured(self) -> Mapping[str, Any] | None:
        """How it ran, where it did."""
        found: Mapping[str, Any] | None = self.report.extra.get("measured")
        return found

    @property
    def filename(self) -> str:
        """What the downloaded report is called."""
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in self.key)
        return f"{plain[:60].strip('-') or 'report'}.json"


def html(result: Comparison, command: str) -> str:
    """The page of one network or of several.

    Args:
        result: The networks, their figures and findings; one network is a comparison with itself alone.
        command: The exact command line that makes this page again.
    """
    timed = any("measured" in report.extra for report in result.reports)
    subjects = [
        _subject(index, key, report, timed)
        for index, (key, report) in enumerate(zip(result.names, result.reports, strict=True))
    ]
    style = Markup("\n".join(asset(name) for name in STYLES))
    head, body = (_script(names) for names in (HEAD_SCRIPTS, SCRIPTS))
    found = findings(result)
    return (
        environment()
        .get_template("page.html")
        .render(
            title=(" against " if len(result.names) < 3 else ", ").join(result.names),
            result=result,
            subjects=subjects,
            findings=found,
            numbers=number_rows(result),
            columns=(*COLUMNS, TIME) if timed else COLUMNS,
            timed=timed,
            plots=plots(result.reports, result.names),
            ablations=published(result),
            assumptions=result.assumptions,
            lang=result.lang,
            comparison=pack(result.to_dict()) if len(subjects) > 1 else None,
            meta={"subjects": [_meta(s) for s in subjects]},
            style=style,
            head_script=head,
            script=body,
            policy=_policy(head, body),
            command=command,
            versions=versions(subjects[0].report),
        )
    )


def _subject(index: int, key: str, report: Report, timed: bool) -> Subject:
    used = shades(report)
    graph = graph_picture(report, index)
    boxes = intervals(report)
    if used is not None:
        boxes["energy"] = thumbnail(used)
    if graph is not None:
        boxes["drawn"] = graph.rows
    return Subject(
        index=index,
        key=key,
        report=report,
        rows=layer_rows(report, timed),
        still=still(report, used),
        graph=graph,
        packed=pack(report.to_dict()),
        boxes=pack(boxes),
    )


def _meta(subject: Subject) -> dict[str, Any]:
    origin = subject.report.origin
    return {
        "index": subject.index,
        "key": subject.key,
        "name": subject.key,
        "originName": "input" if origin is None else f"map of {origin}",
    }


def versions(report: Report) -> dict[str, str]:
    """What the page was made with: the report's own record, and what draws."""
    found = {"archlens": __version__, "Python": platform.python_version()}
    for name in ("torch", "numpy", "scipy", "matplotlib", "graphviz", "pygraphviz", "jinja2"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**found, **report.versions}


# ------------------------------------------------------------------ templates, assets, policy


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Templates, with everything escaped that is not markup of our own."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("archlens.render.page", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["si"] = si
    made.filters["by"] = by
    made.filters["breakable"] = _breakable
    return made


def _breakable(name: str) -> Markup:
    """A name that may be broken behind its dots and underscores."""
    return Markup("_<wbr>").join(Markup(".<wbr>").join(part.split(".")) for part in name.split("_"))


def asset(name: str) -> str:
    """A stylesheet or a script."""
    return (resources.files("archlens.render.page") / "assets" / name).read_text(encoding="utf-8")


def _script(names: Sequence[str]) -> Markup:
    """Scripts as one, in a scope of their own."""
    text = "\n".join(asset(name) for name in names)
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("a script may not hold markup that ends it")
    return Markup('(() => {\n"use strict";\n' + text + "})();")


def _policy(*scripts: str) -> str:
    """Nothing is fetched, and no script runs but these."""
    hashes = " ".join(
        "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") + "'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
