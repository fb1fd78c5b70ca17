"""ATen call -> geometry: the table of all rules, and the one place where an op becomes unknown."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.capture.call import Call, Lowered, Rule
from archlens.capture.ops import (
    by_value,
    fourier,
    linear,
    movement,
    normalise,
    pointwise,
    reduce,
    spatial,
    tokens,
)
from archlens.graph import Edge

RULES: dict[str, Rule] = {
    **pointwise.RULES,
    **movement.RULES,
    **spatial.RULES,
    **linear.RULES,
    **tokens.RULES,
    **normalise.RULES,
    **reduce.RULES,
    **by_value.RULES,
    **fourier.RULES,
}


# Arguments whose old values the result does not hold.
_REPLACED = {"copy_": "self", "fill_": "self", "zero_": "self"}


def lower(call: Call) -> Sequence[Lowered | None]:
    """The geometry of each result of a call. What no rule understands is named, never guessed.

    A rule that leaves out an argument that depends on the input did not foresee this form of the call, so
    what it says does not hold.
    """
    rule = RULES.get(call.name)
    try:
        out = None if rule is None else rule(call)
    except (AssertionError, IndexError, KeyError, TypeError, ValueError):
        out = None  # a call in a form that its rule did not foresee: not understood, and said so
    if out is None:
        return [unknown(call)] * len(call.out)
    lowered = [out] if isinstance(out, Lowered) else list(out)
    left_out = _sources(call) - {e.source for low in lowered if low is not None for e in low.edges}
    return [unknown(call)] * len(call.out) if left_out else lowered


def _sources(call: Call) -> set[int]:
    """The nodes that a call's arguments are, but for those that it overwrites."""
    replaced = _REPLACED.get(call.name)
    kept = [a for k, a in enumerate(call.args) if replaced is None or call.names[k : k + 1] != (replaced,)]
    tensors = (t for a in kept for t in (a if isinstance(a, (list, tuple)) else [a]) if call.depends(t))
    return {node for t in tensors if t.numel() and (node := call.node_of(t)) is not None}


def unknown(call: Call) -> Lowered:
    """A result that depends on every input-dependent argument in a way that nobody can tell."""
    edges = tuple(Edge(node) for node in sorted(_sources(call)))
    return Lowered(call.name.split("::")[-1], edges, unknown=True)
