"""`archlens profile`: what a network costs in truth."""

from __future__ import annotations

from typing import Annotated

import typer

from archlens.cli.options import All, Device, InputSize, Json, Model, Output, Set, Weights, one_of

FORMATS = (".txt", ".json", ".md")


def profile(
    model: Model,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    settings: Set = None,
    weights: Weights = None,
    everything: All = False,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Images a pass.")] = 1,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            **one_of("float32", "float16", "bfloat16"),
            help="Precision of weights and input.",
        ),
    ] = "float32",
    channels_last: Annotated[bool, typer.Option("--channels-last", help="Memory format of maps.")] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Through torch.compile: totals only, layers are fused.")
    ] = False,
    warmup: Annotated[int, typer.Option("--warmup", min=0, help="Passes that don't count.")] = 5,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Passes that count.")] = 20,
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sweep",
            metavar="SIZE,SIZE",
            help="Sweep square input sizes (with --batches) until memory runs out.",
            show_default=False,
        ),
    ] = None,
    batches: Annotated[
        str, typer.Option("--batches", metavar="N,N", help="Batch sizes of a sweep.")
    ] = "1,2,4,8",
) -> None:
    """Measure latency and memory, layer by layer, and set them against the device's roofline.

    A roofline is what a large copy and a large matrix product reach on this very device; both are measured
    once and kept. Layers where time and MACs part company are named, with the reason.
    """
    from archlens.cli.model import numbers_of, size_of
    from archlens.cli.output import check_output, emit_table
    from archlens.cli.progress import ProgressLine
    from archlens.render.forms import table_forms
    from archlens.render.text import profile as render
    from archlens.spec import parse_spec

    check_output(FORMATS, json, output)
    size = size_of(input_size)
    spec = parse_spec(model, settings or ())
    with ProgressLine() as progress:
        progress("loading torch")
        from archlens.capture.load.checkpoint import live_module
        from archlens.probes.device import resolve
        from archlens.probes.profile import run as measure
        from archlens.probes.profile import sweep

        where = resolve(device)
        progress("building the network with values")
        module, name, default = live_module(spec, weights)[:3]
        shape = size or default

        if sizes is None:
            found = measure.profile(
                module,
                shape,
                where,
                name=name,
                batch_size=batch_size,
                dtype=dtype,
                channels_last=channels_last,
                compiled=compiled,
                warmup=warmup,
                repeat=repeat,
                progress=progress.count,
            )
            table = render.profile_table(found, everything)
            data = render.profile_json(found)
        else:
            sides = [(side, side) for side in numbers_of(sizes, "--sweep", "256,512")]
            points = sweep.sweep(
                module,
                shape[0],
                sides,
                numbers_of(batches, "--batches", "1,2,4"),
                where,
                dtype=dtype,
                channels_last=channels_last,
                progress=progress.count,
            )
            table = render.sweep_table(name, points)
            data = render.sweep_json(name, points)
    emit_table(table, table_forms(table, lambda: data), json, output)
