"""`archlens summary`: what a network costs, layer by layer."""

from __future__ import annotations

from archlens.cli.options import All, Device, InputSize, Json, Layer, Model, Output, Set, Shared, Weights


def summary(
    model: Model,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    layer: Layer = None,
    settings: Set = None,
    weights: Weights = None,
    everything: All = False,
    *,
    shared: Shared,
) -> None:
    """Show what each layer costs: parameters, MACs, memory.

    By default the layers with MACs or that change the shape.
    """
    from archlens.cli.model import report_of
    from archlens.cli.output import REPORT_FORMATS, check_output, emit_table

    check_output(REPORT_FORMATS, json, output)
    report = report_of(
        model, shared, input_size=input_size, device=device, settings=settings, weights=weights
    )

    from archlens.render.forms import report_forms
    from archlens.render.text.layers import summary_table

    table = summary_table(report, everything, layer)
    emit_table(table, report_forms(report, table, layer), json, output)
