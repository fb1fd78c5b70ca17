"""What `--plot` of several commands shares: its options, and writing the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

Plot = Annotated[
    str | None,
    typer.Option(
        "--plot", metavar="FILE", help="Also draw a figure: .svg, .png or .pdf.", show_default=False
    ),
]
Figure = Annotated[
    str,
    typer.Option(
        "--figure",
        metavar="WHAT",
        help="What --plot draws: growth, boxes, branches, coverage or stages.",
        autocompletion=lambda: ["growth", "boxes", "branches", "coverage", "stages"],
    ),
]
FigureOfSeveral = Annotated[
    str,
    typer.Option(
        "--figure",
        metavar="WHAT",
        help="What --plot draws: growth, cost (against context), miou (cost with published mIoU) or stages.",
        autocompletion=lambda: ["growth", "cost", "miou", "stages"],
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


def check_plot(plot: str | None, figure: str, known: Sequence[str], image: str | None = None) -> None:
    """Refuse a file, a figure or an image that cannot be, before the long work starts.

    Raises:
        UsageError: Which, and what is known.
    """
    from archlens.cli.output import check_output
    from archlens.errors import UsageError
    from archlens.render.plots.kinds import SUFFIXES, check_figure

    check_figure(figure, known)
    if plot is not None and not Path(plot).suffix:
        raise UsageError(f"{plot}: --plot needs a file", f"Use one of {', '.join(SUFFIXES)}.")
    check_output(SUFFIXES, False, plot)
    if image is not None and not Path(image).is_file():
        raise UsageError(f"{image}: there is no such image", "Give a JPEG or PNG.")


def write_plot(plot: str | None, draw: Callable[[str], bytes]) -> None:
    """Write what `draw` makes of the file's suffix; nothing where no file was asked for."""
    if plot is None:
        return
    from archlens.cli.progress import ProgressLine
    from archlens.showing import write_file

    path = Path(plot)
    with ProgressLine() as progress:
        progress("drawing")
        drawn = draw(path.suffix.lower().removeprefix("."))
    write_file(path, drawn)
