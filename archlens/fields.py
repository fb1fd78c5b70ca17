"""One unit's effective field, by any of the four methods, as one kind of result.

* `support`   - exactly which positions reach the unit (a fact of the geometry);
* `expected`  - with what weight before any training, in closed form (assumes random weights);
* `gradient`  - the same measured by autograd, over random weights or over images with a checkpoint;
* `occlusion` - what a moving patch changes, over images (Zhou et al., ICLR 2015).

The first two need no arithmetic on the network; the last two run it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.boxes import boxes
from archlens.analyses.expected_erf import expected_erf
from archlens.analyses.moments import Images, Setting
from archlens.analyses.status import statuses
from archlens.analyses.summaries import centre_of, luo_sigma, summarise
from archlens.errors import UsageError
from archlens.graph import Graph
from archlens.pipeline import analyze, cell_node, layer_node, unit_of
from archlens.results import GENERATOR, SCHEMA_VERSION
from archlens.spec import Spec, parse_spec

Method = Literal["support", "expected", "gradient", "occlusion"]
METHODS: tuple[Method, ...] = ("support", "expected", "gradient", "occlusion")
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


@dataclass(frozen=True)
class FieldMap:
    """A unit's field.

    Attributes:
        map: Over the origin's positions: bool for support, else float64 of sum 1; None where unknown.
        summary: Figures of the map; each a number, or a (value, standard error) pair where measured.
        status: exact | bound | assumed | unknown, with the reason.
        visible: (lo, hi) of the unit's visible box in the origin, inclusive.
    """

    spec: str
    name: str
    input_shape: tuple[int, ...]
    method: Method
    layer: str
    unit: tuple[int, ...]
    origin: str
    channel: int | None
    centre: tuple[float, ...]
    map: NDArray[Any] | None
    summary: Mapping[str, Any]
    status: str
    reason: str | None
    visible: tuple[tuple[int, ...], tuple[int, ...]] | None
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the map."""
        return {
            "schema_version": SCHEMA_VERSION,
            "generator": GENERATOR,
            "model": {"spec": self.spec, "name": self.name, "input_shape": list(self.input_shape)},
            "method": self.method,
            "layer": self.layer,
            "unit": list(self.unit),
            "from": self.origin,
            "channel": self.channel,
            "map_shape": None if self.map is None else list(self.map.shape),
            "centre": list(self.centre),
            "visible": None
            if self.visible is None
            else {"lo": list(self.visible[0]), "hi": list(self.visible[1])},
            "summary": {key: _plain(value) for key, value in self.summary.items()},
            "status": self.status,
            "status_reason": self.reason,
            "assumptions": list(self.assumptions),
            "notes": list(self.notes),
            **{key: _plain(value) for key, value in self.details.items()},
        }

    def to_npz(self) -> bytes:
        """`map` (float64, or bool for support) and `meta` (this as a JSON string), as an .npz file.

        Raises:
            UsageError: There is no map to write.
        """
        import io

        if self.map is None:
            raise UsageError(
                f"there is no {self.method} map of {self.layer}: {self.reason or 'nothing reaches it'}",
                "Leave -o out to see what is known.",
            )
        out = io.BytesIO()
        values = self.map if self.map.dtype == bool else np.asarray(self.map, np.float64)
        np.savez_compressed(out, map=values, meta=np.array(json.dumps(self.to_dict())))
        return out.getvalue()


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
        progress: Told of each slow step; `count` of (done, all) within one.

    Raises:
        ArchlensError: With what was wrong and what to do.
    """
    spec = parse_spec(model, settings)
    report = analyze(model, input_size, settings=settings, progress=progress, use_cache=use_cache)
    graph = report.graph
    node = cell_node(graph, None) if layer is None else layer_node(graph, layer)
    of = graph.layer_of()
    row = graph.layers[of[node]].name if node in of else "input"
    at = unit_of(graph.nodes[node], unit, row)
    start = graph.inputs[0] if origin is None else layer_node(graph, origin)
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
        return _support(base, graph, node, start)
    if method == "expected":
        return _expected(base, graph, node, start, Setting(statistics=statistics, images=noise))
    from archlens.live_fields import measured

    return measured(base, spec, live or Live(), statistics, noise, progress, count)


def _support(base: FieldMap, graph: Graph, node: int, origin: int) -> FieldMap:
    from archlens.analyses.gridding import gridding
    from archlens.analyses.support import support

    sure = statuses(graph, origin)[node]
    if sure is None or sure.word == "unknown":
        reason = "it does not depend on it" if sure is None else sure.reason
        return _with(base, status="unknown", reason=reason)
    mask = support(graph, node, base.unit, origin)
    found = gridding(mask)
    summary = {
        "pixels": int(mask.sum()),
        "density": found.density,
        "lines": list(found.lines),
        "largest_gap": list(found.largest_gap),
        "holes": found.holes,
    }
    return _with(base, map=mask, summary=summary, status=sure.word, reason=sure.reason)


def _expected(base: FieldMap, graph: Graph, node: int, origin: int, setting: Setting) -> FieldMap:
    found = expected_erf(graph, node, base.unit, origin, setting=setting)
    if found.energy is None:
        reason = "no rule for " + ", ".join(found.missing) if found.missing else "nothing reaches the unit"
        return _with(base, status="unknown", reason=reason, assumptions=found.assumptions)
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
    return _with(
        base, map=found.energy, summary=figures, status="assumed", reason="random weights",
        assumptions=found.assumptions, notes=notes,
    )  # fmt: skip


def _with(base: FieldMap, **changes: Any) -> FieldMap:
    from dataclasses import replace

    return replace(base, **changes)


def _plain(value: Any) -> Any:
    """JSON values; NaN and infinity, which JSON has not, become null."""
    if isinstance(value, (np.floating, np.integer, np.bool_)):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


__all__ = ["METHODS", "FieldMap", "Live", "Method", "Spec", "field_map"]
