"""Scalar functions put together from operations: what a network writes out by hand, x * sigmoid(x).

A formula is kept as nested tuples, so that it can be the constants of an `Activation` and moments of it be
looked up; `activations.evaluated` says what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archlens.analyses.expected.forward.transfer import function, offset, renames, role, scales
from archlens.graph import Node

Terms = tuple[Any, ...]
MOST = 64
"""Uses of x up to which a formula is followed."""


@dataclass(frozen=True)
class Formula:
    """A node's value as a function of another node's.

    Attributes:
        root: Id of that node.
        terms: The function.
        affine: Whether it is a multiple of it plus a number.
        uses: How often x stands in it.
    """

    root: int
    terms: Terms
    affine: bool
    uses: int

    @classmethod
    def of(cls, node: int) -> Formula:
        """The value itself."""
        return cls(node, ("x",), True, 1)

    @classmethod
    def joined(cls, node: Node, parts: Sequence[Formula]) -> Formula | None:
        """What an operation makes of formulas of one root; None where it is none of theirs."""
        uses = sum(p.uses for p in parts)
        made = _made(node, [p.terms for p in parts])
        if made is None or uses > MOST:
            return None
        terms, straight = made
        return cls(parts[0].root, terms, straight and all(p.affine for p in parts), uses)

    @staticmethod
    def whole_power(node: Node) -> bool:
        """Whether a power is x^2, x^3, ..., which any number has."""
        exponent = float(node.attrs["constant"])
        return exponent.is_integer() and exponent > 0


def _made(node: Node, parts: list[Terms]) -> tuple[Terms, bool] | None:
    """The formula of an operation, and whether it is affine in its parts."""
    kind, constant = role(node), node.attrs.get("constant")
    if renames(node):
        return parts[0], True
    if kind == "linear" and node.op in ("add", "sub"):
        return ("sum", scales(node), offset(node), *parts), True
    if kind == "product":
        if len(parts) > 1:
            return ("product", *parts), False
        return ("sum", (1.0 if constant is None else float(constant),), 0.0, *parts), True
    if kind == "divide":
        if len(parts) > 1:
            return ("quotient", *parts), False
        return ("sum", (1.0 / float(constant) if constant else 1.0,), 0.0, *parts), True
    if kind == "power":
        return ("power", parts[0], float(node.attrs["constant"])), False
    f = function(node)
    if kind == "activation" and f is not None:
        return ("call", f, parts[0]), f.name == "neg"
    return None
