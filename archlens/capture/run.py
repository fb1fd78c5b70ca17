"""From a spec or a live module to a graph: without arithmetic where that works, with values where not."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from archlens.capture.inputs import Inputs, from_example, from_sizes, own_example
from archlens.capture.leaving import RANDOM, Calls, ended, on_other_images
from archlens.capture.load import DEFAULT_SIZE, Loaded, load, meta_build
from archlens.capture.load.loaded import quiet
from archlens.capture.load.unwrap import unwrap
from archlens.capture.load.weightless import copied, copy_to_meta
from archlens.capture.process import alone
from archlens.capture.trace import NeedsValues, capture
from archlens.errors import ArchlensError, DeviceError, InputSizeError, TraceError, UsageError
from archlens.graph import Graph
from archlens.spec import Spec

__all__ = ["capture_module", "capture_spec", "copy_to_meta", "loaded_inputs"]

Sizes = Sequence[int] | Sequence[Sequence[int]] | None


@alone
def capture_spec(
    spec: Spec, size: Sizes, progress: Callable[[str], None], device: str = "auto"
) -> tuple[Graph, str]:
    """Build what a spec names without values and capture it.

    Args:
        spec: What to load.
        size: (C, *spatial) of its input, or several; default: its own.
        progress: Called with a few words before each slow step.
        device: Where a model runs that needs values: auto, cpu, cuda, cuda:1; on meta it fails instead.

    Returns:
        The graph and the model's own name.
    """
    loaded = load(spec)
    if loaded.example is None or size:
        for one in _several(size) or [loaded.input_size]:
            loaded.check(tuple(one))
    progress(f"building {loaded.name}")
    model = unwrap(meta_build(loaded))
    inputs = loaded_inputs(loaded, model, size)
    progress(f"capturing {loaded.name}")
    return _capture(model, inputs, loaded.name, loaded.build, device), loaded.name


def loaded_inputs(loaded: Loaded, model: nn.Module, size: Sizes) -> Inputs:
    """What a loaded model is called with: inputs of the sizes asked for, else its own."""
    given = _several(size)
    if not given and loaded.example is not None:
        return own_example(loaded, model)
    return from_sizes(given or [loaded.input_size], model)


@alone
def capture_module(model: nn.Module, size: Sizes = None, example: Any = None) -> Graph:
    """Capture a live module; it is copied, so its mode, device and values stay as they are.

    Args:
        model: Any module.
        size: (C, *spatial) of its input, or several.
        example: What it is called with instead: a tensor, a tuple of arguments, or a dict.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"{type(model).__name__} is no torch.nn.Module", "Pass a module or a model spec.")
    inner = unwrap(model)
    inputs = from_sizes(_several(size) or [DEFAULT_SIZE], inner) if example is None else None
    twin = copy_to_meta(inner)
    name = type(inner).__name__
    valueless = any(t.is_meta for t in (*inner.parameters(), *inner.buffers()))
    return _capture(
        twin,
        inputs or from_example(example, inner),
        name,
        lambda: copied(inner).cpu(),
        "meta" if valueless else "auto",
    )


def _several(size: Sizes) -> list[Sequence[int]]:
    if not size:
        return []
    if isinstance(size[0], int):
        return [size]  # type: ignore[list-item]
    return list(size)  # type: ignore[arg-type]


def _capture(
    model: nn.Module, inputs: Inputs, name: str, real: Callable[[], nn.Module], device: str = "auto"
) -> Graph:
    try:
        with quiet():
            return capture(model, inputs.meta(), name)
    except InputSizeError:
        raise
    except Exception as first:
        if device == "meta":
            raise _failed(name, inputs, first) from first
        # A model that looks at values (.item(), a branch on data) needs some. If it fails with real ones
        # too, the fault is the model's or the size's, and its own words are the message.
        try:
            where = _device(device)
            with quiet():
                graph = _with_values(lambda: unwrap(real()).to(where), inputs, where, name)
        except ArchlensError:
            raise
        except Exception as second:
            if (trained := _in_training(model, inputs, name, second)) is not None:
                return trained
            raise _failed(name, inputs, second) from second
        why = str(first) if isinstance(first, NeedsValues) else f"without values it fails ({_words(first)})"
        note = f"run with real tensors on {where}: {why}"
        return replace(graph, notes=(*graph.notes, note))


