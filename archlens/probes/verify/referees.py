"""Two referees for multiply-accumulates that count in their own ways: fvcore and torch's FlopCounterMode."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archlens.capture.inputs import Inputs
from archlens.capture.load.weightless import copied
from archlens.capture.process import unfused_attention
from archlens.capture.run import copy_to_meta

FVCORE_COUNTED = ("conv", "conv_transpose", "linear", "matmul", "addmm", "bmm", "mm", "baddbmm")


@dataclass(frozen=True)
class Counted:
    """A referee's answer.

    Attributes:
        macs: Multiply-accumulates; None where it has no answer.
        reason: Why it has none.
        convolutions: Those of convolutions, transposed ones included.
        uncounted: Operators that it met and has no rule for.
    """

    macs: int | None
    reason: str | None = None
    convolutions: int = 0
    uncounted: tuple[str, ...] = ()


def flop_counter(model: nn.Module, inputs: Inputs) -> Counted:
    """torch's FlopCounterMode on the meta device; it counts two a MAC.

    Args:
        model: Left as it is.
        inputs: What it is called with.
    """
    from torch.utils.flop_counter import FlopCounterMode

    try:
        twin = copy_to_meta(model).eval()
        for name, buffer in twin.named_buffers():
            owner, _, leaf = name.rpartition(".")
            twin.get_submodule(owner)._buffers[leaf] = buffer.to("meta")
        # It answers 0 for attention's fused kernels.
        with unfused_attention(), FlopCounterMode(display=False) as counter, torch.no_grad():
            given = inputs.meta()
            twin(*given.args, **given.kwargs)
        flops = int(counter.get_total_flops())
        by_operator = {str(op): int(n) for op, n in counter.get_flop_counts()["Global"].items()}
    except Exception as error:
        return Counted(None, f"it fails on this network: {_words(error)}")
    return Counted(flops // 2, convolutions=sum(n for op, n in by_operator.items() if "conv" in op) // 2)


def fvcore(model: nn.Module, inputs: Inputs) -> Counted:
    """fvcore on the CPU: convolutions, linear layers and matrix products of a real, traced forward pass.

    Args:
        model: Left as it is; its values don't matter.
        inputs: What it is called with.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fvcore compiles losses with torch.jit when it is imported
            from fvcore.nn import FlopCountAnalysis
    except ImportError:
        return Counted(None, "fvcore is not installed")
    logger = logging.getLogger("fvcore")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), unfused_attention(), torch.no_grad():
            warnings.simplefilter("ignore")
            given = inputs.on(_zeros)
            called = _Called(_with_values(model), given.kwargs, len(given.args))
            counter = FlopCountAnalysis(called, (*given.args, *given.kwargs.values()))
            counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
            counted = counter.by_operator()
            uncounted = tuple(sorted(op.removeprefix("aten::") for op in counter.unsupported_ops()))
    except Exception as error:
        return Counted(None, f"it fails on this network: {_words(error)}")
    finally:
        logger.setLevel(level)
    if any("scaled_dot_product" in op for op in uncounted):
        return Counted(None, "it does not count fused attention")
    if counted.get("einsum"):
        return Counted(None, "it rounds what it counts for einsum")
    counts = {op: int(n) for op, n in counted.items() if op in FVCORE_COUNTED}
    convolutions = sum(n for op, n in counts.items() if op.startswith("conv"))
    return Counted(sum(counts.values()), None, convolutions, uncounted)


class _Called(nn.Module):
    """A model that is called with keywords, called without: tracing knows no keywords."""

    def __init__(self, model: nn.Module, keywords: Mapping[str, Any], positional: int) -> None:
        super().__init__()
        self.model, self.keywords, self.positional = model, tuple(keywords), positional

    def forward(self, *values: Any) -> Any:
        named = dict(zip(self.keywords, values[self.positional :], strict=True))
        return self.model(*values[: self.positional], **named)


def _zeros(t: torch.Tensor) -> torch.Tensor:
    """A tensor in float32 on the CPU; without values, zeros."""
    own = torch.zeros(t.shape, dtype=t.dtype) if t.is_meta else t.detach().cpu()
    return own.float() if own.is_floating_point() else own


def _with_values(model: nn.Module) -> nn.Module:
    """A copy on the CPU in float32; tensors without values become zero."""
    memo: dict[int, object] = {}
    for p in model.parameters():
        memo[id(p)] = nn.Parameter(torch.zeros(p.shape) if p.is_meta else p.detach().float().cpu(), False)
    for b in model.buffers():
        memo[id(b)] = torch.zeros(b.shape, dtype=b.dtype) if b.is_meta else b.detach().clone().cpu()
    return copied(model, memo).eval()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
