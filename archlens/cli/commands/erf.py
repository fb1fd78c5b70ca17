"""`archlens erf`: the effective field of one unit."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import typer

from archlens.cli.options import (
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
    one_of,
)

Method = Literal["support", "expected", "gradient", "occlusion"]
Statistics = Literal["batch", "calibrated", "frozen"]
Noise = Literal["white", "natural"]
MEAN = "0.485,0.456,0.406"
FORMATS = (".txt", ".json", ".npz", ".png", ".svg")


def erf(
    model: Model,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    layer: Layer = None,
    unit: Unit = None,
    origin: From = None,
    settings: Set = None,
    weights: Weights = None,
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            **one_of(*get_args(Method)),
            help="The first two are computed, the others measured.",
        ),
    ] = "expected",
    statistics: Annotated[
        Statistics,
        typer.Option(
            "--statistics",
            **one_of(*get_args(Statistics)),
            help="Of batch norms, with random weights.",
        ),
    ] = "batch",
    noise: Annotated[
        Noise,
        typer.Option(
            "--noise",
            **one_of(*get_args(Noise)),
            help="Images assumed or drawn; natural ones have 1/f amplitudes.",
        ),
    ] = "white",
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="FOLDER", help="Measure over these images.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Images at most.", show_default=False)
    ] = None,
    channel: Annotated[
        int | None,
        typer.Option("--channel", min=0, help="Only this channel of the unit.", show_default=False),
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Random networks to average over.")] = 32,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Images at a time.")] = 2,
    seed: Annotated[int, typer.Option("--seed", help="Of weights and noise.")] = 0,
    mean: Annotated[
        str | None,
        typer.Option(
            "--mean", metavar="A,B,C", help="Preprocessing; default: the model's own.", show_default=False
        ),
    ] = None,
    std: Annotated[
        str | None, typer.Option("--std", metavar="A,B,C", help="Preprocessing.", show_default=False)
    ] = None,
    bgr: Annotated[
        bool | None, typer.Option("--bgr/--rgb", help="Channel order of the input.", show_default=False)
    ] = None,
    patch: Annotated[int, typer.Option("--patch", min=1, help="Side of the occluder, px.")] = 11,
    stride: Annotated[int, typer.Option("--stride", min=1, help="Step of the occluder, px.")] = 3,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="bfloat16 arithmetic where that is allowed.")
    ] = False,
    projective: Annotated[
        bool,
        typer.Option(
            "--projective",
            help="The other direction: which units of --layer the pixel --unit (of --from) can reach, and "
            "the share that it has in each unit's expected energy.",
        ),
    ] = False,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic colours in a picture.")] = False,
    *,
    shared: Shared,
) -> None:
    """Show which pixels a unit uses, and how much: the effective receptive field.

    Default layer: the class-score cell. Without --layer, `--method occlusion` gives the table of Zhou et al.:
    theoretical against empirical size, layer by layer. -o FILE.npz holds the map and its metadata.
    """
    from archlens.cli.model import check_device, numbers_of, size_of
    from archlens.cli.output import check_output, emit
    from archlens.cli.progress import ProgressLine
    from archlens.spec import parse_unit
    from archlens.unit_field.result import RunOptions

    check_output(FORMATS, json, output)
    check_device(device)
    run = RunOptions(
        device=device,
        weights=weights,
        images=images,
        limit=limit,
        channel=channel,
        runs=runs,
        batch_size=batch_size,
        seed=seed,
        mean=numbers_of(mean, "--mean", MEAN, float) if mean is not None else None,
        std=numbers_of(std, "--std", MEAN, float) if std is not None else None,
        bgr=bgr,
        patch=patch,
        stride=stride,
        mixed=mixed,
    )
    size = size_of(input_size)
    where = None if unit is None else parse_unit(unit)
    in_words = output is None or output.endswith((".txt", ".json", "-"))
    with ProgressLine() as progress:
        progress("loading archlens")
        from archlens.render.forms import field_forms, table_forms
        from archlens.render.text.fields import occlusion_json, occlusion_rows
        from archlens.unit_field.call import field_map, occlusion_table

        if method == "occlusion" and not projective and layer is None and in_words:
            found = occlusion_table(
                model, size, settings=settings or (), run=run, progress=progress, count=progress.count,
                use_cache=not shared.no_cache,
            )  # fmt: skip
            forms = table_forms(occlusion_rows(*found), lambda: occlusion_json(*found))
        else:
            field = field_map(
                model,
                method,
                input_size=size,
                settings=settings or (),
                layer=layer,
                unit=where,
                origin=origin,
                projective=projective,
                statistics=statistics,
                noise=noise,
                run=run,
                progress=progress,
                count=progress.count,
                **shared.asked,
            )
            forms = field_forms(field, log)
    emit(forms, json=json, output=output)
