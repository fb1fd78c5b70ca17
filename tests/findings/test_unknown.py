"""Figures that are not known: every finding does without them, and the text says why they are missing."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from context_nets import aspp, ppm, report
from torch import Tensor, nn

from archlens.analyses.expected.use import Use
from archlens.findings.claims import COMPARED, EXPLAINED, find
from archlens.findings.comparison import compared
from archlens.findings.evidence.gather import gather
from archlens.findings.evidence.records import Evidence
from archlens.findings.language import claim, title

UNKNOWN = Use(missing=("layer (cumsum)",))


class Summed(nn.Module):
    """Running sums, which the expected field has no rule for, and then a network."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(torch.cumsum(x, 3))
        return out


def without(e: Evidence, *kinds: str) -> Evidence:
    """The evidence, some kinds of it unknown."""
    if "use" in kinds:
        e = replace(e, use=UNKNOWN, streams=())
    if "head" in kinds:
        e = replace(e, head=UNKNOWN)
    if "shares" in kinds and e.paths is not None:
        none = dict.fromkeys(
            ("read", "density", "share", "far", "far_of_own", "head_share", "head_far", "coherent")
        )
        e = replace(e, paths=replace(e.paths, branches=tuple(replace(b, **none) for b in e.paths.branches)))
    if "edits" in kinds:
        none = dict.fromkeys(("side95", "far", "head_coherent"))
        e = replace(e, counterfactuals=tuple(replace(c, **none) for c in e.counterfactuals))
    return e


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_no_finding_needs_what_is_not_known(lang: str) -> None:
    nets = {"aspp": aspp((1, 3, 6), pooled=True), "ppm": ppm()}
    first, second = (gather(report(m, n, 33), n, extend=True) for n, m in nets.items())
    kinds = ("use", "head", "shares", "edits")
    for chosen in product((False, True), repeat=len(kinds)):
        gone = [k for k, c in zip(kinds, chosen, strict=True) if c]
        here = without(first, *gone)
        for found in (
            find([here], EXPLAINED),
            find([here, second], COMPARED),
            find([second, here], COMPARED),
        ):
            for finding in found:
                assert "None" not in title(finding, lang) + claim(finding, lang)


def test_a_comparison_says_what_it_does_not_know() -> None:
    known, unknown = report(aspp((1, 3)), "known", 33), report(Summed(aspp((1, 3))), "unknown", 33)
    both = compared([known, unknown])
    assert both.evidence[0].use.known
    assert not both.evidence[1].use.known
    text = " ".join(str(both).split())
    assert "unknown: no rule for cumsum (cumsum)" in text
