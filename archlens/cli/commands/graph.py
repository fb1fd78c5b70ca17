"""`archlens graph`: the network as a picture that fits a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archlens.cli.options import At, Device, From, InputSize, Model, Output, Set, Shared, Weights, one_of
from archlens.render.colours import COLOUR_BY

if TYPE_CHECKING:
    from archlens.report import Report

FORMATS = (".svg", ".png", ".pdf", ".dot")

Depth = Annotated[
    int | None,
    typer.Option(
        "--depth",
        metavar="N",
        min=1,
        help="Levels of modules to show; 1 is the top level. Default: as many as fit a page.",
        show_default=False,
    ),
]
ColorBy = Annotated[
    str,
    typer.Option("--color-by", **one_of(*COLOUR_BY), help="What the boxes are coloured by."),
]
Fold = Annotated[
    bool, typer.Option("--fold/--no-fold", help="Fold repeated blocks (× 23), or show every layer.")
]
Unproductive = Annotated[
    bool,
    typer.Option(
        "--unproductive/--no-unproductive",
        help="Mark layers that add no context: their input already spans the image.",
    ),
]


def graph(
    model: Model,
    input_size: InputSize = None,
    device: Device = "auto",
    output: Output = None,
    at: At = None,
    origin: From = None,
    settings: Set = None,
    weights: Weights = None,
    depth: Depth = None,
    color_by: ColorBy = "stride",
    fold: Fold = True,
    unproductive: Unproductive = True,
    *,
    shared: Shared,
) -> None:
    """Draw the network: operations, shapes, receptive fields and costs, repeated blocks folded.

    Without -o the DOT text goes to stdout; -o takes .svg, .png, .pdf or .dot.
    """
    import sys

    from archlens.cli.model import report_of
    from archlens.cli.output import check_output, emit
    from archlens.errors import MissingPackageError

    check_output(FORMATS, False, output)
    report = report_of(
        model,
        shared,
        input_size=input_size,
        device=device,
        at=at,
        origin=origin,
        settings=settings,
        weights=weights,
    )  # fmt: skip

    from archlens.render.graph.dot import GraphStyle, graph_dot, graph_image, graph_svg

    erf = expected_sides(report, depth, fold) if color_by == "erf" else None
    style = GraphStyle(depth=depth, fold=fold, colour_by=color_by, idle=unproductive, erf=erf)
    try:
        emit(
            {
                ".dot": lambda: graph_dot(report, style),
                ".svg": lambda: graph_svg(report, style),
                ".png": lambda: graph_image(report, "png", style),
                ".pdf": lambda: graph_image(report, "pdf", style),
            },
            output=output,
        )
    except MissingPackageError as error:
        if output is None:
            raise
        instead = output.rsplit(".", 1)[0] + ".dot"
        emit({".dot": lambda: graph_dot(report, style)}, output=instead)
        print(f"{instead} was written instead of {output}: {error.message}.", file=sys.stderr)
        print(f"  {error.hint}", file=sys.stderr)


def expected_sides(report: Report, depth: int | None, fold: bool) -> dict[str, float]:
    """Side of the square with half of the expected energy, for the last layer of every box."""
    from archlens.cli.progress import ProgressLine
    from archlens.render.graph.drawing import drawing

    out: dict[str, float] = {}
    with ProgressLine() as progress:
        progress("deriving the expected effective fields")
        for block in drawing(report, depth, fold).boxes:
            row = report.layers[block.repeats[-1][-1]]
            node = report.node(row)
            sides = report.study.lens.use(node.id).sides if node.positions else None
            if sides is not None:
                out[row.name] = sides[50]
    return out
