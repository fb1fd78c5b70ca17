"""What a network costs when it runs: latency, memory and the share of the roofline, layer by layer.

A layer's work is counted as everywhere in archlens (2 FLOP a MAC, one an elementwise operation); its traffic
is the least possible: each operand read once, each result written once, at the run's precision. Caches may
do better than the copy ceiling on small maps (a share above 1), kernels may move more. Times are of the layer
rows with marks around each; the whole pass is timed apart, without marks, and the difference is shown.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from archlens.capture.process import alone
from archlens.errors import UsageError
from archlens.graph import Graph
from archlens.probes.device import DeviceFacts, facts, guarded, is_lost, is_out_of_memory
from archlens.probes.network import Network
from archlens.probes.profile import neighbours, roofline
from archlens.probes.profile.layer_profile import Latency, LayerProfile, layer_profiles
from archlens.probes.profile.mismatch import Mismatch, find_mismatches
from archlens.probes.profile.roofline import Ceilings
from archlens.probes.profile.timing import Memory, measure_memory, time_rows, time_whole
from archlens.progress import Count, uncounted

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
MARGIN = 0.10  # layer times are said to add up where they do within this share of the whole


@dataclass(frozen=True)
class Profile:
    """A network on a device.

    Attributes:
        model: Its name.
        device: Facts about the device.
        input_shape: (N, C, *spatial).
        dtype, channels_last, compiled: How it ran.
        latency: Of the whole pass, without marks.
        images_per_second: Batch size / median.
        layers: Rows in order; no times where compiled, since kernels are fused across layers.
        layer_sum: Sum of the layers' medians, None where compiled.
        unattributed: latency.median - layer_sum: negative where the marks cost more than what is between
            layers.
        adds_up: Whether that is within `margin` of the whole.
        margin: The stated share.
        params, macs: Of the network (macs for the batch).
        flops_per_second: Achieved by the whole pass (2 FLOP a MAC and elementwise ones).
        peak_bytes: Most held at any moment, input included, weights not.
        param_bytes: The weights, at the run's precision.
        memory_method: What `peak_bytes` counts.
        ceilings: The device's.
        mismatches: Layers where time and MACs part company.
        notes: What may have spoiled the figures, and what they leave out.
    """

    model: str
    device: DeviceFacts
    input_shape: tuple[int, ...]
    dtype: str
    channels_last: bool
    compiled: bool
    latency: Latency
    images_per_second: float
    layers: tuple[LayerProfile, ...]
    layer_sum: float | None
    unattributed: float | None
    adds_up: bool | None
    margin: float
    params: int
    macs: int
    flops_per_second: float
    peak_bytes: int
    param_bytes: int
    memory_method: str
    ceilings: Ceilings
    mismatches: tuple[Mismatch, ...]
    notes: tuple[str, ...]


@alone
def profile(
    model: nn.Module,
    input_shape: Sequence[int],
    device: torch.device,
    *,
    name: str = "model",
    batch_size: int = 1,
    dtype: str = "float32",
    channels_last: bool = False,
    compiled: bool = False,
    warmup: int = 5,
    repeat: int = 20,
    progress: Count = uncounted,
) -> Profile:
    """Measure a network.

    Args:
        model: Left as it is; a copy runs, in evaluation mode.
        input_shape: (C, *spatial), without the batch.
        device: From `device.resolve`.
        batch_size: Images a pass.
        dtype: `float32`, `float16` or `bfloat16`: the weights' and the input's.
        compiled: Through `torch.compile`: totals only.
        warmup, repeat: Passes before, and passes that count.
        progress: Called with (passes done, all of them).

    Raises:
        DeviceError: Out of memory, or the card was lost.
        UsageError: A precision, or a combination, that does not exist.
    """
    if dtype not in DTYPES:
        raise UsageError(f"{dtype!r} is not a precision to run in.", hint="Known: " + ", ".join(DTYPES) + ".")
    if batch_size < 1 or repeat < 1 or warmup < 0:
        raise UsageError("Batch size and repeats start at 1, warm-up at 0.")
    if channels_last and len(input_shape) != 3:
        raise UsageError("Channels-last is for images: an input of channels x height x width.")
    number = DTYPES[dtype]
    roof = roofline.ceilings(device, number)
    passes = 2 * (warmup + repeat) if not compiled else warmup + repeat
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, passes)

    doing = f"profiling {name} with a batch of {batch_size}"
    shape = (batch_size, *input_shape)
    run = guarded(
        device,
        doing,
        "Use a smaller --batch-size or --input-size.",
        lambda: _measure(model, shape, device, name, number, channels_last, compiled, warmup, repeat, step),
    )
    graph = run.graph
    layers = layer_profiles(graph, run.rows, run.memory.rows, roof, batch_size, number.itemsize)
    if _above(layers):
        roof = roofline.again(roof, device, number)
        layers = layer_profiles(graph, run.rows, run.memory.rows, roof, batch_size, number.itemsize)
    latency = Latency.of(run.seconds)
    total = None if compiled else sum(p.latency.median for p in layers if p.latency is not None)
    gap = None if total is None else latency.median - total
    flops = sum(p.flops for p in layers)
    return Profile(
        model=name,
        device=facts(device),
        input_shape=shape,
        dtype=dtype,
        channels_last=channels_last,
        compiled=compiled,
        latency=latency,
        images_per_second=batch_size / latency.median,
        layers=tuple(layers),
        layer_sum=total,
        unattributed=gap,
        adds_up=None if gap is None else abs(gap) <= MARGIN * latency.median,
        margin=MARGIN,
        params=graph.params,
        macs=sum(p.macs for p in layers),
        flops_per_second=flops / latency.median,
        peak_bytes=run.memory.peak,
        param_bytes=graph.params * number.itemsize,
        memory_method=run.memory.method,
        ceilings=roof,
        mismatches=tuple(find_mismatches(layers, roof)) if not compiled else (),
        notes=(*run.notes, *_ceiling_notes(layers, roof), *_host_notes(device, gap, latency)),
    )


@dataclass
class _Run:
    """Raw measurements; no tensors, so that nothing stays on the card."""

    graph: Graph
    seconds: list[float]
    rows: dict[int, list[float]]
    memory: Memory
    notes: list[str]


@torch.no_grad()
def _measure(
    model: nn.Module,
    shape: tuple[int, ...],
    device: torch.device,
    name: str,
    dtype: torch.dtype,
    channels_last: bool,
    compiled: bool,
    warmup: int,
    repeat: int,
    step: Callable[[], None],
) -> _Run:
    ready = Network(model, shape[1:], device, name=name, dtype=dtype)
    x = torch.randn(shape, device=device).to(dtype)
    plain: Any = ready.model
    if channels_last:
        plain = plain.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    try:
        plain(x)
    except NotImplementedError as error:
        why = str(error).splitlines()[0]
        raise UsageError(
            f"{name} cannot run in {str(dtype).removeprefix('torch.')} on {device.type}: {why}",
            hint="Use --dtype float32.",
        ) from error
    network = _compile(plain, x) if compiled else plain
    before = neighbours.ask(device, rest=roofline.RESTED)
    others = neighbours.Others() if device.type == "cpu" else None
    whole = time_whole(lambda: network(x), device, warmup, repeat, step)
    after = neighbours.ask_under(device, lambda: network(x))
    rows = {} if compiled else time_rows(ready, lambda: plain(x), warmup, repeat, step)
    load = others.remark() if others is not None else None
    memory = measure_memory(ready, lambda: plain(x), x)
    notes = [*ready.notes, *neighbours.remarks(before, after)]
    notes += [note for note in (neighbours.drift(whole), load) if note]
    if device.type == "cuda":
        if after is None:
            notes.append("nvidia-smi did not answer: other processes and throttling were not looked for")
        if dtype == torch.float32 and torch.backends.cudnn.allow_tf32:
            notes.append("float32 convolutions run in TF32 where the card has it, as torch does by default")
            if not torch.backends.cuda.matmul.allow_tf32:
                notes.append(
                    "float32 linear layers and matrix products run in full float32, below the TF32 ceiling "
                    "that they are set against"
                )
    if compiled:
        notes.append(
            "compiled: kernels are fused across layers, so layers have no times of their own; memory is that "
            "of the plain network"
        )
    return _Run(ready.graph, whole, rows, memory, notes)


def _above(layers: Sequence[LayerProfile]) -> list[LayerProfile]:
    """Layers that do arithmetic faster than the matrix ceiling."""
    return [p for p in layers if p.bound == "compute" and p.macs and (p.roof_share or 0) > 1.1]


def _host_notes(device: torch.device, gap: float | None, latency: Latency) -> list[str]:
    """A card waits for the host where its kernels are shorter than their launches and marks."""
    if device.type != "cuda" or gap is None or gap >= -MARGIN * latency.median:
        return []
    return [
        "short layers' times are the host's own (launches and marks), not the card's: a larger batch or "
        "input shows the card's"
    ]


def _ceiling_notes(layers: Sequence[LayerProfile], roof: Ceilings) -> list[str]:
    """Words on ceilings that can't be right."""
    out = [roof.note] if roof.note else []
    above = _above(layers)
    if above:
        out.append(
            f"{len(above)} compute-bound layers beat the measured matrix ceiling ({above[0].name} first): "
            "it is too low, or a kernel saves arithmetic"
        )
    return out


def _compile(network: nn.Module, x: torch.Tensor) -> Any:
    """The compiled network, compiled by one run. Raises UsageError where the compiler does not manage."""
    try:
        out = torch.compile(copy.copy(network))
        out(x)
    except Exception as error:
        if is_out_of_memory(error) or is_lost(error):
            raise
        why = [line for line in str(error).splitlines() if line.strip() and not line.endswith("raised:")]
        raise UsageError(
            f"torch.compile failed: {(why or [type(error).__name__])[0].strip()}", hint="Leave --compile out."
        ) from error
    return out
