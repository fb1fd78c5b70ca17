"""The twin's rules for operators whose overloads differ in the order of their arguments: asked for by name.

See `twin_ops` for what the twin is. Each rule takes the arguments by the names of the schema, and the shape
of the first result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from archlens.probes.verify.twin_ops import NotPlayed, total

Named = Mapping[str, Any]
NamedOp = Callable[[Named, Sequence[int]], Any]


def batch_norm(given: Named, _: Sequence[int]) -> tuple[Tensor, ...]:
    """The value; with statistics of its own (training mode, or none stored: instance norm arrives so, too)
    and the mean of its channel over batch and positions. Scales that depend on the image are per channel."""
    x = given["input"]
    if not isinstance(x, Tensor):
        raise NotPlayed
    own = bool(given.get("training", False)) or given.get("running_mean") is None
    dims = [d for d in range(x.ndim) if d != 1]
    out = x + x.mean(dims, keepdim=True) if own else x.clone()
    for name in ("weight", "bias", "running_mean", "running_var"):
        scale = given.get(name)
        if isinstance(scale, Tensor):
            out = out + scale.reshape([-1 if d == 1 else 1 for d in range(x.ndim)])
    statistic = x.mean(dims) if own else torch.zeros(0)
    return out, statistic, statistic.clone()


def reduction(given: Named, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """mean, sum, var, max, ... over the dimensions called `dim`, none of them meaning all: the mean. With
    `other`, element by element."""
    x, other = given.get("self"), given.get("other")
    if other is not None:
        return total([x, other], shape), torch.zeros(0)
    if not isinstance(x, Tensor):
        raise NotPlayed
    dim = given.get("dim")
    over = [dim] if isinstance(dim, int) else list(dim or range(x.ndim))
    out = (x.mean(over) if over else x).reshape(tuple(shape))
    return out, out.clone()


def ordering(given: Named, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """sort, topk: each result may be any of the values along a dimension."""
    mean: Tensor = given["self"].mean(int(given["dim"]), keepdim=True)
    return mean.expand(tuple(shape)).clone(), mean.expand(tuple(shape)).clone()


NAMED: dict[str, NamedOp] = {
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit_no_training", "_native_batch_norm_legit",
         "_batch_norm_with_update", "_batch_norm_no_update", "cudnn_batch_norm"), batch_norm),
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "max", "min", "var", "std", "prod", "logsumexp",
         "linalg_vector_norm", "argmax", "argmin", "any", "all"), reduction),
    **dict.fromkeys(("sort", "argsort", "topk"), ordering),
}  # fmt: skip
