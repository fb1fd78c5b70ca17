"""What `--plot` of several commands shares: its options, and writing the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from archlens.cli.options import one_of
from archlens.errors import UsageError
from archlens.render.plots.kinds import ONE, SEVERAL, SUFFIXES
from archlens.showing import checked, write_file

Plot = Annotated[
    str | None,
    typer.Option(
        "--plot", metavar="FILE", help="Also draw a figure: .svg, .png or .pdf.", show_default=False
    ),
]
Figure = Annotated[str, typer.Option("--figure", **one_of(*ONE), help="What --plot draws.")]
FigureOfSeveral = Annotated[
    str,
    typer.Option(
        "--figure",
        **one_of(*SEVERAL),
        help="What --plot draws: growth, cost (against context), miou (cost with published mIoU) or stages.",
    ),
]
Image = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="FILE",
        help="Picture under --figure boxes; default: a drawn street.",
        show_default=False,
    ),
]


def check_plot(plot: str | None, image: str | None = None) -> None:
    """Refuse a file or an image that cannot be, before the long work starts.

    Raises:
        UsageError: Which, and what is known.
    """
    if plot is not None:
        checked(plot, SUFFIXES)
    if image is not None and not Path(image).is_file():
        raise UsageError(f"{image}: there is no such image", "Give a JPEG or PNG.")


def write_plot(plot: str | None, draw: Callable[[str], bytes]) -> None:
    """Write what `draw` makes of the file's suffix; nothing where no file was asked for."""
    if plot is None:
        return
    from archlens.cli.progress import ProgressLine

    path = Path(plot)
    with ProgressLine() as progress:
        progress("drawing")
        drawn = draw(path.suffix.lower().removeprefix("."))
    write_file(path, drawn)
