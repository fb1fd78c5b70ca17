"""Models with values: the module that a spec names, built for real and given a checkpoint."""

from __future__ import annotations

import torch
from torch import nn

from archlens.capture.load import load, meta_build
from archlens.capture.load.unwrap import unwrap
from archlens.capture.process import alone
from archlens.errors import UsageError
from archlens.spec import Spec
from archlens.zoo.weights import load_checkpoint


@alone
def live_module(
    spec: Spec, weights: str | None = None, seed: int | None = None
) -> tuple[nn.Module, str, tuple[int, ...], tuple[str, ...]]:
    """The module that a spec names, with values; random ones follow the seed, where one is given.

    Returns:
        The module, its name, its own input size (C, *spatial), and notes on what was loaded.

    Raises:
        UsageError: The spec is a saved report, which has no network to run.
        WeightsError: The checkpoint does not fit.
    """
    if spec.kind == "report":
        raise UsageError(f"{spec.text} is a saved report, without a network to run", "Give the model itself.")
    loaded = load(spec)
    if seed is not None:
        torch.default_generator.manual_seed(seed)
    model = unwrap(loaded.build())
    notes = () if weights is None else (f"{weights}: {load_checkpoint(model, weights)}",)
    return model, loaded.name, loaded.input_size, notes


def fit_checkpoint(spec: Spec, path: str) -> str:
    """Load a checkpoint into the model that a spec names. Fields and costs do not depend on weights; whether
    a file of weights belongs to the network, a reader wants to know before believing either.

    Returns:
        What was loaded, in words.

    Raises:
        WeightsError: The file is no checkpoint, or its tensors do not fit.
    """
    model = meta_build(load(spec)).to_empty(
        device="cpu"
    )  # room for the values, no time spent on drawing them
    return str(load_checkpoint(model, path))
