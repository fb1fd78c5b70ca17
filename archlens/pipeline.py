"""analyze(): load -> capture -> analyses -> Report. The whole story on one screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archlens import cache
from archlens.analyses.fields.drift import Drift
from archlens.analyses.fields.lattice import Lattice
from archlens.analyses.fields.theoretical import AxisField, Field
from archlens.analyses.structure.class_score import class_score, main_output
from archlens.analyses.structure.cost import totals, uncounted
from archlens.capture.limits import time_limit
from archlens.errors import LayerError, ReportError, UsageError, did_you_mean
from archlens.graph import Graph, Node
from archlens.graph.serialise import decode, encode
from archlens.progress import Say, silent
from archlens.report import FieldReport, LayerReport, Report, Visible, read_report_data, report_from_dict
from archlens.spec import Spec, check_device, input_sizes, parse_spec, unit_index
from archlens.study import Study

if TYPE_CHECKING:
    from torch import nn

Size = str | int | Sequence[int] | Sequence[str] | Sequence[Sequence[int]] | None


def analyze(
    model: str | nn.Module,
    input_size: Size = None,
    *,
    example: Any = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    origin: str | None = None,
    at: str | None = None,
    output_name: str | None = None,
    progress: Say = silent,
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
        output_name: Output that the class-score cell is looked for from; default `out`, or the first one, or
            where that has no positions the first that is a map.
        progress: Called with a few words before each slow step.
        use_cache: Keep and reuse captures of zoo and installed networks (`archlens.cache`).
        timeout: Seconds that building and running the model may take; default: no limit.

    Returns:
        The report.

    Raises:
        ArchlensError: With what was wrong, where, and what to do.
    """
    check_device(device)
    if isinstance(model, str) and (spec := parse_spec(model, settings)).kind == "report":
        return _saved(spec.target, input_sizes(input_size), layer, unit, origin, at, output_name)
    graph, text, name = captured(
        model,
        input_size,
        example=example,
        settings=settings,
        device=device,
        progress=progress,
        use_cache=use_cache,
        timeout=timeout,
    )
    return describe(graph, text, name, layer=layer, unit=unit, origin=origin, at=at, output_name=output_name)


def captured(
    model: str | nn.Module,
    input_size: Size = None,
    *,
    example: Any = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    progress: Say = silent,
    use_cache: bool = False,
    timeout: float | None = None,
) -> tuple[Graph, str, str]:
    """The graph alone, with the spec's text and the network's name; the arguments are those of `analyze`."""
    size = input_sizes(input_size)
    with time_limit(timeout):
        if isinstance(model, str):
            spec = parse_spec(model, settings)
            graph, name = _captured(spec, size, device, progress, use_cache)
            more = ("&" if "?" in spec.text else "?") + "&".join(settings) if settings else ""
            return graph, spec.text + more, name
        from archlens.capture.run import capture_module

        if settings:
            raise UsageError("settings are options of a model spec", "Build the module with them.")
        graph = capture_module(model, size, example)
        return graph, graph.name, graph.name


def _captured(
    spec: Spec, size: tuple[tuple[int, ...], ...], device: str, progress: Say, use_cache: bool
) -> tuple[Graph, str]:
    """The graph and the name of what a spec names, from the cache where that is allowed and there."""
    if use_cache and len(size) < 2 and (found := cache.shipped(spec, size[0] if size else None)) is not None:
        return found
    wanted = cache.key(spec, size[0] if size else None) if use_cache and len(size) < 2 else None
    if wanted is not None and (kept := cache.load(wanted, _decoded)) is not None:
        return kept
    progress("loading torch")
    from archlens.capture.run import capture_spec

    graph, name = capture_spec(spec, size, progress, device)
    if wanted is not None:
        cache.store(wanted, {"graph": encode(graph), "name": name})
    return graph, name


def _decoded(kept: Any) -> tuple[Graph, str]:
    return decode(kept["graph"]), str(kept["name"])


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
    """Derive everything from a captured graph; the arguments are those of `analyze`."""
    unit = unit_index(unit)
    start = graph.node_of(origin or "input").id
    study = study_of(graph, at, output_name)
    cell = study.cell
    asked = cell if layer is None else graph.node_of(layer).id
    rows = []
    for row, inputs in zip(graph.layers, graph.layer_inputs(), strict=True):
        node = graph.nodes[row.output]
        parts = [graph.nodes[n] for n in row.nodes]
        missed = next((op for n in parts if (op := uncounted(n)) is not None), None)
        own = unit if unit is not None and (asked in row.nodes or node.has_unit(unit)) else None
        rows.append(
            LayerReport(
                name=row.name,
                op=row.op,
                inputs=inputs,
                shape=node.shape,
                params=row.params,
                macs=sum(n.macs for n in parts),
                elementwise=sum(n.elementwise for n in parts),
                activation_bytes=sum(n.bytes for n in parts),
                rf=field_report(study, node, own, start),
                module=row.module,
                kind=row.kind,
                cost_status="exact" if missed is None else "unknown",
                cost_reason=missed,
            )
        )
    cost = totals(graph)
    missing = sorted({op for n in graph.nodes if (op := uncounted(n)) is not None})
    return Report(
        spec=spec,
        name=name,
        input_shape=graph.nodes[graph.inputs[0]].shape,
        outputs={key: graph.name_of(node) for key, node in graph.outputs.items()},
        class_score=graph.name_of(cell),
        layers=tuple(rows),
        totals=cost.to_json(),
        graph=graph,
        uncalled=graph.uncalled,
        notes=graph.notes,
        origin=origin,
        totals_status="bound" if missing else "exact",
        totals_reason="not counted: " + ", ".join(missing) if missing else None,
        walked=study,
    )