def _with_values(build: Callable[[], nn.Module], inputs: Inputs, where: torch.device, name: str) -> Graph:
    """The graph of a run on real tensors; where values leave torch, what other images change is unknown."""
    graph, calls, chosen = _run(build, inputs, where, name)
    if not calls.ways:
        return graph
    by_chance = RANDOM in calls.ways  # what draws inside draws the same, unless it decides by that

    def again(image: int) -> Calls:
        return _once(build, inputs, where, name, image, seed=image if by_chance else 0)[1]

    runs, calls_that_vary, longer = on_other_images(calls, again)
    if calls_that_vary:
        graph, calls = _once(build, inputs, where, name, chosen, calls_that_vary)
    if longer:
        graph = ended(graph, calls.reason)
    lost = sum(n.unknown == calls.reason for n in graph.nodes)
    found = (
        f"{lost} of {len(graph.nodes)} results change with them in a way that cannot be followed"
        if lost
        else f"all calls were the same for {len(runs)} images"
    )
    note = f"values leave torch ({', '.join(dict.fromkeys(calls.ways))}): {found}"
    return replace(graph, notes=(*graph.notes, note))


def _run(
    build: Callable[[], nn.Module], inputs: Inputs, where: torch.device, name: str
) -> tuple[Graph, Calls, int | None]:
    """A run on the first image, or on the inputs as they are where it does not take that."""
    try:
        return (*_once(build, inputs, where, name, 0), 0)
    except Exception:
        return (*_once(build, inputs, where, name, None), None)


def _once(
    build: Callable[[], nn.Module],
    inputs: Inputs,
    where: torch.device,
    name: str,
    image: int | None,
    vary: frozenset[int] = frozenset(),
    seed: int = 0,
) -> tuple[Graph, Calls]:
    torch.manual_seed(0)
    model = build()  # the same weights each time: a factory draws them anew
    torch.manual_seed(seed)
    given = inputs.real(where) if image is None else inputs.real(where, image)
    calls = Calls(varied=vary)
    return capture(model, given, name, real=True, calls=calls), calls


def _in_training(model: nn.Module, inputs: Inputs, name: str, error: Exception) -> Graph | None:
    """The graph of a model that only runs in training mode, or None where that does not help either."""
    try:
        with quiet():
            graph = capture(model, inputs.meta(), name, training=True)
    except Exception:
        return None
    note = f"run in training mode: in evaluation mode it fails ({_words(error)})"
    return replace(graph, notes=(*graph.notes, note))


def _device(name: str) -> torch.device:
    """Where real tensors are run for a capture: on the CPU. Geometry needs no card, and a card's own fused
    kernels would only be other names for the same layers."""
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"there is no device {name}", "Use --device cpu.")
    return torch.device("cpu")


def _failed(name: str, inputs: Inputs, error: Exception) -> TraceError:
    frames = traceback.extract_tb(error.__traceback__)
    inner = [f for f in frames if "/torch/" not in f.filename and "archlens/capture" not in f.filename]
    where = f" ({inner[-1].filename}:{inner[-1].lineno})" if inner else ""
    # 1x3x224x224 is what other tools are given.
    shapes = [tuple(t.shape) for _, t in inputs.tensors() if t.ndim > 4 and t.shape[1] == 1]
    size = f"; it has no batch: {'x'.join(map(str, shapes[0][2:]))}" if shapes else ""
    return TraceError(
        f"the forward pass of {name} failed at input {inputs.describe()}: {_words(error)}{where}",
        f"Check --input-size (channels x height x width{size}); --debug shows the traceback.",
    )


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
