"""Findings on the page: the claim, the numbers that it is made from, and the papers' own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from archlens.findings.comparison import Comparison
from archlens.findings.finding import Finding
from archlens.findings.language import catalogue, claim, fill
from archlens.render.text.findings import essentials, glued
from archlens.words import number


@dataclass(frozen=True)
class Shown:
    """A finding as the page shows it.

    Attributes:
        id: Its kind, told apart where one comes again.
        claim, confidence: In the words of the comparison's language.
        evidence: (what, value) lines.
        layers: (layer, address that opens it).
        essential: Whether it stands in the first list.
    """

    id: str
    claim: str
    confidence: str
    evidence: tuple[tuple[str, str], ...]
    layers: tuple[tuple[str, str], ...]
    essential: bool


def findings(result: Comparison) -> list[Shown]:
    """The findings in their order; published figures have a section of their own."""
    first = {id(f) for f in essentials(result.found)}
    out: list[Shown] = []
    for found in result.found:
        if found.confidence == "published":
            continue
        again = sum(1 for other in out if other.id.split(":")[0] == found.id)
        out.append(
            Shown(
                id=found.id if not again else f"{found.id}:{again + 1}",
                claim=glued(claim(found, result.lang)),
                confidence=fill("_confidence", {"confidence": found.confidence}, result.lang).strip("[] "),
                evidence=tuple(lines(found.evidence)),
                layers=tuple((name, address(result, found, name)) for name in found.layers),
                essential=id(found) in first,
            )
        )
    return out


def address(result: Comparison, found: Finding, layer: str) -> str:
    """Where the page shows a layer: in the network that the evidence names, else the first that has it."""
    named = {str(value) for value in found.evidence.values()}
    having = [i for i, report in enumerate(result.reports) if any(row.name == layer for row in report.layers)]
    if not having:
        return ""
    best = next((i for i in having if result.names[i] in named), having[0])
    return "#" + urlencode({"model": result.names[best], "layer": layer})


def lines(evidence: Mapping[str, Any], head: str = "") -> list[tuple[str, str]]:
    """A finding's evidence, line by line; lists of records become lines of their own."""
    out: list[tuple[str, str]] = []
    for key, value in evidence.items():
        name = f"{head} · {spoken(key)}" if head else spoken(key)
        if isinstance(value, Mapping):
            out += lines(value, name)
        elif _records(value):
            for index, record in enumerate(value):
                out += [(f"{name} · {record.get('name', index + 1)}", _record(record))]
        else:
            out.append((name, words(value)))
    return out


def _records(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _record(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{spoken(k)} {words(v)}" for k, v in record.items() if k != "name")


def spoken(key: str) -> str:
    """`far_share` -> `far share`."""
    return str(key).replace("_", " ")


def words(value: Any) -> str:
    """A piece of evidence as text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and 0 < abs(value) < 0.01:
        return f"{value:.2g}"
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, Mapping):
        return _record(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(words(v) for v in value) or "none"
    return str(value)


@dataclass(frozen=True)
class Measured:
    """One published measurement: of what, mean IoU before and after in per cent, and where it stands."""

    family: str
    what: str
    before: str
    after: str
    gain: str
    setting: str
    source: str


def published(result: Comparison) -> list[Measured]:
    """The papers' own ablations of the networks on the page."""
    return [_measured(found, result.lang) for found in result.found if found.id == "published"]


def _measured(found: Finding, lang: str) -> Measured:
    # The sentence's own words for what was measured: "Published: <what>: {_ablation}".
    sentence = catalogue(lang).TEXT[found.key].replace("{_ablation}", "").rstrip(" :")
    e = found.evidence
    return Measured(
        str(e["family"]),
        sentence.partition(": ")[2] or sentence,
        f"{e['before']:.2f}",
        f"{e['after']:.2f}",
        f"{e['gain']:+.2f}".replace("-", "−"),
        str(e["setting"]),
        str(e["source"]),
    )
