"""One unit's effective field, by any of the four methods, as one kind of result.

* `support`   - exactly which positions reach the unit (a fact of the geometry);
* `expected`  - with what weight before any training, in closed form (assumes random weights);
* `gradient`  - the same measured by autograd, over random weights or over images with a checkpoint;
* `occlusion` - what a moving patch changes, over images (Zhou et al., ICLR 2015).

The first two need no arithmetic on the network; the last two run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from archlens.analyses.expected.forward.state import Images, Premises, Statistics
from archlens.errors import UsageError
from archlens.graph import Graph
from archlens.pipeline import analyze, cell_node
from archlens.progress import Count, Say, silent, uncounted
from archlens.report import LayerReport, Report
from archlens.spec import parse_spec, unit_index
from archlens.study import Study
from archlens.unit_field.computed import expected_field, projective_field, support_field
from archlens.unit_field.result import METHODS, FieldMap, Method, RunOptions

if TYPE_CHECKING:
    from torch import nn

    from archlens.probes.erf.occlusion import OcclusionField

MOST_LAYERS = 8
"""Rows of an occlusion table."""


def field_map(
    model: str | nn.Module,
    method: Method = "expected",
    *,
    input_size: str | Sequence[int] | None = None,
    settings: Sequence[str] = (),
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    origin: str | None = None,
    projective: bool = False,
    statistics: Statistics = "batch",
    noise: Images = "white",
    run: RunOptions | None = None,
    progress: Say = silent,
    count: Count = uncounted,
    output_name: str | None = None,
    timeout: float | None = None,
    use_cache: bool = False,
) -> FieldMap:
    """One unit's field: which positions it reads, and with what weight.

    Args:
        model: A model spec, or for the computed methods a live module.
        method: support | expected | gradient | occlusion; see the module.
        input_size: (C, *spatial) or "3x513x513"; default the network's own.
        settings: `key=value` options of a spec.
        layer: Default: the class-score cell.
        unit: Its index on the layer's map; default the centre.
        origin: Layer that the field lies on; default the input.
        projective: The other direction, computed: which units of `layer` the pixel `unit` (of `origin`) can
            reach, and with `expected` the share that it has in each unit's expected energy.
        statistics: Of batch norms, for `expected` and `gradient` over random weights.
        noise: Images assumed: white, or natural (1/f amplitudes).
        run: How the network is run, for gradient and occlusion.
        progress: Told of each slow step; `count` of (done, all) within one.
        output_name, timeout, use_cache: As `archlens.analyze` takes them.

    Returns:
        The map with its figures. It prints itself, `save`s as .npz, .json, .png, .svg or .txt, and shows
        itself in a notebook.

    Raises:
        ArchlensError: With what was wrong and what to do.
    """
    _check("method", method, METHODS)
    _check("noise", noise, get_args(Images))
    _check("statistics", statistics, get_args(Statistics))
    computed = method in ("support", "expected")
    if projective and not computed:
        raise UsageError(
            f"there is no projective field by {method}", "It is computed: --method expected or support."
        )
    if not computed and not isinstance(model, str):
        raise UsageError(f"the {method} field takes a model spec", "As in FILE.py:FUNCTION.")
    report = analyze(
        model,
        input_size,
        settings=settings,
        progress=progress,
        timeout=timeout,
        use_cache=use_cache,
    )
    study, graph, unit = report.study, report.graph, unit_index(unit)
    node = cell_node(graph, None, output_name) if layer is None else graph.node_of(layer).id
    start = graph.node_of(origin or "input").id
    premises = Premises(statistics=statistics, images=noise)
    if projective:
        base = _asked(report, method, node, start, graph.nodes[start].unit(unit, origin or "the input"))
        return projective_field(base, study, node, start, premises)
    base = _asked(report, method, node, start, graph.nodes[node].unit(unit, graph.name_of(node)), study)
    if method == "support":
        return support_field(base, study, node, start, phases=unit is None)
    if method == "expected":
        return expected_field(base, study, node, start, premises)
    from archlens.unit_field.measured import measured

    assert isinstance(model, str)
    return measured(base, parse_spec(model, settings), run or RunOptions(), premises, progress, count)


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(f"there is no {name} {value!r}", f"One of {', '.join(known)}.")


def _asked(
    report: Report,
    method: Method,
    node: int,
    start: int,
    unit: tuple[int, ...],
    study: Study | None = None,
) -> FieldMap:
    """What was asked for, without an answer yet. With `study`: where the unit looks from and what it sees."""
    graph: Graph = report.graph
    return FieldMap(
        spec=report.spec,
        name=report.name,
        input_shape=report.input_shape,
        method=method,
        layer=graph.name_of(node),
        unit=unit,
        origin=graph.name_of(start),
        centre=tuple(map(float, unit)) if study is None else study.centre(node, unit, start),
        visible=None if study is None else study.seen(node, unit, start),
    )


def occlusion_table(
    model: str,
    input_size: Sequence[int] | None = None,
    *,
    settings: Sequence[str] = (),
    run: RunOptions | None = None,
    progress: Say = silent,
    count: Count = uncounted,
    use_cache: bool = False,
) -> tuple[Report, list[OcclusionField], tuple[str, ...]]:
    """Theoretical and empirical size of several layers over the same occluded images (Zhou et al., Table 1).

    Returns:
        The report, one field a layer, and notes.
    """
    report = analyze(model, input_size, settings=settings, progress=progress, use_cache=use_cache)
    from archlens.unit_field.measured import occluded

    layers, spec = telling_layers(report), parse_spec(model, settings)
    fields, notes = occluded(spec, report.input_shape, layers, run or RunOptions(), progress, count)
    return report, fields, notes


def telling_layers(report: Report) -> list[str]:
    """The poolings and convolutions on the way to the class-score cell whose field grows, a few of them:
    for AlexNet those of Zhou et al.'s Table 1."""
    rows: list[LayerReport] = []
    size = 1
    for row in report.before(report.class_score):
        if row.rf is None or row.rf.kind != "local" or not row.rf.size:
            continue
        if row.rf.size[0] > size and row.op.startswith(("conv", "max_pool", "avg_pool")):
            rows.append(row)
        size = max(size, row.rf.size[0])
    if len(rows) <= MOST_LAYERS:
        return [row.name for row in rows]
    pools = [row for row in rows if "pool" in row.op]
    rest = [row for row in rows if row not in pools]
    room = max(MOST_LAYERS - len(pools), 0)
    chosen = pools[-MOST_LAYERS:] + [rest[-1 - k * len(rest) // max(room, 1)] for k in range(room)]
    return [row.name for row in rows if row in chosen]
