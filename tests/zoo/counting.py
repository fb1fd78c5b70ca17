"""An account of a network that shares nothing with archlens: hooks on modules, shapes, arithmetic.

MACs are those of convolutions, transposed convolutions and linear layers, per image; parameters include
biases and frozen values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass
class Account:
    parameters: int
    output: object = None
    macs: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.macs.values())

    def macs_under(self, *prefixes: str) -> int:
        return sum(macs for name, macs in self.macs.items() if name.startswith(prefixes))

    def side(self, name: str) -> int:
        """Side of a square map."""
        height, width = self.shapes[name][-2:]
        assert height == width
        return height


def account(network: nn.Module, *size: int, channels: int = 3) -> Account:
    """One run of a network, on the device of its parameters (meta: no arithmetic)."""
    out = Account(sum(parameter.numel() for parameter in network.parameters()))

    def count(name: str):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], result: object) -> None:
            if isinstance(result, Tensor):
                out.shapes[name] = tuple(result.shape)
                positions = 0
                if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d):
                    positions = inputs[0].numel()
                elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
                    positions = result.numel()
                if positions:
                    out.macs[name] = out.macs.get(name, 0) + positions * module.weight[0].numel()

        return hook

    handles = [module.register_forward_hook(count(name)) for name, module in network.named_modules() if name]
    device = next(network.parameters()).device
    with torch.no_grad():
        out.output = network.eval()(torch.zeros(1, channels, *size, device=device))
    for handle in handles:
        handle.remove()
    return out


def parameters_under(network: nn.Module, *prefixes: str) -> int:
    return sum(p.numel() for name, p in network.named_parameters() if name.startswith(prefixes))


def chain_field(layers: Iterable[nn.Module]) -> tuple[int, int]:
    """Receptive field and jump, in pixels, after convolutions and pools one behind the other."""
    size, jump = 1, 1
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            kernel, stride, dilation = (
                value[0] if isinstance(value, tuple) else value
                for value in (layer.kernel_size, layer.stride, getattr(layer, "dilation", 1))
            )
            size += (kernel - 1) * dilation * jump
            jump *= stride
    return size, jump
