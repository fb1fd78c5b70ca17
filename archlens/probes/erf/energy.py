"""Gradient energy of one unit, batch by batch: the arithmetic behind `archlens.probes.erf.gradient`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from archlens.analyses.expected.summaries import Floats
from archlens.errors import LayerError, UsageError
from archlens.graph import Node
from archlens.probes.erf.uncertainty import Squares
from archlens.probes.network import Network


class Probe:
    """Gradient energy of one unit, batch by batch."""

    def __init__(
        self,
        network: Network,
        layer: str,
        unit: Sequence[int] | None,
        channel: int | None,
        origin: str,
        draws: int,
        mixed: bool,
        seed: int,
    ) -> None:
        self.network, self.layer, self.origin = network, layer, origin
        self.unit = network.unit(layer, unit)
        count = network.channels(layer)
        if channel is not None and not 0 <= channel < count:
            raise LayerError(f"{layer} has no channel {channel}.", hint=f"Its channels are 0 to {count - 1}.")
        if draws < 1:
            raise UsageError("At least one draw of signs is needed.", hint="For instance draws=1.")
        self.channels = [channel] if channel is not None else list(range(count))
        self.channel, self.draws, self.mixed = channel, draws, mixed
        self.source: Node = network.node(origin)
        self.signs = torch.Generator().manual_seed(seed + 1)
        self.size = self.source.map_size
        self.centre = network.walks.centre(network.node(layer).id, self.unit, self.source.id)
        self.squares = Squares(self.size, self.centre)
        self.sum = np.zeros(self.size)
        self.curves: list[Floats] = []
        self.dead = self.overflown = 0
        self.zeros = self.values = 0

    def maps(self, x: Tensor, alone: bool) -> list[Floats]:
        """Energy maps of each image of a batch.

        Args:
            x: (N, C, *spatial).
            alone: Images see each other: pass each unit back by itself.
        """
        x = x.to(self.network.device, self.network.dtype)
        if self.origin == "input":
            x.requires_grad_(True)
        device = self.network.device.type
        with torch.enable_grad(), torch.autocast(device, torch.bfloat16, enabled=self.mixed):
            got, start = self.network.run(x, [self.layer], self.origin)
            values = self.network.at(self.layer, got[self.layer], self.unit)  # (N, channels)
        values = values[:, self.channels].to(torch.promote_types(values.dtype, torch.float32))
        self.zeros += int((values == 0).sum())
        self.values += values.numel()
        n = len(values)
        if not values.requires_grad or not n:
            raise LayerError(
                f"{self.layer} does not depend on {self.origin}.", hint="Choose a layer behind it."
            )
        energy = np.zeros((n, *self.size))
        cotangents = list(self._cotangents(n, values.dtype))
        groups = [[i] for i in range(n)] if alone else [list(range(n))]
        left = len(cotangents) * len(groups)
        for group in groups:
            for signs in cotangents:
                left -= 1
                weight = torch.zeros_like(values)
                weight[group] = signs[group].to(values)
                (g,) = torch.autograd.grad(values, start, weight, retain_graph=left > 0, allow_unused=True)
                if g is None:
                    raise LayerError(
                        f"{self.layer} does not depend on {self.origin}.", hint="Choose a layer behind it."
                    )
                energy[group] += self._per_position(g.detach())[group]
        exact = len(self.channels) <= self.draws
        passes = len(self.channels) if exact else self.draws * len(self.channels)
        energy[~torch.isfinite(values).all(1).cpu().numpy()] = np.nan  # the unit itself overflowed
        return list(energy / passes)

    def _cotangents(self, n: int, dtype: torch.dtype) -> Iterator[Tensor]:
        """(N, channels): unit vectors where there are few channels, else independent signs an image."""
        count = len(self.channels)
        if count <= self.draws:
            for c in range(count):
                one = torch.zeros((n, count), dtype=dtype)
                one[:, c] = 1
                yield one
            return
        for _ in range(self.draws):
            yield torch.randint(0, 2, (n, count), generator=self.signs).to(dtype) * 2 - 1

    def _per_position(self, g: Tensor) -> Floats:
        """(N, ...) gradient -> (N, *positions) energy, in float64."""
        energy = g.double().square()
        places = self.source.positions
        drop = [d for d in range(1, g.ndim) if d not in places]
        if 0 in places:
            raise LayerError(f"{self.origin} has its positions in the batch.", hint="Measure from the input.")
        return np.asarray((energy.sum(drop) if drop else energy).cpu().numpy())

    def add(self, energy: Floats) -> None:
        """Count one run."""
        total = energy.sum()
        if not np.isfinite(total):
            self.overflown += 1
            return
        if total == 0:
            self.dead += 1
        self.sum += energy
        self.curves.append(self.squares.curve(energy))
