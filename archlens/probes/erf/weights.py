"""Fresh random weights for a network, and batch norms calibrated to them.

The convention is that of the closed form (`analyses.expected_erf`): He's weights, zero biases, batch norms
that give every channel mean 0 and variance 1 over the images, and fixed kernels left as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

GAIN = 2.0  # fan_in times the variance of a weight: He et al., ICCV 2015
_NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)


def fan_in(module: nn.Module) -> float:
    """How many inputs one output reads: of a transposed convolution on average over its phases."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    if isinstance(module, _ConvTransposeNd):
        taps = math.prod(weight.shape[2:]) / math.prod(module.stride)
        return weight.shape[0] / module.groups * taps
    return math.prod(weight.shape[1:])


@torch.no_grad()
def draw(
    model: nn.Module,
    generator: torch.Generator,
    frozen: Collection[str] = (),
    idle: Collection[str] = (),
) -> list[str]:
    """Give convolutions and linear layers He's normal weights, norms weight 1 and bias 0, in place.

    Values are drawn on the CPU, so that a seed means the same network on every device.

    Args:
        frozen: Names of parameters that stay as they are.
        idle: Names of modules that the measured layer does not read: drawing VGG's fc6 takes a second.

    Returns:
        Names of the parameters that were left as they are for want of a rule.
    """
    seen: set[int] = set()
    left: list[str] = []
    for prefix, module in model.named_modules():
        if prefix in idle:
            continue
        for short, parameter in module.named_parameters(recurse=False):
            name = f"{prefix}.{short}" if prefix else short
            if id(parameter) in seen or name in frozen:
                continue
            seen.add(id(parameter))
            if isinstance(module, (_ConvNd, nn.Linear)) and short == "weight":
                std = math.sqrt(GAIN / fan_in(module))
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
            elif isinstance(module, nn.MultiheadAttention) and short.endswith("proj_weight"):
                std = math.sqrt(GAIN / parameter.shape[1])
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
            elif short.endswith("bias") and isinstance(
                module, (_ConvNd, nn.Linear, nn.MultiheadAttention, *_NORMS)
            ):
                parameter.zero_()
            elif isinstance(module, _NORMS) and short == "weight":
                parameter.fill_(1.0)
            else:
                left.append(name)
    return left


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """The network's batch norms (instance norms are none)."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    return [m for m in model.modules() if isinstance(m, kinds)]


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Batch norms use the statistics of the batch and leave their running ones alone; all else as it was."""
    norms = batch_norms(model)
    before = [(m.training, m.track_running_stats) for m in norms]
    for m in norms:
        # Tracking would also make a call more (a counter), and calls are counted to find layers.
        m.training, m.track_running_stats = True, False
    try:
        yield
    finally:
        for m, (training, track) in zip(norms, before, strict=True):
            m.training, m.track_running_stats = training, track


@torch.no_grad()
def calibrate(model: nn.Module, chunks: Iterator[Tensor], run: Callable[[Tensor], object]) -> int:
    """Set the running statistics of all batch norms to the average over chunks of images, in one pass.

    Args:
        chunks: Batches of at least two images (a map of 1x1 has only its images to take a variance over).
        run: Runs the network on a batch; it may stop early.

    Returns:
        The smallest number of values that a batch norm took its variance over; 0 where there is none.
    """
    norms = batch_norms(model)
    sums: dict[int, tuple[Tensor, Tensor, int]] = {}
    values: dict[int, int] = {}

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        x = args[0].detach().double()
        dims = [d for d in range(x.ndim) if d != 1]
        variance, mean = torch.var_mean(x, dim=dims, correction=1)
        count = x.numel() // x.shape[1]
        if id(module) in sums:
            m, v, k = sums[id(module)]
            sums[id(module)] = (m + mean, v + variance, k + 1)
        else:
            sums[id(module)] = (mean, variance, 1)
        values[id(module)] = values.get(id(module), 0) + count

    handles = [m.register_forward_pre_hook(note) for m in norms]
    try:
        with batch_statistics(model):
            for chunk in chunks:
                run(chunk)
    finally:
        for handle in handles:
            handle.remove()
    for m in norms:
        if id(m) not in sums:
            continue
        mean, variance, k = sums[id(m)]
        # A norm without running statistics gets them for the measurement: the model is a copy.
        m.running_mean = (mean / k).to(next(model.parameters()).dtype)
        m.running_var = (variance / k).to(next(model.parameters()).dtype)
        m.track_running_stats = True
        m.training = False
    return min(values.values(), default=0)
