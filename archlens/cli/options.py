"""The options that commands share: one name, one help text, one order everywhere.

A command takes those that it serves, in this order, and gives each its default; its own come last:

    def rf(model: Model, input_size: InputSize = None, device: Device = "auto", json: Json = False,
           output: Output = None, layer: Layer = None, unit: Unit = None, at: At = None,
           origin: From = None, settings: Settings = None, weights: Weights = None, ...)
"""

from __future__ import annotations

from typing import Annotated

import typer


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """Names of the zoo for the shell's completion, with the year and the mechanism."""
    from archlens.zoo.catalogue import CATALOGUE

    return [
        (name, f"{entry.year}: {entry.mechanism}")
        for entry in CATALOGUE
        for name in (*entry.aliases, entry.name)
        if name.startswith(incomplete)
    ]


MODEL_HELP = (
    "A network of the zoo (`archlens models`), with options as in 'deeplabv3?output_stride=8'; "
    "torchvision:NAME, timm:NAME or smp:NAME; FILE.py:FUNCTION or package.module:FUNCTION; an exported "
    "FILE.pt2; a saved FILE.json. Files, packages and .pt2 archives run their code when loaded."
)

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help=MODEL_HELP, autocompletion=complete_model, show_default=False),
]
Models = Annotated[
    list[str],
    typer.Argument(metavar="MODEL...", help=MODEL_HELP, autocompletion=complete_model, show_default=False),
]
InputSize = Annotated[
    str | None,
    typer.Option(
        "--input-size",
        metavar="CxHxW",
        envvar="ARCHLENS_INPUT_SIZE",
        show_envvar=False,
        help="Channels x spatial size, never the batch; several inputs with commas between. "
        "Default: the network's own.",
        show_default=False,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|meta",
        envvar="ARCHLENS_DEVICE",
        show_envvar=False,
        help="Where the model runs, if it has to; auto takes what is there, cuda:1 is a second card.",
        autocompletion=lambda: ["auto", "cpu", "cuda", "meta"],
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE, in the format of its suffix; - is stdout.",
        show_default=False,
    ),
]
Layer = Annotated[
    str | None,
    typer.Option("--layer", metavar="NAME", help="Only this layer.", show_default=False),
]
Unit = Annotated[
    str | None,
    typer.Option(
        "--unit", metavar="Y,X", help="The unit that looks. Default: the centre.", show_default=False
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="LAYER",
        help="Take this layer for the class-score cell; output is the full-resolution pixel.",
        show_default=False,
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="LAYER",
        help="Measure fields from this layer instead of the input.",
        show_default=False,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="An option of the network; repeatable.", show_default=False
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="A checkpoint (tensors only; nothing in it is run).",
        show_default=False,
    ),
]
All = Annotated[bool, typer.Option("--all", help="Every layer, not just those that change something.")]
