"""A counter of parameters and MACs that shares nothing with archlens: hooks on modules, and shapes."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def lean(network: nn.Module) -> nn.Module:
    """The network with batch norm, ReLU and dropout as the identity: the same shapes, five times as fast."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.Dropout):
            module.forward = lambda x: x
    return network


def macs_by_layer(network: nn.Module, size: tuple[int, int]) -> Counter[str]:
    """MACs of each convolution in one run of a network on the meta device; repeated calls add up.

    Leaves the network lean, as above.
    """
    macs: Counter[str] = Counter()

    def count(name: str):
        def hook(conv: nn.Conv2d, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            macs[name] += output.numel() * conv.weight[0].numel()

        return hook

    handles = [
        module.register_forward_hook(count(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        lean(network).eval()(torch.empty(1, 3, *size, device="meta"))
    for handle in handles:
        handle.remove()
    return macs
