"""Lowering rules: linear layers, matrix products, fused attention."""

from __future__ import annotations

import torch

from archlens.capture.call import Call, Lowered, Rule, broadcast, numel
from archlens.graph import Along, Edge, Full


def addmm(call: Call) -> Lowered:
    """bias + a @ b."""
    bias, a, b = call.tensor(0), call.tensor(1), call.tensor(2)
    product = _matmul(call, a, b)
    return Lowered(product.op, product.edges + call.edge(bias, *broadcast(bias.shape, call.shape)),
                   macs=product.macs, attrs=product.attrs)  # fmt: skip


def mm(call: Call) -> Lowered:
    """a @ b, also in batches (bmm)."""
    return _matmul(call, call.tensor(0), call.tensor(1))


def baddbmm(call: Call) -> Lowered:
    """c + a @ b in batches."""
    return addmm(call)


def _matmul(call: Call, a: torch.Tensor, b: torch.Tensor) -> Lowered:
    """(..., i, k) @ (..., k, j) -> (..., i, j). A constant factor makes it a linear layer: its weight has the
    size of the dimension that it contracts."""
    i, k, j = a.shape[-2], a.shape[-1], b.shape[-1]
    linear = call.node_of(b) is None or call.node_of(a) is None
    edges: tuple[Edge, ...] = call.edge(a, Along(a.ndim - 1, Full(fixed=linear), j))
    edges += call.edge(b, Along(b.ndim - 2, Full(fixed=linear), i))
    macs = numel(a.shape[:-2]) * i * k * j
    if not linear:
        return Lowered("matmul", edges, macs=macs)
    weight = b if call.node_of(b) is None else a
    fan_out, fan_in = (j, k) if weight is b else (i, k)
    return Lowered("linear", edges, macs=macs, attrs={"weight": [fan_out, fan_in], "groups": 1})


def linear(call: Call) -> Lowered:
    """aten::linear: (..., k) @ (j, k)^T."""
    x, weight = call.tensor(0), call.tensor(1)
    j, k = weight.shape
    edges = call.edge(x, Along(x.ndim - 1, Full(fixed=True), j))
    return Lowered("linear", edges, macs=numel(x.shape) * j, attrs={"weight": [j, k], "groups": 1})


def attention(call: Call) -> Lowered:
    """Fused scaled dot product attention: (..., L, E), (..., S, E), (..., S, V) -> (..., L, V)."""
    q, k, v = call.tensor(0), call.tensor(1), call.tensor(2)
    rows, cols, width = q.shape[-2], k.shape[-2], v.shape[-1]
    # A query reads its own position in every channel, and every position of keys and values.
    edges = call.edge(q, Along(q.ndim - 1, Full(), width), gate=True)
    for t in (k, v):
        edges += call.edge(t, Along(t.ndim - 1, Full(), width), Along(t.ndim - 2, Full(), rows))
    macs = numel(q.shape[:-2]) * rows * cols * (q.shape[-1] + width)
    return Lowered("attention", edges, macs=macs)


RULES: dict[str, Rule] = {
    "addmm": addmm,
    "mm": mm,
    "bmm": mm,
    "baddbmm": baddbmm,
    "linear": linear,
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_flash_attention": attention,
    "_scaled_dot_product_efficient_attention": attention,
    "_scaled_dot_product_cudnn_attention": attention,
    "_scaled_dot_product_fused_attention_overrideable": attention,
}
