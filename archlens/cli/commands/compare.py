"""`archlens compare`: networks side by side, at one input size."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.cli.networks import Cut, Full, Lang, Measure, Sizes, show
from archlens.cli.options import At, Device, InputSize, Json, Models, Output, Settings
from archlens.cli.plot import FigureOfSeveral, Plot
from archlens.errors import InputSizeError, UsageError


def compare(
    models: Models,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    at: At = None,
    settings: Settings = None,
    cut: Cut = None,
    sizes: Sizes = None,
    full: Full = False,
    lang: Lang = "en",
    measure: Measure = False,
    plot: Plot = None,
    figure: FigureOfSeveral = "growth",
) -> None:
    """Set networks side by side: what they see, what they use, what it costs, and why they differ.

    Without --input-size: at the first of their own sizes that all of them take.
    """
    from archlens.cli.plot import check_plot, write_plot
    from archlens.render.plots.kinds import SEVERAL, figure_of_several

    if len(models) < 2:
        raise UsageError("compare needs two networks or more", "As in: archlens compare fcn pspnet")
    check_plot(plot, figure, SEVERAL)
    asked = {"--input-size": input_size, "--at": at, "--set": settings, "--cut": cut, "--sizes": sizes}
    show(
        "compare", models, asked, device=device, json=json, output=output, full=full, lang=lang,
        also=lambda found: write_plot(plot, lambda form: figure_of_several(found, figure, form)),
        measure=measure, size=input_size or common_size(models, settings or ()),
    )  # fmt: skip


def common_size(models: Sequence[str], settings: Sequence[str]) -> str | None:
    """The first of the zoo networks' own sizes that all of them take; None where none is of the zoo.

    Raises:
        InputSizeError: There is no such size; the hint lists the rules.
    """
    from archlens.spec import parse_spec
    from archlens.zoo.catalogue import find

    chosen = []
    for model in models:
        spec = parse_spec(model, settings)
        if spec.kind == "zoo":
            entry = find(spec.target)
            chosen.append((entry, entry.parse_options(spec.options)))
    for candidate, _ in chosen:
        try:
            for entry, options in chosen:
                entry.check_input(candidate.input_shape, options)
        except InputSizeError:
            continue
        return "x".join(map(str, candidate.input_shape))
    if not chosen:
        return None
    rules = "; ".join(f"{entry.name}: {entry.legal_sizes(options)}" for entry, options in chosen)
    raise InputSizeError(
        "none of these networks' own input sizes suits all of them",
        f"Give one with --input-size. Heights and widths: {rules}.",
    )
