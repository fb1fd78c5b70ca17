"""Several networks at one input size, or one explained: the library calls behind `compare` and `explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from archlens.errors import ArchlensError, InputSizeError, UsageError
from archlens.findings.comparison import Comparison, compared
from archlens.findings.edits import edited
from archlens.findings.language import catalogue
from archlens.pipeline import analyze, captured, describe, study_of
from archlens.progress import Count, Say, silent, uncounted
from archlens.report import Report
from archlens.spec import Spec, check_device, parse_spec, texts
from archlens.study import Study
from archlens.zoo import catalogue as zoo

if TYPE_CHECKING:
    from torch import nn

SIDES = (321, 513, 713, 1025)
"""Square input sizes that networks are also looked at, where nothing else is said."""

LARGEST_SIDE = 2**20
WARMUP = 3
REPEAT = {True: 20, False: 7}
"""Passes that are timed for a comparison, on a card and on a CPU."""


@dataclass(frozen=True)
class CompareOptions:
    """What a comparison may be asked for besides its networks.

    Attributes:
        input_size: (C, *spatial) or "3x513x513"; default: the first of the networks' own that all take.
        settings: `key=value` options of every network.
        at: Layer to take for the class-score cell, or "output".
        cuts: Edits before anything is derived: "ppm.bin1", "all", "aspp.rate18=1", "rates=1", "bins=1"; of
            several networks the last one's, or with "2:" in front the second's.
        sides: Square input sizes to look at besides; none: leave them out.
        lang: Language of the findings, en or ko.
        profile: Run the networks too: latency and memory.
        device: Where a network is run, if it has to be.
        output_name, timeout, use_cache: As `archlens.analyze` takes them.
    """

    input_size: str | Sequence[int] | None = None
    settings: Sequence[str] = ()
    at: str | None = None
    cuts: Sequence[str] = ()
    sides: Sequence[int] = SIDES
    lang: str = "en"
    profile: bool = False
    device: str = "auto"
    output_name: str | None = None
    timeout: float | None = None
    use_cache: bool = False
    progress: Say = field(default=silent, compare=False)
    count: Count = field(default=uncounted, compare=False)

    def __post_init__(self) -> None:
        texts(self.settings, "settings")
        texts(self.cuts, "cuts")
        check_device(self.device)
        if isinstance(self.sides, int) or not all(
            isinstance(side, int) and 1 <= side <= LARGEST_SIDE for side in self.sides
        ):
            raise UsageError(f"sides of {self.sides!r} px", f"Give whole numbers from 1 to {LARGEST_SIDE}.")


def compare(*models: str | nn.Module, options: CompareOptions | None = None) -> Comparison:
    """Set networks side by side at one input size, with the findings that tell them apart.

        >>> archlens.compare("fcn", "pspnet").save("context.html")

    Args:
        models: Two or more: model specs, saved reports, or live modules.
        options: What else is asked for.

    Returns:
        The comparison: `names`, `reports`, `evidence`, `findings`. It prints itself, `save`s as .html, .json,
        .md, .csv or .txt, and shows itself in a notebook.

    Raises:
        ArchlensError: With what was wrong and what to do.
    """
    if len(models) < 2:
        raise UsageError("compare needs two networks or more", "As in: archlens compare fcn pspnet")
    return gathered(models, options or CompareOptions())


def explain(model: str | nn.Module, *, options: CompareOptions | None = None) -> Comparison:
    """What limits one network's context, and what would extend it at what cost.

    Args:
        model: A model spec, a saved report, or a live module.
        options: What else is asked for.

    Returns:
        As `compare`, of one network.

    Raises:
        ArchlensError: With what was wrong and what to do.
    """
    return gathered([model], options or CompareOptions())


def gathered(models: Sequence[str | nn.Module], options: CompareOptions) -> Comparison:
    """The networks analyzed, run where that is asked for, cut, and set side by side."""
    catalogue(options.lang)  # a wrong language must not wait for the work
    size = options.input_size
    if size is None and len(models) > 1:
        size = common_size([m for m in models if isinstance(m, str)], options.settings)
    reports: list[Report] = []
    for model in models:
        report = _report(model, options, size)
        size = size or report.input_shape[1:]
        reports.append(_timed(report, model, options) if options.profile else report)
    sized = [
        _sized(model, report, options) if options.sides else []
        for model, report in zip(models, reports, strict=True)
    ]
    for index, edit in _edits(options.cuts, reports):
        own, made = reports[index].study, _edited(reports[index], edit)
        sized[index] = [made.study if s is own else study_of(edited(s, edit)) for s in sized[index]]
        reports[index] = made
    return compared(
        reports, sized=sized, lang=options.lang, progress=options.progress, use_cache=options.use_cache
    )


def _report(model: str | nn.Module, options: CompareOptions, size: str | Sequence[int] | None) -> Report:
    return analyze(model, size, at=options.at, output_name=options.output_name, **_how(model, options))


def _how(model: str | nn.Module, options: CompareOptions) -> dict[str, Any]:
    """How a network is captured."""
    return {
        "settings": options.settings if isinstance(model, str) else (),
        "device": options.device,
        "progress": options.progress,
        "timeout": options.timeout,
        "use_cache": options.use_cache,
    }


def common_size(models: Sequence[str], settings: Sequence[str]) -> tuple[int, ...] | None:
    """The first of the zoo networks' own sizes that all of them take; None where none is of the zoo.

    Raises:
        InputSizeError: There is no such size; the hint lists the rules.
    """
    chosen = []
    for model in models:
        spec = parse_spec(model, settings)
        if spec.kind == "zoo":
            entry = zoo.find(spec.target)
            chosen.append((entry, entry.parse_options(spec.options)))
    for candidate, _ in chosen:
        try:
            for entry, options in chosen:
                entry.check_input(candidate.input_shape, options)
        except InputSizeError:
            continue
        return candidate.input_shape
    if not chosen:
        return None
    rules = "; ".join(f"{entry.name}: {entry.legal_sizes(options)}" for entry, options in chosen)
    raise InputSizeError(
        "none of these networks' own input sizes suits all of them",
        f"Give one with --input-size. Heights and widths: {rules}.",
    )


# ------------------------------------------------------------------ other sizes


def _sized(model: str | nn.Module, report: Report, options: CompareOptions) -> list[Study]:
    """The network at other square sizes; those that it cannot take are replaced by the nearest that it can,
    and a saved report has only its own."""
    if isinstance(model, str) and model.endswith(".json"):
        return [report.study]
    out = {report.input_shape: report.study}
    for side in options.sides:
        axes = len(report.input_shape) - 2
        if (*report.input_shape[:2], *(side,) * axes) in out:
            continue
        for length in _legal(report.spec, side):
            try:
                graph, _, _ = captured(
                    model, (report.input_shape[1], *(length,) * axes), **_how(model, options)
                )
            except InputSizeError:
                continue
            except ArchlensError:
                break  # the network has one size of its own
            shape = graph.nodes[graph.inputs[0]].shape
            out[shape] = study_of(graph, options.at, options.output_name)
            break
    return [out[shape] for shape in sorted(out, key=lambda s: s[2:])]


def _legal(spec: str, side: int) -> tuple[int, ...]:
    """The side itself, or for a network of the zoo the nearest legal ones."""
    try:
        parsed = parse_spec(spec)
        entry = zoo.find(parsed.target) if parsed.kind == "zoo" else None
    except ArchlensError:
        entry = None
    if entry is None:
        return (side,)
    return entry.legal_sizes(entry.parse_options(parsed.options)).nearest(side) or (side,)


# ------------------------------------------------------------------ edits


def _edits(cuts: Sequence[str], reports: Sequence[Report]) -> list[tuple[int, str]]:
    """(index of the network, edit) of each."""
    out = []
    for text in cuts:
        number, colon, edit = text.partition(":")
        if not (colon and number.isdigit()):
            out.append((len(reports) - 1, text))
        elif 1 <= int(number) <= len(reports):
            out.append((int(number) - 1, edit))
        else:
            raise UsageError(f"--cut {text}: there is no network {number}", f"Networks: 1 to {len(reports)}.")
    return out


def _edited(report: Report, edit: str) -> Report:
    """The report of the edited network; its name says what was edited."""
    spec = f"{report.spec}[{edit}]" if "=" in edit else f"{report.spec}[-{edit}]"
    made = describe(edited(report.study, edit), spec, report.name)
    lost = ["not measured: an edited graph has nothing to run"] if "measured" in report.extra else []
    return replace(made, notes=(*report.notes, f"edited: {edit}", *lost))


# ------------------------------------------------------------------ timing


def _timed(report: Report, model: str | nn.Module, options: CompareOptions) -> Report:
    """The report with what running its network on a device takes: `measured`, its own and each layer's.

    A saved report has nothing to run: it keeps what it was measured with, or gets a note that says so.
    """
    spec: Spec | None = parse_spec(model, options.settings) if isinstance(model, str) else None
    if spec is not None and spec.kind == "report":
        if "measured" in report.extra:
            return report
        return replace(report, notes=(*report.notes, "not measured: a saved report has nothing to run"))
    options.progress("loading torch")
    from archlens.capture.load.checkpoint import live_module
    from archlens.probes.device import resolve
    from archlens.probes.profile.run import profile

    where = resolve(options.device)
    options.progress(f"building {report.name} with values")
    module = live_module(spec)[0] if spec is not None else model
    assert not isinstance(module, str)
    found = profile(
        module,
        report.input_shape[1:],
        where,
        name=report.name,
        warmup=WARMUP,
        repeat=REPEAT[where.type == "cuda"],
        progress=options.count,
    )
    times = {p.name: p for p in found.layers if p.latency is not None}
    rows = []
    for row in report.layers:
        p = times.get(row.name)
        if p is not None and p.latency is not None:
            own = {"seconds": p.latency.median, "low": p.latency.low, "high": p.latency.high, "held": p.held}
            row = replace(row, extra={**row.extra, "measured": own})
        rows.append(row)
    whole = {
        "device": found.device.name,
        "dtype": found.dtype,
        "batch_size": found.input_shape[0],
        "latency": asdict(found.latency),
        "images_per_second": found.images_per_second,
        "peak_bytes": found.peak_bytes,
        "memory_method": found.memory_method,
        "layer_sum": found.layer_sum,
        "adds_up": found.adds_up,
        "notes": list(found.notes),
    }
    return replace(report, layers=tuple(rows), extra={**report.extra, "measured": whole})
