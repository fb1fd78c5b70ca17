"""Networks at one input size: their figures side by side, the evidence, and the findings made from it.

One network alone is explained (what limits its context, what would extend it); several are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archlens.errors import InputSizeError
from archlens.findings.claims import COMPARED, EXPLAINED, find
from archlens.findings.evidence.gather import gather
from archlens.findings.evidence.published import family_of
from archlens.findings.evidence.records import Evidence
from archlens.findings.figures import summary
from archlens.findings.finding import Finding
from archlens.findings.language import catalogue, claim, title
from archlens.progress import Say, silent
from archlens.report import GENERATOR, SCHEMA_VERSION, Report, json_value
from archlens.showing import Shown


@dataclass(frozen=True)
class Comparison(Shown):
    """What `archlens compare` and `archlens explain` show.

    Attributes:
        input_shape: With the batch, (1, C, H, W).
        names: One a network; as it was asked for, told apart where two are the same.
        reports: The networks.
        evidence: The nine kinds, one entry a network.
        found: The findings, those that explain most first.
        lang: Language of the claims.
    """

    input_shape: tuple[int, ...]
    names: tuple[str, ...]
    reports: tuple[Report, ...]
    evidence: tuple[Evidence, ...]
    found: tuple[Finding, ...] = ()
    lang: str = "en"

    @property
    def findings(self) -> tuple[Mapping[str, Any], ...]:
        """The findings in the contract's form, each with its claim."""
        return tuple(f.to_json(title(f, self.lang), claim(f, self.lang)) for f in self.found)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the expected figures are taken over; each once."""
        return tuple(dict.fromkeys(said for e in self.evidence for said in e.use.assumptions))

    def to_dict(self, graph: bool = True) -> dict[str, Any]:
        """Contract form; `graph=False` leaves the captured graphs out."""
        models = []
        for report, evidence in zip(self.reports, self.evidence, strict=True):
            own = {"summary": summary(report), "evidence": json_value(evidence.to_json())}
            models.append({**report.to_dict(graph), **own})
        return {
            "schema_version": SCHEMA_VERSION,
            "generator": GENERATOR,
            "input_shape": list(self.input_shape),
            "models": models,
            "findings": [json_value(finding) for finding in self.findings],
            "assumptions": list(self.assumptions),
        }


def compared(
    reports: Sequence[Report],
    *,
    sized: Sequence[Sequence[Report]] = (),
    lang: str = "en",
    progress: Say = silent,
) -> Comparison:
    """Set reports side by side and find what tells them apart; explain a single one.

    Args:
        reports: The networks, at one input size.
        sized: For each of them, reports at other input sizes; leave it out to leave out the sizes.
        lang: Language of the claims, `en` or `ko`.
        progress: Called with a few words before each network.

    Raises:
        InputSizeError: They are not at one input size.
        UsageError: There are no texts in that language.
    """
    catalogue(lang)
    shapes = {report.input_shape for report in reports}
    if len(shapes) != 1:
        sizes = " and ".join(sorted("x".join(map(str, shape[1:])) for shape in shapes))
        raise InputSizeError(
            f"the networks are at different input sizes, {sizes}",
            "Give one that all of them take with --input-size, as in 3x513x513.",
        )
    names = told_apart(_without_folders([report.spec for report in reports]))
    alone = len(reports) == 1
    evidence = []
    for index, (name, report) in enumerate(zip(names, reports, strict=True)):
        progress(f"gathering evidence on {name}")
        others = sized[index] if sized else ()
        evidence.append(gather(report, name, family_of(report), others, extend=alone))
    return Comparison(
        input_shape=shapes.pop(),
        names=names,
        reports=tuple(reports),
        evidence=tuple(evidence),
        found=tuple(find(evidence, EXPLAINED if alone else COMPARED)),
        lang=lang,
    )


def _without_folders(specs: Sequence[str]) -> list[str]:
    """Specs of files by the file's name alone, where that still tells them apart."""
    short = list(map(_without_folder, specs))
    return short if len(set(short)) == len(set(specs)) else list(specs)


def _without_folder(spec: str) -> str:
    base, mark, options = spec.partition("?")
    path, colon, factory = base.partition(":")
    return path.rsplit("/", 1)[-1] + colon + factory + mark + options if "." in path else spec


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """`a`, `a:2`, ... where a name comes again."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}:{seen[name]}")
    return tuple(out)
