"""Training a copy on the cue task: one schedule for all networks, and when it ends.

Warm-up, a constant rate, a linear decay over the last fifth. The decay begins when the mean accuracy inside
the exact box has gained less than half a point in the last fifth of the steps, once the cue is named where it
stands before a cell; or in time for the bound.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archlens.probes.cue.cells import Cells
from archlens.probes.cue.curves import LEARNT, Hits, accuracy, reach
from archlens.probes.cue.task import Batch, Task
from archlens.probes.erf import weights
from archlens.probes.network import Network
from archlens.progress import Say

RATES = (4e-3, 2e-3, 1e-3)
"""Learning rates that are tried, on a seed that is not evaluated."""
TRIAL_STEPS = 100
TRIAL_SEED = 1_000_003
WARM_UP = 50
DECAY = 0.2
"""Share of all steps over which the rate falls to zero."""
GAIN = 0.005
CHECKS = 24
"""Looks at a run of full length."""
STATISTICS = 64
"""Fresh batches whose average the frozen statistics are."""
GLANCE_STATISTICS, GLANCE_IMAGES = 8, 128
"""The same while it trains, and images that the learning curve is seen on."""


@dataclass(frozen=True)
class Glance:
    """How a network stands while it trains: accuracies, and the reach once it has learnt."""

    steps: int
    near: float
    far: float
    inside: float
    reach: float | None


@dataclass
class Trainee:
    """A copy in training.

    Attributes:
        network: The copy on its device, in float32.
        cells: That answer.
        batch_size: Images a step, a multiple of four.
        mixed: bfloat16 arithmetic in training.
        last: Memory format channels_last.
    """

    network: Network
    cells: Cells
    batch_size: int
    mixed: bool = False
    last: bool = False

    @property
    def model(self) -> nn.Module:
        """The copy."""
        return self.network.model

    def scores(self, images: Tensor) -> Tensor:
        """(N, channels, cells)."""
        if self.last:
            images = images.contiguous(memory_format=torch.channels_last)
        found, _ = self.network.run(images, [self.cells.layer])
        return self.cells.scores(found[self.cells.layer])

    def start(self, seed: int) -> None:
        """Fresh weights, the same on every device."""
        generator = torch.Generator().manual_seed(seed)
        weights.draw(self.model, generator, self.network.frozen)
        for norm in weights.batch_norms(self.model):
            norm.reset_running_stats()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name not in self.network.frozen)
        self.model.train()

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross entropy over all cells of all images."""
        device = self.network.device.type
        with torch.enable_grad(), torch.autocast(device, torch.bfloat16, enabled=self.mixed):
            scores = self.scores(batch.images)[:, :4].float()
            return F.cross_entropy(scores, batch.labels[:, None].expand(-1, scores.shape[-1]))

    def freeze(self, task: Task, batches: int, *seeds: int) -> None:
        """Running statistics as the plain average over fresh batches, then evaluation mode: statistics of the
        very batch would carry the label from image to image."""
        rng = task.generator(*seeds)
        drawn = (b.images for b in task.batches(batches * self.batch_size, self.batch_size, rng))
        with torch.no_grad():
            weights.calibrate(self.model, drawn, self.scores)
        self.model.eval()

    def answers(self, task: Task, images: int, *seeds: int) -> Hits:
        """What the cells answer to fresh images, in evaluation mode."""
        rng = task.generator(*seeds)
        found: Hits | None = None
        with torch.no_grad():
            for batch in task.batches(images, max(self.batch_size, 16) // 4 * 4, rng):
                right = self.scores(batch.images)[:, :4].argmax(1) == batch.labels[:, None]
                hits = self.cells.hits(right.cpu().numpy(), batch, task.patch)
                found = hits if found is None else found.joined(hits)
        assert found is not None
        return found

    def glance(self, task: Task, steps: int) -> Glance:
        """Accuracies on a few images; the same images each time."""
        self.freeze(task, GLANCE_STATISTICS, task.size[0], steps, 11)
        found = self.answers(task, GLANCE_IMAGES, task.size[0], 12)
        self.model.train()
        near, far = (float(p[:, 0].sum() / max(p[:, 1].sum(), 1)) for p in (found.near, found.far))
        inside = found.inside[:, 0].sum() / max(found.inside[:, 1].sum(), 1)
        known = accuracy(found.near)
        far_off = reach(found).value if known is not None and known.value >= LEARNT else None
        return Glance(steps, near, far, float(inside), far_off)


@dataclass(frozen=True)
class Trained:
    """How a run went.

    Attributes:
        steps, seconds: It took.
        converged: Whether it ended because nothing was gained any more, and not at its bound.
        loss: Mean of the last steps.
        learning: Glances, in order.
    """

    steps: int
    seconds: float
    converged: bool
    loss: float
    learning: tuple[Glance, ...]


def rate_of(trainee: Trainee, task: Task, say: Say) -> float:
    """The learning rate: of a few, the one with the lowest loss after a hundred steps of a seed that is not
    evaluated; of two within a hundredth the smaller."""
    best, lowest = RATES[-1], float("inf")
    for rate in reversed(RATES):
        trainee.start(TRIAL_SEED)
        losses = _trial(trainee, task, rate, say)
        loss = float(np.mean(losses[-20:]))
        if loss < lowest - 0.01:
            best, lowest = rate, loss
    return best


def _trial(trainee: Trainee, task: Task, rate: float, say: Say) -> list[float]:
    """The losses of a few steps at a warmed-up rate."""
    optimiser = _optimiser(trainee)
    rng, losses = task.generator(TRIAL_SEED, 1), []
    for step in range(TRIAL_STEPS):
        if step % 10 == 0:
            say(f"trying rate {rate:g}: step {step} of {TRIAL_STEPS}")
        warmed = rate * min(1.0, (step + 1) / (TRIAL_STEPS // 5))
        losses.append(_step(trainee, optimiser, task.batch(trainee.batch_size, rng), warmed))
        if not np.isfinite(losses[-1]):
            return [float("inf")] * TRIAL_STEPS
    return losses


def _optimiser(trainee: Trainee) -> torch.optim.Optimizer:
    trained = [p for p in trainee.model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trained, lr=1e-3, weight_decay=1e-4)


def _step(trainee: Trainee, optimiser: torch.optim.Optimizer, batch: Batch, rate: float) -> float:
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = trainee.loss(batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(trainee.model.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def train(
    trainee: Trainee,
    task: Task,
    seed: int,
    rate: float,
    bound: int,
    until: float,
    say: Say,
) -> Trained:
    """Train from fresh weights.

    Args:
        trainee: The copy.
        task: Of the same seed.
        seed: Of weights and images.
        rate: The constant learning rate.
        bound: Steps at most.
        until: When to be done, on the monotonic clock: the decay begins in time for it.
        say: Called with loss and time left.
    """
    trainee.start(seed)
    optimiser, rng = _optimiser(trainee), task.generator(seed, 2)
    every = max(10, bound // CHECKS)
    begun = time.monotonic()
    losses: list[float] = []
    learning = [trainee.glance(task, 0)]
    decay_from, total, converged, step = None, bound, False, 0
    while step < total:
        now = time.monotonic()
        if decay_from is None:
            pace = (now - begun) / max(step, 1)
            decay = step * DECAY / (1 - DECAY)
            ends = step >= round(bound * (1 - DECAY)) or (step > WARM_UP and now + pace * decay > until)
            if not ends and step and step % every == 0:
                learning.append(trainee.glance(task, step))
                ends = converged = settled(learning)
            if ends:
                decay_from, total = step, min(bound, step + max(1, round(decay)))
        elif (step - decay_from) % every == 0:
            learning.append(trainee.glance(task, step))
        falls = 1.0 if decay_from is None else (total - step) / max(1, total - decay_from)
        warmed = rate * min(1.0, (step + 1) / min(WARM_UP, max(1, bound // 5)))
        losses.append(_step(trainee, optimiser, task.batch(trainee.batch_size, rng), warmed * falls))
        step += 1
        if step % 10 == 0:
            left = (total - step) * (time.monotonic() - begun) / step
            say(f"step {step} of {total}, loss {np.mean(losses[-20:]):.3f}, {left / 60:.0f} min left")
        if not np.isfinite(losses[-1]):
            break
    learning.append(trainee.glance(task, step))
    return Trained(step, time.monotonic() - begun, converged, float(np.mean(losses[-20:])), tuple(learning))


def settled(learning: Sequence[Glance]) -> bool:
    """Whether the last fifth of the steps has gained less than half a point, the cue being named up close."""
    last = learning[-1]
    before = [g for g in learning if g.steps <= 0.8 * last.steps]
    if not before or last.steps < 2 * WARM_UP or before[-1].near < LEARNT:
        return False
    return last.inside - before[-1].inside < GAIN


def first(learning: Sequence[Glance], part: str) -> int | None:
    """Steps until an accuracy (near, far) was first .8; None where it never was."""
    return next((g.steps for g in learning if getattr(g, part) >= LEARNT), None)
