"""The catalogues: the same keys and the same figures in every language; numbers with their units."""

from __future__ import annotations

import re
import string
from types import SimpleNamespace
from typing import Any, cast

import pytest

from archlens.errors import UsageError
from archlens.findings.claims import geometry
from archlens.findings.evidence.records import Overlap
from archlens.findings.language import CATALOGUES, catalogue, claim, en, fill, ko


def fields(template: str) -> set[tuple[str, str]]:
    return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(template) if name}


def test_catalogues_say_the_same() -> None:
    assert set(en.TEXT) == set(ko.TEXT)
    assert set(en.WORDS) == set(ko.WORDS)
    for key, template in en.TEXT.items():
        assert {name for name, _ in fields(template)} == {name for name, _ in fields(ko.TEXT[key])}, key


@pytest.mark.parametrize("lang", list(CATALOGUES))
def test_every_number_has_its_unit_from_the_format(lang: str) -> None:
    for key, template in catalogue(lang).TEXT.items():
        for name, spec in fields(template):
            if name in ("share", "far", "coherent", "cut_far"):
                assert spec == "pct", (key, name)
            if name in ("field", "side95"):
                assert spec == "px", (key, name)
            if name == "image":
                assert spec in ("px", "side"), (key, name)


@pytest.mark.parametrize("lang", list(CATALOGUES))
def test_every_finding_has_a_title_and_its_evidence_labels(lang: str) -> None:
    words = catalogue(lang)
    assert set(words.TITLES) == {key.split(".")[0] for key in words.TEXT if not key.startswith("_")}
    assert not any("_" in label for label in words.LABELS.values())


def test_lists_and_templates_in_templates() -> None:
    items = [{"name": "a", "cells": 1}, {"name": "b", "cells": 3}]
    assert fill("_cells", items[0]) == "1 (a)"
    values = {"name": "n", "lacking": ["x", "y", "z"], "module": "m", "count": 3, "fork": "f",
              "branches": items, "map": 17}  # fmt: skip
    text = fill("missing_path.rates", values)
    assert text.startswith("Missing in x, y and z, present in n")
    assert "1 (a); 3 (b) of 17 cells" in text


@pytest.mark.parametrize("lang", list(CATALOGUES))
def test_both_sides_are_said_where_they_differ(lang: str) -> None:
    values = {"name": "n", "lacking": ["x"], "module": "m", "count": 3, "fork": "f", "map": (41, 65),
              "branches": [{"name": "a", "cells": (41, 65)}, {"name": "b", "cells": (9, 9)}]}  # fmt: skip
    said = fill("missing_path.rates", values, lang)
    assert "41x65 cell" in said
    assert "41x65" in said.replace("41x65 cell", "", 1)
    assert re.search(r"\b9 ?\(b\)", said)
    share = {"name": "n", "field": 404, "share": 1.26, "side50": 17, "side95": 36, "far": 0.1}
    wide, square = (fill("theory_and_use", {**share, "image": i}, lang) for i in ((321, 513), (513, 513)))
    assert "321x513 px" in wide
    assert catalogue(lang).WORDS["first_side"] in wide
    assert "513x513" not in square
    assert catalogue(lang).WORDS["first_side"] not in square


def test_particles_of_what_is_put_in_fit_any_ending() -> None:
    """A name may end in a vowel or in a consonant: pspnet은(는), fcn은(는)."""
    names = "name|low|high|module|branch|top|worst|fusion|first|source|finer|deep|global_from|before|after"
    listed = r"\w+:layers|\w+:each:_\w+"
    fixed = rf"\{{(?:{names}|{listed})\}}(?:은|는|이|가|을|를|와|과|로|으로)(?![가-힣(])"
    assert not {key: found for key, text in ko.TEXT.items() if (found := re.findall(fixed, text))}
    assert fill(
        "time", {"name": "fcn", "device": "cpu", "latency": 1, "dtype": "f", "batch": 1}, "ko"
    ).startswith("fcn은(는) ")


def test_a_language_that_is_none() -> None:
    with pytest.raises(UsageError, match="no texts"):
        catalogue("xx")


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("lang", list(CATALOGUES))
def test_margins_of_inputs_that_are_no_images_have_words(axes: int, lang: str) -> None:
    o = Overlap((3,) * axes, (2,) * axes, (1,) * axes, True, None)
    e = cast("Any", SimpleNamespace(label="n", overlap=o))
    (finding,) = geometry.overlap([e])
    said = claim(finding, lang)
    assert said.count("3 px") == said.count("2 px") == axes
