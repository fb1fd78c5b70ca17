"""Masks of attention: scores that a constant pushes 50 or more below their row's count as cut.

Behind the softmax such a score weighs less than e**-50 of the others: the token behind it is not read. What
constants add to scores is carried through views, further sums and scaling by numbers, up to a softmax; there,
in each row of the dimension that it runs over, what lies 50 below the highest is cut (a row that is masked as
a whole reads everything, since a softmax does not see what is added to all). Whatever else is done to scores
on the way loses the mask. The cut becomes `Keep` steps at the softmax and at the product with the values: so
attention in shifted windows reaches its window and no further, token by token.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from archlens.capture.call import Call, Cut, Lowered, numel
from archlens.capture.forms import MOVED
from archlens.graph import Along, Edge, Full, Keep, Reshape, Step
from archlens.graph.masks import Bools, pack, unpack

DEEP = 50.0
NOTE = "attention masks of -50 or less count as cuts"
NOT_FOLLOWED = "an attention mask is not followed here"
_SAME = {"clone", "_to_copy", "contiguous", "alias", "detach", "dropout", "native_dropout", "lift_fresh"}
_VIEWS = {"view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten", "_reshape_alias", "view_as"}
_JOINED = {"cat", "stack", "split", "gather", "repeat"}
_PRODUCTS = {"bmm", "mm", "baddbmm"}
_ADDING = {"add", "sub", "masked_fill", "where", "baddbmm", "addmm"}


def cut(call: Call, low: Lowered) -> tuple[Lowered, Cut | None]:
    """What a call does to cuts: its geometry with the cut elements left out, and its result's own cut."""
    if low.unknown or not call.args or not low.edges:
        return low, None
    operands = [a for a in call.args if call.depends(a)]
    cuts = [c for t in operands if (c := call.cut(t)) is not None]
    name = call.name
    if not cuts:
        return low, _made(call, None) if name in _ADDING else _zeroed(call, low) if name == "mul" else None
    own = call.cut(operands[0])
    if own is None or len(cuts) > 1 or own.lost:
        return _lost(call, low) if any(c.done for c in cuts) else (low, None)
    if name in _SAME:
        return low, own
    if (moved := _moved(call, own.values)) is not None:
        return low, Cut(moved, own.done)
    if own.done:
        return _behind(call, low, own)
    if name in ("_softmax", "_safe_softmax"):
        return _softmax(call, low, own.values)
    if name in _ADDING:
        return low, _made(call, own.values)
    if name in ("mul", "div"):
        factor = call.args[1]
        if isinstance(factor, (int, float)) and factor > 0:
            return low, Cut(own.values * factor if name == "mul" else own.values / factor, False)
        return low, None
    # The logarithm keeps what is cut, as a very low number of its own.
    return (replace(low, bound=NOT_FOLLOWED) if name == "_log_softmax" else low), None


def _softmax(call: Call, low: Lowered, values: torch.Tensor) -> tuple[Lowered, Cut | None]:
    dim = int(call.given("dim")) % len(call.shape)
    highest = values.amax(dim, keepdim=True)
    kept = ~(values <= highest - DEEP) | highest.isneginf()
    if bool(kept.all()):
        return low, None
    step = pack(kept.numpy())
    edges = tuple(replace(e, steps=_kept_before(step, e.steps)) for e in low.edges)
    return replace(low, edges=edges), Cut(kept, True)


def _kept_before(step: Keep, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Cut scores are not read, and what stands in their place afterwards (zero) reads nothing."""
    return (step, *steps, step) if steps else (step,)


def _behind(call: Call, low: Lowered, own: Cut) -> tuple[Lowered, Cut | None]:
    """What is done to weights, of which the cut ones are zero."""
    name = call.name
    if name in _PRODUCTS:
        followed = name != "baddbmm" and call.cut(call.tensor(0)) is not None
        return (_product(call, low, own.values) if followed else replace(low, bound=NOT_FOLLOWED)), None
    if name in ("mul", "div") and tuple(own.values.shape) == call.shape:
        return low, own
    if name == "masked_fill" and call.args[2] == 0 and not call.depends(call.args[1]):
        more = call.constants.fixed(call.tensor(1))
        return low, own if more is None else Cut(own.values & ~more.bool().cpu(), True)
    return _lost(call, low)


def _lost(call: Call, low: Lowered) -> tuple[Lowered, Cut | None]:
    """Weights whose cuts are not followed: where they meet the values, more is read than is told."""
    if call.name in _PRODUCTS:
        return replace(low, bound=NOT_FOLLOWED), None
    return low, Cut(torch.ones(()), True, lost=True) if low.op in MOVED or low.op in _JOINED else None


def _moved(call: Call, values: torch.Tensor) -> torch.Tensor | None:
    """A mask taken along through a view."""
    name, args = call.name, call.args
    if name in _VIEWS:
        return values.reshape(call.shape)
    if name == "expand":
        return values.expand(call.shape)
    if name == "permute":
        return values.permute(args[1])
    if name == "transpose":
        return values.transpose(args[1], args[2])
    if name == "select":
        return values.select(call.given("dim"), call.given("index"))
    if name == "slice":
        dim, step = call.given("dim", 0), call.given("step", 1)
        places = range(*slice(call.given("start"), call.given("end"), step).indices(values.shape[dim]))
        return values.index_select(dim, torch.tensor(list(places), dtype=torch.int64))
    return None


def _made(call: Call, before: torch.Tensor | None) -> Cut | None:
    """What constant operands have added to each element so far; None where that is nothing that could cut.
    Parameters count as zero: a learnt bias is no mask."""
    name, shape = call.name, call.shape
    values = torch.zeros(()) if before is None else before
    if name in ("masked_fill", "where"):
        condition = call.tensor(1) if name == "masked_fill" else call.tensor(0)
        chosen = None if call.depends(condition) else call.constants.fixed(condition)
        if chosen is None:
            return None
        sides = (call.args[2], call.args[0]) if name == "masked_fill" else (call.args[1], call.args[2])
        numbers = [values if call.depends(s) else _numbers(call, s) for s in sides]
        if numbers[0] is None or numbers[1] is None:
            return None
        values = torch.where(chosen.cpu().bool(), numbers[0].float(), numbers[1].float())
    else:
        other = call.args[1]
        constant = call.args[0] if call.depends(other) else other
        if call.depends(constant):
            return None  # a sum of two maps: what is added is not constant
        number = _numbers(call, constant)
        if number is None or (name == "sub" and constant is not other):
            return None
        times = float(call.given("beta" if name in ("baddbmm", "addmm") else "alpha", 1))
        values = values + (-times if name == "sub" else times) * number.float()
    if before is None and not bool((values <= values.max() - DEEP).any()):
        return None
    return Cut(values.expand(shape), False)


def _numbers(call: Call, value: object) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor):
        known = call.constants.value(value)
        return None if known is None or known.is_complex() else known.cpu()
    return torch.tensor(float(value)) if isinstance(value, (int, float)) else None


def _zeroed(call: Call, low: Lowered) -> Cut | None:
    """What a constant factor with zeros does: as behind a softmax, what is zero weighs nothing."""
    last = low.edges[0].steps[-1:] if len(low.edges) == 1 else ()
    if not last or not isinstance(last[0], Keep):
        return None
    return Cut(torch.from_numpy(unpack(last[0]).copy()).expand(call.shape), True)


def _product(call: Call, low: Lowered, mask: torch.Tensor) -> Lowered:
    """Weights (..., i, j) with cuts times values (..., j, d): row i reads the values that it keeps."""
    a, b = call.tensor(0), call.tensor(1)
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
