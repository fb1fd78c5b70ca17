"""`archlens erf`: the effective field of one unit."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlens.cli import shared
from archlens.cli.options import (
    Device,
    From,
    InputSize,
    Json,
    Layer,
    Model,
    Output,
    Settings,
    Unit,
    Weights,
)

if TYPE_CHECKING:
    from archlens.unit_field.call import Live
    from archlens.unit_field.result import FieldMap


class By(str, enum.Enum):
    """How the field is found."""

    support = "support"
    expected = "expected"
    gradient = "gradient"
    occlusion = "occlusion"


class Norms(str, enum.Enum):
    """Statistics of batch norms."""

    batch = "batch"
    calibrated = "calibrated"
    frozen = "frozen"


class Noise(str, enum.Enum):
    """Images without a folder."""

    white = "white"
    natural = "natural"


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
    settings: Settings = None,
    weights: Weights = None,
    method: Annotated[
        By,
        typer.Option(
            "--method", help="support and expected are computed; gradient and occlusion are measured."
        ),
    ] = By.expected,
    statistics: Annotated[
        Norms, typer.Option("--statistics", help="Of batch norms, with random weights.")
    ] = Norms.batch,
    noise: Annotated[
        Noise, typer.Option("--noise", help="Images assumed or drawn: white, or natural (1/f amplitudes).")
    ] = Noise.white,
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
) -> None:
    """Show which pixels a unit uses, and how much: the effective receptive field.

    Default layer: the class-score cell. Without --layer, `--method occlusion` gives the table of Zhou et al.:
    theoretical against empirical size, layer by layer. -o FILE.npz holds the map and its metadata.
    """
    from archlens.cli.model import check_device
    from archlens.cli.output import check_output
    from archlens.unit_field.call import Live

    check_output(FORMATS, json, output)
    check_device(device)
    live = Live(
        device=device,
        weights=weights,
        images=images,
        limit=limit,
        channel=channel,
        runs=runs,
        batch_size=batch_size,
        seed=seed,
        mean=_numbers(mean, "--mean"),
        std=_numbers(std, "--std"),
        bgr=bgr,
        patch=patch,
        stride=stride,
        mixed=mixed,
    )
    if (
        method is By.occlusion
        and not projective
        and layer is None
        and (output is None or output.endswith((".txt", ".json", "-")))
    ):
        _table(model, input_size, settings, live, json, output, shared.current.cache)
        return
    from archlens.cli.progress import Progress
    from archlens.spec import parse_size, parse_unit

    asked: dict[str, Any] = {
        "input_size": None if input_size is None else parse_size(input_size),
        "settings": settings or (),
        "layer": layer,
        "unit": None if unit is None else parse_unit(unit),
        "origin": origin,
        "statistics": statistics.value,
        "noise": noise.value,
        "output_name": shared.current.output_name,
        "timeout": shared.current.timeout,
        "use_cache": shared.current.cache,
    }
    with Progress() as progress:
        progress("loading archlens")
        from archlens.unit_field.call import field_map, projective_map

        if projective:
            found = projective_map(model, method.value, **asked, progress=progress)
        else:
            found = field_map(
                model,
                method.value,
                **asked,
                live=live,
                progress=progress,
                count=lambda done, every: progress(f"measuring: {done} of {every}"),
            )
    _write(found, json, output, log)


def _write(found: FieldMap, json: bool, output: str | None, log: bool) -> None:
    from json import dumps

    from archlens.cli.output import emit
    from archlens.render.text import fields

    def picture(suffix: str) -> bytes:
        from archlens.render.plots.heat import field_picture

        return field_picture(found, suffix, log=log)

    emit(
        {
            ".txt": lambda: fields.text(found),
            ".json": lambda: dumps(found.to_dict(), indent=1, ensure_ascii=False),
            ".npz": found.to_npz,
            ".png": lambda: picture("png"),
            ".svg": lambda: picture("svg"),
        },
        json=json,
        output=output,
    )


def _table(
    model: str,
    input_size: str | None,
    settings: list[str] | None,
    live: Live,
    json: bool,
    output: str | None,
    use_cache: bool,
) -> None:
    from json import dumps

    from archlens.cli.output import emit
    from archlens.cli.progress import Progress
    from archlens.render.text import fields
    from archlens.spec import parse_size, parse_spec

    size = None if input_size is None else parse_size(input_size)
    with Progress() as progress:
        from archlens.pipeline import analyze
        from archlens.unit_field.measured import occlusion_table

        report = analyze(model, size, settings=settings or (), progress=progress, use_cache=use_cache)
        rows, notes = occlusion_table(
            parse_spec(model, settings or ()),
            report.input_shape,
            fields.telling_layers(report),
            live,
            progress,
            lambda done, every: progress(f"measuring: {done} of {every}"),
        )
    emit(
        {
            ".txt": lambda: fields.occlusion_text(report, rows, notes),
            ".json": lambda: dumps(fields.occlusion_json(report, rows, notes), indent=1, ensure_ascii=False),
        },
        json=json,
        output=output,
    )


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    from archlens.errors import UsageError

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{option} takes numbers, not {text!r}", f"As in {option} 0.485,0.456,0.406."
        ) from None
