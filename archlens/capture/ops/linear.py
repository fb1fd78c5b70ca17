"""Lowering rules: linear layers, matrix products, factorisations, fused attention."""

from __future__ import annotations

from dataclasses import replace

import torch

from archlens.capture.call import REWRITTEN, Call, Lowered, Rule, broadcast, everything, numel
from archlens.graph import Along, Edge, Full, Permute, Reshape, Step

ZEROS = "a constant weight has zeros"
ALL_OF_IT = "a factorisation is told as reading all of its matrix"


def addmm(call: Call) -> Lowered:
    """bias + a @ b, also in batches (baddbmm), summed over them (addbmm), of a vector (addmv)."""
    bias = call.tensor(0)
    product = _matmul(call, call.tensor(1), call.tensor(2))
    added = call.edge(bias, *broadcast(bias.shape, call.shape))
    op = "matmul" if added and product.op == "linear" else product.op
    return replace(product, op=op, edges=product.edges + added)


def mm(call: Call) -> Lowered:
    """a @ b, also in batches (bmm), of vectors (mv, dot)."""
    return _matmul(call, call.tensor(0), call.tensor(1))


def _matmul(call: Call, a: torch.Tensor, b: torch.Tensor) -> Lowered:
    """(..., i, k) @ (..., k, j) -> (..., i, j). A constant factor makes it a linear layer: its weight has the
    size of the dimension that it contracts. A vector is a matrix of one row or column."""
    left = (1, *a.shape) if a.ndim == 1 else tuple(a.shape)
    right = (*b.shape, 1) if b.ndim == 1 else tuple(b.shape)
    i, k, j = left[-2], left[-1], right[-1]
    linear = not (call.depends(a) and call.depends(b))
    whole = (*left[:-1], j)
    ends: tuple[Step, ...] = () if whole == call.shape else (Reshape(call.shape),)
    if numel(whole) != numel(call.shape):  # addbmm sums over the batch
        ends = (Along(0, Full(), 1), Reshape(call.shape))
    edges: tuple[Edge, ...] = ()
    for t, shape, dim, size in ((a, left, len(left) - 1, j), (b, right, len(right) - 2, i)):
        first = () if tuple(t.shape) == shape else (Reshape(shape),)
        edges += call.edge(t, *first, Along(dim, Full(fixed=linear), size), *ends)
    macs = numel(left[:-2]) * i * k * j
    if not linear:
        return Lowered("matmul", edges, macs=macs)
    weight = b if call.depends(a) else a
    fan_out, fan_in = (j, k) if weight is b else (i, k)
    attrs = {"weight": [fan_out, fan_in], "groups": 1} | _given(call, weight)
    return Lowered("linear", edges, macs=macs, attrs=attrs, bound=_zeros(call, weight))


def _given(call: Call, weight: torch.Tensor) -> dict[str, object]:
    """The name of a product with a matrix that is neither learnt nor computed from the input."""
    return {} if call.constants.is_learnt(weight) else {"name": "linear with constant weights"}


def _zeros(call: Call, weight: torch.Tensor) -> str | None:
    """Why a product with a constant says too much: elements that are zero whatever is learnt."""
    if call.constants.is_parameter(weight):
        return None
    pattern = call.constants.pattern(weight)
    if pattern is None:
        return REWRITTEN
    return None if bool(pattern.all()) else ZEROS


def linear(call: Call) -> Lowered:
    """aten::linear: (..., k) @ (j, k)^T + bias."""
    x, weight, bias = call.tensor(0), call.tensor(1), call.given("bias")
    j, k = weight.shape
    fixed = not call.depends(weight)
    edges = call.edge(x, Along(x.ndim - 1, Full(fixed=fixed), j))
    if not fixed:
        line = (1,) * (len(call.shape) - 1) + (j,)
        edges += call.edge(weight, Along(1, Full(), 1), Reshape(line), *broadcast(line, call.shape))
    if call.depends(bias):
        edges += call.edge(bias, *broadcast(bias.shape, call.shape))
    op = "linear" if fixed and not call.depends(bias) else "matmul"
    attrs = {"weight": [j, k], "groups": 1} | (_given(call, weight) if fixed else {})
    bound = _zeros(call, weight) if fixed else None
    return Lowered(op, edges, macs=numel(x.shape) * j, attrs=attrs, bound=bound)


