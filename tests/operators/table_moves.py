# ruff: noqa: B008  (each turn of a loop has an operator of its own)
"""The table: reductions, views, moves and writes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from table import A, bound, case, wrote
from torch import Tensor

# ------------------------------------------------------------------ reductions

for name in (
    "mean",
    "sum",
    "nansum",
    "amax",
    "amin",
    "prod",
    "logsumexp",
    "argmax",
    "argmin",
    "median",
    "nanmedian",
    "any",
    "all",
    "count_nonzero",
):
    blind = name in ("argmax", "argmin", "any", "all", "count_nonzero", "median", "nanmedian", "amax", "amin")
    op = getattr(torch, name)
    for where in (1, 2, -1):
        case(
            f"{name} {where}",
            lambda x, op=op, d=where, n=name: _first(
                op(x if n not in ("any", "all", "count_nonzero") else x > 0, dim=d)
            ),
            blind=blind,
        )
    if name not in ("count_nonzero",):
        case(
            f"{name} keepdim",
            lambda x, op=op, n=name: _first(op(x if n not in ("any", "all") else x > 0, dim=2, keepdim=True)),
            blind=blind,
        )
    if name not in ("amax", "amin", "logsumexp"):
        case(
            f"{name} everything",
            lambda x, op=op, n=name: op(x if n not in ("any", "all", "count_nonzero") else x > 0),
            blind=blind,
        )


def _first(out: Any) -> Tensor:
    return out if isinstance(out, Tensor) else out[0]


for name in ("mean", "sum", "nansum", "amax", "amin", "logsumexp"):
    case(f"{name} two", lambda x, op=getattr(torch, name): op(x, (1, -1)), blind=name in ("amax", "amin"))
case("mean dtype", lambda x: x.mean(2, dtype=torch.float64))
case("max dim", lambda x: x.max(2).values, draws=40)
case("max everything", lambda x: x.max(), blind=True)
case("max maps", lambda x: torch.max(x, x.flip(2)))
case("min maps", lambda x: torch.min(x, x.flip(2)))
case("min dim", lambda x: x.min(-1, keepdim=True).values, draws=40)
case("min everything", lambda x: x.min(), blind=True)
for name in ("var", "std"):
    op = getattr(torch, name)
    case(f"{name} everything", lambda x, op=op: op(x))
    case(f"{name} unbiased", lambda x, op=op: op(x, False))
    case(f"{name} dim", lambda x, op=op: op(x, 1, False))
    case(f"{name} dims", lambda x, op=op: op(x, (2, 3), keepdim=True))
    case(f"{name} correction", lambda x, op=op: op(x, correction=2))
    case(f"{name} dim correction", lambda x, op=op: op(x, dim=1, correction=2))
for name in ("var_mean", "std_mean"):
    for k in (0, 1):
        case(f"{name} {k}", lambda x, op=getattr(torch, name), k=k: op(x, dim=1, correction=2)[k])
        case(f"{name} everything {k}", lambda x, op=getattr(torch, name), k=k: op(x)[k])
case("aminmax", lambda x: torch.aminmax(x, dim=2, keepdim=True)[1], blind=True)
case("aminmax everything", lambda x: torch.aminmax(x)[0], blind=True)
case("kthvalue", lambda x: x.kthvalue(2, 1).values, draws=40)
case("kthvalue keepdim", lambda x: x.kthvalue(2, -1, keepdim=True).values, draws=60, blind=True)
case("mode", lambda x: x.mode(2).values, blind=True)
case("mode keepdim", lambda x: x.mode(1, keepdim=True).values, blind=True)
for p in (1, 2, 3, float("inf")):
    case(f"vector_norm {p}", lambda x, p=p: torch.linalg.vector_norm(x, p, 1), blind=p == float("inf"))
case("vector_norm dims", lambda x: torch.linalg.vector_norm(x, 2, (1, 2), keepdim=True))
case("vector_norm everything", lambda x: torch.linalg.vector_norm(x, 2))
case("vector_norm dtype", lambda x: torch.linalg.vector_norm(x, 2, 1, dtype=torch.float64))
case("norm", lambda x: x.norm(p=2, dim=1))
case("norm keepdim", lambda x: x.norm(p=1, dim=(2, 3), keepdim=True))
case("norm everything", lambda x: x.norm())
case("aten norm", lambda x: A.norm.ScalarOpt_dim(x, 2, [1], True))

# ------------------------------------------------------------------ movement

case("view", lambda x: x.view(1, 3, 20) + 0)
case("reshape", lambda x: x.reshape(1, 12, 5) + 0)
case("flatten", lambda x: x.flatten(1) + 0)
case("squeeze", lambda x: x.squeeze(0) + 0)
case("unsqueeze", lambda x: x.unsqueeze(2) + 0)
case("permute", lambda x: x.permute(0, 2, 3, 1) + 0)
case("transpose", lambda x: x.transpose(-1, 2) + 0)
case("t", lambda x: x[0, 0].t() + 0)
case("slice", lambda x: x[:, 1:, 1:-1, ::2] + 0)
case("slice end", lambda x: x[..., :-2] + 0)
case("select", lambda x: x[:, :, -1] + 0)
case("split", lambda x: x.split(2, 3)[1] + 0)
case("split sizes", lambda x: x.split([1, 3], 2)[1] + 0)
case("unsafe_split", lambda x: torch.unsafe_split(x, 2, -1)[0] + 0)
case("unsafe_split sizes", lambda x: torch.unsafe_split_with_sizes(x, [1, 2], 1)[1] + 0)
case("unbind", lambda x: x.unbind(-2)[1] + 0)
case("expand", lambda x: x[:, :, :1].expand(1, 3, 4, 5) + 0)
case("repeat", lambda x: x.repeat(2, 1, 1, 2, 1))
case("cat", lambda x: torch.cat([x, x.flip(2)], -1))
case("cat default", lambda x: torch.cat([x[0], x[0].flip(2)]))
case("stack", lambda x: torch.stack([x, x.flip(2)], 2))
case("stack default", lambda x: torch.stack([x, x.flip(2)]))
case("roll", lambda x: x.roll((1, -2), (2, 3)))
case("roll flat", lambda x: x.roll(3))
case("flip", lambda x: x.flip(2, -1))
case("rot90", lambda x: x.rot90(1, (2, 3)))
case("diagonal", lambda x: x.diagonal(1, 2, 3) + 0)
case("diagonal default", lambda x: x[0, 0].diagonal(-1) + 0)
case("unfold", lambda x: x.unfold(2, 3, 1).mean(-1))
case("unfold one", lambda x: x[0, 0, 0].unfold(0, 2, 2) + 0)
case("as_strided", lambda x: torch.as_strided(x.contiguous(), (3, 4), (20, 5), 1) + 0)
case("as_strided windows", lambda x: torch.as_strided(x.contiguous(), (3, 3, 3), (20, 1, 1)) + 0)
case("clone", lambda x: x.clone(memory_format=torch.contiguous_format))
case("to", lambda x: x.to(torch.float32))
case("copy_", lambda x: torch.zeros_like(x).copy_(x[:, :, :1]))
case("copy_ part", lambda x: wrote(x, lambda y: y[:, :, 1:3].copy_(x[:, :, :1])))
case("fill_", lambda x: wrote(x, lambda y: y.fill_(x[0, 0, 2, 2])))
case("fill_ part", lambda x: wrote(x, lambda y: y[:, :, 1].fill_(x[0, 0, 2, 2])))
case("fill", lambda x: torch.fill(x, x[0, 0, 2, 2]))
case("fill number", lambda x: wrote(x, lambda y: y[:, :, 1].fill_(3.0)))
case("zero_", lambda x: wrote(x, lambda y: y[:, :, 1:].zero_()))
case("set row", lambda x: wrote(x, lambda y: y.__setitem__((slice(None), slice(None, 1)), x.flip(2)[:, 1:2])))
case("add_ through a view", lambda x: wrote(x, lambda y: y[:, :, ::2].add_(x[:, :, :1])))
case("unsqueeze_", lambda x: wrote(x, lambda y: y.unsqueeze_(0)).flip(3))
case("squeeze_", lambda x: wrote(x, lambda y: y.squeeze_(0)).flip(1))
case("squeeze_ dim", lambda x: wrote(x, lambda y: y.squeeze_(0)) + 0)
case("transpose_", lambda x: wrote(x, lambda y: y.transpose_(2, 3)) + 1)
case(
    "transpose_ of a view", lambda x: wrote(x, lambda y: y[:, :1].transpose_(2, 3).add_(x[:, :1, 0, :1])) + 1
)
case("swapaxes_", lambda x: wrote(x, lambda y: y.swapaxes_(2, 3)) + 1)
case("t_", lambda x: wrote(x[0, 0], lambda y: y.t_()) + 1)
case("as_strided_", lambda x: wrote(x, lambda y: y.as_strided_((4, 5), (5, 1), 20)) + 1)
case("as_strided_ that says the format", lambda x: wrote(x, lambda y: y.as_strided_(x.shape, x.stride())) + 1)
case("resize_", lambda x: wrote(x, lambda y: y.resize_(x.numel())) + 1)
case("resize_ smaller", lambda x: wrote(x, lambda y: y.resize_(3, 5)) + 1)
case("resize_as_", lambda x: wrote(x, lambda y: y.resize_as_(torch.empty(5, 4, 3))) + 1)
case(
    "pooled to one pixel, channels last",
    lambda x: F.adaptive_avg_pool2d(x.contiguous(memory_format=torch.channels_last), 1) * x[..., :1],
)
case("detach_", lambda x: wrote(x, lambda y: y.detach_()) + 1)
case("out=", lambda x: wrote(torch.empty_like(x), lambda y: torch.add(x, x.flip(2), out=y)))
case("out= a view", lambda x: wrote(x, lambda y: torch.add(x[:, :1], x[:, :1].flip(2), out=y[:, 1:2])))
case(
    "out= of another size",
    lambda x: wrote(torch.empty(0, dtype=x.dtype), lambda y: torch.mul(x, x.flip(2), out=y)),
)
case("foreach", lambda x: torch._foreach_add([x, x.flip(2)], [x.flip(3), x])[1])
case("foreach numbers", lambda x: torch._foreach_mul([x, x.flip(2)], [2.0, 3.0])[1])
case("foreach_", lambda x: wrote(x, lambda y: torch._foreach_add_([y], [x.flip(3)])))
case(".data read", lambda x: (x * 1).data.flip(2) + 1)
case(".data set", lambda x: wrote(torch.zeros_like(x), lambda y: setattr(y, "data", x.flip(2))) + 1)
case("dropout", lambda x: F.dropout(x, 0.5, False))
case("native_dropout", lambda x: torch.native_dropout(x, 0.5, False)[0])
case("detach", lambda x: x.detach() + 1)
bound("view_as_real", lambda x: torch.view_as_real(torch.complex(x, x.flip(2))) + 0)
case("view_as_complex", lambda x: torch.view_as_complex(torch.stack([x, x.flip(2)], -1)).abs())
bound("conj", lambda x: torch.complex(x, x.flip(2)).conj().resolve_conj().imag + 0)
case("conj_physical", lambda x: torch.complex(x, x.flip(2)).conj_physical().abs())
bound("neg view", lambda x: torch.complex(x, x.flip(2)).conj().imag.resolve_neg() + 0)
