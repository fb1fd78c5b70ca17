"""The task: nothing but how blocks lie to each other tells the classes apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archlens.errors import UsageError
from archlens.probes.cue.task import BLOCKS, CLASSES, CONTRAST, Task, distances, patch_side, patterns

CPU = torch.device("cpu")


@pytest.mark.parametrize("seed", range(6))
def test_every_statistic_of_single_pixels_is_the_same_in_all_classes(seed: int) -> None:
    made = patterns(3, 24, seed)
    assert made.shape == (CLASSES, 3, 24, 24)
    assert made.mean((2, 3)).abs().max() < 1e-6
    assert made.square().mean((2, 3)) == pytest.approx(torch.full((CLASSES, 3), CONTRAST**2), rel=1e-5)
    pixels = [sorted(map(tuple, p.flatten(1).T.tolist())) for p in made]
    assert all(p == pixels[0] for p in pixels)  # the very same colours, as often


@pytest.mark.parametrize("seed", range(20))
def test_turns_are_told_apart(seed: int) -> None:
    made = patterns(3, 8, seed)
    assert torch.equal(made[1], torch.rot90(made[0], 1, (1, 2)))
    assert torch.equal(made[3], torch.rot90(made[1], 2, (1, 2)))
    flat = made.flatten(1).double()
    alike = torch.corrcoef(flat) - torch.eye(CLASSES)
    assert float(alike.max()) < 0.5


def test_each_seed_has_a_pattern_of_its_own() -> None:
    assert not torch.equal(patterns(3, 8, 0), patterns(3, 8, 1))


def test_a_batch_is_balanced_and_holds_its_cues() -> None:
    task = Task(3, (40, 56), 0, CPU)
    batch = task.batch(16, task.generator(1))
    assert torch.bincount(batch.labels, minlength=CLASSES).tolist() == [4] * CLASSES
    again = task.batch(16, task.generator(1))
    assert torch.equal(batch.images, again.images)
    assert task.patch == 4
    for k, (row, column) in enumerate(batch.corners.tolist()):
        assert 0 <= row <= 36
        assert 0 <= column <= 52
        inside = batch.images[k, :, row : row + 4, column : column + 4]
        noise = inside - task.patterns[batch.labels[k]]
        assert float(noise.abs().max()) < 6  # what is left is noise of deviation 1
    orders = {tuple(task.batch(16, task.generator(1, k)).labels.tolist()) for k in range(8)}
    assert len(orders) == 8
    with pytest.raises(UsageError, match="no multiple of 4"):
        task.batch(6, task.generator(1))


def test_sides_of_the_patch() -> None:
    assert [patch_side((n, n)) for n in (32, 64, 65, 129, 257, 513)] == [4, 8, 8, 16, 24, 24]
    assert patch_side((400, 64)) == 8
    assert all(patch_side((n, n)) % BLOCKS == 0 for n in range(32, 300))
    with pytest.raises(UsageError, match="too few"):
        patch_side((31, 500))


def test_distances_are_chebyshev_from_centre_to_centre() -> None:
    centres = np.array([[0.0, 0.0], [10.0, 4.0]])
    corners = np.array([[8, 0]])
    assert distances(centres, corners, 4).tolist() == [[9.5, 2.5]]
