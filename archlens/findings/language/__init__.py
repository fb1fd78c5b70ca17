"""Findings as sentences: a catalogue's template filled with the finding's evidence.

Templates use these format specs, so that no number goes without its unit and no unit is written twice:

    {x:px}      404 px                  {x:pct}     8.2 %
    {x:num}     3.64                    {x:times}   2.8 times
    {x:si}      79.7 G                  {x:layers}  a, b and c
    {x:ms}      12.3 ms
    {x:span}    a to b, or a alone
    {x:each:KEY}  the template KEY for each entry of a list, joined by "; "
    {_key}        another template, filled with the same evidence
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from archlens.errors import UsageError
from archlens.findings.finding import Finding
from archlens.findings.language import en, ko


class Catalogue(Protocol):
    """A module of texts."""

    AND: str
    TO: str
    TIMES: str
    WORDS: dict[str, str]
    TEXT: dict[str, str]


CATALOGUES: Mapping[str, Catalogue] = {"en": en, "ko": ko}


def catalogue(lang: str) -> Catalogue:
    """The catalogue of a language.

    Raises:
        UsageError: There is none.
    """
    if lang not in CATALOGUES:
        raise UsageError(f"there are no texts in {lang!r}", f"Languages: {', '.join(CATALOGUES)}.")
    return CATALOGUES[lang]


def claim(finding: Finding, lang: str = "en") -> str:
    """The sentence of a finding."""
    return fill(finding.key, finding.evidence, lang)


def fill(key: str, values: Mapping[str, Any], lang: str = "en") -> str:
    """A template of the catalogue, filled."""
    words = catalogue(lang)
    return _Words(words).vformat(words.TEXT[key], (), values)


class _Words(string.Formatter):
    """Formats numbers with their units, and lists, in one language."""

    def __init__(self, words: Catalogue) -> None:
        self.words = words

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(key, str) and key.startswith("_"):
            return self.vformat(self.words.TEXT[key], (), kwargs)
        return super().get_value(key, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        kind, _, rest = format_spec.partition(":")
        match kind:
            case "px":
                if isinstance(value, (list, tuple)):  # per axis
                    return " x ".join(dict.fromkeys(map(_whole, value))) + " px"
                return f"{_whole(value)} px"
            case "pct":
                return percent(value)
            case "num":
                return number(value)
            case "times":
                return self.words.TIMES.format(number(value))
            case "si":
                return si(value)
            case "ms":
                return milliseconds(value)
            case "layers":
                return self.joined([str(v) for v in value])
            case "span":
                return self.words.TO.join(dict.fromkeys(value))
            case "each":
                return "; ".join(self.vformat(self.words.TEXT[rest], (), item) for item in value)
            case "word":
                return str(self.words.WORDS[value])
            case "sizes":
                return "|".join(_whole(v) for v in value) + " px"
        return str(format(value, format_spec))

    def joined(self, words: Sequence[str]) -> str:
        """`a, b and c`."""
        if len(words) < 2:
            return "".join(words)
        return f"{', '.join(words[:-1])}{self.words.AND}{words[-1]}"


def percent(share: float) -> str:
    """Two digits that mean something, and never 0 for something or 100 for less."""
    value = 100 * share
    if value == 0 or abs(value) < 1e-9:
        return "0 %"
    if abs(value) < 0.01:
        return "<0.01 %"
    if abs(value) < 1:
        return f"{value:.2g} %"
    if 99.5 <= value < 100:
        return f"{min(value, 99.9):.1f} %"
    return f"{value:.1f} %" if value < 10 else f"{value:.0f} %"


def number(value: float) -> str:
    """Three significant digits; whole numbers as they are."""
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}".replace(",", " ") if abs(value) >= 10_000 else str(int(value))
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def milliseconds(seconds: float) -> str:
    """Three digits: `0.42 ms`, `12.3 ms`, `1,234 ms`."""
    value = 1000 * seconds
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} ms"


def si(value: float) -> str:
    """79744204800 -> `79.7 G`."""
    for step, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * step:
            return f"{value / step:.3g} {letter}"
    return number(value)


def _whole(value: float) -> str:
    return str(round(value))
