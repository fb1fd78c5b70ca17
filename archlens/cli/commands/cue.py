"""`archlens cue`: what a network learns to use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archlens.cli.options import Device, InputSize, Json, Models, Output, Set

FORMATS = (".txt", ".json", ".md", ".png", ".svg")


def cue(
    models: Models,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    settings: Set = None,
    width: Annotated[
        str | None,
        typer.Option(
            "--width",
            metavar="1/8",
            help="Channels are multiplied by it. Default: 1/2 on a card, 1/8 on a CPU.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="N,N", help="A run each: weights, pattern and images.")
    ] = "0,1,2",
    steps: Annotated[int, typer.Option("--steps", min=20, help="At most, a seed.")] = 1200,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.1, help="At most, a network with all its seeds.", show_default=False),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=4, help="Images a step, a multiple of four.")
    ] = 8,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how long it would take: steps are timed.")
    ] = False,
) -> None:
    """Train copies of networks to name a distant cue, and measure how far it carries.

    White noise and one patch; every class-score cell must name the patch's pattern. What a cell answers at a
    distance says what the network has learnt to use: docs/cue.md is the protocol. A MODEL may be a FILE.json
    of an earlier run, which is joined; -o FILE.json is written after each seed, and goes on where it was. On
    two CPU cores a thinned ResNet takes about ten minutes, a VGG half an hour; --dry-run says.
    """
    from archlens.cli.model import check_device
    from archlens.cli.output import check_output, emit, emit_table
    from archlens.cli.progress import ProgressLine
    from archlens.errors import UsageError
    from archlens.render.forms import cue_forms, table_forms
    from archlens.render.text.table import draw
    from archlens.showing import write_file
    from archlens.trained import CueResult, read

    check_output(FORMATS, json, output)
    check_device(device)
    try:
        wanted = tuple(int(part) for part in seeds.split(","))
    except ValueError as error:
        raise UsageError(f"{seeds!r} are no seeds", "Write whole numbers, as in --seeds 0,1,2.") from error
    saved = [m for m in models if m.endswith(".json")]
    new = [m for m in models if not m.endswith(".json")]
    kept = Path(output) if output and output != "-" and (json or output.endswith(".json")) else None
    known: CueResult | None = None
    for path in [*([kept] if kept is not None and kept.is_file() else []), *map(Path, saved)]:
        found = read(path)
        known = found if known is None else known.joined(found)
    with ProgressLine() as progress:
        result = known
        if new:
            progress("loading torch")
            from archlens.probes.cue import run

            options = run.CueOptions(
                input_size=input_size[0] if input_size else None,
                settings=settings or (),
                width=width,
                seeds=wanted,
                steps=steps,
                minutes=minutes,
                batch_size=batch_size,
                device=device,
            )
            if dry_run:
                from archlens.render.text.cue import dry_table

                planned = run.dry(new, options, progress)
                table = dry_table(planned)
                emit_table(table, table_forms(table, lambda: planned), json, output)
                return

            def keep(so_far: CueResult) -> None:
                nonlocal result
                result = so_far
                if kept is not None:
                    write_file(kept, cue_forms(so_far)[".json"]())

            try:
                run.cue(*new, options=options, known=known, progress=progress, finished=keep)
            except KeyboardInterrupt:
                if result is not known and kept is None and result is not None:
                    emit(cue_forms(result), json=json, output=output)
                raise
    if result is None:
        raise UsageError("no network to train", "Name one, or a FILE.json of an earlier run.")
    done = result
    from archlens.render.text.cue import cue_table

    emit(cue_forms(done), json=json, output=output, screen=lambda console: draw(cue_table(done), console))
