"""Findings on the page: the claim, and the numbers that it is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archlens.explain.comparison import Comparison
from archlens.render.words import number, percent


@dataclass(frozen=True)
class Finding:
    """A claim, its confidence, and the evidence as (what, value) lines; `layers` that it speaks of."""

    id: str
    claim: str
    confidence: str
    evidence: tuple[tuple[str, str], ...]
    layers: tuple[str, ...]


def findings(result: Comparison) -> list[Finding]:
    """The findings of a comparison, those that explain most first."""
    return [
        Finding(
            str(found["id"]),
            str(found["claim"]),
            str(found.get("confidence", "")),
            tuple(_lines(found.get("evidence", {}))),
            tuple(map(str, found.get("layers", ()))),
        )
        for found in result.findings
    ]


def _lines(evidence: Mapping[str, Any], head: str = "") -> list[tuple[str, str]]:
    out: list[tuple[str, str]] = []
    for key, value in evidence.items():
        name = f"{head} · {_spoken(key)}" if head else _spoken(key)
        if isinstance(value, Mapping):
            out += _lines(value, name)
        else:
            out.append((name, words(value, key)))
    return out


def _spoken(key: str) -> str:
    return str(key).replace("_", " ")


def words(value: Any, key: str = "") -> str:
    """A piece of evidence as text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and "share" in key and 0 <= value <= 1:
        return percent(value)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_spoken(k)} {words(v, str(k))}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(words(v, key) for v in value)
    return str(value)
