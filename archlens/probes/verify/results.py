"""What a verification says: what was checked, what agreed, and who is likely wrong where not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Disagreement:
    """One thing that is not as said.

    Attributes:
        layer: Where.
        said: What archlens says.
        found: What the twin (of MACs: the counter) says.
        itself: What the network itself does; "" where it was not asked.
    """

    layer: str
    said: str
    found: str
    itself: str = ""


@dataclass(frozen=True)
class Agreement:
    """One kind of check.

    Attributes:
        name: `reach`, `box`, `support`, `witness`, `macs (fvcore)`, `macs (torch)`.
        unit: What is counted: `units`, `MACs`.
        checked: How many were checked.
        agreed: How many of them agree.
        bounds: How many of those are stated as upper bounds, and hold.
        layers: How many layers they are of.
        wrong: What does not agree, the first few.
        left_out: What could not be checked, and why.
        suspect: Who is likely wrong where it is not archlens: `the twin`, `fvcore`, `torch`; else "".
        verdict: Who is likely wrong and why, in a sentence; "" where all agree.
        edges: Of the witness: how many units at the edge of a box that is said to be exact were asked.
        silent: How many of those did not answer, which proves nothing.
    """

    name: str
    unit: str
    checked: int
    agreed: int
    bounds: int = 0
    layers: int = 0
    wrong: tuple[Disagreement, ...] = ()
    left_out: tuple[str, ...] = ()
    suspect: str = ""
    verdict: str = ""
    edges: int = 0
    silent: int = 0

    @property
    def agrees(self) -> bool:
        """Whether all that was checked agrees."""
        return self.checked == self.agreed

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against archlens: all agrees, or somebody else is likely wrong."""
        return self.agrees or bool(self.suspect)


@dataclass(frozen=True)
class Verification:
    """All checks of one network at one input size."""

    name: str
    input_shape: tuple[int, ...]
    checks: tuple[Agreement, ...]
    seconds: float
    device: str = "cpu"

    @property
    def checked(self) -> bool:
        """Whether anything could be checked."""
        return any(c.checked for c in self.checks)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against archlens and something was checked at all."""
        return all(c.passed for c in self.checks) and self.checked
