"""`archlens verify`: the oracles on the user's own network."""

from __future__ import annotations

from typing import Annotated

import typer

from archlens.cli.options import Device, InputSize, Json, Model, Output, Set

FORMATS = (".txt", ".json", ".md")


def verify(
    model: Model,
    input_size: InputSize = None,
    device: Device = "auto",
    json: Json = False,
    output: Output = None,
    settings: Set = None,
    units: Annotated[
        int, typer.Option("--units", min=1, help="Single units to compare pixel by pixel.")
    ] = 12,
    cuts: Annotated[int, typer.Option("--cuts", min=1, help="Lines per axis that lit images end at.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the units and the lines.")] = 0,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, help="Begin nothing further after this.")
    ] = 120.0,
    no_macs: Annotated[bool, typer.Option("--no-macs", help="Leave the MAC counters out.")] = False,
) -> None:
    """Hold archlens' numbers to what the network itself does; exit code 1 where archlens is likely wrong.

    On a copy with positive weights and no thresholds, a pixel matters to a unit exactly if the unit's value
    changes with it: that is compared with the visible boxes and supports. Then the network itself, on values,
    may answer to nothing else. MACs are compared with fvcore and torch's FlopCounterMode. Where something
    differs, it is said who is likely wrong and why; what could not be checked is said.
    """
    from archlens.cli.model import check_device, sizes_of
    from archlens.cli.output import check_output, emit_table
    from archlens.cli.progress import ProgressLine
    from archlens.errors import CheckFailed
    from archlens.render.forms import table_forms
    from archlens.render.text.verification import verification_json, verification_table
    from archlens.spec import parse_spec

    check_output(FORMATS, json, output)
    check_device(device)
    sizes = sizes_of(input_size)
    spec = parse_spec(model, settings or ())
    with ProgressLine() as progress:
        progress("loading torch")
        from archlens.probes.verify.run import verify_spec

        found = verify_spec(
            spec,
            sizes,
            units=units,
            cuts=cuts,
            seed=seed,
            seconds=seconds,
            macs=not no_macs,
            device=device,
            progress=progress,
        )
    table = verification_table(found)
    emit_table(table, table_forms(table, lambda: verification_json(found)), json, output)
    if not found.checked:
        raise CheckFailed(
            f"{found.name}: nothing could be checked", "What was left out, and why, stands above."
        )
    if not found.passed:
        raise CheckFailed(
            f"{found.name}: archlens and the network do not agree", "Please report it, with the output above."
        )
