"""The copy that is trained: with four classes, thinner, and normalised where the network is not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from archlens.capture.load.checkpoint import live_module
from archlens.capture.load.code import takes
from archlens.errors import UsageError
from archlens.spec import Spec
from archlens.trained import CLASSES
from archlens.zoo import catalogue

NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)
_CLASSES = {"torchvision": "num_classes", "timm": "num_classes", "smp": "classes"}


@dataclass(frozen=True)
class Copy:
    """A network as it will be trained.

    Attributes:
        model: With values of its own; `weights.draw` gives it new ones.
        name: The network's.
        input_size: Its own, (C, H, W).
        normalised: Whether batch norms were added.
        notes: What was changed, in words.
    """

    model: nn.Module
    name: str
    input_size: tuple[int, ...]
    normalised: bool
    notes: tuple[str, ...]


def copied(spec: Spec, width: Fraction, seed: int) -> Copy:
    """Build the copy.

    Args:
        spec: The network.
        width: Channels are multiplied by it.
        seed: Of what the network draws while it is built.

    Raises:
        UsageError: It cannot be thinned; the message says why.
    """
    if spec.kind in ("report", "exported"):
        raise UsageError(f"{spec.text} is no network that can be trained anew", "Give the model itself.")
    asked, four = with_classes(spec)
    model, name, size, _ = live_module(asked, None, seed)
    notes = [] if four else ["its first four channels answer"]
    if width != 1:
        thin(model, width, {size[0], CLASSES}, name)
        notes.append(f"channels x {width}")
    added = not any(isinstance(m, NORMS) for m in model.modules())
    if added:
        normalise(model)
        notes.append("a batch norm behind each convolution, which the network does not have")
    if still(model):
        notes.append("without dropout")
    return Copy(model, name, size, added, tuple(notes))


def with_classes(spec: Spec) -> tuple[Spec, bool]:
    """The spec with four classes where the network takes that, and whether it does."""
    key = _CLASSES.get(spec.kind, "num_classes")
    if spec.kind == "zoo":
        four = any(o.name == key for o in catalogue.find(spec.target).options)
    else:
        four = spec.kind in _CLASSES or takes(spec, key)
    return (replace(spec, options={**spec.options, key: str(CLASSES)}), True) if four else (spec, False)


# ------------------------------------------------------------------ thinner


def thin(model: nn.Module, width: Fraction, keep: Collection[int], name: str) -> None:
    """Multiply all channels by `width`, in place: new layers in the old ones' places, with values of their
    own.

    Depthwise convolutions stay depthwise, other groups stay as many where the channels allow it, frozen
    kernels from class to class stay as they are.

    Args:
        keep: Numbers of channels that stay: the image's and the classes.
        name: For the message.

    Raises:
        UsageError: A layer that cannot be made thinner.
    """

    def less(channels: int) -> int:
        return channels if channels in keep else max(1, round(channels * width))

    for parent in list(model.modules()):
        for child, module in list(parent.named_children()):
            if isinstance(module, (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)):
                raise UsageError(
                    f"{name} cannot be made thinner: it has a {type(module).__name__}", "Use --width 1."
                )
            thinner = _thinner(module, less)
            if thinner is not None:
                setattr(parent, child, thinner.train(module.training))


def _thinner(module: nn.Module, less: Any) -> nn.Module | None:
    """A new layer with fewer channels; None where the old one does."""
    if isinstance(module, _ConvNd):
        c_in, c_out, groups = less(module.in_channels), less(module.out_channels), module.groups
        if (c_in, c_out) == (module.in_channels, module.out_channels):
            return None
        if groups == module.in_channels:
            groups = c_in
        elif groups > 1:
            groups = gcd(groups, gcd(c_in, c_out))
        how: dict[str, Any] = {
            name: getattr(module, name)
            for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
        }
        if isinstance(module, _ConvTransposeNd):
            how["output_padding"] = module.output_padding
        if c_out % groups or c_in % groups:
            return None
        return type(module)(c_in, c_out, groups=groups, bias=module.bias is not None, **how)
    if isinstance(module, nn.Linear):
        return nn.Linear(less(module.in_features), less(module.out_features), module.bias is not None)
    if isinstance(module, (_BatchNorm, _InstanceNorm)):
        return type(module)(
            less(module.num_features),
            eps=module.eps,
            momentum=module.momentum,  # type: ignore[arg-type]
            affine=module.affine,
            track_running_stats=module.track_running_stats,
        )
    if isinstance(module, nn.GroupNorm):
        channels = less(module.num_channels)
        return nn.GroupNorm(gcd(module.num_groups, channels), channels, module.eps, module.affine)
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
        return nn.LayerNorm(less(module.normalized_shape[0]), module.eps, module.elementwise_affine)
    if isinstance(module, nn.PReLU) and module.num_parameters > 1:
        return nn.PReLU(less(module.num_parameters))
    return None


# ------------------------------------------------------------------ normalised


def normalise(model: nn.Module) -> None:
    """Put a batch norm behind each convolution that is trained and does not score classes, in place."""
    norms = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
    for parent in list(model.modules()):
        for name, module in list(parent.named_children()):
            if not isinstance(module, _ConvNd) or module.out_channels == CLASSES:
                continue
            if module.weight.requires_grad:
                norm = norms[len(module.kernel_size)](module.out_channels)
                setattr(parent, name, nn.Sequential(module, norm))


def still(model: nn.Module) -> bool:
    """Switch all dropout off; whether there was any."""
    found = [m for m in model.modules() if isinstance(m, _DropoutNd) and m.p > 0]
    for module in found:
        module.p = 0.0
    return bool(found)
