"""`archlens verify` as text and plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from archlens.render.text.table import Column, Table
from archlens.report import GENERATOR, SCHEMA_VERSION
from archlens.words import NONE, by, count, duration, number

WHAT = {
    "reach": "visible box of every unit, by lit half-images",
    "box": "visible box of drawn units, by one backward pass each",
    "support": "every pixel of those units, bit for bit",
    "witness": "whatever answers in the network itself, when its image changes",
    "macs (torch)": "total against torch's FlopCounterMode / 2",
    "macs (fvcore)": "total against fvcore's convolutions, linear layers and products",
}
COUNTERS = {"macs (torch)": "torch", "macs (fvcore)": "fvcore"}


def verification_table(found: Any) -> Table:
    """A `probes.verify.Verification`: what was checked, what agreed, what could not be checked."""
    rows = tuple(
        (
            c.name,
            _word(c),
            f"{number(c.agreed)} of {number(c.checked)} {c.unit}",
            number(c.layers) if c.layers else NONE,
            number(c.bounds) if c.bounds else NONE,
            WHAT.get(c.name, ""),
        )
        for c in found.checks
    )
    wrong = tuple(line for c in found.checks for line in _lines(c))
    notes = tuple(f"{c.name}: left out: {reason}" for c in found.checks for reason in c.left_out)
    agreed = all(c.agrees for c in found.checks)
    verdict = "nothing disagrees" if agreed else "nothing speaks against archlens"
    failed = "it does NOT agree" if found.checked else "nothing could be checked"
    return Table(
        title=f"{found.name} at {by(found.input_shape[1:])}: "
        f"{verdict if found.passed else failed}, {duration(found.seconds)} on {found.device}",
        columns=(
            Column("check"),
            Column("verdict"),
            Column("agreed", right=True),
            Column("layers", right=True, drop=2),
            Column("as bounds", right=True, drop=3),
            Column("what", drop=1),
        ),
        rows=rows,
        remarks=wrong,
        notes=notes,
        strong=frozenset(i for i, c in enumerate(found.checks) if not c.passed),
    )


def _word(check: Any) -> str:
    if not check.checked:
        return "not checked"
    if check.agrees:
        return "agrees"
    return "explained" if check.passed else "DIFFERS"


def _lines(check: Any) -> list[str]:
    """One line for each layer where something differs, then who is likely wrong; what nobody answered."""
    lines = []
    for w in check.wrong:
        if w.itself:
            rest = f"the twin {w.found}, the network itself {w.itself}"
        else:
            rest = f"{COUNTERS.get(check.name, 'the network')} {w.found}"
        lines.append(f"{check.name}: {w.layer}: archlens says {w.said}, {rest}")
    if check.verdict:
        lines.append(f"{check.name}: {check.verdict}{'' if check.passed else ': please report it'}")
    if check.edges:
        asked = count(check.edges, "unit at the edge of an exact box", "units at the edges of exact boxes")
        lines.append(f"{check.name}: {number(check.silent)} of {asked} did not answer, which proves nothing")
    return lines


def verification_json(found: Any) -> dict[str, Any]:
    """All of it."""
    checks = [{**asdict(c), "passed": c.passed} for c in found.checks]
    head = {"schema_version": SCHEMA_VERSION, "generator": GENERATOR, "passed": found.passed}
    return {**head, **asdict(found), "checks": checks}
