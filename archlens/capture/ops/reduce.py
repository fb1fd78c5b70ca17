"""Lowering rules: one value for all positions along some dimensions."""

from __future__ import annotations

from archlens.capture.call import Call, Lowered, Rule, dims_of, numel
from archlens.capture.ops.pointwise import elementwise
from archlens.graph import Along, Full, Reshape, Step

# ATen name -> name in the vocabulary.
REDUCTIONS = {
    "mean": "mean", "sum": "sum", "nansum": "sum", "amax": "max", "amin": "min", "max": "max", "min": "min",
    "var": "var", "std": "var", "prod": "prod", "logsumexp": "logsumexp", "argmax": "argmax",
    "argmin": "argmax", "linalg_vector_norm": "norm", "norm": "norm", "any": "max", "all": "min",
    "count_nonzero": "sum", "median": "median", "nanmedian": "median", "kthvalue": "median", "mode": "median",
}  # fmt: skip
# Two results that read the same.
PAIRS = {"var_mean": ("var", "mean"), "std_mean": ("var", "mean"), "aminmax": ("min", "max")}


def reduce(call: Call, op: str) -> Lowered:
    """One value for all positions along the dimensions that are named; all where none are."""
    x = call.tensor(0)
    steps: list[Step] = [Along(d, Full(), 1) for d in dims_of(call.given("dim"), x.ndim)]
    if len(call.shape) != x.ndim:
        steps.append(Reshape(call.shape))
    return Lowered(op, call.edge(x, *steps), elementwise=numel(x.shape))


def _reduction(op: str) -> Rule:
    def rule(call: Call) -> Lowered:
        if "other" in call.names:  # max(a, b), position by position
            return elementwise(f"{op}imum", call)
        return reduce(call, op)

    return rule


def _pair(ops: tuple[str, str]) -> Rule:
    return lambda call: [reduce(call, op) for op in ops]


RULES: dict[str, Rule] = {
    **{name: _reduction(op) for name, op in REDUCTIONS.items()},
    **{name: _pair(ops) for name, ops in PAIRS.items()},
}
