# ruff: noqa: B008  (each turn of a loop has an operator of its own)
"""The table: windows, resizes, products."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from table import A, bound, c, case, norm, to
from torch import Tensor, nn

# ------------------------------------------------------------------ windows

norm("conv1d", lambda: nn.Conv1d(2, 3, 3, 2, 1, 1), 2, 9)
norm("conv2d", lambda: nn.Conv2d(3, 3, (3, 2), (2, 1), (1, 0), (1, 2)))
norm("conv3d", lambda: nn.Conv3d(1, 2, 2, padding=1), 1, 3, 3, 3)
norm("conv groups", lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2), 4, 4, 5)
norm("conv depthwise", lambda: nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False))
norm("conv same", lambda: nn.Conv2d(3, 2, 4, padding="same"))
for mode in ("reflect", "replicate", "circular"):
    norm(f"conv {mode}", lambda mode=mode: nn.Conv2d(3, 2, 3, padding=1, padding_mode=mode))
norm("conv_transpose1d", lambda: nn.ConvTranspose1d(2, 2, 3, 2, 1, 1), 2, 5)
norm("conv_transpose2d", lambda: nn.ConvTranspose2d(3, 2, 3, 2, 1, 1))
norm("conv_transpose groups", lambda: nn.ConvTranspose2d(4, 4, 3, 2, groups=2, dilation=2), 4, 3, 3)
norm("conv_transpose3d", lambda: nn.ConvTranspose3d(1, 1, 2, 2), 1, 2, 3, 2)
case(
    "_convolution",
    lambda x, m: A._convolution(
        x, m.weight, x[0, :, 1, 1], [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False, False, False, False
    ),
    parts=lambda: [nn.Conv2d(3, 3, 3)],
)
case(
    "conv bias from the image",
    lambda x, m: F.conv2d(x, m.weight, x[0, :, 2, 3], padding=1),
    parts=lambda: [nn.Conv2d(3, 3, 3)],
)
case("conv kernel from the image", lambda x: F.conv2d(x, x[:, :, :3, :3]))
case("conv kernel of each channel", lambda x: F.conv2d(x, x[0, :, None, :2, :2], groups=3))
case(
    "conv kernel computed",
    lambda x, m: F.conv2d(x, m(x.mean((2, 3))).view(2, 3, 1, 1)),
    parts=lambda: [nn.Linear(3, 6)],
)
case("conv constant map", lambda x: F.conv2d(to(x, torch.arange(25.0).view(1, 1, 5, 5)), x[:1, :1, :2, :2]))
bound(
    "conv_transpose kernel from the image", lambda x: F.conv_transpose2d(x, x[0, :, None, :2, :2], stride=2)
)
bound(
    "conv_transpose kernel groups", lambda x: F.conv_transpose2d(x, x[0, :, None, :2, :2], stride=2, groups=3)
)
PIXELCNN = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 0, 0]])
case(
    "conv masked kernel",
    lambda x, m: F.conv2d(x, m.weight * to(x, PIXELCNN), padding=1),
    parts=lambda: [nn.Conv2d(3, 3, 3)],
)
case(
    "conv masked kernel dilated",
    lambda x, m: F.conv2d(x, m.weight * to(x, PIXELCNN), padding=2, dilation=2, stride=2),
    1,
    7,
    7,
    parts=lambda: [nn.Conv2d(1, 2, 3)],
)
case(
    "conv_transpose masked kernel",
    lambda x, m: F.conv_transpose2d(x, m.weight * to(x, PIXELCNN), padding=1, stride=2),
    parts=lambda: [nn.Conv2d(3, 3, 3)],
)
bound(
    "conv kernel of zeros apart",
    lambda x: F.conv2d(x[:, :1], to(x, torch.tensor([[[[0.0, 1], [0, 0]]], [[[0.0, 0], [1, 0]]]]))),
)
case(
    "conv constant kernel",
    lambda x: F.conv2d(x[:, :1], to(x, torch.tensor([[[[0.0, 1, 0], [1, 0, 1], [0, 0, 0]]]])), padding=1),
)


class Masked(nn.Conv2d):
    """A mask in a buffer, put on the kernel in place."""

    def __init__(self) -> None:
        super().__init__(3, 2, 3, padding=1)
        self.register_buffer("mask", PIXELCNN)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.mask, self.bias)


norm("conv masked in a module", Masked)
for n, shape in ((1, (2, 8)), (2, (2, 5, 6)), (3, (1, 3, 4, 3))):
    pool, avg = getattr(nn, f"MaxPool{n}d"), getattr(nn, f"AvgPool{n}d")
    norm(f"max_pool{n}d", lambda pool=pool: pool(2, 1, 1, 1), *shape, draws=40, blind=n == 1)
    norm(f"max_pool{n}d ceil", lambda pool=pool: pool(2, ceil_mode=True), *shape, draws=40)
    norm(f"avg_pool{n}d", lambda avg=avg: avg(2, 1, 1, count_include_pad=False), *shape)
    norm(f"avg_pool{n}d ceil", lambda avg=avg: avg(2, ceil_mode=True), *shape)
    ada, top = getattr(nn, f"AdaptiveAvgPool{n}d"), getattr(nn, f"AdaptiveMaxPool{n}d")
    norm(f"adaptive_avg_pool{n}d", lambda ada=ada: ada(3), *shape)
    norm(f"adaptive_avg_pool{n}d one", lambda ada=ada: ada(1), *shape)
    norm(f"adaptive_max_pool{n}d", lambda top=top: top(2), *shape, draws=40)
norm("max_pool2d dilated", lambda: nn.MaxPool2d(2, 2, dilation=2), draws=40)
norm("avg_pool2d divisor", lambda: nn.AvgPool2d(2, divisor_override=3))
norm("avg_pool2d default stride", lambda: nn.AvgPool2d(2))
case("max_pool2d of images without batch", lambda x: F.max_pool2d(x[0], 2), draws=40)
case("max_pool2d indices", lambda x: F.max_pool2d(x, 2, return_indices=True)[1] * 1.0, blind=True)
norm("lp_pool", lambda: nn.LPPool2d(2, 2), blind=True)
for n, shape in ((1, (2, 4)), (2, (2, 3, 4)), (3, (1, 2, 3, 2))):
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}[n]
    for mode in ("nearest", "nearest-exact", linear):
        case(
            f"{mode} {n}d size", lambda x, mode=mode, n=n: F.interpolate(x, (5, 7, 4)[:n], mode=mode), *shape
        )
        case(f"{mode} {n}d scale", lambda x, mode=mode: F.interpolate(x, scale_factor=1.7, mode=mode), *shape)
    case(
        f"{linear} {n}d aligned",
        lambda x, mode=linear, n=n: F.interpolate(x, (5, 7, 4)[:n], mode=mode, align_corners=True),
        *shape,
    )
case("bicubic", lambda x: F.interpolate(x, (5, 7), mode="bicubic"), draws=40)
case(
    "bicubic aligned",
    lambda x: F.interpolate(x, scale_factor=2.0, mode="bicubic", align_corners=True),
    draws=40,
)
case("nearest recomputed", lambda x: F.interpolate(x, scale_factor=1.7, recompute_scale_factor=True))
case("area", lambda x: F.interpolate(x, (3, 2), mode="area"))
bound("bilinear antialiased", lambda x: F.interpolate(x, (3, 3), mode="bilinear", antialias=True), 1, 8, 9)
bound("bicubic antialiased", lambda x: F.interpolate(x, (3, 3), mode="bicubic", antialias=True), 1, 8, 9)
bound(
    "bilinear antialiased up",
    lambda x: F.interpolate(x, (9, 8), mode="bilinear", antialias=True, align_corners=True),
    1,
    5,
    4,
)
for mode in ("constant", "reflect", "replicate", "circular"):
    for n, shape in ((1, (2, 5)), (2, (2, 3, 4)), (3, (1, 3, 2, 3))):
        case(
            f"pad {mode} {n}d",
            lambda x, mode=mode, n=n: F.pad(x, (1, 1, 0, 1, 1, 0)[: 2 * n], mode=mode),
            *shape,
        )
case("pad crops", lambda x: F.pad(x, (1, -2, -1, 0), value=7.0))
case("pad channels", lambda x: F.pad(x, (0, 0, 0, 0, 1, 0)))
norm("pad circular module", lambda: nn.CircularPad2d(1))
case("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), 4, 3, 4)
case("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), 1, 4, 6)
case("unfold maps", lambda x: F.unfold(x, (2, 3), (1, 1), (1, 0), (2, 1)))
bound("fold", lambda x: F.fold(F.unfold(x, 2, 1, 1, 2) * 1.5, (4, 5), 2, 1, 1, 2))

case("conv kernel padded, from the image", lambda x: F.conv2d(x, x[:, :, :3, :3], padding=1), word="bound")

norm("max_pool3d dilated", lambda: nn.MaxPool3d(2, 1, dilation=2), 1, 3, 4, 3, draws=40)
norm("avg_pool3d divisor", lambda: nn.AvgPool3d(2, divisor_override=3), 1, 2, 4, 2)
case("channel_shuffle native", lambda x: A.native_channel_shuffle(x, 2), 4, 3, 4)

# ------------------------------------------------------------------ products

norm("linear", lambda: nn.Linear(5, 3))
case("linear flat", lambda x, m: m(x.flatten(1)), parts=lambda: [nn.Linear(60, 2)])
case("linear weight from the image", lambda x: F.linear(x, x[0, 0]))
case(
    "linear bias from the image",
    lambda x, m: F.linear(x, m.weight, x[0, 0, 0, :3]),
    parts=lambda: [nn.Linear(5, 3)],
)
bound(
    "linear masked", lambda x, m: F.linear(x, m.weight * to(x, torch.eye(5))), parts=lambda: [nn.Linear(5, 5)]
)
case("addmm", lambda x: torch.addmm(x[0, 1], x[0, 0], x[0, 2].t()[:, :1].expand(5, 5)))
case("mm", lambda x: x[0, 0] @ x[0, 1].t())
case("bmm", lambda x: torch.bmm(x[0], x[0].transpose(1, 2)))
case("baddbmm", lambda x: torch.baddbmm(x[0, :, :, :4], x[0], x[0].transpose(1, 2), beta=2, alpha=3))
case("addbmm", lambda x: torch.addbmm(x[0, 0, :, :4], x[0], x[0].transpose(1, 2)))
case("addmv", lambda x: torch.addmv(x[0, 0, :, 0], x[0, 1], x[0, 2, 0]))
case("addr", lambda x: torch.addr(x[0, 0], x[0, 1, :, 0], x[0, 2, 0]))
case("mv", lambda x: torch.mv(x[0, 0], x[0, 1, 0]))
case("mv constant", lambda x: torch.mv(x[0, 0], to(x, c(1, 2, 3, 4, 5))))
case("dot", lambda x: torch.dot(x[0, 0, 0], x[0, 1, 0]))
case("vdot", lambda x: torch.vdot(x[0, 0, 0], x[0, 1, 1]))
case("matmul", lambda x: x @ x.transpose(-1, -2))
case("einsum", lambda x: torch.einsum("bchw,bcij->bhi", x, x))
case("tensordot", lambda x: torch.tensordot(x, to(x, torch.arange(1.0, 13).view(3, 4)), ([1, 2], [0, 1])))
case("bilinear layer", lambda x, m: m(x, x.flip(2)), parts=lambda: [nn.Bilinear(5, 5, 2)])
case("cross", lambda x: torch.linalg.cross(x, x.roll(1, 3), dim=1))
case("cross last", lambda x: torch.linalg.cross(x.movedim(1, -1), x.roll(1, 2).movedim(1, -1)))
case("cdist", lambda x: torch.cdist(x, x.flip(3) + 1))
case("cdist p", lambda x: torch.cdist(x, x[:, :, :2].flip(3) + 1, p=1.0))
for name in ("inv", "det", "slogdet", "svdvals", "eigvalsh", "matrix_exp", "pinv"):
    bound(
        f"linalg {name}",
        lambda x, op=getattr(torch.linalg, name): _some(
            op(x @ x.transpose(-1, -2) + to(x, 9 * torch.eye(3)))
        ),
        2,
        3,
        4,
        blind=True,
    )
bound(
    "linalg solve",
    lambda x: torch.linalg.solve(x[:, :1, :3, :3] + to(x, 9 * torch.eye(3)), x[:, 1:, :3]),
    blind=True,
)
bound("linalg qr", lambda x: torch.linalg.qr(x)[1], blind=True)
bound(
    "linalg cholesky",
    lambda x: torch.linalg.cholesky(x @ x.transpose(-1, -2) + to(x, 9 * torch.eye(4))),
    blind=True,
)
bound("linalg lu", lambda x: torch.linalg.lu(x)[1], blind=True)
bound("linalg lu_factor", lambda x: torch.linalg.lu_factor(x[..., :4])[0], blind=True)
bound("linalg eig", lambda x: torch.linalg.eig(x[..., :4])[0].abs(), blind=True)
bound(
    "linalg lstsq",
    lambda x: torch.linalg.lstsq(x.transpose(-1, -2), x.flip(2).transpose(-1, -2))[0],
    blind=True,
)
bound(
    "solve_triangular",
    lambda x: torch.linalg.solve_triangular(x[..., :4].tril() + to(x, 9 * torch.eye(4)), x, upper=False),
    blind=True,
)
bound(
    "triangular_solve", lambda x: A.triangular_solve(x, x[..., :4] + to(x, 9 * torch.eye(4)))[0], blind=True
)
bound(
    "cholesky_solve",
    lambda x: torch.cholesky_solve(x, x[..., :4].tril() + to(x, 9 * torch.eye(4))),
    blind=True,
)


def _some(out: Any) -> Tensor:
    return out if isinstance(out, Tensor) else out[-1]
