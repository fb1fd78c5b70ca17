"""Findings on the page: the claim, the numbers that it is made from, and the papers' own figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from archlens.findings.comparison import Comparison
from archlens.findings.finding import Finding
from archlens.findings.language import catalogue, claim, fill, listed, title
from archlens.render.text.findings import essentials, glued
from archlens.words import number, signed


@dataclass(frozen=True)
class ShownFinding:
    """A finding as the page shows it.

    Attributes:
        id: Its kind, told apart where one comes again.
        title, claim, confidence: In the words of the comparison's language.
        evidence: (what, value) lines.
        layers: (layer, address that opens it).
        essential: Whether it stands in the first list.
    """

    id: str
    title: str
    claim: str
    confidence: str
    evidence: tuple[tuple[str, str], ...]
    layers: tuple[tuple[str, str], ...]
    essential: bool


def findings(result: Comparison) -> list[ShownFinding]:
    """The findings in their order; published figures have a section of their own."""
    first = {id(f) for f in essentials(result.told)}
    out: list[ShownFinding] = []
    for found in result.told:
        if found.confidence == "published":
            continue
        again = sum(1 for other in out if other.id.split(":")[0] == found.id)
        out.append(
            ShownFinding(
                id=found.id if not again else f"{found.id}:{again + 1}",
                title=title(found, result.lang),
                claim=glued(claim(found, result.lang)),
                confidence=fill("_confidence", {"confidence": found.confidence}, result.lang).strip("[] "),
                evidence=tuple(listed(found, result.lang)),
                layers=tuple((name, address(result, found, name)) for name in found.layers),
                essential=id(found) in first,
            )
        )
    return out


def address(result: Comparison, found: Finding, layer: str) -> str:
    """Where the page shows a layer: in the network that the evidence names, else the first that has it."""
    named = {str(value) for value in found.evidence.values()}
    having = [i for i, report in enumerate(result.reports) if layer in report.graph.layer_index]
    if not having:
        return ""
    best = next((i for i in having if result.names[i] in named), having[0])
    return "#" + urlencode({"model": result.names[best], "layer": layer})


def published(result: Comparison) -> list[Mapping[str, str]]:
    """The papers' own ablations of the networks on the page: of what, mean IoU before and after in per cent,
    and where it stands."""
    words = catalogue(result.lang).WORDS
    rows = [found.evidence for found in result.found if found.id == "published"]
    return [
        {
            **e,
            "what": words[e["what"]],
            "before": number(e["before"]),
            "after": number(e["after"]),
            "gain": signed(number(e["gain"])),
        }
        for e in rows
    ]
