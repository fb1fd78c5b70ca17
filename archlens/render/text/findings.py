"""Findings as text: the essentials on a screen, or all of them with their confidence and layers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from itertools import compress

from archlens.findings.comparison import Comparison
from archlens.findings.finding import Finding
from archlens.findings.language import claim, fill

ESSENTIAL = 8
"""Findings on the first screen."""

MOST_OF_A_KIND = {"step": 4}
"""A story told in steps is told whole; of any other kind the first screen has the weightiest."""

WIDTH = 110
_GLUE = re.compile(r"(?<=[\d.]) (?=(?:%|px|MACs|[GMkT] )|[GMkT]\b)")


def essentials(found: Sequence[Finding]) -> list[Finding]:
    """The findings of the first screen, in their order."""
    ids = [f.id for f in found]
    kinds = list(dict.fromkeys(ids))[:ESSENTIAL]
    shown = [f.id in kinds and ids[:i].count(f.id) < MOST_OF_A_KIND.get(f.id, 1) for i, f in enumerate(found)]
    return list(compress(found, shown))


def lines(comparison: Comparison, full: bool = False, width: int = WIDTH) -> list[str]:
    """The findings as lines of text."""
    chosen = list(comparison.told) if full else essentials(comparison.told)
    out = [] if chosen else [fill("_none", {}, comparison.lang)]
    for number, finding in enumerate(chosen, 1):
        text = claim(finding, comparison.lang)
        if full:
            text += " " + fill("_confidence", {"confidence": finding.confidence}, comparison.lang)
        out += wrapped(text, f"{number:>2}. ", width)
    rest = len(comparison.found) - len(chosen)
    if rest:
        out += ["", fill("_more", {"count": rest}, comparison.lang)]
    if comparison.assumptions:
        out += [
            "",
            *wrapped(
                fill("_assumptions", {"items": " ".join(comparison.assumptions)}, comparison.lang), "", width
            ),
        ]
    return out


def glued(text: str) -> str:
    """The text with numbers that stay with their units."""
    return _GLUE.sub("\u00a0", text)


def wrapped(text: str, head: str, width: int) -> list[str]:
    """A paragraph with a hanging indent; a number stays with its unit."""
    filled = textwrap.wrap(
        glued(text),
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\u00a0", " ") for line in filled]


def text(comparison: Comparison, full: bool = False) -> str:
    """The findings for a pipe or a file."""
    return "\n".join(lines(comparison, full)) + "\n"


def markdown(comparison: Comparison) -> str:
    """All findings as a numbered list with their confidence."""
    return (
        "\n".join(
            f"{number}. {claim(f, comparison.lang)} "
            + fill("_confidence", {"confidence": f.confidence}, comparison.lang)
            for number, f in enumerate(comparison.told, 1)
        )
        + "\n"
    )
