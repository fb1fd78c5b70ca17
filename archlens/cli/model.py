"""What most commands begin with: a report of the model that was asked for."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeVar

from archlens.cli.options import Shared
from archlens.cli.progress import ProgressLine
from archlens.errors import UsageError
from archlens.spec import check_device as check_name
from archlens.spec import parse_sizes, parse_spec, parse_unit

if TYPE_CHECKING:
    from archlens.report import Report


N = TypeVar("N", int, float)


def report_of(
    model: str,
    shared: Shared,
    *,
    input_size: Sequence[str] | None = None,
    device: str = "auto",
    layer: str | None = None,
    unit: str | None = None,
    at: str | None = None,
    origin: str | None = None,
    settings: Sequence[str] | None = None,
    weights: str | None = None,
) -> Report:
    """Analyze a model with the shared options as they come from the command line.

    Options are read first: a malformed size must not wait for torch.
    """
    size = parse_sizes(",".join(input_size)) if input_size else None
    where = None if unit is None else parse_unit(unit)
    check_device(device)
    spec = parse_spec(model, settings or ())
    if weights is not None and spec.kind == "report":
        raise UsageError(f"{model} is a saved report, without room for weights", "Give the model itself.")
    with ProgressLine() as progress:
        progress("loading archlens")
        from archlens.pipeline import analyze

        report = analyze(
            model,
            size,
            settings=settings or (),
            device=device,
            layer=layer,
            unit=where,
            origin=origin,
            at=at,
            progress=progress,
            **shared.asked,
        )
        if weights is not None:
            progress("reading the weights")
            from archlens.capture.load.checkpoint import fit_checkpoint

            note = f"{weights}: {fit_checkpoint(spec, weights)}"
            report = dataclasses.replace(report, notes=(*report.notes, note))
    return report


def sizes_of(texts: Sequence[str] | None) -> tuple[tuple[int, ...], ...]:
    """All sizes of `--input-size`, one an input."""
    return parse_sizes(",".join(texts)) if texts else ()


def size_of(texts: Sequence[str] | None) -> tuple[int, ...] | None:
    """The one size of `--input-size`, for commands that take networks of one input."""
    sizes = sizes_of(texts)
    if len(sizes) > 1:
        raise UsageError("--input-size takes one size here", "This command takes networks of one input.")
    return sizes[0] if sizes else None


def check_device(name: str) -> None:
    """Refuse a device that is none, before torch is loaded to ask; a card that is asked for has to be there,
    even where nothing is run on it.

    Raises:
        UsageError: Not auto, cpu, cuda, cuda:N or meta.
        DeviceError: There is no such card.
    """
    check_name(name)
    if name.startswith("cuda"):
        from archlens.probes.device import resolve

        resolve(name)


def numbers_of(text: str, option: str, example: str, kind: type[N] = int) -> tuple[N, ...]:
    """The numbers of an option; whole ones are counts, from 1 on.

    Raises:
        UsageError: It holds something else.
    """
    what = "positive whole numbers" if kind is int else "numbers"
    parts = [part.strip() for part in text.split(",") if part.strip() or kind is float]
    try:
        found = tuple(kind(part) for part in parts)
    except ValueError:
        found = ()
    if not found or (kind is int and not all(part.isdigit() and int(part) > 0 for part in parts)):
        raise UsageError(f"{option} takes {what}, not {text!r}", f"As in {option} {example}.")
    return found


def command_line(
    command: str,
    subjects: Sequence[str],
    options: Mapping[str, str | Sequence[str] | None],
    output: str | None,
) -> str:
    """The command that makes a page again, as a shell takes it. The folder is the reader's own business."""
    words = ["archlens", command, *subjects]
    for name, value in options.items():
        for text in [value] if isinstance(value, str) else value or ():
            words += [name, text]
    if output is not None and output != "-":
        words += ["-o", PurePath(output).name]
    return shlex.join(words)
