"""The catalogues: the same keys and the same figures in every language; numbers with their units."""

from __future__ import annotations

import string

import pytest

from archlens.errors import UsageError
from archlens.findings.language import CATALOGUES, catalogue, en, fill, ko


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
            if name in ("field", "side95", "image"):
                assert spec == "px", (key, name)


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


def test_a_language_that_is_none() -> None:
    with pytest.raises(UsageError, match="no texts"):
        catalogue("xx")
