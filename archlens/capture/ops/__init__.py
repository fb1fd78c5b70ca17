"""ATen call -> geometry: the table of all rules, and the one place where an op becomes unknown."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.capture.call import Call, Lowered, Rule
from archlens.capture.ops import linear, movement, pointwise, spatial, tokens
from archlens.graph import Edge

RULES: dict[str, Rule] = {
    **pointwise.RULES,
    **movement.RULES,
    **spatial.RULES,
    **linear.RULES,
    **tokens.RULES,
}


def lower(call: Call) -> Sequence[Lowered | None]:
    """The geometry of each result of a call. What no rule understands is named, never guessed."""
    rule = RULES.get(call.name)
    try:
        out = None if rule is None else rule(call)
    except (AssertionError, IndexError, KeyError, TypeError, ValueError):
        out = None  # a call in a form that its rule did not foresee: not understood, and said so
    if out is None:
        return [unknown(call)] * len(call.out)
    return [out] if isinstance(out, Lowered) else list(out)


def unknown(call: Call) -> Lowered:
    """A result that depends on every input-dependent argument in a way that nobody can tell."""
    edges: list[Edge] = []
    for value in call.args:
        for t in value if isinstance(value, (list, tuple)) else [value]:
            if hasattr(t, "untyped_storage") and (node := call.node_of(t)) is not None:
                edges.append(Edge(node))
    return Lowered(call.name.split("::")[-1], tuple(dict.fromkeys(edges)), unknown=True)
