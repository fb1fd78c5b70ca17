"""`archlens check` in the formats that CI systems read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from archlens.findings.budgets import Check, summary
from archlens.render.text.diffs import change as moved
from archlens.render.text.diffs import figure
from archlens.render.text.json import dumps
from archlens.render.text.table import Column, Table
from archlens.report import GENERATOR, SCHEMA_VERSION
from archlens.words import number, percent

MARKER = "<!-- archlens check -->"
COMMENT_LIMIT = 65_000
"""Characters that fit a comment on a pull request (65,536), with room to spare."""
_SIGN = {"ok": "ok", "warn": "WARN", "fail": "FAIL", "unknown": "unknown"}


def check_table(checks: Sequence[Check]) -> Table:
    """A limit a row, failures with the layers behind them."""
    rows = []
    for c in checks:
        rows.append((c.network, c.figure, figure(c.value), limit(c), change(c), _SIGN[c.verdict]))
        if c.layers and c.verdict in ("fail", "warn"):
            rows.append(("", "behind it: " + ", ".join(c.layers), "", "", "", ""))
    heads = ("network", "figure", "value", "limit", "change", "verdict")
    return Table("", tuple(Column(head) for head in heads), tuple(rows), notes=(closing(checks),))


def as_json(checks: Sequence[Check]) -> str:
    """All of it."""
    data = {
        "schema_version": SCHEMA_VERSION,
        "generator": GENERATOR,
        "summary": summary(checks),
        "checks": [c.to_json() for c in checks],
    }
    return dumps(data, indent=1)


def markdown(checks: Sequence[Check]) -> str:
    """A comment for a pull request: a hidden marker to find it again by, and at most COMMENT_LIMIT long."""
    lines = [MARKER, f"### archlens: {closing(checks)}", ""]
    lines += ["| network | figure | value | limit | change | |", "|---|---|---:|---:|---:|---|"]
    size = sum(len(line) + 1 for line in lines)
    order = sorted(checks, key=lambda c: ("fail", "warn", "unknown", "ok").index(c.verdict))
    for k, c in enumerate(order):
        layers = "<br>" + ", ".join(_code(name) for name in c.layers) if c.verdict in ("fail", "warn") else ""
        cells = (
            _cell(c.network),
            _cell(c.figure) + layers,
            figure(c.value),
            limit(c),
            change(c),
            _SIGN[c.verdict],
        )
        line = "| " + " | ".join(cells) + " |"
        size += len(line) + 1
        if size > COMMENT_LIMIT:
            lines.append(f"\n… and {len(order) - k} more rows; see the job's own output.")
            break
        lines.append(line)
    return "\n".join(lines)


def github(checks: Sequence[Check]) -> str:
    """Workflow commands: an annotation for each limit that did not hold."""
    kinds = {"fail": "error", "warn": "warning", "unknown": "warning"}
    lines = [
        f"::{kinds[c.verdict]} title={_property(f'archlens: {c.network} {c.figure}')}::{_data(sentence(c))}"
        for c in checks
        if c.verdict != "ok"
    ]
    return "\n".join([*lines, closing(checks)])


def junit(checks: Sequence[Check]) -> str:
    """JUnit XML: a test case for each limit."""
    found = summary(checks)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name="archlens" tests="{len(checks)}" failures="{found["fail"]}" '
        f'skipped="{found["unknown"]}">',
    ]
    for c in checks:
        head = f"  <testcase classname={quoteattr(c.network)} name={quoteattr(c.figure + ' ' + c.kind)}"
        told = {
            "fail": f"<failure message={quoteattr(sentence(c))}/>",
            "unknown": f"<skipped message={quoteattr(sentence(c))}/>",
            "warn": f"<system-out>{escape(sentence(c))}</system-out>",
        }.get(c.verdict)
        lines += [head + ">", f"    {told}", "  </testcase>"] if told else [head + "/>"]
    return "\n".join([*lines, "</testsuite>"])


def sentence(c: Check) -> str:
    """One check in words."""
    behind = f" Behind it: {', '.join(c.layers)}." if c.layers else ""
    if c.value is None:
        return f"{c.network}: {c.figure} cannot be known here (limit {limit(c)})."
    if c.kind == "baseline":
        return (
            f"{c.network}: {c.figure} went from {figure(c.limit)} to {figure(c.value)} ({change(c)}), "
            f"more than the {number(c.allowed or 0)} % allowed.{behind}"
        )
    word = "above the maximum" if c.kind == "max" else "below the minimum"
    return f"{c.network}: {c.figure} is {figure(c.value)}, {change(c)} {word} {figure(c.limit)}.{behind}"


def closing(checks: Sequence[Check]) -> str:
    """How it went, in one line."""
    found = summary(checks)
    rest = {"failed": found["fail"], "warned": found["warn"], "unknown": found["unknown"]}
    parts = [f"{number(found['ok'])} of {number(len(checks))} limits hold"]
    return ", ".join(parts + [f"{number(n)} {word}" for word, n in rest.items() if n])


def limit(c: Check) -> str:
    """`<= 200`, `>= 3`, or the baseline with its tolerance."""
    if c.kind == "baseline":
        return f"{figure(c.limit)} ±{number(c.allowed or 0)} %"
    return f"{'<=' if c.kind == 'max' else '>='} {figure(c.limit)}"


def change(c: Check) -> str:
    """The excess, or the change against the baseline."""
    if c.excess is None:
        return ""
    if math.isinf(c.excess):
        return "from finite to global" if c.kind == "baseline" else "without bound"
    return moved(c.excess) if c.kind == "baseline" else percent(c.excess / 100)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _code(text: str) -> str:
    return f"`{_cell(text).replace('`', chr(39))}`"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
