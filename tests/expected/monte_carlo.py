"""The referee: the gradient effective field, averaged over fresh weights and images. Plain autograd.

It knows nothing of the closed form: a live module, He weights drawn anew for each run, batch norm in
training mode (its own statistics, with the gradient through them), the squared gradient of one image's unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Referee:
    """Sampled energy maps, (runs, H, W), not normalised: mean over the unit's channels, sum over the image's.
    `coherent`: for each run the squared sum of the gradient over each region."""

    maps: Floats
    coherent: Floats

    @property
    def energy(self) -> Floats:
        """The mean map, normalised to sum 1."""
        mean = self.maps.mean(0)
        return np.asarray(mean / mean.sum())

    @property
    def gain(self) -> tuple[float, float]:
        """Mean of the total energy and its standard error."""
        totals = self.maps.sum((1, 2))
        return float(totals.mean()), float(totals.std(ddof=1) / math.sqrt(len(totals)))


def draw(model: nn.Module, generator: torch.Generator) -> None:
    """Fresh He weights, no biases."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and module.weight.requires_grad:
            fan = float(module.weight[0].numel())
            if isinstance(module, nn.ConvTranspose2d):
                taps = math.prod(k / s for k, s in zip(module.kernel_size, module.stride, strict=True))
                fan = module.in_channels / module.groups * taps
            with torch.no_grad():
                module.weight.normal_(0.0, math.sqrt(2.0 / fan), generator=generator)
                if module.bias is not None:
                    module.bias.zero_()


class Calibrated(nn.Module):
    """Batch norm by the batch's statistics, held constant."""

    def forward(self, x: Tensor) -> Tensor:
        fixed = x.detach()
        mean = fixed.mean((0, 2, 3), keepdim=True)
        variance = fixed.var((0, 2, 3), unbiased=False, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-5)


def calibrated(model: nn.Module) -> nn.Module:
    """The model with every batch norm replaced (in place)."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, Calibrated())
    return model


def natural(batch: int, side: int, generator: torch.Generator) -> Tensor:
    """1/f noise of unit variance, channels independent: crops of a torus of twice the side."""
    n = 2 * side
    f = torch.fft.fftfreq(n)
    radius = torch.sqrt(f[:, None] ** 2 + f[None] ** 2)
    radius[0, 0] = 1
    amplitude = 1 / radius
    amplitude[0, 0] = 0
    amplitude /= torch.sqrt((amplitude**2).mean())
    noise = torch.randn(batch, 3, n, n, generator=generator)
    image = torch.fft.ifft2(torch.fft.fft2(noise) * amplitude).real[:, :, :side, :side]
    return image.contiguous()


def monte_carlo(
    model: nn.Module,
    side: int,
    runs: int,
    *,
    batch: int = 8,
    regions: tuple[NDArray[np.bool_], ...] = (),
    through: bool = True,
    images: str = "white",
    layer: nn.Module | None = None,
    seed: int = 0,
) -> Referee:
    """Sample the energy of the gradient of the output's middle unit, or of another layer's.

    Args:
        through: Let the gradient flow through the batch statistics, as in training; else they are constants,
            as in a network whose statistics were calibrated on the batch.
    """
    model.train()
    if not through:
        model = calibrated(model)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    maps, coherent = [], []
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _m, _i, out: kept.append(out)) if layer is not None else None
    masks = [torch.from_numpy(r.astype(np.float32)) for r in regions]
    for run in range(runs):
        g = torch.Generator().manual_seed(seed + run)
        draw(model, g)
        white = images == "white"
        x = torch.randn(batch, 3, side, side, generator=g) if white else natural(batch, side, g)
        x.requires_grad_()
        kept.clear()
        out = model(x)
        out = kept[0] if kept else out
        middle = out[0, :, out.shape[2] // 2, out.shape[3] // 2]
        # A random direction stands for the mean over the unit's channels.
        direction = torch.randn(len(middle), generator=g)
        (grad,) = torch.autograd.grad((middle * direction / direction.norm()).sum(), x)
        own = grad[0].double()
        maps.append((own**2).sum(0).numpy())
        coherent.append([float(((own * m).sum((1, 2)) ** 2).sum()) for m in masks])
    if handle is not None:
        handle.remove()
    return Referee(np.array(maps), np.array(coherent))


def branch_energies(
    model: nn.Module, side: int, runs: int, branches: list[nn.Module], *, batch: int = 8, seed: int = 0
) -> Floats:
    """Sampled energy maps of the gradient through one branch at a time, (runs, branches, H, W), with
    calibrated statistics: the other branches' results are cut off from the gradient."""
    calibrated(model)
    open_branch = [-1]

    def cut(index: int) -> Callable[[nn.Module, object, Tensor], Tensor]:
        return lambda _m, _i, out: out if open_branch[0] == index else out.detach()

    handles = [b.register_forward_hook(cut(k)) for k, b in enumerate(branches)]
    out = np.zeros((runs, len(branches), side, side))
    for run in range(runs):
        g = torch.Generator().manual_seed(seed + run)
        draw(model, g)
        x = torch.randn(batch, 3, side, side, generator=g).requires_grad_()
        direction = torch.randn(16, generator=g)
        for k in range(len(branches)):
            open_branch[0] = k
            y = model(x)
            middle = y[:, :, y.shape[2] // 2, y.shape[3] // 2]
            (grad,) = torch.autograd.grad((middle @ (direction / direction.norm())).sum(), x)
            out[run, k] = (grad.double() ** 2).sum(1).mean(0).numpy()
    for handle in handles:
        handle.remove()
    return out


def binned(energy: Floats, size: int = 8) -> Floats:
    """The map's sums over bins of `size` pixels; what does not fill a bin is left out."""
    h, w = (n // size * size for n in energy.shape)
    out: Floats = energy[:h, :w].reshape(h // size, size, w // size, size).sum((1, 3))
    return out


def correlation(a: Floats, b: Floats) -> float:
    """Pearson correlation of two maps."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
