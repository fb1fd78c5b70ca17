"""The task: white noise, one patch somewhere, and every cell must name the patch's pattern.

The four classes are one pattern in its four rotations: blocks of constant colour whose mean is 0 and whose
energy is the same in every channel. So every statistic of single pixels is the same in all classes, and only
how blocks lie to each other tells them apart. Everything is drawn on the device that it is used on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archlens.errors import UsageError
from archlens.trained import CLASSES

BLOCKS = 4
"""Blocks a side of a pattern."""
CONTRAST = 2.0
"""Deviation of a pattern, over noise of deviation 1."""
LARGEST_PATCH = 24
SMALLEST_SIDE = 32


def patch_side(size: Sequence[int]) -> int:
    """Side of the patch in px: an eighth of the image's smaller side in whole blocks, 24 at most.

    Raises:
        UsageError: The image is too small for a patch and a distance.
    """
    side = min(size)
    if side < SMALLEST_SIDE:
        raise UsageError(
            f"{'x'.join(map(str, size))} px are too few for a cue and a distance",
            f"Give an --input-size of at least {SMALLEST_SIDE} px a side.",
        )
    return min(LARGEST_PATCH, side // 8 // BLOCKS * BLOCKS)


@dataclass(frozen=True)
class Batch:
    """Images with their cues.

    Attributes:
        images: (N, C, H, W).
        labels: (N,) which rotation.
        corners: (N, 2) first row and column of each patch.
    """

    images: Tensor
    labels: Tensor
    corners: Tensor


class Task:
    """The cue task for one image size and one seed."""

    def __init__(self, channels: int, size: Sequence[int], seed: int, device: torch.device) -> None:
        """
        Args:
            channels: Of the images.
            size: (H, W) px.
            seed: Of the pattern: each seed has its own.
            device: Where images are made.
        """
        self.channels, self.size, self.device = channels, (size[0], size[1]), device
        self.patch = patch_side(size)
        self.patterns = patterns(channels, self.patch, seed).to(device)

    def generator(self, *seeds: int) -> torch.Generator:
        """Random numbers of their own for each purpose, on the device."""
        mixed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
        return torch.Generator(device=self.device).manual_seed(mixed)

    def batch(self, count: int, rng: torch.Generator) -> Batch:
        """So many images, a multiple of four: each class equally often, in any order."""
        if count % CLASSES:
            raise UsageError(
                f"{count} images are no multiple of {CLASSES}", "Classes are balanced in a batch."
            )
        height, width = self.size
        shape = (count, self.channels, height, width)
        images = torch.randn(shape, device=self.device, generator=rng)
        order = torch.randperm(count, device=self.device, generator=rng)
        labels = (torch.arange(count, device=self.device) % CLASSES)[order]
        corners = torch.stack(
            [
                torch.randint(0, n - self.patch + 1, (count,), device=self.device, generator=rng)
                for n in self.size
            ],
            dim=1,
        )
        return Batch(self.placed(images, labels, corners), labels, corners)

    def placed(self, noise: Tensor, labels: Tensor, corners: Tensor) -> Tensor:
        """The noise with a pattern added to each image."""
        images = noise.clone()
        steps = torch.arange(self.patch, device=self.device)
        rows = (corners[:, :1] + steps)[:, None, :, None]
        columns = (corners[:, 1:] + steps)[:, None, None, :]
        image = torch.arange(len(noise), device=self.device)[:, None, None, None]
        channel = torch.arange(self.channels, device=self.device)[None, :, None, None]
        images[image, channel, rows, columns] += self.patterns[labels]
        return images

    def batches(self, total: int, size: int, rng: torch.Generator) -> Iterator[Batch]:
        """At least `total` images in batches of `size`."""
        for _ in range(-(-total // size)):
            yield self.batch(size, rng)


def patterns(channels: int, side: int, seed: int) -> Tensor:
    """(4, C, side, side): a random pattern and its quarter turns.

    Its blocks have mean 0 and deviation `CONTRAST` in every channel. A pattern that looks like one of its own
    turns would make two classes one: the blocks of the most alike pair agree in less than half.
    """
    rng = torch.Generator().manual_seed(1000 + seed)
    while True:
        blocks = torch.randn(channels, BLOCKS, BLOCKS, generator=rng, dtype=torch.float64)
        blocks -= blocks.mean((1, 2), keepdim=True)
        blocks *= CONTRAST / blocks.std((1, 2), keepdim=True, correction=0)
        turns = torch.stack([torch.rot90(blocks, k, (1, 2)) for k in range(CLASSES)])
        flat = turns.flatten(1)
        alike = (flat @ flat.T) / (flat[0] @ flat[0]) - torch.eye(CLASSES, dtype=torch.float64)
        if float(alike.max()) < 0.5:
            break
    whole = turns.repeat_interleave(side // BLOCKS, 2).repeat_interleave(side // BLOCKS, 3)
    return whole.float()


def distances(centres: NDArray[np.float64], corners: NDArray[np.int64], patch: int) -> NDArray[np.float64]:
    """(N, cells): Chebyshev distance in px from each patch's centre to each cell's (cells, 2) centre."""
    middle = corners + (patch - 1) / 2
    found: NDArray[np.float64] = np.abs(centres[None] - middle[:, None]).max(2)
    return found
