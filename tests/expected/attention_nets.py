"""Small transformers: plain, in shifted windows, and with reduced keys. Plain torch.

All end in a 1x1 layer with 16 outputs, as the networks of `erf_nets`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]


class SelfAttention(nn.Module):
    """Heads over all tokens, (B, N, C); `mix` of queries, keys and values."""

    def __init__(self, width: int, heads: int, mix: Mix | None = None) -> None:
        super().__init__()
        self.heads, self.mix = heads, mix or F.scaled_dot_product_attention
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        out: Tensor = self.out(self.mix(q, k, v).transpose(1, 2).reshape(b, n, c))
        return out


def mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class Block(nn.Module):
    """Attention and MLP, each behind a norm and beside the identity."""

    def __init__(self, width: int, attention: nn.Module) -> None:
        super().__init__()
        self.first, self.attention = nn.LayerNorm(width), attention
        self.second, self.mlp = nn.LayerNorm(width), mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.first(x))
        return x + self.mlp(self.second(x))  # type: ignore[no-any-return]


class Vit(nn.Module):
    """Patches as tokens, blocks, a norm, and a 1x1 layer over the map of tokens."""

    def __init__(
        self, width: int = 128, heads: int = 4, depth: int = 4, patch: int = 8, mix: Mix | None = None
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.blocks = nn.Sequential(*(Block(width, SelfAttention(width, heads, mix)) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Conv2d(width, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        y = self.norm(self.blocks(x.flatten(2).transpose(1, 2)))
        out: Tensor = self.head(y.transpose(1, 2).reshape(x.shape))
        return out


class WindowAttention(nn.Module):
    """Attention in windows of a map (B, H, W, C), shifted by `shift`: a mask cuts what the shift joins."""

    def __init__(self, width: int, heads: int, window: int, shift: int, side: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(heads, window**2, window**2))
        region = torch.zeros(1, side, side, 1)
        parts = (slice(0, -window), slice(-window, -shift), slice(-shift, None)) if shift else (slice(None),)
        for i, rows in enumerate(parts):
            for j, columns in enumerate(parts):
                region[:, rows, columns] = 3 * i + j
        cut = self.windows(region)[0, :, :, 0]
        apart = cut[:, None, :] != cut[:, :, None]
        self.register_buffer("mask", torch.where(apart, -100.0, 0.0))

    def windows(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        n = self.window
        return x.view(b, h // n, n, w // n, n, c).permute(0, 1, 3, 2, 4, 5).reshape(b, -1, n * n, c)

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        n = self.window
        x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        y = self.windows(x).reshape(-1, n * n, c)
        q, k, v = (
            self.qkv(y).reshape(-1, n * n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        )
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1) + self.bias
        if self.shift:
            apart = scores.view(b, -1, self.heads, n * n, n * n) + self.mask[None, :, None]
            scores = apart.view(-1, self.heads, n * n, n * n)
        y = self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, n * n, c))
        y = y.view(b, h // n, w // n, n, n, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
        return torch.roll(y, (self.shift, self.shift), (1, 2))


class Merge(nn.Module):
    """Four tokens as one of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        out: Tensor = self.reduce(self.norm(torch.cat(corners, -1)))
        return out


class Swin(nn.Module):
    """Two stages of windows, every other block shifted."""

    def __init__(self, width: int = 64, heads: int = 4, window: int = 4, side: int = 64) -> None:
        super().__init__()
        self.patches, self.first = nn.Conv2d(3, width, 4, 4), nn.LayerNorm(width)
        blocks: list[nn.Module] = []
        for k, (size, shift) in enumerate(((side // 4, 0), (side // 4, 2), (side // 8, 0), (side // 8, 2))):
            blocks += [Merge(width)] if k == 2 else []
            w, h = (width, heads) if k < 2 else (2 * width, 2 * heads)
            blocks.append(Block(w, WindowAttention(w, h, window, shift, size)))
        self.blocks = nn.Sequential(*blocks)
        self.norm, self.head = nn.LayerNorm(2 * width), nn.Conv2d(2 * width, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.blocks(self.first(self.patches(x).permute(0, 2, 3, 1))))
        out: Tensor = self.head(y.permute(0, 3, 1, 2))
        return out


class ReducedAttention(nn.Module):
    """Keys and values of a map that a convolution made smaller, (B, C, H, W)."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.kv, self.out = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
        )
        self.reduce = nn.Conv2d(width, width, ratio, ratio) if ratio > 1 else nn.Identity()
        self.norm = nn.LayerNorm(width) if ratio > 1 else nn.Identity()

    def forward(self, x: Tensor, h: int, w: int) -> Tensor:
        b, n, c = x.shape
        fewer = self.reduce(x.transpose(1, 2).reshape(b, c, h, w)).flatten(2).transpose(1, 2)
        q = self.q(x).reshape(b, n, self.heads, c // self.heads).transpose(1, 2)
        k, v = self.kv(self.norm(fewer)).reshape(b, -1, 2, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        out: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))
        return out


class Stage(nn.Module):
    """SegFormer's: overlapping patches, attention with reduced keys, an MLP with a depthwise convolution."""

    def __init__(self, c_in: int, width: int, heads: int, ratio: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(c_in, width, kernel, stride, kernel // 2)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.attention = ReducedAttention(width, heads, ratio)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.depthwise = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        b, _, h, w = x.shape
        y = self.norms[0](x.flatten(2).transpose(1, 2))
        y = y + self.attention(self.norms[1](y), h, w)
        z = self.depthwise(self.up(self.norms[2](y)).transpose(1, 2).reshape(b, -1, h, w))
        y = self.norms[3](y + self.down(F.gelu(z.flatten(2).transpose(1, 2))))
        return y.transpose(1, 2).reshape(x.shape)  # type: ignore[no-any-return]


class Segformer(nn.Module):
    """Two stages, and a head over both."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.first = Stage(3, width, 2, 4, 7, 4)
        self.second = Stage(width, 2 * width, 4, 2, 3, 2)
        self.sides = nn.ModuleList(nn.Conv2d(w, 64, 1) for w in (width, 2 * width))
        self.fuse = nn.Sequential(nn.Conv2d(128, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.head = nn.Conv2d(64, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.first(x)
        coarse = F.interpolate(self.sides[1](self.second(fine)), size=fine.shape[2:], mode="bilinear")
        out: Tensor = self.head(self.fuse(torch.cat([self.sides[0](fine), coarse], 1)))
        return out


TRANSFORMERS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "vit": (Vit, 64),
    "swin": (Swin, 64),
    "segformer": (Segformer, 64),
}
"""Name -> (builder, input side)."""
