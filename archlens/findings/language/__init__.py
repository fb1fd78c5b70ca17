"""Findings as sentences: a catalogue's template filled with the finding's evidence, and that evidence listed.

Templates use these format specs, so that no number goes without its unit and no unit is written twice
(`archlens.words` writes them):

    {x:px}      404 px                  {x:pct}     8.2 %
    {x:num}     3.645                   {x:times}   2.8 times
    {x:si}      79.7 G                  {x:layers}  a, b and c
    {x:ms}      12.3 ms                 {x:each:KEY}  the template KEY for each entry of a list
    {x:span}    a to b, or a alone      {x:word}    a word of the catalogue
    {x:by}      65x65                   {x:cells}   65 cells a side, or 41x65 cells
    {x:axes}    65, or 41x65            {x:signed}  +1.2
    {x:side}    side, or first side
    {x:count:layer}  1 layer, 2 layers
    {_key}      another template, filled with the same evidence
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from archlens.errors import UsageError
from archlens.findings.finding import Finding
from archlens.findings.language import en, ko
from archlens.words import axes, by, count, duration, number, percent, si, sides, signed, times


class Catalogue(Protocol):
    """A module of texts."""

    AND: str
    TO: str
    TIMES: str
    UNKNOWN: str
    CELLS: tuple[str, str]
    WORDS: dict[str, str]
    TITLES: dict[str, str]
    LABELS: dict[str, str]
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


def title(finding: Finding, lang: str = "en") -> str:
    """What a finding is about, in a few words."""
    return catalogue(lang).TITLES[finding.id]


def fill(key: str, values: Mapping[str, Any], lang: str = "en") -> str:
    """A template of the catalogue, filled."""
    words = catalogue(lang)
    return _Words(words).vformat(words.TEXT[key], (), values)


def listed(finding: Finding, lang: str = "en") -> list[tuple[str, str]]:
    """A finding's evidence as (label, value) lines, each number as its sentence writes it."""
    return list(_Listing(finding, lang).lines(finding.evidence, finding.key))


def _listed(value: Any) -> Sequence[Any]:
    """One entry an axis, or the one for all."""
    return value if isinstance(value, (list, tuple)) else [value]


_WRITE: Mapping[str, Callable[[Any], str]] = {
    "px": lambda value: f"{sides(_listed(value))} px",
    "axes": lambda value: axes(_listed(value)),
    "signed": lambda value: signed(number(value)),
    "by": by,
    "pct": percent,
    "num": number,
    "si": si,
    "ms": duration,
}
"""Specs that are the same in every language."""


class _Words(string.Formatter):
    """Formats numbers with their units, and lists, in one language."""

    def __init__(self, words: Catalogue) -> None:
        self.words = words

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if isinstance(key, str) and key.startswith("_"):
            return self.vformat(self.words.TEXT[key], (), kwargs)
        return super().get_value(key, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return self.words.UNKNOWN
        kind, _, rest = format_spec.partition(":")
        match kind:
            case kind if kind in _WRITE:
                return _WRITE[kind](value)
            case "cells":
                return self.words.CELLS[len(set(_listed(value))) > 1].format(axes(_listed(value)))
            case "side":  # of an image: shares are of its first one
                return self.words.WORDS["first_side" if len(set(_listed(value))) > 1 else "side"]
            case "times":
                return self.words.TIMES.format(times(value))
            case "count":
                return count(value, rest)
            case "layers":
                return self.joined([str(v) for v in value])
            case "span":
                return self.words.TO.join(dict.fromkeys(value))
            case "each":
                return "; ".join(self.vformat(self.words.TEXT[rest], (), item) for item in value)
            case "word":
                return str(self.words.WORDS[value])
        return str(format(value, format_spec))

    def joined(self, words: Sequence[str]) -> str:
        """`a, b and c`."""
        if len(words) < 2:
            return "".join(words)
        return f"{', '.join(words[:-1])}{self.words.AND}{words[-1]}"


_UNTOLD = {
    **dict.fromkeys(("border", "far", "far_share", "share", "coherent", "density", "lost"), "pct"),
    **dict.fromkeys(("macs_share", "fusion_share"), "pct"),
    **dict.fromkeys(("macs", "params", "total", "fusion_macs", "fusion_params"), "si"),
    **dict.fromkeys(("field", "side95"), "px"),
}
"""Specs of evidence that some sentences leave out."""


class _Listing:
    """Evidence line by line; lists of records become lines of their own."""

    def __init__(self, finding: Finding, lang: str) -> None:
        self.finding, self.words = finding, catalogue(lang)
        self.format = _Words(self.words)

    def lines(self, evidence: Mapping[str, Any], template: str) -> Iterator[tuple[str, str]]:
        specs = _specs(self.words.TEXT[template])
        for key, value in evidence.items():
            records = isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], Mapping)
            if not records:
                yield self.label(key), self.value(value, specs.get(key) or _UNTOLD.get(key, ""))
                continue
            inner = _specs(self.words.TEXT[specs[key].partition(":")[2]]) if specs.get(key) else {}
            for index, record in enumerate(value, 1):
                name = record.get("name") or record.get("branch") or index
                rest = {k: v for k, v in record.items() if v != name}
                said = (
                    f"{self.label(k)} {self.value(v, inner.get(k) or _UNTOLD.get(k, ''))}"
                    for k, v in rest.items()
                )
                yield f"{self.label(key)} · {name}", ", ".join(said)

    def label(self, key: str) -> str:
        """What a key stands for in this finding."""
        return self.words.LABELS.get(f"{self.finding.id}.{key}") or self.words.LABELS[key]

    def value(self, value: Any, spec: str) -> str:
        """A piece of evidence as its sentence writes it, else by its own kind."""
        none, yes, no = (self.words.WORDS[word] for word in ("none", "yes", "no"))
        if value is None:
            return none
        if isinstance(value, bool):
            return yes if value else no
        if spec and spec.partition(":")[0] != "count":
            return self.format.format_field(value, "axes" if spec == "cells" else spec)
        if isinstance(value, (int, float)):
            return number(value)
        if isinstance(value, Mapping):
            return ", ".join(f"{self.label(k)} {self.value(v, '')}" for k, v in value.items())
        if isinstance(value, (list, tuple)):
            return ", ".join(self.value(v, "") for v in value) or none
        return str(value)


@lru_cache(maxsize=256)
def _specs(template: str) -> Mapping[str, str]:
    """Key -> format spec, of the keys that a template names; the first, where one comes again."""
    named = [(name, spec or "") for _, name, spec, _ in string.Formatter().parse(template) if name]
    return dict(reversed(named))
