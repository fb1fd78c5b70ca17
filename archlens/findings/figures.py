"""The figures of a network, each declared once: name, words, where it comes from.

Tables and pages show them, budgets and baselines hold them, differences compare them, JSON carries them. All
are at one input size and, where they are about a unit, at the centre of the class-score map. A figure that
cannot be known (an operation without a rule, a field that does not exist) is None, and said so.

To add one: a line in `FIGURES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from archlens.findings.evidence.records import Evidence
from archlens.report import FieldReport, Report, json_value
from archlens.words import NONE, Number, axes, by, count, digits, duration, memory, number, percent, px, si

Group = Literal["cost", "measured", "reach", "resolution", "use", "module"]
GROUPS: Mapping[Group, str] = {
    "cost": "Cost",
    "measured": "Measured",
    "reach": "Reach: what the centre class-score cell can see",
    "resolution": "Resolution",
    "use": "Use: expected effective field of that cell, for random weights",
    "module": "Context module",
}


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: In settings, budgets, baselines and differences.
        label, note: What it is called, and what a reader must know of it.
        group: Under which heading it stands.
        value: What it is of a report; per axis where it has axes. None: not known.
        told: The same, where it takes the evidence of a comparison.
        write: The value in words.
        essential: Whether it stands in the short table.
        limit: Whether budgets and baselines can name it: then it is one number, of axes the smallest.
        share: Whether it is a share, whose differences are points.
        shown: Whether tables and pages show it.
    """

    name: str
    label: str
    group: Group
    value: Callable[[Report], Any] = lambda _: None
    write: Callable[[Any], str] = number
    note: str = ""
    told: Callable[[Evidence], Any] | None = None
    essential: bool = False
    limit: bool = False
    share: bool = False
    shown: bool = True

    def of(self, report: Report, evidence: Evidence | None = None) -> Any:
        """The value, or None."""
        if self.told is None:
            return self.value(report)
        return None if evidence is None else self.told(evidence)

    def words(self, report: Report, evidence: Evidence | None = None) -> str:
        """The value in words, `-` where there is none; `≥` before a count that is not complete."""
        value = self.of(report, evidence)
        if value is None:
            return NONE
        bound = self.name in _COUNTED and report.totals_status != "exact"
        return ("≥ " if bound else "") + self.write(value)

    def number(self, report: Report, evidence: Evidence | None = None) -> float | None:
        """The value as one number: of several axes the smallest."""
        value = self.of(report, evidence)
        if isinstance(value, FieldReport):
            if value.kind == "global":
                return math.inf
            value = value.size
        if isinstance(value, (tuple, list)):
            value = min((v for v in value if v is not None), default=None)
        return float(value) if isinstance(value, (int, float)) else None


_COUNTED = ("macs", "flops", "elementwise")


# ------------------------------------------------------------------ where they come from


def _total(key: str) -> Callable[[Report], int | None]:
    return lambda report: report.totals.get(key)


def _local_field(report: Report) -> Any:
    field = report.cell.rf
    return None if field is None or field.local is None else field.local.size


def _finite_field(report: Report) -> Any:
    """The local path beside a global field, else the field itself."""
    field = report.cell.rf
    return None if field is None else field.path.size


def _visible(report: Report) -> tuple[int, ...] | None:
    seen = None if report.cell.rf is None else report.cell.rf.visible
    return None if seen is None else seen.size


def _reach(report: Report) -> float | None:
    seen = None if report.cell.rf is None else report.cell.rf.visible
    return None if seen is None else seen.share(report.input_shape[2:])


def _global_from(report: Report) -> str | None:
    way = report.before(report.class_score)
    return next((row.name for row in way if row.rf is not None and row.rf.kind == "global"), None)


def _whole_from(report: Report) -> str | None:
    """The first layer on the way to the cell whose centre unit's box is this whole image."""
    image = report.input_shape[2:]
    way = report.before(report.class_score)
    return next((r.name for r in way if r.rf and r.rf.visible and r.rf.visible.share(image) == 1.0), None)


def _whole_at(report: Report) -> float | None:
    """Share of the MACs spent before and in that layer."""
    way, until = report.before(report.class_score), _whole_from(report)
    total = sum(row.macs for row in way)
    if until is None or not total:
        return None
    place = next(i for i, row in enumerate(way) if row.name == until)
    return sum(row.macs for row in way[: place + 1]) / total


