"""Lowering rules: normalisations and softmax. A value is divided by statistics of many: it is read itself,
and all that the statistics are taken over as a gate."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from archlens.capture.call import Call, Lowered, Rule, broadcast, numel, per_channel, spread
from archlens.graph import Along, Edge, Full, Grouped, Reshape, Step


def over(call: Call, dims: Sequence[int], first: tuple[Step, ...] = ()) -> tuple[Edge, ...]:
    """The value itself, and all values along `dims` as a gate, behind the steps `first`."""
    x = call.tensor(0)
    steps = first + tuple(s for d in dims if x.shape[d] > 1 for s in spread(d, x.shape[d]))
    return call.edge(x) + (call.edge(x, *steps, gate=True) if steps else ())


def statistic(call: Call, index: int, op: str, dims: Sequence[int], first: tuple[Step, ...] = ()) -> Lowered:
    """A further result: a mean or a deviation of all values along `dims`."""
    shape = tuple(call.out[index].shape)
    reduced = tuple(Along(d, Full(), 1) for d in dims)
    return Lowered(op, call.edge(call.tensor(0), *first, *reduced, Reshape(shape)), aside=True)


def batch_norm(call: Call) -> list[Lowered | None]:
    """aten::native_batch_norm and its relatives: per channel, with the statistics it has stored; without
    any, or in training mode, with those of its input (instance norm arrives here as well)."""
    x = call.tensor(0)
    own = bool(call.given("training", False)) or call.given("running_mean") is None
    dims = [d for d in range(x.ndim) if d != 1] if own else []
    edges = over(call, dims) + _scales(call)
    attrs = {"affine": call.args[1] is not None}
    if not own:
        for name in ("running_mean", "running_var"):
            edges += per_channel(call, call.given(name), gate=name == "running_var")
    op = "instance_norm" if own else "batch_norm"
    norm = Lowered(op, edges, elementwise=numel(x.shape), attrs=attrs)
    return [norm, *_statistics(call, dims)]


def _scales(call: Call) -> tuple[Edge, ...]:
    """Weight and bias of each channel, where they depend on the input (adaptive normalisation)."""
    return per_channel(call, call.given("weight"), gate=True) + per_channel(call, call.given("bias"))


def _statistics(call: Call, dims: Sequence[int], first: tuple[Step, ...] = ()) -> list[Lowered | None]:
    named = zip(range(1, len(call.out)), ("mean", "var"), strict=False)
    return [statistic(call, k, op, dims, first) if call.out[k].numel() else None for k, op in named]


def layer_norm(call: Call) -> list[Lowered | None]:
    """aten::native_layer_norm over the last dimensions."""
    x, normal = call.tensor(0), call.given("normalized_shape")
    dims = range(x.ndim - len(normal), x.ndim)
    edges = over(call, dims)
    for name in ("weight", "bias"):
        t = call.given(name)
        if call.depends(t):
            edges += call.edge(t, *broadcast(t.shape, call.shape), gate=name == "weight")
    norm = Lowered("layer_norm", edges, elementwise=numel(x.shape))
    return [norm, *_statistics(call, dims)]


def group_norm(call: Call) -> list[Lowered | None]:
    """aten::native_group_norm: statistics over all positions and the group's channels."""
    x, groups = call.tensor(0), int(call.given("group"))
    positions = tuple(range(2, x.ndim))
    each: tuple[Step, ...] = ()
    dims: Sequence[int] = positions
    if groups == 1:
        dims = (1, *positions)
    elif groups != x.shape[1]:
        each = (Along(1, Grouped(groups), x.shape[1]),)
    norm = Lowered("group_norm", over(call, dims, each) + _scales(call), elementwise=numel(x.shape),
                   attrs={"groups": groups})  # fmt: skip
    # (N, groups): one mean a group; of a group's channels any speaks for all.
    own: tuple[Step, ...] = (Along(1, Grouped(groups), groups),)
    return [norm, *_statistics(call, positions, own)]


def softmax(call: Call) -> Lowered:
    """aten::_softmax: each value over the sum of all values along a dimension."""
    x = call.tensor(0)
    if x.ndim == 0:
        return Lowered("softmax", call.edge(x))
    return Lowered("softmax", over(call, (int(call.given("dim")) % x.ndim,)), elementwise=numel(x.shape))


def renorm(call: Call) -> Lowered:
    """aten::renorm: each slice along a dimension over its norm where that is too large."""
    x: torch.Tensor = call.tensor(0)
    dim = int(call.given("dim")) % x.ndim
    return Lowered("norm", over(call, [d for d in range(x.ndim) if d != dim]), elementwise=numel(x.shape))


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "native_batch_norm",
            "_native_batch_norm_legit_no_training",
            "_native_batch_norm_legit",
            "_batch_norm_with_update",
            "_batch_norm_no_update",
            "cudnn_batch_norm",
        ),
        batch_norm,
    ),
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax"), softmax),
    "renorm": renorm,
}
