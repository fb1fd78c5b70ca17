# ruff: noqa: B008  (each turn of a loop has an operator of its own)
"""The table: sequences, look-ups, scatters, transforms, values that leave torch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from table import A, bound, case, to, wrote
from torch import Tensor, nn

# ------------------------------------------------------------------ tokens, sequences

case("embedding", lambda x, m: m((x[:, 0] > 0).long()), parts=lambda: [nn.Embedding(2, 3)], blind=True)
bound("embedding in the image", lambda x: F.embedding(torch.tensor([[0, 2]]), x[0, 0]))
case("sort", lambda x: x.sort(2).values, blind=True)
case("sort stable", lambda x: x.sort(dim=1, stable=True, descending=True).values, blind=True)
case("argsort", lambda x: x.argsort(2), blind=True)
case("topk", lambda x: x.topk(2, 1).values, blind=True)
case("topk least", lambda x: x.topk(2, -1, largest=False, sorted=False).values, blind=True)
for name in ("cumsum", "cumprod", "logcumsumexp"):
    case(name, lambda x, op=getattr(torch, name): op(x, 2))
case("cumsum last", lambda x: x.cumsum(-1))
case("cummax", lambda x: x.cummax(2).values, blind=True)
case("cummin", lambda x: x.cummin(-1).values, blind=True)
bound("box filter", lambda x: (lambda s: s[..., 3:] - s[..., :-3])(x.cumsum(-1)))
case("glu", lambda x: F.glu(x, 2))
case("glu last", lambda x: F.glu(x[..., :4]))
case("channel_shuffle", lambda x: F.channel_shuffle(x, 2), 4, 3, 4)
for kind in ("GRU", "RNN", "LSTM"):
    make = getattr(nn, kind)
    case(kind, lambda x, m: m(x.permute(2, 0, 1))[0], 3, 6, parts=lambda make=make: [make(3, 4)])
    case(
        f"{kind} batch first",
        lambda x, m: m(x.transpose(1, 2))[0],
        3,
        6,
        parts=lambda make=make: [make(3, 4, batch_first=True)],
    )
    case(
        f"{kind} both ways",
        lambda x, m: m(x.transpose(1, 2))[0],
        3,
        6,
        parts=lambda make=make: [make(3, 4, 2, batch_first=True, bidirectional=True)],
    )
    case(
        f"{kind} last state",
        lambda x, m: _state(m(x.transpose(1, 2))[1]),
        3,
        6,
        parts=lambda make=make: [make(3, 4, batch_first=True)],
    )
    case(
        f"{kind} first state",
        lambda x, m, k=kind: m(x.transpose(1, 2), _twice(x[None, :1, 0, 2:6].contiguous(), k))[0],
        3,
        6,
        parts=lambda make=make: [make(3, 4, batch_first=True)],
    )
case(
    "LSTM projected",
    lambda x, m: m(x.transpose(1, 2))[0],
    3,
    6,
    parts=lambda: [nn.LSTM(3, 4, batch_first=True, proj_size=2)],
)
case("GRU cell", lambda x, m: m(x[:, :, 0], m(x[:, :, 1])), 3, 4, parts=lambda: [nn.GRUCell(3, 3)])
case(
    "LSTM cell",
    lambda x, m: m(x[:, :, 0], m(x[:, :, 1]))[0],
    3,
    4,
    parts=lambda: [nn.LSTMCell(3, 3)],
    blind=True,
)
case(
    "GRU of an image's rows",
    lambda x, m: m(x[0].permute(1, 2, 0))[0],
    parts=lambda: [nn.GRU(3, 2, batch_first=True)],
)


def _state(out: Any) -> Tensor:
    return out if isinstance(out, Tensor) else out[0]


def _twice(h: Tensor, kind: str) -> Any:
    return (h, h.flip(2)) if kind == "LSTM" else h


case(
    "max_unpool2d",
    lambda x, p, u: u(*p(x)),
    2,
    6,
    6,
    parts=lambda: [nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)],
    blind=True,
)
case(
    "max_unpool2d overlapping",
    lambda x, p, u: u(*p(x)),
    1,
    7,
    7,
    parts=lambda: [nn.MaxPool2d(3, 2, return_indices=True), nn.MaxUnpool2d(3, 2)],
    blind=True,
)
case(
    "max_unpool3d",
    lambda x, p, u: u(*p(x)),
    1,
    4,
    4,
    2,
    parts=lambda: [nn.MaxPool3d(2, return_indices=True), nn.MaxUnpool3d(2)],
    blind=True,
)
bound(
    "max_unpool1d",
    lambda x, p, u: u(*p(x)),
    2,
    9,
    parts=lambda: [nn.MaxPool1d(3, 2, return_indices=True), nn.MaxUnpool1d(3, 2)],
    blind=True,
)
bound(
    "max_unpool2d adaptive",
    lambda x: F.max_unpool2d(*F.adaptive_max_pool2d(x, 3, return_indices=True), 2, 2, output_size=(7, 7)),
    2,
    7,
    7,
    blind=True,
)
bound(
    "max_unpool2d of another size",
    lambda x, p: F.max_unpool2d(*p(x), 2, 2, output_size=(5, 6)),
    1,
    4,
    6,
    parts=lambda: [nn.MaxPool2d(2, return_indices=True)],
    blind=True,
)

# ------------------------------------------------------------------ by value

I3 = torch.tensor([2, 0, 0])
case("index_select", lambda x: x.index_select(2, I3))
case("index_select negative", lambda x: x.index_select(-1, I3))
bound("index_select in the image", lambda x: x.index_select(2, (x[0, 0, 0, :2] > 0).long()), blind=True)
case("index", lambda x: x[:, :, I3])
case("index two", lambda x: x[:, :, I3[:, None], I3[None]])
case("index mask", lambda x: x[:, :, torch.tensor([True, False, True, False])])
bound("index apart", lambda x: x[:, I3, :, I3], blind=True)
bound("index in the image", lambda x: x[:, :, (x[0, 0, 0, :2] > 0).long()], blind=True)
bound("index a mask of the image", lambda x: x[x > 0], blind=True)
bound("gather", lambda x: x.gather(2, (x[:, :, :2] > 0).long()), blind=True)
bound("gather constant", lambda x: x.gather(2, torch.ones(1, 3, 2, 5, dtype=torch.long)), blind=True)
bound("take", lambda x: x.take(I3), blind=True)
bound("take_along_dim", lambda x: x.take_along_dim(x.argmax(2, keepdim=True), 2), blind=True)
WHERE = torch.tensor([[[[1, 2, 3, 0, 0]]]]).expand(1, 3, 1, 5)
bound("scatter", lambda x: x.scatter(2, WHERE, x.flip(3)[:, :, :1]), blind=True)
bound("scatter number", lambda x: x.scatter(2, WHERE, 3.0), blind=True)
bound("scatter reduce", lambda x: x.scatter(2, WHERE, x.flip(3)[:, :, :1], reduce="add"), blind=True)
bound(
    "scatter by the image", lambda x: x.scatter(2, (x[:, :, :1] > 0).long(), x.flip(3)[:, :, :1]), blind=True
)
bound("scatter_add", lambda x: x.scatter_add(2, WHERE, x.flip(3)[:, :, :1]), blind=True)
bound(
    "scatter_reduce",
    lambda x: x.scatter_reduce(2, WHERE, x.flip(3)[:, :, :1], "amax", include_self=False),
    blind=True,
)
bound("index_add", lambda x: x.index_add(2, torch.tensor([0, 3]), x.flip(2)[:, :, :2], alpha=2), blind=True)
bound(
    "index_reduce",
    lambda x: x.index_reduce(2, torch.tensor([0, 3]), x.flip(2)[:, :, :2], "mean", include_self=False),
    blind=True,
)
bound("index_fill", lambda x: x.index_fill(2, torch.tensor([0, 3]), 1.0), blind=True)
bound("index_fill tensor", lambda x: x.index_fill(2, torch.tensor([0, 3]), x[0, 0, 1, 1]), blind=True)
case("index_copy", lambda x: x.index_copy(2, torch.tensor([0, 3]), x.flip(3)[:, :, :2]))
bound(
    "index_copy by the image",
    lambda x: x.index_copy(2, x[0, 0, 0, :2].argsort(), x.flip(3)[:, :, :2]),
    blind=True,
)
case(
    "index_put",
    lambda x: wrote(
        x, lambda y: y.__setitem__((slice(None), slice(None), torch.tensor([1, 3])), x.flip(3)[:, :, :2])
    ),
)
bound(
    "index_put accumulate",
    lambda x: wrote(x, lambda y: torch.ops.aten.index_put_(y, [None, None, I3], x.flip(3)[:, :, :3], True)),
    blind=True,
)
bound("index_put by a mask", lambda x: wrote(x, lambda y: y.__setitem__(x > 0, 0.0)), blind=True)
bound(
    "_unsafe_index_put",
    lambda x: A._unsafe_index_put(x, [None, None, I3], x.flip(3)[:, :, :3], True),
    blind=True,
)
bound(
    "_index_put_impl",
    lambda x: A._index_put_impl_(x.clone(), [None, None, I3], x.flip(3)[:, :, :3], True, False),
    blind=True,
)
bound("put", lambda x: x.put(I3[:2], x[0, 0, 0, :2], accumulate=True), blind=True)
bound("masked_scatter", lambda x: x.masked_scatter(x > 0, x.flip(2)), blind=True)
case("slice_scatter", lambda x: x.slice_scatter(x.flip(3)[:, :, :2], 2, 0, 4, 2))
case("slice_scatter default", lambda x: x[0].slice_scatter(x[0].flip(2)))
case("select_scatter", lambda x: x.select_scatter(x.flip(3)[:, :, 0], 2, 3))
bound("diagonal_scatter", lambda x: x[0, 0].diagonal_scatter(x[0, 1, :, 0], 0), blind=True)
bound(
    "as_strided_scatter",
    lambda x: A.as_strided_scatter(x[0, 0].contiguous(), x[0, 1, :2, :2], [2, 2], [5, 1], 1),
    blind=True,
)
case("nonzero", lambda x: torch.nonzero(x > 0) * 1.0, word="unknown")
case("masked_select", lambda x: x.masked_select(x > 0), word="unknown")
bound("unique", lambda x: torch.unique(x), blind=True)
bound("unique dim", lambda x: torch.unique(x, dim=2), blind=True)
bound("unique_consecutive", lambda x: torch.unique_consecutive(x), blind=True)
bound("histc", lambda x: torch.histc(x, 5, -1, 1), blind=True)
bound("bincount", lambda x: torch.bincount((x.flatten() > 0).long(), minlength=3) * 1.0, blind=True)
bound("isin", lambda x: torch.isin((x * 9).long(), I3), blind=True)
case("repeat_interleave", lambda x: x.repeat_interleave(2, 2))


def _grid(x: Tensor, n: int = 2) -> Tensor:
    lines = [to(x, torch.linspace(-0.9, 0.8, 3 + a)) for a in range(n)]
    return torch.stack(torch.meshgrid(*lines, indexing="ij")[::-1], -1)[None]


for mode in ("bilinear", "nearest"):
    for padding in ("zeros", "border"):
        case(
            f"grid_sample {mode} {padding}",
            lambda x, m=mode, p=padding: F.grid_sample(x, _grid(x) * 1.4, m, p, align_corners=m == "nearest"),
        )
case("grid_sample turned", lambda x: F.grid_sample(x, _grid(x).flip(-1), align_corners=True))
bound("grid_sample bicubic", lambda x: F.grid_sample(x, _grid(x), "bicubic", align_corners=True), blind=True)
bound(
    "grid_sample reflected",
    lambda x: F.grid_sample(x, _grid(x) * 2, padding_mode="reflection", align_corners=True),
    blind=True,
)
bound(
    "grid_sample by the image",
    lambda x: F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False),
    blind=True,
)
case(
    "grid_sample of a constant",
    lambda x: F.grid_sample(
        to(x, torch.arange(16.0).view(1, 1, 4, 4)), x[:, :2].permute(0, 2, 3, 1) * 0.1, align_corners=False
    ),
)
case("grid_sample 3d", lambda x: F.grid_sample(x, _grid(x, 3), align_corners=True), 1, 3, 3, 3)
bound(
    "grid_sample 3d by the image",
    lambda x: F.grid_sample(x, x.movedim(1, -1), align_corners=True),
    3,
    2,
    2,
    3,
    blind=True,
)


def deform(x: Tensor, m: nn.Conv2d, masked: bool = False, **more: Any) -> Tensor:
    offset = x[:, :1].expand(1, 18, *x.shape[2:]).contiguous() * 0.1
    mask = x[:, 1:2].expand(1, 9, *x.shape[2:]).contiguous() if masked else None
    return torchvision.ops.deform_conv2d(x, offset, m.weight, m.bias, padding=1, mask=mask, **more)


bound("deform_conv2d", lambda x, m: deform(x, m), parts=lambda: [nn.Conv2d(3, 2, 3)], blind=True)
bound("deform_conv2d mask", lambda x, m: deform(x, m, True), parts=lambda: [nn.Conv2d(3, 2, 3)], blind=True)
bound(
    "deform_conv2d groups",
    lambda x, m: deform(x, m),
    4,
    4,
    4,
    parts=lambda: [nn.Conv2d(4, 4, 3, groups=2)],
    blind=True,
)
BOXES = [[0.0, 0, 4, 4], [1.0, 1, 3, 3]]
for name in ("roi_align", "roi_pool"):
    bound(
        name, lambda x, op=getattr(torchvision.ops, name): op(x, [to(x, torch.tensor(BOXES))], 2), blind=True
    )
for name in ("ps_roi_align", "ps_roi_pool"):
    bound(
        name,
        lambda x, op=getattr(torchvision.ops, name): op(x, [to(x, torch.tensor(BOXES))], 2),
        4,
        4,
        5,
        blind=True,
    )
bound(
    "roi_align by the image",
    lambda x: torchvision.ops.roi_align(x, [x[0, 0, :2, :4].sort(1).values * 2], 2),
    blind=True,
)
bound(
    "nms", lambda x: torchvision.ops.nms(x[0, 0, :, :4].sort(1).values, x[0, 1, :, 0], 0.5) * 1.0, blind=True
)

# ------------------------------------------------------------------ transforms

bound("fft", lambda x: torch.fft.fft(x).real + 0)
case("fft2", lambda x: torch.fft.fft2(x, norm="ortho").abs())
case("rfft", lambda x: torch.fft.rfft(x, dim=2).abs())
bound("irfft2", lambda x: torch.fft.irfft2(torch.fft.rfft2(x) * to(x, torch.arange(1.0, 4)), s=x.shape[-2:]))
bound("irfft of another size", lambda x: torch.fft.irfft(torch.fft.rfft(x), n=7))
bound("fftn", lambda x: torch.fft.fftn(x, dim=(1, 2)).imag + 0, blind=True)
case(
    "stft",
    lambda x: torch.stft(x[:, 0], 8, 4, 6, to(x, torch.ones(6)), normalized=True, return_complex=True).abs(),
    1,
    24,
)
case(
    "stft left",
    lambda x: torch.stft(
        x[:, 0], 8, center=False, onesided=False, window=to(x, torch.ones(8)), return_complex=True
    ).abs(),
    1,
    16,
)

# ------------------------------------------------------------------ values that leave torch

case("item", lambda x: x * float(x.mean().item()), word="unknown")
case("tolist", lambda x: x + torch.tensor(x[0, 0, 0].tolist(), dtype=x.dtype), word="unknown")
case("numpy", lambda x: x + torch.from_numpy(x.detach().numpy()[:, :, ::-1].copy()), word="unknown")
case("int as a shift", lambda x: x.roll(int(x.sum().abs() * 100) % 4, 2), word="unknown")
case("a look", lambda x: x + 1 if float(x.sum()) < 1e9 else x)

bound("unique_consecutive dim", lambda x: torch.unique_consecutive(x, dim=2), blind=True)
bound("bincount weights", lambda x: torch.bincount(torch.arange(5) % 3, x[0, 0, 0]), blind=True)
bound("diagonal_scatter off", lambda x: x[0].diagonal_scatter(x[0, :, :, 0].t(), 0, 2, 0), blind=True)
case(
    "searchsorted sorted",
    lambda x: torch.searchsorted(
        to(x, torch.arange(900.0).flip(0)), x * 99, sorter=torch.arange(900).flip(0)
    ),
    blind=True,
)
case(
    "addmm scaled", lambda x: torch.addmm(x[0, 1], x[0, 0], x[0, 2].t()[:, :1].expand(5, 5), beta=2, alpha=3)
)

bound("diagonal_scatter above", lambda x: x[0, 0].diagonal_scatter(x[0, 1, :, 0], 1), blind=True)
