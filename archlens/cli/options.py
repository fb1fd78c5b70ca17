"""The options that commands share: one name, one help text, one order everywhere.

A command takes those that it serves, in this order, and gives each its default; its own come last:

    def rf(model: Model, input_size: InputSize = None, device: Device = "auto", json: Json = False,
           output: Output = None, layer: Layer = None, unit: Unit = None, at: At = None,
           origin: From = None, settings: Set = None, weights: Weights = None, ..., shared: Shared)

Those that go with any command, before or after its name, are declared here too; `with_shared` adds them to a
command, which gets them as `shared`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints

import typer

from archlens.errors import UsageError, did_you_mean
from archlens.words import number


def complete_model(incomplete: str) -> list[tuple[str, str]]:
    """Names of the zoo for the shell's completion, with the year and the mechanism."""
    from archlens.zoo.catalogue import CATALOGUE

    return [
        (name, f"{entry.year}: {entry.mechanism}")
        for entry in CATALOGUE
        for name in (*entry.aliases, entry.name)
        if name.startswith(incomplete)
    ]


def one_of(*known: str) -> dict[str, Any]:
    """How an option or an argument is declared that takes one of a few words."""

    def read(value: str) -> str:
        if value not in known:
            raise typer.BadParameter(f"{value!r}. {did_you_mean(value, known)}")
        return value

    return {"metavar": "|".join(known), "parser": read, "autocompletion": lambda: list(known)}


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
    list[str] | None,
    typer.Option(
        "--input-size",
        metavar="CxHxW",
        envvar="ARCHLENS_INPUT_SIZE",
        show_envvar=False,
        help="Channels x spatial size, never the batch; several inputs with commas between. "
        "Repeatable. Default: the network's own.",
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
Set = Annotated[
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


# ------------------------------------------------------------------ comparisons

Cut = Annotated[
    list[str] | None,
    typer.Option(
        "--cut",
        metavar="[N:]EDIT",
        help="Edit a network first: a branch to cut (ppm.bin1), all, LAYER=RATE, rates=1, bins=1. Of several "
        "networks the last one, or the N-th. Repeatable.",
        show_default=False,
    ),
]
Sides = Annotated[
    str | None,
    typer.Option(
        "--sizes",
        metavar="N,N",
        help="Square input sizes to compare across. Default: 321,513,713,1025, in --full and --json.",
        show_default=False,
    ),
]
Full = Annotated[bool, typer.Option("--full", help="Everything, not just the essentials.")]
Lang = Annotated[
    str,
    typer.Option(
        "--lang",
        envvar="ARCHLENS_LANG",
        show_envvar=False,
        metavar="en|ko",
        help="Language of the findings.",
        autocompletion=lambda: ["en", "ko"],
    ),
]
Measure = Annotated[
    bool,
    typer.Option(
        "--profile", help="Run the networks on --device too: latency and memory, layer by layer, beside MACs."
    ),
]

# ------------------------------------------------------------------ with any command


def _positive(value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise UsageError(f"--timeout takes seconds, not {number(value)}", "As in --timeout 60.")
    return value


Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error; with any command.", is_eager=True)
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Capture anew and keep nothing; with any command.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        callback=_positive,
        help="Time that building and running a model may take; with any command.",
        show_default=False,
    ),
]
OutputName = Annotated[
    str | None,
    typer.Option(
        "--output-name",
        metavar="NAME",
        help="Output to take for the main one, of several; with any command.",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Shared:
    """What was said of them.

    Attributes:
        no_cache: Keep and reuse no captures.
        timeout: Seconds that building and running a model may take; None: no limit.
        output_name: Output to take for the main one; None: `out`, or the first.
    """

    no_cache: bool = False
    timeout: float | None = None
    output_name: str | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """As `archlens.analyze` takes them."""
        return {"use_cache": not self.no_cache, "timeout": self.timeout, "output_name": self.output_name}


_SHARED = {"debug": Debug, "no_cache": NoCache, "timeout": Timeout, "output_name": OutputName}


def with_shared(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options that go with any, unseen in its own help. `--debug` is `main`'s business."""
    hints = get_type_hints(command, include_extras=True)
    own = [
        p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY)
        for p in inspect.signature(command).parameters.values()
        if p.name != "shared"
    ]
    more = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if get_args(kind)[0] is bool else None,
            annotation=_hidden(kind),
        )
        for name, kind in _SHARED.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    @wraps(command)
    def run(context: typer.Context, **given: Any) -> None:
        said = {name: value for name in _SHARED if (value := given.pop(name))}
        said.pop("debug", None)
        if "shared" in hints:
            given["shared"] = replace(context.obj or Shared(), **said)
        command(**given)

    run.__signature__ = inspect.Signature([context, *own, *more])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (context, *own, *more)}
    return run


def _hidden(kind: Any) -> Any:
    base, option = get_args(kind)
    option = copy(option)
    option.hidden = True
    return Annotated[base, option]