def study_of(graph: Graph, at: str | None = None, output_name: str | None = None) -> Study:
    """A captured graph with its class-score cell, or the one asked for as in `analyze`."""
    if not graph.outputs:
        return Study(graph, graph.inputs[0], graph.inputs[0])
    return Study(graph, cell_node(graph, at, output_name))


def field_report(study: Study, node: Node, unit: Sequence[int] | None, start: int) -> FieldReport | None:
    """A node's field in the report's form, seen from `start`; None where it does not depend on it."""
    field, status = study.fields(start)[node.id], study.statuses(start)[node.id]
    if field is None:
        return None
    graph = study.graph
    order = ("local", "varies", "global", "unknown")
    kind = max((f.kind for f in field), key=order.index, default="local")
    source = None if kind == "local" else next(f.source for f in field if f.kind == kind)
    at = node.unit(unit, graph.name_of(node.id)) if node.positions else ()
    seen = study.seen(node.id, at, start)
    aligned = all(f.aligned for f in field)
    return FieldReport(
        kind=kind,
        **_figures(field, kind, bool(node.positions)),
        aligned=aligned,
        local=_finite_path(field, kind, aligned),
        source=None if source is None else graph.name_of(source),
        reason=graph.nodes[source].unknown if source is not None and kind == "unknown" else None,
        visible=None if seen is None else Visible(at, *seen),
        status=status.word if status is not None else "exact",
        status_reason=status.reason if status is not None else None,
    )


def _finite_path(field: Field, kind: str, aligned: bool) -> FieldReport | None:
    """The field over all paths that avoid what made it global or varying; None where that is the field
    itself, or where there is none."""
    paths = [f.path for f in field]
    if kind == "local" or not paths or any(p is None for p in paths):
        return None
    drifts = any(isinstance(p, Drift) for p in paths)
    if kind == "varies" and drifts and all(f.whole is None for f in field):
        return None
    own = [replace(f, kind="varies" if isinstance(f.path, Drift) else "local", whole=None) for f in field]
    return FieldReport("varies" if drifts else "local", **_figures(own, "", True), aligned=aligned)


def _figures(field: Sequence[AxisField], kind: str, has_axes: bool) -> dict[str, Any]:
    """size, sizes, jump, start, range per axis; None where there are none, empty for a layer without axes."""
    names = ("size", "sizes", "jump", "start")
    if not has_axes and kind != "local":
        return dict.fromkeys(names, ())
    local = [f.path if f.kind == "local" and isinstance(f.path, Lattice) else None for f in field]
    varying = [f.sizes if f.kind == "varies" else () for f in field]
    if kind != "local" and not any(local) and not any(varying):
        return dict.fromkeys(names)

    def each(value: Callable[[Lattice], Any]) -> tuple[Any, ...] | None:
        return tuple(None if p is None else value(p) for p in local) if any(local) or not field else None

    ends = tuple(p.sizes if p is not None else s for p, s in zip(local, varying, strict=True))
    return {
        "size": tuple(s[-1] if s else 0 if p is not None else None for p, s in zip(local, ends, strict=True)),
        "sizes": each(lambda p: p.sizes),
        "jump": each(lambda p: p.jump.numerator if p.jump.denominator == 1 else float(p.jump)),
        "start": each(lambda p: p.start),
        "range": tuple((s[0], s[-1]) if s else None for s in ends) if any(varying) else None,
    }


def cell_node(graph: Graph, at: str | None, output_name: str | None = None) -> int:
    """Node id of the class-score cell, of the output, or of the layer asked for.

    Raises:
        LayerError: No such layer, or no output of that name.
    """
    if output_name is not None and output_name not in graph.outputs:
        hint = did_you_mean(output_name, graph.outputs)
        raise LayerError(f"{graph.name} has no output {output_name!r}", hint)
    if at not in (None, "output"):
        return graph.node_of(str(at)).id
    if not graph.outputs:
        raise LayerError(f"no output of {graph.name} depends on its input", "Name a layer that does.")
    output = main_output(graph) if output_name is None else graph.outputs[output_name]
    return output if at == "output" else class_score(graph, output)


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
