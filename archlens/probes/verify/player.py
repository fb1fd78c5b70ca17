"""Plays a recorded run under the twin's arithmetic: the rules of `twin_ops` on real tensors, call by call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from archlens.capture.forms import form_of, tensors_in
from archlens.probes.verify.tape import Recorded, Tape
from archlens.probes.verify.twin_named import NAMED
from archlens.probes.verify.twin_ops import CUT, OPS, SELF, Constant, NotPlayed, interpolation, matmul, split

Take = Callable[[int, Tensor, bool], None]
INTERPOLATIONS = {"upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"}
# Results that take nothing of their arguments but type and shape, or a number.
DARK = {
    "fill", "zero", "new_empty", "new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like",
    "empty_like", "rand_like", "randn_like", "new_empty_strided",
}  # fmt: skip


class Player:
    """Plays a tape with real tensors under the twin's arithmetic."""

    def __init__(self, tape: Tape, take: Take, origin: int | None, start: Tensor) -> None:
        self.tape = tape
        self.take = take
        self.origin = None if origin is None or origin in tape.graph.inputs else origin
        self.start = start
        self.env: dict[int, Tensor] = {}
        self.masks: dict[int, Tensor] = {}
        self.shown: set[int] = set()
        self.skipped: dict[str, int] = {}
        self.lost: set[int] = set()  # storages behind an operator without a rule
        self.last: dict[int, int] = {}  # tensor -> the last entry that it takes part in
        for k, entry in enumerate(tape.entries):
            for t in (*tensors_in(entry.args), *entry.outs, *(t for _, t in entry.nodes)):
                self.last[id(t)] = k

    def play(self, x: Tensor) -> None:
        """See `Oracle.watch`."""
        for k, given in enumerate(self.tape.inputs):
            lit = k == 0 and self.origin is None
            # A copy: networks may write into their input.
            value = x * 1.0 if lit else torch.zeros(given.shape, dtype=torch.float64)
            self.env[id(given)] = value
            self._note(self.tape.graph.inputs[k], given)
        for k, entry in enumerate(self.tape.entries):
            involved = [*tensors_in(entry.args), *entry.outs]
            if any(self._dynamic(t) for t in involved):
                self._step(entry)
                for node, t in entry.nodes:
                    self._note(node, t)
            for t in (*involved, *(t for _, t in entry.nodes)):
                if self.last[id(t)] == k and id(t) not in self.masks:
                    self.env.pop(id(t), None)

    def _note(self, node: int, tensor: Tensor) -> None:
        """Show a node's value where it first comes to light."""
        value = self._lookup(tensor)
        if value is None or node in self.shown:
            return
        self.shown.add(node)
        if node == self.origin:
            with torch.no_grad():
                value.zero_()
            value += self.start
        self.take(node, value, self.tape.storage(tensor) in self.tape.written)

    def _lookup(self, tensor: Tensor) -> Tensor | None:
        if self.tape.storage(tensor) in self.lost:
            return None
        if id(tensor) not in self.env:  # a buffer of the model that becomes dependent: dark until written
            self.env[id(tensor)] = torch.zeros(tensor.shape, dtype=torch.float64)
        return self.env[id(tensor)]

    def _step(self, entry: Recorded) -> None:
        name = entry.name
        base = name[:-1] if entry.writes else name
        form = form_of(entry.func._schema)
        try:
            if form.reshapes:
                self._reshape(entry, form.name)
                return
            if form.others:
                raise NotPlayed
            results = self._results(entry, base)
        except NotPlayed:
            self.skipped[name] = self.skipped.get(name, 0) + 1
            self.lost |= {self.tape.storage(t) for t in entry.outs}
            return
        if results is None:  # behind an operator without a rule
            self.lost |= {self.tape.storage(t) for t in entry.outs}
            return
        if entry.writes:
            target = self._lookup(entry.outs[0])
            if target is not None:  # else the rest of the buffer is lost, and so is the whole
                target.copy_(results[0])
            return
        for t, shape, value in zip(entry.outs, entry.shapes, results, strict=False):
            if tuple(value.shape) != shape and value.numel() and t.numel():
                raise AssertionError(f"{name}: captured {shape}, really {tuple(value.shape)}")
            self.env[id(t)] = value if entry.view else _laid_out(value, t)

    def _reshape(self, entry: Recorded, name: str) -> None:
        """An in-place call that changes how a tensor is looked at: its view from now on."""
        target = entry.outs[0]
        value = self._lookup(target)
        if value is not None and name != "detach":
            op = getattr(torch.ops.aten, name, None)
            if op is None or name.endswith("_") or id(target) in self.masks:
                raise NotPlayed
            self.env[id(target)] = op(value, *entry.given[0][1:], **entry.given[1])

    # -------------------------------------------------------------- one call

    def _results(self, entry: Recorded, base: str) -> Sequence[Tensor] | None:
        """The call's results in the twin, or None behind an operator without a rule."""
        shapes = entry.shapes
        if base in DARK or not any(self._dynamic(t) for t in tensors_in(entry.args)):
            return [torch.zeros(s, dtype=torch.float64) for s in shapes]
        if any(self._dynamic(t) and self._lookup(t) is None for t in tensors_in(entry.args)):
            return None
        args = [self._resolved(a) for a in entry.args]
        if base == "copy":
            return [a if isinstance(a, Tensor) else torch.zeros((), dtype=torch.float64) for a in args[1:2]]
        if base.removeprefix("unsafe_") in ("split", "split_with_sizes", "unbind"):
            return split(args, shapes, base)
        if base in SELF:
            return self._itself(entry)
        if base in INTERPOLATIONS:
            return [interpolation(args, shapes[0], base, entry.func._overloadname == "vec")]
        kept = self._kept(entry, base, args)
        if base in ("_softmax", "_safe_softmax", "_log_softmax"):
            out: Any = softmax(args, kept)
        elif base in ("bmm", "mm") and kept is not None:
            out = matmul(args, shapes[0], kept)
        elif base in NAMED:
            out = NAMED[base](dict(zip(form_of(entry.func._schema).arguments, args, strict=True)), shapes[0])
        elif base in OPS:
            out = OPS[base](args, shapes[0])
        else:
            raise NotPlayed
        if kept is not None and base not in ("bmm", "mm"):
            self.masks[id(entry.outs[0])] = kept.expand(shapes[0])
        return [out] if isinstance(out, Tensor) else list(out)

    def _dynamic(self, tensor: Tensor) -> bool:
        return self.tape.storage(tensor) in self.tape.dynamic

    def _resolved(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return self._lookup(value) if self._dynamic(value) else Constant(value, self.start.device)

    def _itself(self, entry: Recorded) -> Sequence[Tensor]:
        """The operator's own kernel; constants that would be joined in are dark."""

        def real(value: Any) -> Any:
            if isinstance(value, Tensor):
                if self._dynamic(value):
                    return self._lookup(value)
                if value.is_floating_point():
                    return torch.zeros(value.shape, dtype=torch.float64)
                if value.is_meta:
                    raise NotPlayed
                return value.to(self.start.device)
            return type(value)(real(v) for v in value) if isinstance(value, (list, tuple)) else value

        args, kwargs = entry.given
        if entry.name == "detach":  # the value depends as before, and the way back is followed too
            return [torch.ops.aten.alias(real(args[0]))]
        out = entry.func(*(real(a) for a in args), **{k: real(v) for k, v in kwargs.items()})
        mask = next((self.masks[id(t)] for t in tensors_in(entry.args) if id(t) in self.masks), None)
        if mask is not None and isinstance(out, Tensor):
            moved = entry.func(mask.double(), *args[1:], **kwargs)
            self.masks[id(entry.outs[0])] = moved > 0
        return list(tensors_in((out,)))

    def _kept(self, entry: Recorded, base: str, args: Sequence[Any]) -> Tensor | None:
        """What attention masks leave of a score tensor: True where it counts. None where nothing is cut."""
        kept = [self.masks[id(t)] for t in tensors_in(entry.args[:2]) if id(t) in self.masks]
        sign = -1.0 if base == "sub" else 1.0
        if base in ("add", "sub"):
            values = [self._added(a, given) for a, given in zip(args[:2], entry.args, strict=False)]
            kept += [sign * v > CUT for v in values if v is not None and bool((sign * v <= CUT).any())]
        elif base == "masked_fill" and isinstance(args[1], Constant) and _cuts(args[2], 1.0):
            assert args[1].value is not None
            kept.append(~args[1].value.bool())
        elif base == "where" and isinstance(args[0], Constant) and args[0].value is not None:
            kept += [args[0].value] if _cuts(args[2], 1.0) else []
            kept += [~args[0].value] if _cuts(args[1], 1.0) else []
        out: Tensor | None = None
        for mask in kept:
            out = mask if out is None else out & mask
        return out

    def _added(self, value: Any, given: Any) -> Tensor | None:
        """What a constant operand adds. Only here a parameter has its own value: a mask that comes with a
        learnt bias (of relative positions, say) is one all the same."""
        if not isinstance(value, Constant):
            return None
        own = self.tape.constant(given) if value.value is None else value.value
        floats = own is not None and own.is_floating_point() and own.numel()
        return own.to(self.start.device) if own is not None and floats and not own.is_meta else None


def _laid_out(value: Tensor, like: Tensor) -> Tensor:
    """With the strides that the capture saw: whether a later `view` is legal hangs on them."""
    if value.shape != like.shape or value.stride() == like.stride() or value.numel() <= 1:
        return value
    return torch.empty_strided(like.shape, like.stride(), dtype=value.dtype).copy_(value)


def _cuts(value: Any, sign: float) -> bool:
    """Whether an additive constant pushes some scores out of a softmax."""
    if isinstance(value, Constant):
        if value.value is None or not value.value.is_floating_point() or value.value.numel() == 0:
            return False
        return bool((sign * value.value <= CUT).any())
    return isinstance(value, (int, float)) and sign * value <= CUT


def softmax(args: Sequence[Any], kept: Tensor | None) -> Tensor:
    """The value and the mean along a dimension, of what a mask keeps."""
    x: Tensor = args[0]
    if kept is not None:
        x = x * kept
    out = x + x.mean(int(args[1]), keepdim=True)
    return out if kept is None else out * kept
