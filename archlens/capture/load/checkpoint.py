"""Whether a checkpoint fits a model. Receptive fields and costs do not depend on weights; whether a file
of weights belongs to the network that is looked at, a reader wants to know before believing either."""

from __future__ import annotations

from archlens.capture.load import load, meta_build
from archlens.spec import Spec
from archlens.zoo.weights import load_checkpoint


def fit_checkpoint(spec: Spec, path: str) -> str:
    """Load a checkpoint into the model that a spec names.

    Returns:
        What was loaded, in words.

    Raises:
        WeightsError: The file is no checkpoint, or its tensors do not fit.
    """
    loaded = load(spec)
    model = meta_build(loaded).to_empty(device="cpu")  # room for the values, no time spent on drawing them
    return str(load_checkpoint(model, path))
