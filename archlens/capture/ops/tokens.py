"""Lowering rules: look-ups, sorting, running sums, recurrent layers, gates and shuffles of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from archlens.capture.call import BY_VALUE, Call, Lowered, Rule, broadcast, numel, spread
from archlens.graph import Along, Edge, Full, Permute, Reshape, Slice, Step, TransposedWindow, Window
from archlens.graph.masks import pack

_LONGEST = 2048  # tokens; beyond it a running sum is told as a bound


def embedding(call: Call) -> Lowered:
    """aten::embedding: each token looks up a row of a table. In a table that depends on the input it may be
    any row."""
    table, index = call.tensor(0), call.tensor(1)
    tokens, width = tuple(index.shape), table.shape[1]
    looked = call.edge(index, Reshape((*tokens, 1)), Along(len(tokens), Full(), width))
    if not call.depends(table):
        return Lowered("embedding", looked)
    steps = (Along(0, Full(), 1), Reshape((1,) * len(tokens) + (width,)))
    rows = call.edge(table, *steps, *broadcast((1,) * len(tokens) + (width,), call.shape))
    return Lowered("embedding", rows + tuple(replace(e, gate=True) for e in looked), bound=BY_VALUE)


def along_whole(op: str) -> Rule:
    """Every result along a dimension depends on all of it: sorting, the k largest."""

    def rule(call: Call) -> Lowered:
        x = call.tensor(0)
        if x.ndim == 0:
            return Lowered(op, call.edge(x))
        dim = int(call.given("dim", -1)) % x.ndim
        steps = (Along(dim, Full(), 1), Along(dim, Full(), call.shape[dim]))
        return Lowered(op, call.edge(x, *steps), elementwise=numel(x.shape))

    return rule


def running(op: str) -> Rule:
    """Running sums and their kin: each result reads what came before it."""

    def rule(call: Call) -> Lowered:
        x = call.tensor(0)
        if x.ndim == 0:
            return Lowered(op, call.edge(x))
        dim, work = int(call.given("dim")) % x.ndim, numel(x.shape)
        n = x.shape[dim]
        if n > _LONGEST:
            late = "what comes later along a running sum is counted too"
            return Lowered(op, call.edge(x, *spread(dim, n)), elementwise=work, bound=late)
        before, after = tuple(x.shape[:dim]), tuple(x.shape[dim + 1 :])
        mask = np.tri(n, dtype=bool).reshape((1,) * dim + (n, n) + (1,) * len(after))
        steps = (
            Reshape((*before, 1, n, *after)),
            Along(dim, Full(), n),
            pack(mask),
            Along(dim + 1, Full(), 1),
            Reshape(call.shape),
        )
        # The element itself is read too: its edge keeps the dimension's place in the map.
        return Lowered(op, call.edge(x) + call.edge(x, *steps), elementwise=work)

    return rule


def recurrent_layer(call: Call) -> list[Lowered]:
    """aten::mkldnn_rnn_layer: one direction of one LSTM layer, (T, N, C) -> (T, N, H) and the last states."""
    x, hidden = call.tensor(0), call.out[0].shape[-1]
    length, batch, channels = x.shape
    mask = np.tri(length, dtype=bool)
    if call.given("reverse"):
        mask = mask.T
    mix = Along(2, Full(), hidden)
    last = call.edge(x, mix, Along(0, Full(), 1))
    steps = (
        mix,
        Reshape((1, length, batch, hidden)),
        Along(0, Full(), length),
        pack(mask[:, :, None, None]),
        Along(1, Full(), 1),
        Reshape(call.shape),
    )
    # The first state, (N, H), is read by every step.
    first: tuple[Edge, ...] = ()
    for name in ("hx_", "cx_"):
        t = call.given(name)
        if call.depends(t):
            first += call.edge(t, *_row(t.shape, batch, hidden), Along(0, Full(), length), gate=True)
    macs = length * batch * 4 * hidden * (channels + hidden)
    attrs = {"weight": list(call.tensor(1).shape), "groups": 1}
    whole = Lowered("lstm", call.edge(x, mix) + call.edge(x, *steps) + first, macs=macs, attrs=attrs)
    states = []
    for t in call.out[1:3]:
        ends = [replace(e, steps=(*e.steps, Reshape(tuple(t.shape)))) for e in last]
        ends += [replace(e, steps=(*e.steps[:-1], Reshape(tuple(t.shape)))) for e in first]
        states.append(Lowered("lstm", tuple(ends)))
    return [whole, *states]


def _row(shape: Sequence[int], batch: int, hidden: int) -> tuple[Step, ...]:
    """A state of one layer as (1, N, H), each of its channels read by all."""
    flat = () if tuple(shape) == (1, batch, hidden) else (Reshape((1, batch, hidden)),)
    return (*flat, Along(2, Full(), 1), Along(2, Full(), hidden))


def glu(call: Call) -> Lowered:
    """aten::glu: one half of a dimension gates the other."""
    x = call.tensor(0)
    dim = int(call.given("dim", -1)) % x.ndim
    half = call.shape[dim]
    edges = call.edge(x, Along(dim, Slice(0), half)) + call.edge(x, Along(dim, Slice(half), half), gate=True)
    return Lowered("glu", edges, elementwise=numel(call.shape))


def channel_shuffle(call: Call) -> Lowered:
    """aten::channel_shuffle: groups and members of channels change places."""
    x, groups = call.tensor(0), int(call.args[1])
    rest = tuple(x.shape[2:])
    order = (0, 2, 1, *range(3, 3 + len(rest)))
    steps = (
        Reshape((x.shape[0], groups, x.shape[1] // groups, *rest)),
        Permute(order),
        Reshape(tuple(x.shape)),
    )
    return Lowered("channel_shuffle", call.edge(x, *steps))


def max_unpool(n: int) -> Rule:
    """aten::max_unpool2d, 3d: each value returns to the place in its window that it was found at, so a place
    is written by the windows that hold it. Where the windows are not known, by any."""

    def rule(call: Call) -> Lowered:
        x, index = call.tensor(0), call.tensor(1)
        first = x.ndim - n
        windows = _windows(call, index, n, first)
        if windows is not None:
            steps: tuple[Step, ...] = tuple(
                Along(
                    first + a,
                    TransposedWindow(w.kernel, w.stride, w.padding, w.dilation),
                    call.shape[first + a],
                )
                for a, w in enumerate(windows)
            )
            bound = None
        else:
            steps = tuple(
                s
                for a in range(n)
                for s in (Along(first + a, Full(), 1), Along(first + a, Full(), call.shape[first + a]))
            )
            bound = BY_VALUE
        edges = call.edge(x, *steps) + call.edge(index, *steps, gate=True)
        return Lowered(f"max_unpool{n}d", edges, bound=bound)

    return rule


def _windows(call: Call, index: torch.Tensor, n: int, first: int) -> list[Window] | None:
    """The windows of the pool that made the indices of an unpool to the size that the pool came from."""
    source = call.node_of(index)
    pool = None if source is None else call.node(source)
    if pool is None or not pool.op.startswith("max_pool") or len(pool.edges) != 1:
        return None
    along = {s.dim: s.geometry for s in pool.edges[0].steps if isinstance(s, Along)}
    windows = [g for a in range(n) if isinstance(g := along.get(first + a), Window)]
    before = call.node(pool.edges[0].source)
    fits = before is not None and before.shape[first:] == call.shape[first:]
    return windows if len(windows) == n and fits and len(pool.edges[0].steps) == n else None


RULES: dict[str, Rule] = {
    "embedding": embedding,
    "sort": along_whole("sort"),
    "argsort": along_whole("sort"),
    "topk": along_whole("topk"),
    "cumsum": running("cumsum"),
    "cumprod": running("cumprod"),
    "cummax": running("cummax"),
    "cummin": running("cummin"),
    "logcumsumexp": running("cumsum"),
    "mkldnn_rnn_layer": recurrent_layer,
    "glu": glu,
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "max_unpool2d": max_unpool(2),
    "max_unpool3d": max_unpool(3),
}
