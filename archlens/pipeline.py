"""analyze(): load -> capture -> analyses -> Report. The whole story on one screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlens import cache
from archlens.analyses.fields.status import statuses
from archlens.analyses.fields.theoretical import receptive_fields
from archlens.analyses.fields.visible import boxes
from archlens.analyses.structure.class_score import class_score, main_output
from archlens.analyses.structure.cost import totals, uncounted
from archlens.capture.limits import time_limit
from archlens.errors import LayerError, ReportError, UsageError, did_you_mean
from archlens.field_report import field_report, has_unit
from archlens.graph import Graph
from archlens.report import (
    LayerReport,
    Report,
    read_report_data,
    report_from_dict,
)
from archlens.spec import Spec, input_sizes, parse_spec

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    """No progress."""


def analyze(
    model: str | nn.Module,
    input_size: str | Sequence[int] | Sequence[str] | Sequence[Sequence[int]] | None = None,
    *,
    example: Any = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    origin: str | None = None,
    at: str | None = None,
    output_name: str | None = None,
    progress: Progress = _silent,
    use_cache: bool = False,
    timeout: float | None = None,
) -> Report:
    """Measure a network and derive what every layer sees and costs.

    Args:
        model: A spec (see `archlens.spec`) or a live module (which is left as it is).
        input_size: (C, *spatial) or "3x513x513"; default: the network's own. Several for several inputs; a
            single number is a sequence of tokens or samples.
        example: What a live module is called with instead: a tensor, a tuple of arguments, or a dict.
        settings: Options of a spec as "key=value" texts.
        device: Where a model of a spec runs if it needs values: auto, cpu, cuda, cuda:1; meta: nowhere.
        layer: The layer that `unit` is in; default: the class-score cell's.
        unit: The unit whose visible box is reported, an index a position dimension; default the centre.
            Other layers report theirs of the same index, or their centre where their map has none.
        origin: Layer to measure fields from, instead of the input.
        at: Layer to take for the class-score cell, or "output".
        output_name: Output that the class-score cell is looked for from; default `out`, or the first.
        progress: Called with a few words before each slow step.
        use_cache: Keep and reuse captures of zoo and installed networks (`archlens.cache`).
        timeout: Seconds that building and running the model may take; default: no limit.

    Returns:
        The report.

    Raises:
        ArchlensError: With what was wrong, where, and what to do.
    """
    size = input_sizes(input_size)
    if isinstance(model, str):
        spec = parse_spec(model, settings)
        if spec.kind == "report":
            return _saved(spec.target, size, layer, unit, origin, at, output_name)
        with time_limit(timeout):
            graph, name = _captured(spec, size, device, progress, use_cache)
        text = (
            spec.text if not settings else spec.text + ("&" if "?" in spec.text else "?") + "&".join(settings)
        )
    else:
        from archlens.capture.run import capture_module

        with time_limit(timeout):
            graph = capture_module(model, size, example)
        name = text = graph.name
    return describe(graph, text, name, layer=layer, unit=unit, origin=origin, at=at, output_name=output_name)


def _captured(
    spec: Spec, size: tuple[tuple[int, ...], ...], device: str, progress: Progress, use_cache: bool
) -> tuple[Graph, str]:
    """The graph and the name of what a spec names, from the cache where that is allowed and there."""
    wanted = cache.key(spec, size[0] if size else None) if use_cache and len(size) < 2 else None
    if wanted is not None and (kept := cache.load(wanted)) is not None:
        return kept
    progress("loading torch")
    from archlens.capture.run import capture_spec

    graph, name = capture_spec(spec, size, progress, device)
    if wanted is not None:
        cache.store(wanted, graph, name)
    return graph, name


def describe(
    graph: Graph,
    spec: str,
    name: str,
    *,
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    origin: str | None = None,
    at: str | None = None,
    output_name: str | None = None,
) -> Report:
    """Derive everything from a captured graph."""
    start = graph.inputs[0] if origin is None else layer_node(graph, origin)
    fields = receptive_fields(graph, start)
    visible = boxes(graph, start)
    sure = statuses(graph, start)
    of = graph.layer_of()
    names = [layer.name for layer in graph.layers]

    def named(node: int | None) -> str | None:
        return None if node is None or node not in of else names[of[node]]

    cell = named(cell_node(graph, at, output_name)) if graph.outputs else None
    asked = cell if layer is None else named(layer_node(graph, layer))
    rows = []
    inputs = graph.layer_inputs()
    for index, row in enumerate(graph.layers):
        node = graph.nodes[row.output]
        field = fields[node.id]
        parts = [graph.nodes[n] for n in row.nodes]
        missed = next((op for n in parts if (op := uncounted(n)) is not None), None)
        rows.append(
            LayerReport(
                name=row.name,
                op=row.op,
                inputs=inputs[index],
                shape=node.shape,
                params=row.params,
                macs=sum(n.macs for n in parts),
                elementwise=sum(n.elementwise for n in parts),
                activation_bytes=sum(n.bytes for n in parts),
                rf=None
                if field is None
                else field_report(
                    graph,
                    node,
                    field,
                    visible[node.id],
                    sure[node.id],
                    unit if row.name == asked or has_unit(node, unit) else None,
                    named,
                ),
                module=row.module,
                kind=row.kind,
                cost_status="exact" if missed is None else "unknown",
                cost_reason=missed,
            )
        )
    cost = totals(graph)
    missing = sorted({op for n in graph.nodes if (op := uncounted(n)) is not None})
    outputs = {key: named(node) or "input" for key, node in graph.outputs.items()}
    return Report(
        spec=spec,
        name=name,
        input_shape=graph.nodes[graph.inputs[0]].shape,
        outputs=outputs,
        class_score=cell or "input",
        layers=tuple(rows),
        totals={
            "params": cost.params,
            "macs": cost.macs,
            "flops": cost.flops,
            "elementwise": cost.elementwise,
            "peak_activation_bytes": cost.peak_activation_bytes,
            "param_bytes": cost.param_bytes,
        },
        graph=graph,
        uncalled=graph.uncalled,
        notes=graph.notes,
        origin=origin,
        totals_status="bound" if missing else "exact",
        totals_reason="not counted: " + ", ".join(missing) if missing else None,
    )


def layer_node(graph: Graph, name: str) -> int:
    """Node id of a layer's result.

    Raises:
        LayerError: No such layer; the hint names the nearest.
    """
    for layer in graph.layers:
        if layer.name == name:
            return layer.output
    if name == "input":
        return graph.inputs[0]
    names = [layer.name for layer in graph.layers]
    raise LayerError(f"{graph.name} has no layer {name!r}", did_you_mean(name, names))


def cell_node(graph: Graph, at: str | None, output_name: str | None = None) -> int:
    """Node id of the class-score cell, of the output, or of the layer asked for.

    Raises:
        LayerError: No such layer, or no output of that name.
    """
    if output_name is not None and output_name not in graph.outputs:
        hint = did_you_mean(output_name, graph.outputs)
        raise LayerError(f"{graph.name} has no output {output_name!r}", hint)
    output = main_output(graph) if output_name is None else graph.outputs[output_name]
    if at is None:
        return class_score(graph, output)
    return output if at == "output" else layer_node(graph, at)


# ------------------------------------------------------------------ saved reports


def _saved(
    path: str,
    size: Sequence[Sequence[int]],
    layer: str | None,
    unit: Sequence[int] | None,
    origin: str | None,
    at: str | None,
    output_name: str | None,
) -> Report:
    """A saved report; a figure that it does not hold is derived anew from the graph in it."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"{path} is not text", "Give a file written by archlens.") from error
    report = report_from_dict(read_report_data(text, path), path)
    if size and tuple(size[0]) != report.input_shape[1:]:
        by = "x".join(map(str, report.input_shape[1:]))
        raise UsageError(f"{path} was saved at {by}", "Leave --input-size out, or give the model instead.")
    if unit is None and origin is None and at is None and output_name is None:
        return report
    return describe(
        report.graph,
        report.spec,
        report.name,
        layer=layer,
        unit=unit,
        origin=origin,
        at=at,
        output_name=output_name,
    )