def _deepest(report: Report) -> tuple[Number, ...]:
    return tuple(map(_plain, report.study.deepest_strides))


def _output_stride(report: Report) -> tuple[Number, ...]:
    """Jump at the class-score cell; where it has none, input size over score-map size."""
    cell, image = report.cell, report.input_shape[2:]
    field = report.study.fields()[report.node(cell).id]
    paths = [axis.path for axis in field or ()]
    if paths and all(path is not None for path in paths):
        return tuple(_plain(float(path.jump)) for path in paths if path is not None)
    cells = cell.shape[2:]
    if len(cells) != len(image):
        return tuple(image)
    return tuple(round(side / n, 2) for side, n in zip(image, cells, strict=True))


def _score_map(report: Report) -> tuple[int, ...] | None:
    """Cells a side; None where the output is no map."""
    return report.map_of(report.cell) if report.scores_a_map else None


def _output_map(report: Report) -> tuple[int, ...]:
    name = report.main_output
    return report.input_shape[2:] if name == "input" else report.layer(name).shape[2:]


def _side(share: int) -> Callable[[Report], float | None]:
    return lambda report: (report.study.energy_use.sides or {}).get(share)


def _head(report: Report) -> str | None:
    node = report.study.head_input
    return None if node is None else report.study.name(node)


def _module(e: Evidence) -> str:
    return (
        "none"
        if e.paths is None
        else f"{e.paths.module}, {count(len(e.paths.branches), 'branch', 'branches')}"
    )


def _plain(value: float) -> Number:
    return int(value) if float(value).is_integer() else value


# ------------------------------------------------------------------ the table

_cost = partial(Figure, group="cost", limit=True)
_measured = partial(Figure, group="measured")
_reached = partial(Figure, group="reach")
_resolved = partial(Figure, group="resolution")
_used = partial(Figure, group="use")
_context = partial(Figure, group="module")

