"""`archlens rf`: what a network sees, layer by layer."""

from __future__ import annotations

from typing import Annotated

import typer

from archlens.cli.options import (
    All,
    At,
    Device,
    From,
    InputSize,
    Json,
    Layer,
    Model,
    Output,
    Set,
    Shared,
    Unit,
    Weights,
)
from archlens.cli.plot import Figure, Image, Plot


def rf(
    model: Model,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    layer: Layer = None,
    unit: Unit = None,
    at: At = None,
    origin: From = None,
    settings: Set = None,
    weights: Weights = None,
    everything: All = False,
    erf: Annotated[
        bool, typer.Option("--erf", help="Add what is expected to be used: ERF 50 % and 95 %, px.")
    ] = False,
    plot: Plot = None,
    figure: Figure = "growth",
    image: Image = None,
    *,
    shared: Shared,
) -> None:
    """Show what each layer sees: the theoretical receptive field, and the pixels that one unit reaches.

    By default the layers that change the field or the size of the map.
    """
    from archlens.cli.model import report_of
    from archlens.cli.output import REPORT_FORMATS, check_output, emit_table
    from archlens.cli.plot import check_plot, write_plot
    from archlens.render.plots.kinds import figure_of

    check_output(REPORT_FORMATS, json, output)
    check_plot(plot, image)
    report = report_of(
        model,
        shared,
        input_size=input_size,
        device=device,
        layer=layer,
        unit=unit,
        at=at,
        origin=origin,
        settings=settings,
        weights=weights,
    )

    write_plot(plot, lambda form: figure_of(report, figure, form, image))

    from archlens.render.forms import report_forms
    from archlens.render.text.layers import rf_rows, rf_table

    if erf:
        from archlens.cli.progress import ProgressLine

        with ProgressLine() as progress:
            report = report.with_erf(rf_rows(report, everything, layer), progress)
    table = rf_table(report, everything, layer)
    emit_table(table, report_forms(report, table, layer), json, output)
