"""The cue experiment from beginning to end: copies, learning rates, seeds, results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch

from archlens.errors import UsageError
from archlens.probes.cue.cells import Cells, cells_of
from archlens.probes.cue.copies import Copy, copied
from archlens.probes.cue.evaluation import IMAGES, evaluated, field
from archlens.probes.cue.task import Task
from archlens.probes.cue.training import (
    CHECKS,
    GLANCE_IMAGES,
    GLANCE_STATISTICS,
    RATES,
    STATISTICS,
    TRIAL_SEED,
    TRIAL_STEPS,
    Trainee,
    rate_of,
    train,
)
from archlens.probes.device import facts, guarded, resolve, synchronize
from archlens.probes.network import Network
from archlens.progress import Say, silent
from archlens.spec import Spec, input_sizes, parse_spec
from archlens.study import Study
from archlens.trained import CHANCE, CueResult, Model, alike, summed_up

DEFAULT_SIDE = {"cuda": 513, "cpu": 257}
DEFAULT_WIDTH = {"cuda": Fraction(1, 2), "cpu": Fraction(1, 8)}
STEPS = 1200
TIMED = 5
"""Steps that a memory format is timed over."""


@dataclass(frozen=True)
class CueOptions:
    """What the experiment may be asked for besides its networks.

    Attributes:
        input_size: (C, H, W) or "3x257x257"; default: 513 px a side on a card, 257 on a CPU.
        settings: `key=value` options of every network.
        width: Channels are multiplied by it, as in 1/8; default: 1/2 on a card, 1/8 on a CPU.
        seeds: Of weights, patterns and images; a run each.
        steps: At most, a seed.
        minutes: At most, a network with all its seeds; None: no limit.
        batch_size: Images a step.
        device: auto, cpu, cuda, cuda:1.
    """

    input_size: str | Sequence[int] | None = None
    settings: Sequence[str] = ()
    width: str | Fraction | float | None = None
    seeds: Sequence[int] = (0, 1, 2)
    steps: int = STEPS
    minutes: float | None = None
    batch_size: int = 8
    device: str = "auto"


def cue(
    *models: str,
    options: CueOptions | None = None,
    known: CueResult | None = None,
    progress: Say = silent,
    finished: Callable[[CueResult], None] = lambda _: None,
) -> CueResult:
    """Train copies of networks to name a distant cue, and measure how far a cue carries to a cell.

    Args:
        models: Specs.
        options: See `CueOptions`.
        known: Results of earlier runs: seeds that they have are not run again.
        progress: Called with what is done, loss and time left.
        finished: Called with the result so far after each seed: nothing is lost when a run is stopped.

    Returns:
        The networks, in order, with what was known of others behind them.

    Raises:
        UsageError: An option that is none, or a network that cannot be thinned.
        LayerError: A class-score cell that is no map with four channels.
    """
    asked = options or CueOptions()
    device = resolve(asked.device)
    _check(asked)
    result = CueResult(facts(device).name, (), ()) if known is None else known
    for spec in [parse_spec(m, asked.settings) for m in models]:
        for entry in _seeds(spec, asked, device, result, progress):
            result = result.joined(CueResult(facts(device).name, (entry,)))
            finished(result)
    return result


def _check(asked: CueOptions) -> None:
    if asked.batch_size < 4 or asked.batch_size % 4:
        raise UsageError(
            f"a batch of {asked.batch_size} cannot hold four classes equally often", "Use 4, 8, 12."
        )
    if asked.steps < 20:
        raise UsageError(f"{asked.steps} steps teach nothing", "Use --steps 100 or more.")
    if not asked.seeds or len(set(asked.seeds)) < len(asked.seeds) or min(asked.seeds) < 0:
        raise UsageError("seeds are different whole numbers from 0 on", "Write --seeds 0,1,2.")


def width_of(asked: CueOptions, device: torch.device) -> Fraction:
    """The width as a fraction.

    Raises:
        UsageError: It is none between 0 and 1.
    """
    if asked.width is None:
        return DEFAULT_WIDTH["cuda" if device.type == "cuda" else "cpu"]
    try:
        width = Fraction(asked.width).limit_denominator(64)
    except (ValueError, ZeroDivisionError, TypeError) as error:
        raise UsageError(f"{asked.width!r} is no width", "Write a fraction, as in --width 1/8.") from error
    if not 0 < width <= 1:
        raise UsageError(f"{asked.width} is no width between 0 and 1", "Write a fraction, as in --width 1/8.")
    return width


@dataclass(frozen=True)
class Prepared:
    """A network ready for training.

    Attributes:
        copy: What was built, and changed.
        trainee: It on its device.
        entry: What its results share.
        pace: Seconds a step.
    """

    copy: Copy
    trainee: Trainee
    entry: dict[str, Any]
    pace: float


def prepared(spec: Spec, asked: CueOptions, device: torch.device, say: Say) -> Prepared:
    """Build the copy, put it on the device, find its cells, and time some steps in both memory formats."""
    say(f"building {spec.text}")
    width = width_of(asked, device)
    copy = copied(spec, width, 0)
    side = DEFAULT_SIDE["cuda" if device.type == "cuda" else "cpu"]
    sizes = input_sizes(asked.input_size) or ((copy.input_size[0], side, side),)
    if len(sizes) > 1 or len(sizes[0]) != 3:
        raise UsageError("the cue task is for networks of one image", "Give --input-size as 3x257x257.")
    size = sizes[0]

    def made() -> tuple[Network, Cells]:
        network = Network(copy.model, size, device, name=copy.name)
        return network, cells_of(Study(network.graph))

    network, cells = guarded(device, f"moving {copy.name} to it", "Use a smaller --width.", made)
    trainee = Trainee(network, cells, asked.batch_size, mixed=device.type == "cuda")
    task = Task(size[0], size[1:], 0, device)
    pace = guarded(
        device, f"training {copy.name}", "Use a smaller --width, --batch-size or --input-size.",
        lambda: _paced(trainee, task),
    )  # fmt: skip
    entry = {
        "spec": spec.text,
        "name": copy.name,
        "width": float(width),
        "normalised": copy.normalised,
        "input_shape": [1, *size],
        "batch_size": asked.batch_size,
        "chance": CHANCE,
        "changes": list(copy.notes),
        "cell": cells.layer,
    }
    return Prepared(copy, trainee, entry, pace)


def _paced(trainee: Trainee, task: Task) -> float:
    """Seconds a step in the faster memory format, which is kept."""
    seconds = {}
    for last in (False, True):
        trainee.last = last
        form = torch.channels_last if last else torch.contiguous_format
        trainee.model.to(memory_format=form)
        trainee.start(0)
        optimiser = torch.optim.SGD([p for p in trainee.model.parameters() if p.requires_grad], lr=0.0)
        rng = task.generator(0, 9)
        for step in range(TIMED + 1):
            if step == 1:
                synchronize(trainee.network.device)
                start = time.perf_counter()
            optimiser.zero_grad()
            trainee.loss(task.batch(trainee.batch_size, rng)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        synchronize(trainee.network.device)
        seconds[last] = (time.perf_counter() - start) / TIMED
    trainee.last = seconds[True] < seconds[False]
    trainee.model.to(memory_format=torch.channels_last if trainee.last else torch.contiguous_format)
    return min(seconds.values())


def dry(models: Sequence[str], asked: CueOptions, progress: Say = silent) -> list[dict[str, Any]]:
    """What a run would take, network by network: steps are timed, nothing is trained."""
    device = resolve(asked.device)
    _check(asked)
    out = []
    for spec in [parse_spec(m, asked.settings) for m in models]:
        ready = prepared(spec, asked, device, progress)
        out.append(
            {
                "spec": spec.text,
                "input_shape": ready.entry["input_shape"],
                "width": ready.entry["width"],
                "steps_per_second": 1 / ready.pace,
                "seconds_at_most": expected_seconds(ready.pace, asked),
            }
        )
    return out


def expected_seconds(pace: float, asked: CueOptions) -> float:
    """What a network with all its seeds takes if each runs to its bound; forward alone costs a third of a
    step."""
    looks = (GLANCE_STATISTICS + GLANCE_IMAGES / asked.batch_size) / 3
    each = asked.steps + (CHECKS + 2) * looks
    steps = len(RATES) * TRIAL_STEPS + len(asked.seeds) * each
    limit = float("inf") if asked.minutes is None else 60 * asked.minutes
    return min(pace * steps + len(asked.seeds) * _last_looks(pace, asked), limit)


def _seeds(
    spec: Spec, asked: CueOptions, device: torch.device, known: CueResult, progress: Say
) -> Iterator[Model]:
    """The model's entry with one new seed, seed by seed."""
    ready = prepared(spec, asked, device, progress)
    same = next((m for m in known.models if alike(m, ready.entry)), None)
    done = {} if same is None else {s["seed"]: s["rate"] for s in same["seeds"]}
    wanted = [s for s in asked.seeds if s not in done]
    rate = next(iter(done.values()), None)
    begun = time.monotonic()
    for k, seed in enumerate(wanted):
        until = float("inf")
        if asked.minutes is not None:
            left = 60 * asked.minutes - (time.monotonic() - begun)
            until = time.monotonic() + left / (len(wanted) - k) - _last_looks(ready.pace, asked)

        def work(seed: int = seed, rate: float | None = rate, until: float = until) -> dict[str, Any]:
            return _one(ready, seed, rate, asked.steps, until, progress)

        doing = f"training {ready.copy.name}"
        found = guarded(device, doing, "Use a smaller --width, --batch-size or --input-size.", work)
        rate = found["rate"]
        yield {**ready.entry, **summed_up([found])}


def _one(
    ready: Prepared, seed: int, rate: float | None, steps: int, until: float, progress: Say
) -> dict[str, Any]:
    """One seed from its field before training to its controls."""
    trainee = ready.trainee
    channels, *size = ready.entry["input_shape"][1:]

    def say(words: str) -> None:
        progress(f"{ready.copy.name}, seed {seed}: {words}")

    def task(own: int) -> Task:
        return Task(channels, size, own, trainee.network.device)

    if rate is None:
        rate = rate_of(trainee, task(TRIAL_SEED), say)
    trainee.start(seed)
    trainee.freeze(task(seed), STATISTICS, seed, 5)
    before = field(trainee, task(seed))
    run = train(trainee, task(seed), seed, rate, steps, until, say)
    say("evaluating")
    return evaluated(trainee, task(seed), seed, run, before, rate)


def _last_looks(pace: float, asked: CueOptions) -> float:
    """Seconds that the evaluation of a seed takes."""
    return pace * 2 * (STATISTICS + IMAGES / asked.batch_size) / 3
