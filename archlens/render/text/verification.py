"""`archlens verify` as text and plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from archlens.render.text.table import Column, Table
from archlens.report import GENERATOR, SCHEMA_VERSION
from archlens.words import NONE, by, duration, number

WHAT = {
    "reach": "visible box of every unit, by lit half-images",
    "box": "visible box of drawn units, by one backward pass each",
    "support": "every pixel of those units, bit for bit",
    "macs (torch)": "total against torch's FlopCounterMode / 2",
    "macs (fvcore)": "total against fvcore's convolutions, linear layers and products",
}


def verification_table(found: Any) -> Table:
    """A `probes.verify.Verification`: what was checked, what agreed, what could not be checked."""
    rows = tuple(
        (
            c.name,
            "agrees" if c.checked and c.passed else ("DIFFERS" if c.checked else "not checked"),
            f"{number(c.agreed)} of {number(c.checked)} {c.unit}",
            number(c.layers) if c.layers else NONE,
            number(c.bounds) if c.bounds else NONE,
            WHAT.get(c.name, ""),
        )
        for c in found.checks
    )
    wrong = tuple(
        f"{c.name}: {w.layer}: archlens says {w.said}, the network {w.found}"
        for c in found.checks
        for w in c.wrong
    )
    notes = tuple(f"{c.name}: left out: {reason}" for c in found.checks for reason in c.left_out)
    verdict = "nothing disagrees" if found.passed else "it does NOT agree"
    return Table(
        title=f"{found.name} at {by(found.input_shape[1:])}: {verdict}, "
        f"{duration(found.seconds)} on {found.device}",
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


def verification_json(found: Any) -> dict[str, Any]:
    """All of it."""
    checks = [{**asdict(c), "passed": c.passed} for c in found.checks]
    head = {"schema_version": SCHEMA_VERSION, "generator": GENERATOR, "passed": found.passed}
    return {**head, **asdict(found), "checks": checks}