def attention(call: Call) -> Lowered | None:
    """Fused scaled dot product attention: (..., L, E), (..., S, E), (..., S, V) -> (..., L, V)."""
    q, k, v = call.tensor(0), call.tensor(1), call.tensor(2)
    masks = (call.given("attn_mask"), call.given("attn_bias"))
    if any(m is not None for m in masks) or call.given("is_causal", False):
        return None
    rows, cols, width = q.shape[-2], k.shape[-2], v.shape[-1]
    # A query reads its own position in every channel, and every position of keys and values.
    edges = call.edge(q, Along(q.ndim - 1, Full(), width), gate=True)
    for t in (k, v):
        edges += call.edge(t, Along(t.ndim - 1, Full(), width), Along(t.ndim - 2, Full(), rows))
    macs = numel(q.shape[:-2]) * rows * cols * (q.shape[-1] + width)
    return Lowered("attention", edges, macs=macs)


def trilinear(call: Call) -> Lowered:
    """aten::_trilinear (nn.Bilinear): vectors, (..., k) and (..., l), through a weight."""
    edges: tuple[Edge, ...] = ()
    for t in (a for a in call.args if call.depends(a)):
        if tuple(t.shape[:-1]) == call.shape[:-1]:
            edges += call.edge(t, Along(t.ndim - 1, Full(), call.shape[-1]))
        else:
            edges += call.edge(t, *everything(t.shape, call.shape))
    return Lowered(call.name, edges, attrs={"uncounted": True})


def cross(call: Call) -> Lowered:
    """aten::linalg_cross: vectors along a dimension."""
    out, dim = call.shape, int(call.given("dim", -1)) % len(call.shape)
    edges: tuple[Edge, ...] = ()
    for t in (a for a in call.args[:2] if call.depends(a)):
        edges += call.edge(t, *broadcast(t.shape, out), Along(dim, Full(), 1), Along(dim, Full(), out[dim]))
    return Lowered(call.name, edges, elementwise=numel(out))


def outer(call: Call) -> Lowered:
    """aten::addr: c + the outer product of two vectors."""
    c, a, b = call.tensor(0), call.tensor(1), call.tensor(2)
    rows, cols = call.shape
    edges = call.edge(c, *broadcast(c.shape, call.shape))
    edges += call.edge(a, Reshape((rows, 1)), *broadcast((rows, 1), call.shape))
    edges += call.edge(b, Reshape((1, cols)), *broadcast((1, cols), call.shape))
    return Lowered("add", edges, elementwise=rows * cols, attrs={"name": "addr"})


def distances(call: Call) -> Lowered:
    """aten::_cdist_forward: every row of one (..., i, k) against every row of the other (..., j, k)."""
    a, b = call.tensor(0), call.tensor(1)
    i, j = a.shape[-2], b.shape[-2]
    edges = call.edge(a, Along(a.ndim - 1, Full(), j), *broadcast((*a.shape[:-1], j), call.shape))
    turned = (*range(b.ndim - 2), b.ndim - 1, b.ndim - 2)
    row = (*b.shape[:-2], 1, j)
    edges += call.edge(b, Along(b.ndim - 1, Full(), 1), Permute(turned), *broadcast(row, call.shape))
    return Lowered(call.name, edges, elementwise=numel(call.shape[:-2]) * i * j * a.shape[-1])


def decomposed(call: Call) -> list[Lowered]:
    """Solvers, inverses and factorisations of the matrices in the last two dimensions: all of each."""
    out = []
    for t in call.out:
        edges: tuple[Edge, ...] = ()
        for x in (a for a in call.args if call.depends(a)):
            batch = tuple(x.shape[:-2])
            if x.ndim < 2 or batch != tuple(t.shape[: len(batch)]):
                edges += call.edge(x, *everything(x.shape, tuple(t.shape)))
                continue
            ones = (*batch, *(1,) * (t.ndim - len(batch)))
            steps = (Along(x.ndim - 2, Full(), 1), Along(x.ndim - 1, Full(), 1), Reshape(ones))
            edges += call.edge(x, *steps, *broadcast(ones, tuple(t.shape)))
        out.append(Lowered(call.name, edges, attrs={"uncounted": True}, bound=ALL_OF_IT))
    return out


RULES: dict[str, Rule] = {
    **dict.fromkeys(("addmm", "baddbmm", "addmv", "addbmm"), addmm),
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "vdot"), mm),
    "linear": linear,
    "addr": outer,
    "_trilinear": trilinear,
    "linalg_cross": cross,
    "_cdist_forward": distances,
    **dict.fromkeys(
        (
            "linalg_inv_ex", "_linalg_solve_ex", "_linalg_det", "_linalg_slogdet", "_linalg_svd",
            "_linalg_eigh", "linalg_qr", "linalg_cholesky_ex", "linalg_lu_factor_ex", "linalg_lu",
            "linalg_matrix_exp", "linalg_pinv", "linalg_lstsq", "linalg_eig", "triangular_solve",
            "linalg_solve_triangular", "cholesky_solve",
        ),
        decomposed,
    ),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        ),
        attention,
    ),
}  # fmt: skip
