"""Masks of attention: scores that a constant mask pushes to -50 or less count as cut.

After a softmax such a score weighs less than e**-50 of the others, so the token behind it is not read. A cut
is made where a constant is added (or filled in, or chosen) before the softmax, is carried through views, and
becomes `Keep` steps at the softmax and at the product with the values: so attention in shifted windows
reaches its window and no further, token by token.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from archlens.capture.call import Call, Lowered, numel
from archlens.graph import Along, Edge, Full, Keep, Reshape, Step
from archlens.graph.masks import Bools, pack

THRESHOLD = -50.0
NOTE = "attention masks of -50 or less count as cuts"
_MADE = {"add", "masked_fill", "where"}
_CARRIED = {
    "clone", "_to_copy", "contiguous", "alias", "detach", "dropout", "native_dropout", "lift_fresh", "mul",
    "div", "add", "clamp", "clamp_min",
}  # fmt: skip
_VIEWS = {"view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "_reshape_alias", "view_as"}


def cut(call: Call, low: Lowered) -> tuple[Lowered, torch.Tensor | None]:
    """What a call does to cuts: its geometry with the cut elements left out, and its result's own mask.

    A mask is True where the element stays, and is broadcast to the result's shape.
    """
    if low.unknown or not call.args or not low.edges:
        return low, None
    kept = [m for t in _operands(call) if (m := call.kept(t)) is not None]
    if call.name in _MADE:
        made = _made(call)
        if made is not None:
            kept.append(made)
    if not kept:
        return low, None
    name = call.name
    if name in ("bmm", "mm", "baddbmm") and call.node_of(call.tensor(0)) is not None:
        return _product(call, low), None
    if name in ("_softmax", "_safe_softmax"):
        step = pack(kept[0].numpy())
        edges = tuple(replace(e, steps=_kept_before(step, e.steps)) for e in low.edges)
        return replace(low, edges=edges), kept[0]
    moved = _moved(call, kept[0])
    if moved is not None:
        return low, moved
    if name in _MADE or name in _CARRIED:
        mask = torch.ones((), dtype=torch.bool)
        for m in kept:
            mask = mask & m
        return low, mask.expand(call.shape)
    return replace(low, bound="an attention mask is not followed here"), None


def _operands(call: Call) -> list[torch.Tensor]:
    return [a for a in call.args if isinstance(a, torch.Tensor) and call.node_of(a) is not None]


def _kept_before(step: Keep, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Cut scores are not read, and what stands in their place afterwards (zero) reads nothing."""
    return (step, *steps, step) if steps else (step,)


def _moved(call: Call, mask: torch.Tensor) -> torch.Tensor | None:
    """A mask taken along through a view."""
    name, args = call.name, call.args
    if name in _VIEWS:
        return mask.reshape(call.shape)
    if name == "expand":
        return mask.expand(call.shape)
    if name == "permute":
        return mask.permute(args[1])
    if name == "transpose":
        return mask.transpose(args[1], args[2])
    return None


def _made(call: Call) -> torch.Tensor | None:
    """The mask that a constant operand makes, or None where it cuts nothing."""
    name = call.name
    if name == "masked_fill":
        where, fill = call.tensor(1), call.args[2]
        chosen = call.value(where)
        if chosen is None or _number(call, fill) > THRESHOLD:
            return None
        kept = ~chosen.to(torch.bool)
    elif name == "where":
        chosen = call.value(call.tensor(0))
        if chosen is None:
            return None
        kept = torch.ones((), dtype=torch.bool)
        for side, other in ((1, chosen), (2, ~chosen)):
            if (value := call.value(call.tensor(side))) is not None and call.node_of(
                call.tensor(side)
            ) is None:
                kept = kept & ~(other & (value <= THRESHOLD))
    else:
        constants = [a for a in call.args[:2] if isinstance(a, torch.Tensor) and call.node_of(a) is None]
        if len(constants) != 1 or constants[0].ndim < 2 or not constants[0].is_floating_point():
            return None
        value = call.value(constants[0])
        if value is None:
            return None
        kept = value > THRESHOLD
    if kept.ndim == 0 or kept.shape[-1] == 1 or bool((kept == kept[..., :1]).all()):
        return None  # it says the same of all keys: a bias (a pixel mean, say), no mask
    return kept.expand(call.shape)


def _number(call: Call, fill: object) -> float:
    if isinstance(fill, torch.Tensor):
        value = call.value(fill)
        return float(value) if value is not None and value.numel() == 1 else 0.0
    return float(fill) if isinstance(fill, (int, float)) else 0.0


def _product(call: Call, low: Lowered) -> Lowered:
    """Weights (..., i, j) with cuts times values (..., j, d): row i reads the values that it keeps."""
    first = 1 if call.name == "baddbmm" else 0
    a, b = call.tensor(first), call.tensor(first + 1)
    mask = call.kept(a)
    if mask is None:
        return replace(low, bound="an attention mask is not followed here")
    kept: Bools = np.ascontiguousarray(mask.numpy())
    rows, cols, width = a.shape[-2], a.shape[-1], b.shape[-1]
    edges: tuple[Edge, ...] = call.edge(a, pack(kept), Along(a.ndim - 1, Full(), width))
    batch, n = tuple(b.shape[:-2]), b.ndim - 2
    edges += call.edge(
        b,
        Reshape((*batch, 1, cols, width)),
        Along(n, Full(), rows),
        pack(kept[..., None]),
        Along(n + 1, Full(), 1),
        Reshape((*batch, rows, width)),
    )
    known = {call.node_of(a), call.node_of(b)}
    edges += tuple(e for e in low.edges if e.source not in known)
    assert numel(call.shape) == numel(batch) * rows * width
    return replace(low, edges=edges)
