"""Two referees for multiply-accumulates that count in their own ways: fvcore and torch's FlopCounterMode."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from archlens.capture.process import unfused_attention
from archlens.capture.run import copy_to_meta

FVCORE_COUNTED = ("conv", "conv_transpose", "linear", "matmul", "addmm", "bmm", "mm", "baddbmm")


@dataclass(frozen=True)
class Counted:
    """A referee's answer.

    Attributes:
        macs: Multiply-accumulates; None where it has no answer.
        reason: Why it has none.
    """

    macs: int | None
    reason: str | None = None


def flop_counter(model: nn.Module, shape: Sequence[int]) -> Counted:
    """torch's FlopCounterMode on the meta device; it counts two a MAC.

    Args:
        model: Left as it is.
        shape: Of the input, batch included.
    """
    from torch.utils.flop_counter import FlopCounterMode

    try:
        twin = copy_to_meta(model).eval()
        for name, buffer in twin.named_buffers():
            owner, _, leaf = name.rpartition(".")
            twin.get_submodule(owner)._buffers[leaf] = buffer.to("meta")
        # It answers 0 for attention's fused kernels.
        with unfused_attention(), FlopCounterMode(display=False) as counter, torch.no_grad():
            twin(torch.empty(tuple(shape), device="meta"))
        flops = int(counter.get_total_flops())
    except Exception as error:
        return Counted(None, f"it fails on this network: {_words(error)}")
    return Counted(flops // 2)


def fvcore(model: nn.Module, shape: Sequence[int]) -> Counted:
    """fvcore on the CPU: convolutions, linear layers and matrix products of a real, traced forward pass.

    Args:
        model: Left as it is; its values don't matter.
        shape: Of the input, batch included.
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
            counter = FlopCountAnalysis(_with_values(model), torch.zeros(tuple(shape)))
            counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
            counted = counter.by_operator()
            left_out = [op for op in counter.unsupported_ops() if "scaled_dot_product" in op]
    except Exception as error:
        return Counted(None, f"it fails on this network: {_words(error)}")
    finally:
        logger.setLevel(level)
    if left_out:
        return Counted(None, "it does not count fused attention")
    if counted.get("einsum"):
        return Counted(None, "it rounds what it counts for einsum")
    return Counted(sum(int(n) for op, n in counted.items() if op in FVCORE_COUNTED))


def _with_values(model: nn.Module) -> nn.Module:
    """A copy on the CPU in float32; tensors without values become zero."""
    memo: dict[int, object] = {}
    for p in model.parameters():
        memo[id(p)] = nn.Parameter(torch.zeros(p.shape) if p.is_meta else p.detach().float().cpu(), False)
    for b in model.buffers():
        memo[id(b)] = torch.zeros(b.shape, dtype=b.dtype) if b.is_meta else b.detach().clone().cpu()
    return copy.deepcopy(model, memo).eval()


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
