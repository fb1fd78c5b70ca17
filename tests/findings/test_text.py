"""The catalogues: the same keys and the same figures in every language; numbers with their units."""

from __future__ import annotations

import string

import pytest

from archlens.errors import UsageError
from archlens.findings.language import CATALOGUES, catalogue, en, fill, ko, number, percent, si


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


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1e-12, "0 %"), (0.00001, "<0.01 %"), (0.0023, "0.23 %"), (0.082, "8.2 %"),
     (0.54, "54 %"), (0.998, "99.8 %"), (0.99999, "99.9 %"), (1, "100 %"), (3.58, "358 %")],
)  # fmt: skip
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_numbers() -> None:
    assert [number(v) for v in (3.6446, 9, 155.4, 12000)] == ["3.64", "9", "155", "12 000"]
    assert [si(v) for v in (79744204800, 262144, 12)] == ["79.7 G", "262 k", "12"]


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
