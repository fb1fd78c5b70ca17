"""One unit's effective field, by any of the four methods, as one kind of result.

* `support`   - exactly which positions reach the unit (a fact of the geometry);
* `expected`  - with what weight before any training, in closed form (assumes random weights);
* `gradient`  - the same measured by autograd, over random weights or over images with a checkpoint;
* `occlusion` - what a moving patch changes, over images (Zhou et al., ICLR 2015).

The first two need no arithmetic on the network; the last two run it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.field import expected_erf
from archlens.analyses.expected.forward.walk import Images, Setting
from archlens.analyses.expected.shares import ExpectedShares, expected_shares
from archlens.analyses.expected.summaries import centre_of, luo_sigma, summarise
from archlens.analyses.fields.gridding import gridding
from archlens.analyses.fields.projective import projective
from archlens.analyses.fields.status import Status, statuses
from archlens.analyses.fields.support import MOST_PHASES, phases_of, support, support_phases
from archlens.analyses.fields.visible import boxes
from archlens.errors import UsageError
from archlens.field_report import unit_of
from archlens.graph import Graph
from archlens.pipeline import analyze, cell_node, layer_node
from archlens.spec import parse_spec
from archlens.unit_field.result import METHODS, FieldMap, Method

Statistics = Literal["batch", "calibrated", "frozen"]


@dataclass(frozen=True)
class Live:
    """How a network is run for `gradient` and `occlusion`.

    Attributes:
        device: auto | cpu | cuda | cuda:N.
        weights: Checkpoint to load; None for the weights that the network is built with.
        images: Folder of images; None for noise and random weights (gradient only).
        limit: Images at most.
        channel: Only this channel of the unit; None for all.
        runs: Random networks to average over.
        batch_size: Images at a time.
        seed: Of weights and noise.
        mean, std, bgr: Preprocessing; None for the model's own.
        patch, stride: Side and step of the occluder, px.
        mixed: bfloat16 arithmetic where that is allowed.
    """

    device: str = "auto"
    weights: str | None = None
    images: str | None = None
    limit: int | None = None
    channel: int | None = None
    runs: int = 32
    batch_size: int = 2
    seed: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    bgr: bool | None = None
    patch: int = 11
    stride: int = 3
    mixed: bool = False


def field_map(
    model: str,
    method: Method = "expected",
    *,
    input_size: Sequence[int] | None = None,
    settings: Sequence[str] = (),
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    origin: str | None = None,
    statistics: Statistics = "batch",
    noise: Images = "white",
    live: Live | None = None,
    progress: Callable[[str], None] = lambda _: None,
    count: Callable[[int, int], None] = lambda _a, _b: None,
    output_name: str | None = None,
    timeout: float | None = None,
    use_cache: bool = False,
) -> FieldMap:
    """One unit's field.

    Args:
        model: A model spec.
        method: See the module.
        input_size: (C, *spatial); default the network's own.
        settings: `key=value` options.
        layer: Default: the class-score cell.
        unit: Its index on the layer's map; default the centre.
        origin: Layer that the field lies on; default the input.
        statistics: Of batch norms, for `expected` and `gradient` over random weights.
        noise: Images assumed: white, or natural (1/f amplitudes).
        live: For gradient and occlusion.
        output_name, timeout, use_cache: As `pipeline.analyze` takes them.
        progress: Told of each slow step; `count` of (done, all) within one.

    Raises:
        ArchlensError: With what was wrong and what to do.
    """
    spec = parse_spec(model, settings)
    report = analyze(
        model, input_size, settings=settings, progress=progress, timeout=timeout, use_cache=use_cache
    )
    graph = report.graph
    node, row, start = _ends(graph, layer, origin, output_name)
    at = unit_of(graph.nodes[node], unit, row)
    box = boxes(graph, start)[node]
    base = FieldMap(
        spec=report.spec,
        name=report.name,
        input_shape=graph.nodes[graph.inputs[0]].shape,
        method=method,
        layer=row,
        unit=at,
        origin=origin or "input",
        channel=None,
        centre=centre_of(graph, node, at, start),
        map=None,
        summary={},
        status="unknown",
        reason=None,
        visible=None if box is None else box.unit(graph.nodes[node], at),
    )
    if method == "support":
        found = _support(base, graph, node, start)
        every = _phases(graph, node, start) if unit is None and found.map is not None else {}
        return replace(found, details=every)
    if method == "expected":
        return _expected(base, graph, node, start, Setting(statistics=statistics, images=noise))
    from archlens.unit_field.measured import measured

    return measured(base, spec, live or Live(), statistics, noise, progress, count)


def projective_map(
    model: str,
    method: Method = "expected",
    *,
    input_size: Sequence[int] | None = None,
    settings: Sequence[str] = (),
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    origin: str | None = None,
    statistics: Statistics = "batch",
    noise: Images = "white",
    progress: Callable[[str], None] = lambda _: None,
    output_name: str | None = None,
    timeout: float | None = None,
    use_cache: bool = False,
) -> FieldMap:
    """The other direction: which units of a layer one pixel (or one unit of another layer) can reach.

    Args:
        method: "support" for the units alone, "expected" for the share that the pixel has in each unit's
            expected energy.
        unit: Index of the pixel in the input, or of the unit in `origin`; default the centre.
        layer: Whose units are asked for; default the class-score cell's.
        statistics, noise: As in `field_map`, for "expected".

    Returns:
        A map over the layer's positions: bool, or float64 shares [0..1]; `unit` and `centre` are the pixel's.

    Raises:
        ArchlensError: With what was wrong and what to do.
    """
    if method not in ("support", "expected"):
        raise UsageError(
            f"there is no projective field by {method}", "It is computed: --method expected or support."
        )
    report = analyze(
        model, input_size, settings=settings, progress=progress, timeout=timeout, use_cache=use_cache
    )
    graph = report.graph
    node, row, start = _ends(graph, layer, origin, output_name)
    pixel = unit_of(graph.nodes[start], unit, origin or "the input")
    sure = statuses(graph, start)[node]
    base = FieldMap(
        spec=report.spec,
        name=report.name,
        input_shape=graph.nodes[graph.inputs[0]].shape,
        method=method,
        layer=row,
        unit=pixel,
        origin=origin or "input",
        channel=None,
        centre=tuple(map(float, pixel)),
        map=None,
        summary={},
        status="unknown",
        reason="it does not depend on it" if sure is None else sure.reason,
        visible=None,
        details={"projective": True},
    )
    mask = projective(graph, pixel, start, keep=[node]).get(node)
    if sure is None or mask is None:
        return base
    reached = _covered(base, mask, sure)
    if method == "support":
        return reached
    setting = Setting(statistics=statistics, images=noise)
    return _shares(reached, expected_shares(graph, node, pixel, start, setting=setting))


def _ends(
    graph: Graph, layer: str | None, origin: str | None, output_name: str | None
) -> tuple[int, str, int]:
    """The node that is asked about, the name of its layer, and the node that fields lie on."""
    node = cell_node(graph, None, output_name) if layer is None else layer_node(graph, layer)
    of = graph.layer_of()
    row = graph.layers[of[node]].name if node in of else "input"
    return node, row, graph.inputs[0] if origin is None else layer_node(graph, origin)


def _shares(reached: FieldMap, found: ExpectedShares) -> FieldMap:
    """The units that are reached, with the weight that the pixel has in each."""
    known = {key: reached.summary[key] for key in ("pixels", "density")}
    if found.shares is None:
        reason = "no rule for " + ", ".join(found.missing) if found.missing else "it does not depend on it"
        return replace(
            reached, map=None, summary=known, status="unknown", reason=reason, assumptions=found.assumptions
        )
    top = np.unravel_index(int(found.shares.argmax()), found.shares.shape)
    figures = {
        **known,
        "largest_share": float(found.shares.max()),
        "largest_unit": [int(i) for i in top],
        "total": float(found.shares.sum()),
    }
    return replace(
        reached, map=found.shares, summary=figures, status="assumed", reason="random weights",
        assumptions=found.assumptions,
    )  # fmt: skip


def _phases(graph: Graph, node: int, origin: int) -> dict[str, Any]:
    """How the support differs from phase to phase: `phases`, one entry a unit; empty where it does not."""
    count = phases_of(graph, node, origin)
    if count <= 1:
        return {}
    if count > MOST_PHASES:
        return {"phase_count": count, "phases": []}
    entries = []
    for unit, mask in support_phases(graph, node, origin).items():
        assert mask is not None
        found = gridding(mask)
        entries.append(
            {
                "unit": list(unit),
                "pixels": int(mask.sum()),
                "box": list(found.span),
                "density": found.density,
                "largest_gap": list(found.largest_gap),
            }
        )
    return {"phase_count": count, "phases": entries}


def _support(base: FieldMap, graph: Graph, node: int, origin: int) -> FieldMap:
    sure = statuses(graph, origin)[node]
    if sure is None or sure.word == "unknown":
        reason = "it does not depend on it" if sure is None else sure.reason
        return replace(base, status="unknown", reason=reason)
    mask = support(graph, node, base.unit, origin)
    assert mask is not None  # only an operation that is not understood makes it so
    return _covered(base, mask, sure)


def _covered(base: FieldMap, mask: NDArray[np.bool_], sure: Status) -> FieldMap:
    """A field that is a set of positions, with how it lies in its box."""
    found = gridding(mask)
    summary = {
        "pixels": int(mask.sum()),
        "density": found.density,
        "lines": list(found.lines),
        "largest_gap": list(found.largest_gap),
        "holes": found.holes,
    }
    return replace(base, map=mask, summary=summary, status=sure.word, reason=sure.reason)


def _expected(base: FieldMap, graph: Graph, node: int, origin: int, setting: Setting) -> FieldMap:
    found = expected_erf(graph, node, base.unit, origin, setting=setting)
    if found.energy is None:
        reason = "no rule for " + ", ".join(found.missing) if found.missing else "nothing reaches the unit"
        return replace(base, status="unknown", reason=reason, assumptions=found.assumptions)
    summary = summarise(found.energy, found.centre)
    figures: dict[str, Any] = {
        **{f"erf_{round(100 * share)}": side for share, side in summary.sides.items()},
        **{f"erf_{round(100 * share)}_relative": side for share, side in summary.relative.items()},
        "far_share": summary.far,
        "sigma": list(summary.sigma),
        "luo_sigma": luo_sigma(graph, node),
        "border_share": summary.border,
        "replknet_area_ratio": summary.area_ratio,
    }
    notes = (
        ("the border cuts a part of the field off: its sides are too small",) if summary.hits_border else ()
    )
    return replace(
        base, map=found.energy, summary=figures, status="assumed", reason="random weights",
        assumptions=found.assumptions, notes=notes,
    )  # fmt: skip


__all__ = ["METHODS", "FieldMap", "Live", "Method", "field_map"]
