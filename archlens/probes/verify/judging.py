"""Who is likely wrong: where archlens and the twin say different things, the network itself is asked."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from archlens.probes.verify.by_twin import lit_units
from archlens.probes.verify.by_witness import Broken, Hearing
from archlens.probes.verify.claims import Bools, Claims, Doubt, Tally
from archlens.probes.verify.oracle import Oracle
from archlens.probes.verify.results import Agreement, Disagreement
from archlens.probes.verify.witness import Witness
from archlens.words import count

ARCHLENS = "archlens is likely wrong: the network itself answers to what archlens does not see"
TOO_MUCH = "archlens likely says too much: neither the twin nor the network itself sees it"
TWIN = "the twin is likely wrong (its rule, not archlens'): the network itself agrees with archlens"
OPEN = "archlens or the twin: the network itself could not be asked"
MUTE = "archlens or the twin: the network itself answers to nothing here"


def of_twin(
    tally: Tally, name: str, left_out: tuple[str, ...], witness: Witness | None, end: float
) -> Agreement:
    """The result of a check against the twin; where it disagrees, with what the network itself says.

    Args:
        tally: What was compared.
        name: Of the check.
        left_out: What could not be.
        witness: The network itself, or None where it cannot be run.
        end: When to ask it no further, on the monotonic clock.
    """
    verdicts: list[str] = []
    wrong = []
    for doubt in tally.doubts:
        asked = witness is not None and (not verdicts or time.monotonic() < end)
        verdict, itself = _asked(tally.claims, witness, doubt) if asked and witness else ("", "")
        verdicts += [verdict] if verdict else []
        wrong.append(replace(doubt.wrong, itself=itself))
    excused = bool(verdicts) and set(verdicts) == {TWIN}
    verdict = next((v for v in (ARCHLENS, TOO_MUCH, MUTE, TWIN) if v in verdicts), OPEN if wrong else "")
    silent = len(wrong) - len(verdicts)
    if excused and silent:
        verdict += f" ({count(silent, 'further layer')} not asked)"
    return Agreement(
        name, "units", tally.checked, tally.agreed, tally.bounds, len(tally.layers), tuple(wrong), left_out,
        suspect="the twin" if excused else "", verdict=verdict,
    )  # fmt: skip


def _asked(claims: Claims, witness: Witness, doubt: Doubt) -> tuple[str, str]:
    """Who is likely wrong, and what the network itself does, in words."""
    more, less = doubt.found & ~doubt.said, doubt.said & ~doubt.found
    witness.watch([doubt.node])
    whole = not doubt.said.any() or not doubt.found.any()
    if more.any():
        if _answers(witness, doubt, more):
            return ARCHLENS, "True" if whole else f"answers to those {int(more.sum())} more"
        alive = _answers(witness, doubt, ~more)
        words = "False" if whole else f"answers to none of those {int(more.sum())} more"
        return TWIN if alive else MUTE, words
    if less.any() and claims.word(doubt.node) != "bound":
        if _answers(witness, doubt, less):
            return TWIN, "True" if whole else f"answers to those {int(less.sum())} fewer"
        return TOO_MUCH, "False" if whole else f"answers to none of those {int(less.sum())} fewer"
    return "", ""


def _answers(witness: Witness, doubt: Doubt, where: Bools) -> bool:
    if not where.any():
        return False
    for answer in witness.answers(where):
        moved = answer.get(doubt.node)
        if moved is not None and bool(moved[doubt.unit]):
            return True
    return False


def of_witness(hearing: Hearing, oracle: Oracle | None) -> Agreement:
    """The result of the check against the network itself; where it disagrees, with what the twin says."""
    wrong = tuple(_shown(hearing.claims, oracle, broken) for broken in hearing.broken)
    return Agreement(
        "witness", "units", hearing.checked, hearing.checked - hearing.failed,
        hearing.bounds - hearing.failed_bounds, len(hearing.layers), wrong, tuple(hearing.left_out),
        verdict=ARCHLENS if wrong else "", edges=hearing.edges, silent=hearing.silent,
    )  # fmt: skip


def _shown(claims: Claims, oracle: Oracle | None, broken: Broken) -> Disagreement:
    at = f"unit {','.join(map(str, broken.unit))} sees {broken.part.words}: "
    twin = None
    if oracle is not None:
        twin = lit_units(oracle, broken.part.mask, frozenset([broken.node])).get(broken.node)
    found = "cannot say" if twin is None else str(bool(np.asarray(twin)[broken.unit]))
    return Disagreement(claims.layer(broken.node), f"{at}False", found, "True")
