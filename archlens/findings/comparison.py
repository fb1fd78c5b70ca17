"""Networks at one input size: their figures side by side, the evidence, and the findings made from it.

One network alone is explained (what limits its context, what would extend it); several are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from archlens.errors import InputSizeError, LayerError
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
from archlens.study import Study


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
        pairs = zip(self.found, self.told, strict=True)
        return tuple(f.to_json(title(f, self.lang), claim(told, self.lang)) for f, told in pairs)

    @cached_property
    def told(self) -> tuple[Finding, ...]:
        """The findings as their sentences need them: with every side of an image or a map, where the
        evidence has the first."""
        return tuple(replace(f, evidence={**f.evidence, **self._sides(f)}) for f in self.found)

    def _sides(self, finding: Finding) -> dict[str, Any]:
        own = finding.evidence
        known = {e.label: (report, e) for report, e in zip(self.reports, self.evidence, strict=True)}
        sides: dict[str, Any] = {"image": self.input_shape[2:]} if "image" in own else {}
        if finding.id == "missing_path" and (paths := known[own["name"]][1].paths):
            sides["map"] = paths.fork_map
            sides["branches"] = [{"name": b.name, "cells": b.window} for b in paths.branches]
        for name, key in (("before", "map"), ("after", "new_map")) if finding.id == "step" else ():
            report, e = known[own[name]]
            if e.head_input is not None:
                sides[key] = report.graph.node_of(e.head_input).map_size
        return sides

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the expected figures are taken over, each once; and why a network has none."""
        said = [s for e in self.evidence for s in e.use.assumptions]
        without = [f"Not known of {e.label}: {e.use.reason}." for e in self.evidence if not e.use.known]
        return tuple(dict.fromkeys([*said, *without]))

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
    sized: Sequence[Sequence[Study]] = (),
    lang: str = "en",
    progress: Say = silent,
    use_cache: bool = False,
) -> Comparison:
    """Set reports side by side and find what tells them apart; explain a single one.

    Args:
        reports: The networks, at one input size.
        sized: Each of them at other input sizes; leave it out to leave out the sizes.
        lang: Language of the claims, `en` or `ko`.
        progress: Called with a few words before each network.
        use_cache: Whether slow figures may come from the cache, and go there.

    Raises:
        InputSizeError: They are not at one input size.
        LayerError: One hands its input on.
        UsageError: There are no texts in that language.
    """
    catalogue(lang)
    idle = next((report.name for report in reports if report.class_score == "input"), None)
    if idle is not None:
        raise LayerError(f"{idle} has no layer: its output is its input", "Give a network that computes.")
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
        evidence.append(gather(report, name, family_of(report), others, alone, use_cache))
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
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return tuple(f"{name}:{n + 1}" if n else name for name, n in zip(names, before, strict=True))
