"""`archlens erf` as text: one unit's field, or the occlusion table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from archlens.findings.figures import on_the_way
from archlens.report import GENERATOR, SCHEMA_VERSION, Report
from archlens.unit_field.result import FieldMap

MOST_LAYERS = 8


def text(found: FieldMap) -> str:
    """A few lines: who looks, what it sees, how sure that is."""
    sizes = found.input_shape[2:]
    where = ",".join(map(str, found.unit)) or "the only one"
    if found.details.get("projective"):
        return _reached(found, where)
    lines = [
        f"{found.method} field of {found.layer}, unit {where}, in {found.origin}",
        f"  model    {found.spec} at {'x'.join(map(str, found.input_shape[1:]))}",
        f"  centre   {', '.join(f'{c:g}' for c in found.centre)} px",
    ]
    if found.channel is not None:
        lines.append(f"  channel  {found.channel}")
    if found.visible is not None:
        box = " x ".join(str(h - low + 1) for low, h in zip(*found.visible, strict=True))
        span = ", ".join(f"{low}..{h}" for low, h in zip(*found.visible, strict=True))
        lines.append(f"  visible  {box} px ({span})")
    if not found.summary:
        lines.append(f"  unknown: {found.reason}")
    lines += _figures(found.summary, sizes if found.origin == "input" else ())
    lines += _phases(found.details)
    lines.append(f"  status   {found.status}" + (f": {found.reason}" if found.reason else ""))
    lines += [f"  assumes  {line}" for line in found.assumptions]
    lines += [f"  note     {line}" for line in found.notes]
    return "\n".join(lines)


def _reached(found: FieldMap, where: str) -> str:
    """The other direction: units that a pixel reaches."""
    lines = [
        f"units of {found.layer} that {found.origin} {where} can reach",
        f"  model    {found.spec} at {'x'.join(map(str, found.input_shape[1:]))}",
    ]
    s = found.summary
    if "pixels" in s:
        by = "" if found.map is None else f" of a map of {' x '.join(map(str, found.map.shape)) or '1'}"
        lines.append(f"  units    {s['pixels']:,}{by}, {100 * s['density']:.1f} % of their box")
    if "lines" in s:
        lines.append(
            f"  lines    {' x '.join(map(str, s['lines']))}, "
            f"largest gap {' x '.join(map(str, s['largest_gap']))}"
        )
    if "largest_share" in s:
        unit = ",".join(map(str, s["largest_unit"])) or "the only one"
        lines += [
            f"  share    at most {100 * s['largest_share']:.4g} % of a unit's expected energy (unit {unit})",
            f"  total    {s['total']:.4g} units' worth",
        ]
    lines.append(f"  status   {found.status}" + (f": {found.reason}" if found.reason else ""))
    lines += [f"  assumes  {line}" for line in found.assumptions]
    return "\n".join(lines)


def _phases(details: Mapping[str, Any]) -> list[str]:
    """One line: how much the support differs between phases."""
    count = details.get("phase_count", 1)
    if count <= 1:
        return []
    found = details["phases"]
    if not found:
        return [f"  phases   {count:,}, too many to look at one by one; --unit asks for one"]
    pixels = sorted(p["pixels"] for p in found)
    sides = sorted(max(p["box"]) for p in found)
    return [
        f"  phases   {count}: {pixels[0]:,} to {pixels[-1]:,} pixels, boxes {sides[0]} to {sides[-1]} px "
        "(--json has each)"
    ]


def _figures(summary: Any, image: Sequence[int]) -> list[str]:
    out = []
    for share in (25, 50, 75, 95):
        if f"erf_{share}" in summary:
            side, error = _value(summary[f"erf_{share}"])
            relative = f", {100 * side / max(image):.1f} % of the image" if image else ""
            out.append(f"  ERF {share} %  {side:.1f}{error} px{relative}")
    if "far_share" in summary:
        far, error = _value(summary["far_share"], 100)
        out.append(f"  far      {100 * far:.2f}{error} % of the energy beyond half the image's side")
    if summary.get("sigma"):
        out.append(f"  sigma    {', '.join(f'{s:.2f}' for s in summary['sigma'])} px")
        if summary.get("luo_sigma"):
            out.append(f"  Luo      {summary['luo_sigma']:.2f} px predicted for uniform kernels (sigma)")
    if "replknet_area_ratio" in summary:
        ratio = 100 * summary["replknet_area_ratio"]
        out.append(f"  RepLKNet {ratio:.2f} % area ratio (not scale-free: do not compare across networks)")
    if "density" in summary:
        out += [
            f"  pixels   {summary['pixels']:,}, {100 * summary['density']:.1f} % of the box",
            f"  lines    {' x '.join(map(str, summary['lines']))} touched, "
            f"largest gap {' x '.join(map(str, summary['largest_gap']))} px",
            "  gridding " + ("holes inside the box" if summary["holes"] else "none: every pixel of the box"),
        ]
    if "size" in summary:
        size, error = _value(summary["size"])
        theory = summary.get("theoretical_size")
        beside = f", theoretical {' x '.join(map(str, theory))} px" if theory else ""
        out.append(f"  size     {size:.1f}{error} px{beside}")
    return out


def _value(value: Any, scale: float = 1) -> tuple[float, str]:
    """A figure and its standard error in words."""
    if not isinstance(value, tuple):
        return float(value), ""
    number, error = value
    return float(number), "" if math.isnan(error) else f" ± {scale * error:.2g}"


# ------------------------------------------------------------------ the table of Zhou et al.


def telling_layers(report: Report) -> list[str]:
    """The poolings and convolutions on the way to the class-score cell whose field grows, a few of them:
    for AlexNet those of Zhou et al.'s Table 1."""
    rows, size = [], 1
    for row in on_the_way(report, report.class_score):
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


def occlusion_text(report: Report, rows: Sequence[Any], notes: Sequence[str]) -> str:
    """Layer by layer: theoretical and empirical size. `rows` are `probes.occlusion.OcclusionField`s."""
    head = ("layer", "theoretical px", "empirical px", "share", "channels")
    table = [head]
    for row in rows:
        theory = row.theoretical[0] if row.theoretical else None
        known = not math.isnan(row.size)
        table.append(
            (
                row.layer,
                "-" if row.theoretical is None else " x ".join(map(str, dict.fromkeys(row.theoretical))),
                f"{row.size:.1f} ± {row.spread:.1f}" if known else "no answer",
                f"{100 * row.size / theory:.0f} %" if theory and known else "-",
                f"{len(row.channels)}" + (f" ({row.silent} silent)" if row.silent else ""),
            )
        )
    widths = [max(len(r[i]) for r in table) for i in range(len(head))]
    lines = [f"occlusion fields of {report.spec} at {'x'.join(map(str, report.input_shape[1:]))}", ""]
    for r in table:
        cells = [r[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(r[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    said = dict.fromkeys([*(rows[0].notes if rows else ()), *notes])
    source = [f"over {rows[0].source}; ± is the spread over channels"] if rows else []
    return "\n".join([*lines, "", *source, *said])


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
