"""Checkpoints: reading them, and turning VGG-16's weights from torchvision's names into ours and back.

A checkpoint of the whole network has to fit it key by key. A classifier's checkpoint in torchvision's
layout fills the trunk alone (and VGG's first two dense layers where the network keeps their shape); the
rest stays as it was initialised, and the report says so. Nothing that a checkpoint holds is run: tensors
only.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archlens.errors import WeightsError
from archlens.zoo.backbones.vgg import STAGES

State = dict[str, Tensor]

_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights")
_PREFIXES = ("module.", "_orig_mod.")
_DENSE = {"fc6": ("classifier.0", (4096, 512, 7, 7)), "fc7": ("classifier.3", (4096, 4096, 1, 1))}


def _vgg16_names() -> dict[str, str]:
    """Our convolutions -> torchvision's: `backbone.conv2_1` -> `features.5`."""
    names: dict[str, str] = {}
    position = 0
    for stage, (_, depth) in enumerate(STAGES, start=1):
        for index in range(1, depth + 1):
            names[f"backbone.conv{stage}_{index}"] = f"features.{position}"
            position += 2  # the convolution and its ReLU
        position += 1  # the pool
    return names


def vgg16_to_torchvision(state: Mapping[str, Tensor]) -> State:
    """The trunk of a network's state, with fc6 and fc7 where they are VGG-16's own, by torchvision's names.

    Raises:
        WeightsError: a convolution of the trunk is not there.
    """
    out: State = {}
    for ours, theirs in _vgg16_names().items():
        for part in ("weight", "bias"):
            if f"{ours}.{part}" not in state:
                raise WeightsError(f"Not a network on VGG-16: there is no {ours}.{part}.")
            out[f"{theirs}.{part}"] = state[f"{ours}.{part}"]
    for ours, (theirs, shape) in _DENSE.items():
        weight = state.get(f"{ours}.weight")
        if weight is not None and tuple(weight.shape) == shape:
            out[f"{theirs}.weight"] = weight.flatten(1)
            out[f"{theirs}.bias"] = state[f"{ours}.bias"]
    return out


def vgg16_from_torchvision(state: Mapping[str, Tensor]) -> State:
    """The state of torchvision's vgg16 by our names: the trunk, and fc6 and fc7 as convolutions.

    The classifier of ImageNet's 1000 classes is left out.

    Raises:
        WeightsError: the layout is another one, VGG-16 with batch norm for instance.
    """
    names = {theirs: ours for ours, theirs in _vgg16_names().items()}
    expected = {f"{name}.{part}" for name in names for part in ("weight", "bias")}
    features = {key for key in state if key.startswith("features.")}
    if features != expected:
        wrong = sorted(features ^ expected)
        raise WeightsError(
            f"Not the layout of torchvision's vgg16: {_some(wrong)} missing or too many.",
            hint="Other depths and batch-normalised VGGs do not fit.",
        )
    out: State = {}
    for theirs, ours in names.items():
        for part in ("weight", "bias"):
            out[f"{ours}.{part}"] = state[f"{theirs}.{part}"]
    for ours, (theirs, shape) in _DENSE.items():
        weight = state.get(f"{theirs}.weight")
        if weight is not None and weight.numel() == torch.Size(shape).numel():
            out[f"{ours}.weight"] = weight.reshape(shape)
            out[f"{ours}.bias"] = state[f"{theirs}.bias"]
    return out


@dataclass(frozen=True)
class LoadReport:
    """What a checkpoint filled.

    Attributes:
        source: "network": the whole of it; "vgg" or "resnet": a torchvision classifier's trunk.
        loaded: keys of the network that were set.
        kept: keys of the network that the checkpoint says nothing about, as they were before.
        ignored: keys of the checkpoint that have no place in the network.
    """

    source: Literal["network", "vgg", "resnet"]
    loaded: tuple[str, ...]
    kept: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.source == "network":
            return f"loaded all {len(self.loaded)} tensors"
        text = f"loaded {len(self.loaded)} tensors of a torchvision {self.source} trunk"
        if self.kept:
            text += f"; {len(self.kept)} keep their initial values ({_some(self.kept)})"
        if self.ignored:
            text += f"; {len(self.ignored)} of the checkpoint were not used ({_some(self.ignored)})"
        return text


