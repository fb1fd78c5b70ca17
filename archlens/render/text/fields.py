"""`archlens erf` in words: one unit's field, or the occlusion table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from archlens.render.text.table import Column, Table
from archlens.report import GENERATOR, SCHEMA_VERSION, Report
from archlens.unit_field.result import FieldMap
from archlens.words import NONE, by, digits, measured, number, percent, px, sides


def text(found: FieldMap) -> str:
    """A few lines: who looks, what it sees, how sure that is."""
    return "\n".join([_title(found), *(f"  {what:9}{said}" for what, said in _lines(found))])


def field_table(found: FieldMap) -> Table:
    """The same as a table."""
    return Table(_title(found), (Column(""), Column("")), tuple(_lines(found)))


def _title(found: FieldMap) -> str:
    where = ",".join(map(str, found.unit)) or "the only one"
    if found.projective:
        return f"units of {found.layer} that {found.origin} {where} can reach"
    return f"{found.method} field of {found.layer}, unit {where}, in {found.origin}"


def _lines(found: FieldMap) -> list[tuple[str, str]]:
    lines = [("model", f"{found.spec} at {by(found.input_shape[1:])}")]
    if not found.projective:
        lines.append(("centre", f"{', '.join(number(c) for c in found.centre)} px"))
    if found.channel is not None:
        lines.append(("channel", str(found.channel)))
    if found.visible is not None:
        size = by([h - low + 1 for low, h in zip(*found.visible, strict=True)])
        span = ", ".join(f"{low}..{h}" for low, h in zip(*found.visible, strict=True))
        lines.append(("visible", f"{size} px ({span})"))
    if not found.summary:
        lines.append(("unknown", str(found.reason)))
    lines += _reached(found) if found.projective else _figures(found)
    lines += _phases(found.details)
    lines.append(("status", found.status + (f": {found.reason}" if found.reason else "")))
    lines += [("assumes", line) for line in found.assumptions]
    return lines + [("note", line) for line in found.notes]


def _reached(found: FieldMap) -> list[tuple[str, str]]:
    """The other direction: units that a pixel reaches."""
    s = found.summary
    lines = []
    if "pixels" in s:
        of = "" if found.map is None else f" of a map of {by(found.map.shape or (1,))}"
        lines.append(("units", f"{number(s['pixels'])}{of}, {percent(s['density'])} of their box"))
    if "lines" in s:
        lines.append(("lines", f"{by(s['lines'])}, largest gap {by(s['largest_gap'])}"))
    if "largest_share" in s:
        unit = ",".join(map(str, s["largest_unit"])) or "the only one"
        most = f"at most {percent(s['largest_share'])} of a unit's expected energy (unit {unit})"
        lines += [("share", most), ("total", f"{digits(s['total'])} units' worth")]
    return lines


def _phases(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """One line: how much the support differs between phases."""
    count, found = details.get("phase_count", 1), details.get("phases")
    if count <= 1:
        return []
    said = ", too many to look at one by one; --unit asks for one"
    if found:
        pixels, boxes = [p["pixels"] for p in found], [max(p["box"]) for p in found]
        said = f": {number(min(pixels))} to {number(max(pixels))} pixels, "
        said += f"boxes {px(min(boxes))} to {px(max(boxes))} px (--json has each)"
    return [("phases", number(count) + said)]


def _figures(found: FieldMap) -> list[tuple[str, str]]:
    summary = found.summary
    image = found.input_shape[2:] if found.origin == "input" else ()
    longer = "longer side" if len(set(image)) > 1 else "side"
    out = []
    for share in (25, 50, 75, 95):
        if f"erf_{share}" in summary:
            side, said = _told(summary[f"erf_{share}"], px)
            relative = f", {percent(side / max(image))} of the image's {longer}" if image else ""
            out.append((f"ERF {share} %", f"{said} px{relative}"))
    if "far_share" in summary:
        far = _told(summary["far_share"], percent)[1]
        out.append(("far", f"{far} of the energy beyond half the image's side"))
    if summary.get("sigma"):
        out.append(("sigma", f"{sides(summary['sigma'])} px"))
        if summary.get("luo_sigma"):
            out.append(("Luo", f"{px(summary['luo_sigma'])} px predicted for uniform kernels (sigma)"))
    if "replknet_area_ratio" in summary:
        ratio = percent(summary["replknet_area_ratio"])
        out.append(("RepLKNet", f"{ratio} area ratio (not scale-free: do not compare across networks)"))
    if "density" in summary:
        holes = "holes inside the box" if summary["holes"] else "none: every pixel of the box"
        out += [
            ("pixels", f"{number(summary['pixels'])}, {percent(summary['density'])} of the box"),
            ("lines", f"{by(summary['lines'])} touched, largest gap {by(summary['largest_gap'])} px"),
            ("gridding", holes),
        ]
    if "size" in summary:
        theory = summary.get("theoretical_size")
        beside = f", theoretical {sides(theory)} px" if theory else ""
        out.append(("size", f"{_told(summary['size'], px)[1]} px{beside}"))
    return out


def _told(value: Any, write: Callable[[float], str]) -> tuple[float, str]:
    """A figure, and in words; of what was measured with its standard error."""
    mean, error = value if isinstance(value, tuple) else (value, math.nan)
    return mean, measured(mean, error, write)


def occlusion_rows(report: Report, rows: Sequence[Any], notes: Sequence[str]) -> Table:
    """Layer by layer: theoretical and empirical size. `rows` are `probes.erf.occlusion.OcclusionField`s."""
    cells = []
    for row in rows:
        # An empirical side is that of the square of the same area.
        theory = math.prod(row.theoretical) ** (1 / len(row.theoretical)) if row.theoretical else None
        known = not math.isnan(row.size)
        cells.append(
            (
                row.layer,
                NONE if row.theoretical is None else sides(row.theoretical),
                measured(row.size, row.spread, px) if known else "no answer",
                percent(row.size / theory) if theory and known else NONE,
                number(len(row.channels)) + (f" ({row.silent} silent)" if row.silent else ""),
            )
        )
    source = [f"over {rows[0].source}; ± is the spread over channels"] if rows else []
    return Table(
        title=f"occlusion fields of {report.spec} at {by(report.input_shape[1:])}",
        columns=(
            Column("layer"),
            *(Column(head, right=True) for head in ("theoretical px", "empirical px", "share", "channels")),
        ),
        rows=tuple(cells),
        notes=(*source, *dict.fromkeys([*(rows[0].notes if rows else ()), *notes])),
    )


def occlusion_json(report: Report, rows: Sequence[Any], notes: Sequence[str]) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "generator": GENERATOR,
        "model": {"spec": report.spec, "name": report.name, "input_shape": list(report.input_shape)},
        "method": "occlusion",
        "layers": [
            {
                "name": row.layer,
                "theoretical_size": None if row.theoretical is None else list(row.theoretical),
                "size": None if math.isnan(row.size) else row.size,
                "spread": None if math.isnan(row.spread) else row.spread,
                "channels": len(row.channels),
                "silent": row.silent,
                "source": row.source,
            }
            for row in rows
        ],
        "notes": list(notes),
    }
