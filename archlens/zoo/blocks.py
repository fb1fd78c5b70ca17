"""Small parts that the batch-normalised networks (PSPNet, DeepLabv3, DeepLabv3+) share."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch norm, ReLU and, where asked for, dropout.

    (N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride)): padded to keep the size at stride 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        dropout: float = 0.0,
    ) -> None:
        padding = dilation * (kernel - 1) // 2
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["conv"] = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=padding, dilation=dilation, bias=False
        )
        parts["bn"] = nn.BatchNorm2d(out_channels)
        parts["relu"] = nn.ReLU()
        if dropout:
            parts["dropout"] = nn.Dropout(dropout)
        super().__init__(parts)


class SeparableConvBNReLU(nn.Sequential):
    """A 3x3 convolution in two steps, depthwise and then 1x1, each with batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, dilation: int = 1) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["depthwise"] = depthwise(in_channels, stride=stride, dilation=dilation)
        parts["bn_depthwise"] = nn.BatchNorm2d(in_channels)
        parts["relu_depthwise"] = nn.ReLU()
        parts["pointwise"] = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        parts["bn_pointwise"] = nn.BatchNorm2d(out_channels)
        parts["relu_pointwise"] = nn.ReLU()
        super().__init__(parts)


def depthwise(channels: int, *, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A 3x3 convolution of each channel on its own, padded to keep the map's size at stride 1."""
    return nn.Conv2d(
        channels,
        channels,
        3,
        stride=stride,
        padding=dilation,
        dilation=dilation,
        groups=channels,
        bias=False,
    )


def initialise(network: nn.Module) -> None:
    """Random weights to train from: He for convolutions before a batch norm, small ones for score layers.

    Score layers are the convolutions with a bias. Does nothing on the meta device, where there are no values
    to set and where torch's normal distribution would import a second's worth of modules.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv2d) or module.weight.is_meta:
            continue
        if module.bias is None:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        else:
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
