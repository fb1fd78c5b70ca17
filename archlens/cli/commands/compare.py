"""`archlens compare`: networks side by side, at one input size."""

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
    Models,
    Output,
    Set,
    Shared,
    Sides,
)
from archlens.cli.plot import FigureOfSeveral, Plot
from archlens.errors import UsageError


def compare(
    models: Models,
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
    plot: Plot = None,
    figure: FigureOfSeveral = "growth",
    *,
    shared: Shared,
) -> None:
    """Set networks side by side: what they see, what they use, what it costs, and why they differ.

    Without --input-size: at the first of their own sizes that all of them take.
    """
    from archlens.cli.plot import check_plot, write_plot
    from archlens.render.plots.kinds import figure_of_several

    if len(models) < 2:
        raise UsageError("compare needs two networks or more", "As in: archlens compare fcn pspnet")
    check_plot(plot)
    asked = {"--input-size": input_size, "--at": at, "--set": settings, "--cut": cut, "--sizes": sizes}
    show(
        "compare", models, asked, shared, device=device, json=json, output=output, full=full, lang=lang,
        measure=measure,
        also=lambda found: write_plot(plot, lambda form: figure_of_several(found, figure, form)),
    )  # fmt: skip
