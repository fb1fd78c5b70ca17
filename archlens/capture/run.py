"""From a spec or a live module to a graph: without arithmetic where that works, with values where not."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from archlens.capture.load import DEFAULT_SIZE, Loaded, load, meta_build
from archlens.capture.trace import capture
from archlens.errors import ArchlensError, InputSizeError, TraceError, UsageError
from archlens.graph import Graph
from archlens.spec import Spec


def capture_spec(
    spec: Spec, size: Sequence[int] | None, progress: Callable[[str], None]
) -> tuple[Graph, str]:
    """Build what a spec names without values and capture it.

    Returns:
        The graph and the model's own name.
    """
    loaded = load(spec)
    shape = tuple(size or loaded.input_size)
    loaded.check(shape)
    progress(f"building {loaded.name}")
    model = meta_build(loaded)
    progress(f"capturing {loaded.name}")
    return _capture(model, shape, loaded.name, lambda: _real(loaded)), loaded.name


def capture_module(model: nn.Module, size: Sequence[int] | None) -> Graph:
    """Capture a live module; it is copied, so its mode, device and values stay as they are."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"{type(model).__name__} is no torch.nn.Module", "Pass a module or a model spec.")
    shape = tuple(size or DEFAULT_SIZE)
    twin = copy_to_meta(model)
    return _capture(twin, shape, type(model).__name__, lambda: copy.deepcopy(model).cpu())


def copy_to_meta(model: nn.Module) -> nn.Module:
    """A copy whose parameters have no values; shared parameters stay shared, buffers keep their values."""
    memo = {
        id(p): nn.Parameter(p.detach().to("meta"), requires_grad=p.requires_grad) for p in model.parameters()
    }
    return copy.deepcopy(model, memo)


def _real(loaded: Loaded) -> nn.Module:
    return loaded.build()


def _capture(model: nn.Module, shape: tuple[int, ...], name: str, real: Callable[[], nn.Module]) -> Graph:
    axes = tuple(range(2, len(shape) + 1))
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    try:
        image = torch.empty((1, *shape), device="meta", dtype=dtype)
        return capture(model, [image], [axes], name)
    except InputSizeError:
        raise
    except Exception as first:
        # A model that looks at values (.item(), a branch on data) needs some. If it fails with real ones
        # too, the fault is the model's or the size's, and its own words are the message.
        try:
            graph = capture(real(), [torch.zeros((1, *shape))], [axes], name, real=True)
        except ArchlensError:
            raise
        except Exception as second:
            raise _failed(name, shape, second) from second
        note = f"run with real tensors: without values it fails ({_words(first)})"
        return replace(graph, notes=(*graph.notes, note))


def _failed(name: str, shape: tuple[int, ...], error: Exception) -> TraceError:
    frames = traceback.extract_tb(error.__traceback__)
    inner = [f for f in frames if "/torch/" not in f.filename and "archlens/capture" not in f.filename]
    where = f" ({inner[-1].filename}:{inner[-1].lineno})" if inner else ""
    by = "x".join(map(str, shape))
    return TraceError(
        f"the forward pass of {name} failed at input {by}: {_words(error)}{where}",
        "Check --input-size (channels x height x width); --debug shows the traceback.",
    )


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
