"""Lowering rules: look-ups, sorting, running sums, gates and shuffles of channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from archlens.capture.call import Call, Lowered, Rule, numel, pair, spread
from archlens.graph import Along, Full, Permute, Reshape, Slice, TransposedWindow
from archlens.graph.masks import pack

BY_VALUE = "which elements are read is up to the values"
_LONGEST = 2048  # tokens; beyond it a running sum is told as a bound


def embedding(call: Call) -> Lowered | None:
    """aten::embedding: each token looks up a row of a table."""
    table, index = call.tensor(0), call.tensor(1)
    if call.node_of(table) is not None:
        return None
    tokens = tuple(index.shape)
    return Lowered(
        "embedding", call.edge(index, Reshape((*tokens, 1)), Along(len(tokens), Full(), table.shape[1]))
    )


def along_whole(op: str, position: int) -> Rule:
    """Every result along a dimension depends on all of it: sorting, the k largest."""

    def rule(call: Call) -> Lowered:
        x = call.tensor(0)
        if x.ndim == 0:
            return Lowered(op, call.edge(x))
        dim = int(call.args[position]) % x.ndim
        steps = (Along(dim, Full(), 1), Along(dim, Full(), call.shape[dim]))
        return Lowered(op, call.edge(x, *steps), elementwise=numel(x.shape))

    return rule


def running(op: str) -> Rule:
    """Running sums and their kin: each result reads what came before it."""

    def rule(call: Call) -> Lowered:
        x = call.tensor(0)
        if x.ndim == 0:
            return Lowered(op, call.edge(x))
        dim, work = int(call.args[1]) % x.ndim, numel(x.shape)
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
    if call.args[7]:  # backwards in time
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
    macs = length * batch * 4 * hidden * (channels + hidden)
    attrs = {"weight": list(call.tensor(1).shape), "groups": 1}
    whole = Lowered("lstm", call.edge(x, mix) + call.edge(x, *steps), macs=macs, attrs=attrs)
    states = [
        Lowered("lstm", tuple(replace(e, steps=(*e.steps, Reshape(tuple(t.shape)))) for e in last))
        for t in call.out[1:3]
    ]
    return [whole, *states]


def gather(call: Call) -> Lowered:
    """aten::gather: elements along a dimension by an index that may depend on the input."""
    x, dim, index = call.tensor(0), int(call.args[1]), call.tensor(2)
    dim %= x.ndim
    steps = [Along(dim, Full(), 1), Along(dim, Full(), call.shape[dim])]
    steps += [Along(d, Slice(0), m) for d, m in enumerate(call.shape) if d != dim and m != x.shape[d]]
    return Lowered("gather", call.edge(x, *steps) + call.edge(index, gate=True), bound=BY_VALUE)


def glu(call: Call) -> Lowered:
    """aten::glu: one half of a dimension gates the other."""
    x = call.tensor(0)
    dim = int(call.args[1]) % x.ndim
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


def max_unpool2d(call: Call) -> Lowered | None:
    """aten::max_unpool2d over windows that tile the map: each value returns to a place in its window."""
    x, index, size = call.tensor(0), call.tensor(1), pair(call.args[2], 2)
    first = x.ndim - 2
    ratio = [size[a] // x.shape[first + a] for a in range(2)]
    if any(size[a] - ratio[a] * x.shape[first + a] not in range(ratio[a]) for a in range(2)):
        return None
    steps = [Along(first + a, TransposedWindow(ratio[a], ratio[a]), size[a]) for a in range(2)]
    return Lowered("max_unpool2d", call.edge(x, *steps) + call.edge(index, *steps, gate=True))


RULES: dict[str, Rule] = {
    "embedding": embedding,
    "sort": along_whole("sort", 1),
    "argsort": along_whole("sort", 1),
    "topk": along_whole("topk", 2),
    "cumsum": running("cumsum"),
    "cumprod": running("cumprod"),
    "cummax": running("cummax"),
    "cummin": running("cummin"),
    "logcumsumexp": running("cumsum"),
    "gather": gather,
    "mkldnn_rnn_layer": recurrent_layer,
    "glu": glu,
    "channel_shuffle": channel_shuffle,
    "native_channel_shuffle": channel_shuffle,
    "max_unpool2d": max_unpool2d,
}
