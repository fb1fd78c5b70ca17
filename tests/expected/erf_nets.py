"""Small networks of the kinds that the expected effective field must get right. Plain torch.

All end in a 1x1 layer with 16 outputs; the unit looked at is its middle.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def block(c_in: int, c_out: int, k: int = 3, s: int = 1, d: int = 1, groups: int = 1,
          act: Callable[[], nn.Module] | None = nn.ReLU) -> nn.Sequential:  # fmt: skip
    """Convolution, batch norm and, unless None, an activation."""
    parts: list[nn.Module] = [
        nn.Conv2d(c_in, c_out, k, s, d * (k - 1) // 2, d, groups, bias=False),
        nn.BatchNorm2d(c_out),
    ]
    return nn.Sequential(*parts, *([act()] if act else []))


class Headed(nn.Module):
    """Anything, then the 1x1 layer."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Conv2d(width, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x))
        return out


def plain(w: int = 48) -> nn.Module:
    """Eight 3x3 convolutions, two of stride 2."""
    return Headed(nn.Sequential(block(3, w, s=2), block(w, w, s=2), *[block(w, w) for _ in range(6)]), w)


def vgg(w: int = 48) -> nn.Module:
    """Batch norm and max pools, the second one overlapping."""
    stages = [block(3, w), block(w, w), nn.MaxPool2d(2), block(w, w), block(w, w), nn.MaxPool2d(3, 2, 1),
              block(w, w), block(w, w)]  # fmt: skip
    return Headed(nn.Sequential(*stages), w)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity or a 1x1."""

    def __init__(self, c_in: int, c_out: int, s: int = 1) -> None:
        super().__init__()
        self.a, self.b = block(c_in, c_out, s=s), block(c_out, c_out, act=None)
        self.side = block(c_in, c_out, 1, s, act=None) if s > 1 or c_in != c_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.b(self.a(x)) + self.side(x))


def trunk(w: int, blocks: int = 1) -> nn.Sequential:
    """A residual trunk of stride 8."""
    return nn.Sequential(
        block(3, w, s=2), nn.MaxPool2d(3, 2, 1), *[Residual(w, w) for _ in range(blocks)], Residual(w, w, 2),
        *[Residual(w, w) for _ in range(blocks)],
    )  # fmt: skip


def residual(w: int = 48) -> nn.Module:
    """Skip connections."""
    return Headed(trunk(w, 3), w)


class Inverted(nn.Module):
    """MobileNet's block: expand, depthwise, (squeeze-and-excitation,) project; identity beside it."""

    def __init__(self, c_in: int, c_out: int, s: int = 1, excite: bool = False,
                 act: Callable[[], nn.Module] = nn.ReLU6) -> None:  # fmt: skip
        super().__init__()
        h = 4 * c_in
        self.expand, self.depthwise = block(c_in, h, 1, act=act), block(h, h, 3, s, groups=h, act=act)
        self.project = block(h, c_out, 1, act=None)
        self.squeeze = (
            nn.Sequential(nn.Conv2d(h, h // 4, 1), nn.ReLU(), nn.Conv2d(h // 4, h, 1), nn.Sigmoid())
            if excite
            else None
        )
        self.skips = s == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(self.expand(x))
        if self.squeeze is not None:
            y = y * self.squeeze(F.adaptive_avg_pool2d(y, 1))
        y = self.project(y)
        return x + y if self.skips else y


def mobile(w: int = 32, excite: bool = False, act: Callable[[], nn.Module] = nn.ReLU6) -> nn.Module:
    """Depthwise convolutions and skip connections."""
    blocks = [Inverted(w, w, s, excite, act) for s in (2, 1, 1, 2, 1, 1)]
    return Headed(nn.Sequential(block(3, w, s=2, act=act), *blocks), w)


def gated(w: int = 32) -> nn.Module:
    """The same with squeeze-and-excitation and hardswish."""
    return mobile(w, True, nn.Hardswish)


class Aspp(nn.Module):
    """Parallel rates over one map, with or without the pooled image."""

    def __init__(self, w: int = 48, pooled: bool = False, rates: tuple[int, ...] = (2, 4, 6)) -> None:
        super().__init__()
        self.trunk = trunk(w)
        self.branches = nn.ModuleList([block(w, w, 1), *[block(w, w, d=r) for r in rates]])
        self.pooled = block(w, w, 1) if pooled else None
        self.project = block(w * (len(rates) + 1 + pooled), w, 1)

    def forward(self, x: Tensor) -> Tensor:
        t = self.trunk(x)
        views = [b(t) for b in self.branches]
        if self.pooled is not None:
            mean = self.pooled(F.adaptive_avg_pool2d(t, 1))
            views.append(F.interpolate(mean, size=t.shape[2:], mode="bilinear"))
        out: Tensor = self.project(torch.cat(views, 1))
        return out


def aspp(w: int = 48) -> nn.Module:
    """Rates 2, 4, 6."""
    return Headed(Aspp(w), w)


def aspp_pooled(w: int = 48) -> nn.Module:
    """The same with image pooling."""
    return Headed(Aspp(w, True), w)


class Pyramid(nn.Module):
    """PSPNet's pooling over 1, 2, 3 and 6 bins."""

    def __init__(self, w: int = 48) -> None:
        super().__init__()
        self.trunk = trunk(w)
        self.direct = nn.Identity()
        self.levels = nn.ModuleList([block(w, w // 4, 1) for _ in range(4)])
        self.last = block(2 * w, w)

    def forward(self, x: Tensor) -> Tensor:
        t = self.trunk(x)
        views = [self.direct(t)]
        for bins, level in zip((1, 2, 3, 6), self.levels, strict=True):
            pooled = level(F.adaptive_avg_pool2d(t, bins))
            views.append(F.interpolate(pooled, size=t.shape[2:], mode="bilinear", align_corners=True))
        out: Tensor = self.last(torch.cat(views, 1))
        return out


def ppm(w: int = 48) -> nn.Module:
    """Pyramid pooling."""
    return Headed(Pyramid(w), w)


class UNet(nn.Module):
    """Two levels down and up again, by bilinear resizing or by learned transposed convolutions."""

    def __init__(self, w: int = 32, learned: bool = False) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            [nn.Sequential(block(3 if i == 0 else w, w), block(w, w)) for i in range(3)]
        )
        self.up = nn.ModuleList([nn.Sequential(block(2 * w, w), block(w, w)) for _ in range(2)])
        self.raise_ = nn.ModuleList([nn.ConvTranspose2d(w, w, 2, 2) for _ in range(2)]) if learned else None

    def forward(self, x: Tensor) -> Tensor:
        a = self.down[0](x)
        b = self.down[1](F.max_pool2d(a, 2))
        y = self.down[2](F.max_pool2d(b, 2))
        for k, skip in enumerate((b, a)):
            if self.raise_ is None:
                y = F.interpolate(y, size=skip.shape[2:], mode="bilinear")
            else:
                y = self.raise_[k](y)
            y = self.up[k](torch.cat([y, skip], 1))
        return y


def unet(w: int = 32) -> nn.Module:
    """Bilinear decoder."""
    return Headed(UNet(w), w)


def unet_deconv(w: int = 32) -> nn.Module:
    """Transposed convolutions."""
    return Headed(UNet(w, True), w)


def largefov(w: int = 64) -> nn.Module:
    """DeepLabv1 as released, made small: no batch norm, 3x3 max pools, then an average pool."""

    def conv(c_in: int, d: int = 1) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(c_in, w, 3, padding=d, dilation=d), nn.ReLU())

    stages: list[nn.Module] = [
        conv(3), nn.MaxPool2d(3, 2, 1), conv(w), nn.MaxPool2d(3, 2, 1), conv(w), conv(w),
        nn.MaxPool2d(3, 1, 1), conv(w, 2), conv(w, 2),
        nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1), conv(w, 4),
    ]  # fmt: skip
    return Headed(nn.Sequential(*stages), w)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, layer norm over channels, a layer of GELUs; the identity beside them."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(w, w, 7, padding=3, groups=w), ChannelNorm(w)
        self.up, self.down = nn.Conv2d(w, 4 * w, 1), nn.Conv2d(4 * w, w, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.down(F.gelu(self.up(self.norm(self.depthwise(x)))))
        return out


def convnext(w: int = 32) -> nn.Module:
    """Two stages of ConvNeXt's blocks."""
    first = [nn.Conv2d(3, w, 4, 4), ChannelNorm(w), ConvNeXtBlock(w), ConvNeXtBlock(w)]
    second = [ChannelNorm(w), nn.Conv2d(w, w, 2, 2), ConvNeXtBlock(w), ConvNeXtBlock(w)]
    return Headed(nn.Sequential(*first, *second), w)


class SamePad(nn.Module):
    """TensorFlow's padding: zeros apart from the convolution, at the end one more than at the start."""

    def __init__(self, k: int, s: int) -> None:
        super().__init__()
        self.k, self.s = k, s

    def forward(self, x: Tensor) -> Tensor:
        more = max((-(-x.shape[-1] // self.s) - 1) * self.s + self.k - x.shape[-1], 0)
        return F.pad(x, (more // 2, more - more // 2) * 2)


def efficientnet(w: int = 32) -> nn.Module:
    """Inverted bottlenecks with squeeze-and-excitation, SiLU and TensorFlow's padding."""
    body = mobile(w, True, nn.SiLU)
    for module in list(body.modules()):
        if (
            isinstance(module, nn.Sequential)
            and isinstance(module[0], nn.Conv2d)
            and module[0].padding[0] > 0
        ):
            conv = module[0]
            pad = SamePad(conv.kernel_size[0], conv.stride[0])
            conv.padding = (0, 0)
            module[0] = nn.Sequential(pad, conv)
    return body


class GroupedResidual(nn.Module):
    """1x1, grouped 3x3, 1x1 beside the identity or a 1x1: RegNet's block."""

    def __init__(self, c_in: int, c_out: int, s: int = 1, groups: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(
            block(c_in, c_out, 1), block(c_out, c_out, 3, s, groups=groups), block(c_out, c_out, 1, act=None)
        )
        self.side = block(c_in, c_out, 1, s, act=None) if s > 1 or c_in != c_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.side(x))


def regnet(w: int = 32) -> nn.Module:
    """Grouped bottlenecks, wider after each stride."""
    widths = [(w, w, 2), (w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 2 * w, 1)]
    return Headed(nn.Sequential(block(3, w, s=2), *[GroupedResidual(*c) for c in widths]), 2 * w)


def normed(model: nn.Module, norm: Callable[[int], nn.Module]) -> nn.Module:
    """The model with another norm for every batch norm (in place)."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, norm(child.num_features))
    return model


def group_normed(w: int = 48) -> nn.Module:
    """The residual network with group norm, 8 groups."""
    return normed(residual(w), lambda c: nn.GroupNorm(8, c))


def instance_normed(w: int = 48) -> nn.Module:
    """With instance norm."""
    return normed(residual(w), nn.InstanceNorm2d)


def layer_normed(w: int = 48) -> nn.Module:
    """With layer norm over channels."""
    return normed(residual(w), ChannelNorm)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "plain": (plain, 65),
    "vgg": (vgg, 65),
    "residual": (residual, 97),
    "mobile": (mobile, 97),
    "gated": (gated, 97),
    "aspp": (aspp, 129),
    "aspp_pooled": (aspp_pooled, 129),
    "ppm": (ppm, 129),
    "largefov": (largefov, 97),
    "unet": (unet, 48),
    "unet_deconv": (unet_deconv, 48),
    "convnext": (convnext, 64),
    "efficientnet": (efficientnet, 97),
    "regnet": (regnet, 97),
    "group_normed": (group_normed, 97),
    "instance_normed": (instance_normed, 97),
    "layer_normed": (layer_normed, 97),
}
"""Name -> (builder, input side)."""