def load_checkpoint(model: nn.Module, path: str | Path) -> LoadReport:
    """Fill a network's parameters and buffers from a checkpoint.

    Raises:
        WeightsError: the file is no checkpoint, or its tensors do not fit; the network is then unchanged.
    """
    state = read_state(path)
    own: State = model.state_dict()
    if any(tensor.is_meta for tensor in own.values()):
        raise WeightsError(
            "The network was built on the meta device and has no place for weights.",
            hint="Build it on the CPU or on a GPU.",
        )
    source, state, ignored = _in_our_layout(state, own)
    wanted = set(own) if source == "network" else {key for key in own if key.startswith("backbone.")}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}  # absent from old checkpoints
    missing = [key for key in own if key in wanted and key not in state and key not in counters]
    unexpected = [key for key in state if key not in own]
    misshapen = [
        f"{key} {_by(tensor)} instead of {_by(own[key])}"
        for key, tensor in state.items()
        if key in own and tensor.shape != own[key].shape
    ]
    problems = [
        f"{len(keys)} {what}: {_some(keys)}"
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if keys
    ]
    if problems:
        raise WeightsError(
            f"{path} does not fit the network. " + "; ".join(problems) + ".",
            hint="Is it the same network, with the same num_classes and other options?",
        )
    model.load_state_dict(state, strict=False)
    kept = tuple(key for key in own if key not in state)
    return LoadReport(source, tuple(key for key in own if key in state), kept, tuple(ignored))


def read_state(path: str | Path) -> State:
    """The tensors of a checkpoint, without wrapping dictionaries and without prefixes of parallel training.

    Raises:
        WeightsError: there is no such file, or it holds no tensors by name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on the file's format; what matters becomes an error
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        if "Unsupported global" in str(error):
            raise WeightsError(
                f"{path} holds Python objects; archlens reads tensors only and runs nothing.",
                hint="Save the state alone: torch.save(model.state_dict(), path).",
            ) from error
        raise WeightsError(f"{path} is not a checkpoint of PyTorch.") from error
    while isinstance(content, Mapping) and not any(isinstance(value, Tensor) for value in content.values()):
        inner = [content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds no tensors by name, but a {type(content).__name__}.")
    state: State = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise WeightsError(f"{path} holds no tensors by name; its keys: {_some(map(str, content))}.")
    prefix = next((prefix for prefix in _PREFIXES if all(key.startswith(prefix) for key in state)), "")
    while prefix:
        state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
        prefix = next((prefix for prefix in _PREFIXES if all(key.startswith(prefix) for key in state)), "")
    return state


def _in_our_layout(state: State, own: State) -> tuple[Literal["network", "vgg", "resnet"], State, list[str]]:
    """Where the state comes from, its tensors by our names, and the keys that were left out."""
    if "features.0.weight" in state and "backbone.conv1_1.weight" in own:
        converted = vgg16_from_torchvision(state)
        for name in _DENSE:
            weight = converted.get(f"{name}.weight")
            target = own.get(f"{name}.weight")
            if weight is not None and (target is None or target.shape != weight.shape):
                del converted[f"{name}.weight"], converted[f"{name}.bias"]
        used = vgg16_to_torchvision(converted)
        return "vgg", converted, [key for key in state if key not in used]
    if "layer1.0.conv1.weight" in state and "backbone.layer1.0.conv1.weight" in own:
        trunk = {f"backbone.{key}": tensor for key, tensor in state.items() if not key.startswith("fc.")}
        return "resnet", trunk, [key for key in state if key.startswith("fc.")]
    return "network", state, []


def _some(keys: Iterable[str], count: int = 3) -> str:
    """The first few of the keys."""
    keys = list(keys)
    return ", ".join(keys[:count]) + (", ..." if len(keys) > count else "")


def _by(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