FIGURES: tuple[Figure, ...] = (
    _cost("params", "Parameters", value=_total("params"), write=si, note="shared ones once", essential=True),
    _cost("macs", "MACs", value=_total("macs"), write=si, essential=True,
          note="of convolutions, linear layers, matrix products"),
    _cost("flops", "FLOPs", value=_total("flops"), write=si, note="2 x MACs", shown=False),
    _cost("elementwise", "Elementwise work", value=_total("elementwise"), write=si,
          note="apart from the MACs"),
    _cost("peak_memory", "Peak memory", value=_total("peak_activation_bytes"), write=memory, essential=True,
          note="the input and what is alive, without the weights"),
    _cost("param_bytes", "Weights", value=_total("param_bytes"), write=memory, note="their storage"),
    _cost("layers", "Layers", value=lambda r: len(r.layers), note="rows of the layer table"),
    _measured("latency", "Latency, measured", told=lambda e: e.time and e.time.latency, write=duration,
              essential=True, note="median of the whole pass"),
    _measured("images_per_second", "Images a second", told=lambda e: e.time and e.time.images_per_second,
              write=digits),
    _measured("measured_memory", "Peak memory, measured", told=lambda e: e.time and e.time.peak_bytes,
              write=memory, essential=True, note="with the input, without the weights"),
    _measured("module_time", "Context module's time", told=lambda e: e.time and e.time.module_seconds,
              write=duration, essential=True, note="its branches and their merge"),
    _measured("module_time_share", "Its share of the layers' time", write=percent, share=True, essential=True,
              told=lambda e: e.time and e.time.share(e.time.module_seconds)),
    _measured("fusion_time", "Fusing convolution's time", told=lambda e: e.time and e.time.fusion_seconds,
              write=duration),
    _reached("receptive_field", "Theoretical field, px", value=lambda r: r.cell.rf, limit=True,
             write=lambda field: field.words, note="without borders; infinite where global", essential=True),
    _reached("local_field", "Finite local path, px", value=_finite_field, write=axes, limit=True,
             note="beside a global field"),
    _reached("visible_field", "Sees at the centre, px", value=_visible, write=by, limit=True, essential=True,
             note="at this input size"),
    _reached("reach", "Reach, of the area", value=_reach, write=percent, share=True, limit=True,
             essential=True, note="share of the image in that box"),
    _reached("global_from", "Global from", value=lambda r: _global_from(r) or "never", write=str,
             note="first layer that reads the whole input at any size", essential=True),
    _reached("whole_from", "Whole image from", value=lambda r: _whole_from(r) or "never", write=str,
             note="first layer that reaches every pixel at this size"),
    _reached("whole_at", "MACs until then", value=_whole_at, write=percent),
    _resolved("class_score", "Class-score cell", value=lambda r: r.class_score, write=str,
              note="the layer that scores the classes"),
    _resolved("score_map", "Score map", value=_score_map, write=by, essential=True),
    _resolved("output_map", "Output map", value=_output_map, write=by),
    _resolved("output_stride", "Output stride", value=_output_stride, write=axes, limit=True, essential=True,
              note="pixels between class-score cells"),
    _resolved("deepest_stride", "Deepest stride", value=_deepest, write=axes, limit=True, essential=True,
              note="the largest on the way to them"),
    _used("erf_25", "25 % of energy within, px", value=_side(25), write=px, limit=True, shown=False),
    _used("erf_50", "50 % of energy within, px", value=_side(50), write=px, limit=True,
          note="side of the square around the cell"),
    _used("erf_75", "75 % of energy within, px", value=_side(75), write=px, limit=True, shown=False),
    _used("erf_95", "95 % of energy within, px", value=_side(95), write=px, limit=True, essential=True),
    _used("far_share", "Far energy", value=lambda r: r.study.energy_use.far, write=percent, share=True,
          limit=True, essential=True, note="outside the square of half the image's side"),
    _used("far_deepest", "Far energy, deepest stream", told=lambda e: e.deep and e.deep.far, write=percent,
          share=True, essential=True, note="where a decoder adds finer ones"),
    _used("far_coherent", "Far, coherent, at the head", told=lambda e: e.head and e.head.coherent_far,
          write=percent, share=True, essential=True,
          note="of the head's response to a change of a whole region"),
    _context("module", "Context module", told=_module, write=str, essential=True),
    _context("head_reads", "Head reads", value=_head, write=str),
    _context("module_macs", "Module's MACs", told=lambda e: e.cost.module_macs, write=si),
    _context("module_params", "Module's parameters", told=lambda e: e.cost.module_params, write=si),
    _context("fusion_macs", "Fusing convolution's MACs", write=si,
             told=lambda e: e.cost.fusion_macs if e.cost.fusion else None),
)  # fmt: skip

LIMITS: Mapping[str, Figure] = {f.name: f for f in FIGURES if f.limit}
"""Those that budgets and baselines can name."""


def numbers(report: Report, wanted: Iterable[str] = LIMITS) -> dict[str, float | None]:
    """Figures of a report as one number each; only what is asked for is worked out."""
    return {name: LIMITS[name].number(report) for name in wanted}


def summary(report: Report) -> dict[str, Any]:
    """The figures of a report as `compare --json` and its CSV carry them: per axis, with statuses."""
    cell = report.cell
    field = cell.rf
    local = field is not None and field.kind == "local"
    seen = None if field is None else field.visible
    deepest = report.study.deepest
    plain: dict[str, Any] = json_value(
        {
            **{key: report.totals.get(key, 0) for key in ("params", "macs", "elementwise")},
            "peak_activation_bytes": report.totals["peak_activation_bytes"],
            "param_bytes": report.totals.get("param_bytes", 0),
            "layers": len(report.layers),
            "class_score": cell.name,
            "score_map": _score_map(report),
            "output_map": _output_map(report),
            "deepest_stride": _deepest(report),
            "deepest_layer": None if deepest is None else report.study.name(deepest),
            "output_stride": _output_stride(report),
            "field_kind": "unknown" if field is None else field.kind,
            "field": field.size if field is not None and local else None,
            "fields": field.sizes if field is not None and local else None,
            "local_field": _local_field(report),
            "visible": None if seen is None else (seen.lo, seen.hi),
            "visible_field": _visible(report),
            "reach": _reach(report),
            "global_from": _global_from(report),
            "whole_from": _whole_from(report),
            "whole_at": _whole_at(report),
            "cost_status": report.totals_status,
            "cost_reason": report.totals_reason,
            "field_status": "unknown" if field is None else field.status,
            "field_reason": "it does not depend on the input" if field is None else field.status_reason,
        }
    )
    return plain
