"""`archlens explain`: what limits one network's context, and what would extend it."""

from __future__ import annotations

from archlens.cli.comparison import show
from archlens.cli.options import (
    At,
    Cut,
    Device,
    Full,
    InputSize,
    Json,
    Lang,
    Measure,
    Model,
    Output,
    Set,
    Shared,
    Sides,
)


def explain(
    model: Model,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    at: At = None,
    settings: Set = None,
    cut: Cut = None,
    sizes: Sides = None,
    full: Full = False,
    lang: Lang = "en",
    measure: Measure = False,
    *,
    shared: Shared,
) -> None:
    """Explain one network: what limits its context, what would extend it and at what cost.

    Also the layers that can add nothing at this input size, and the overlap that tiles need.
    """
    asked = {"--input-size": input_size, "--at": at, "--set": settings, "--cut": cut, "--sizes": sizes}
    show(
        "explain", [model], asked, shared, device=device, json=json, output=output, full=full, lang=lang,
        measure=measure,
    )  # fmt: skip
