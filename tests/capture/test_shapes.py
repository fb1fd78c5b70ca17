"""Every shape rule of our own answers what torch's meta kernel answers, strides included.

Convolutions are held against the CPU: there a channels-last map gives a channels-last map, of which the meta
kernel knows nothing, and models rely on it (`conv(permute(x)).view(...)`).
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archlens.capture.shapes import SHAPES

aten = torch.ops.aten
LAST = torch.channels_last


def meta(*shape: int, dtype: torch.dtype = torch.float32, last: bool = False) -> torch.Tensor:
    return torch.empty(
        shape, device="meta", dtype=dtype, memory_format=LAST if last else torch.contiguous_format
    )


MAP = meta(2, 8, 13, 17)
LAST_MAP = meta(2, 8, 13, 17, last=True)
TURNED = meta(2, 13, 17, 8).permute(0, 3, 1, 2)
GAPPED = meta(2, 8, 13, 40)[..., :17]
TOKENS = meta(2, 50, 24)
HALF = meta(2, 8, 13, 17, dtype=torch.float16)
MAPS = [MAP, LAST_MAP, TURNED, GAPPED, HALF]
CONV: list[tuple[Any, ...]] = [
    (MAP, meta(6, 8, 3, 3), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
    (MAP, meta(6, 8, 3, 3), meta(6), [2, 3], [0, 2], [2, 1], False, [0, 0], 1),
    (LAST_MAP, meta(6, 8, 3, 3), None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1),
    (TURNED, meta(6, 8, 1, 1), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
    (GAPPED, meta(6, 8, 3, 3), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
    (HALF, meta(6, 4, 3, 3, dtype=torch.float16), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 2),
    (MAP, meta(8, 3, 4, 4), None, [2, 2], [1, 1], [1, 1], True, [1, 1], 1),
    (MAP, meta(8, 3, 4, 4), None, [2, 2], [1, 1], [2, 2], True, [0, 0], 2),
    (meta(2, 8, 31), meta(6, 8, 5), None, [3], [2], [1], False, [0], 1),
    (meta(2, 8, 9, 10, 11), meta(6, 8, 3, 3, 3), None, [1, 2, 1], [1, 1, 1], [1, 1, 1], False, [0, 0, 0], 1),
]
CALLS: list[tuple[str, Any, tuple[Any, ...]]] = [
    *[("convolution", aten.convolution.default, c) for c in CONV],
    *[
        ("native_batch_norm", aten.native_batch_norm.default,
         (m, meta(8), meta(8), meta(8), meta(8), False, 0.1, 1e-5))
        for m in MAPS[:4]
    ],
    *[
        ("max_pool2d_with_indices", aten.max_pool2d_with_indices.default, (m, [3], [2], [1], [1], c))
        for m in MAPS
        for c in (False, True)
    ],
    ("max_pool2d_with_indices", aten.max_pool2d_with_indices.default, (MAP, [2], [], [0], [2], True)),
    *[
        ("avg_pool2d", aten.avg_pool2d.default, (m, [3, 2], [2], [1, 0], c, True, None))
        for m in MAPS
        for c in (False, True)
    ],
    *[
        (name, getattr(aten, name).default, (m,))
        for name in ("relu", "gelu", "silu", "sigmoid", "hardswish", "hardsigmoid", "hardtanh")
        for m in [*MAPS, TOKENS, TOKENS.transpose(1, 2)]
    ],
    *[
        (name, getattr(aten, name).Tensor, (a, b))
        for name in ("add", "sub", "mul")
        for a in MAPS[:4]
        for b in MAPS[:4]
    ],
    ("mul", aten.mul.Tensor, (MAP, meta(2, 8, 1, 1))),
    ("add", aten.add.Tensor, (MAP, HALF)),
    *[("cat", aten.cat.default, ([a, b], 1)) for a in MAPS[:4] for b in MAPS[:4]],
    ("cat", aten.cat.default, ([TOKENS, meta(2, 1, 24)], -2)),
    *[
        ("upsample_bilinear2d", aten.upsample_bilinear2d.default, (m, [20, 30], align, None, None))
        for m in MAPS
        for align in (False, True)
    ],
    *[("upsample_nearest2d", aten.upsample_nearest2d.default, (m, [26, 34], None, None)) for m in MAPS],
    *[
        ("mean", aten.mean.dim, (m, dims, keep, None))
        for m in MAPS
        for dims in ([2, 3], [-1, -2], [1])
        for keep in (False, True)
    ],
    *[("reflection_pad2d", aten.reflection_pad2d.default, (m, [1, 2, 3, 0])) for m in MAPS],
    *[("_adaptive_avg_pool2d", aten._adaptive_avg_pool2d.default, (m, [3, 4])) for m in MAPS],
    ("avg_pool3d", aten.avg_pool3d.default, (meta(1, 2, 9, 8, 7), [2], [2], [0], False, True, None)),
    ("avg_pool3d", aten.avg_pool3d.default, (meta(1, 1, 12, 8, 7), [5, 1, 1], [1], [0], False, True, None)),
    ("addmm", aten.addmm.default, (meta(7), meta(5, 6), meta(6, 7), 1, 1)),
    ("addmm", aten.addmm.default, (meta(7), meta(5, 6), meta(7, 6).t(), 1, 1)),
]  # fmt: skip


def real(t: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype).zero_()


def invoke(op: Any, args: tuple[Any, ...]) -> Any:
    """Call an operator with all arguments by position, keyword-only ones too."""
    named = [a.name for a in op._schema.arguments if a.kwarg_only]
    plain = len(op._schema.arguments) - len(named)
    return op(*args[:plain], **dict(zip(named, args[plain:], strict=False)))


def described(out: Any) -> list[tuple[Any, ...]]:
    tensors = [out] if isinstance(out, torch.Tensor) else list(out)
    return [
        (tuple(t.shape), t.dtype, tuple(s for s, n in zip(t.stride(), t.shape, strict=True) if n > 1))
        for t in tensors
        if t.numel()
    ]


@pytest.mark.parametrize(("name", "op", "args"), CALLS, ids=[f"{i}-{c[0]}" for i, c in enumerate(CALLS)])
def test_rule_agrees_with_the_meta_kernel(name: str, op: Any, args: tuple[Any, ...]) -> None:
    ours = SHAPES[name](args)
    if ours is None:
        return  # not ours to answer: the kernel is asked
    if name == "convolution":
        args = tuple(real(a) if isinstance(a, torch.Tensor) else a for a in args)
    theirs = invoke(op, args)
    if name == "native_batch_norm":  # statistics saved for the backward pass: nobody reads them here
        ours, theirs = ours[0], theirs[0]
    assert described(ours) == described(theirs)


def test_every_rule_answers_at_least_once() -> None:
    answered = {name for name, _, args in CALLS if SHAPES[name](args) is not None}
    missing = {SHAPES[name] for name in SHAPES} - {SHAPES[name] for name in answered}
    assert not missing


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("convolution", (MAP, meta(6, 5, 3, 3), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)),
        ("convolution", (MAP, meta(6, 8, 30, 3), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)),
        ("max_pool2d_with_indices", (MAP, [2, 2], [2, 2], [3, 3], [1, 1], False)),
        ("cat", ([MAP, meta(2, 8, 12, 17)], 1)),
        ("addmm", (meta(7), meta(5, 6), meta(5, 7), 1, 1)),
        ("mean", (MAP, None)),
    ],
)
def test_illegal_calls_are_left_to_the_kernel_and_its_message(name: str, args: tuple[Any, ...]) -> None:
    assert SHAPES[name](args) is None
