"""What follows from geometry alone: growth, degeneration, borders, sizes, resolution, tiling."""

from __future__ import annotations

from collections.abc import Sequence

from archlens.findings.claims.paths import wide
from archlens.findings.evidence.records import Evidence
from archlens.findings.finding import Finding

FEW_TAPS = 0.5  # a window that keeps less than this share of its taps counts as degenerate


def growth_stops(evidence: Sequence[Evidence]) -> list[Finding]:
    """Where each network's finite field stops growing, and which stage adds most."""
    out = []
    for e in evidence:
        g = e.growth
        if g.stops_at is None or g.stops_with is None or not g.stages:
            continue
        most = max(g.stages, key=lambda s: s.after - s.before)
        out.append(
            Finding(
                "growth_stops",
                {
                    "name": e.label,
                    "layer": g.stops_at,
                    "field": g.stops_with,
                    "image": e.reach.image,
                    "share": g.stops_with / e.reach.image,
                    "resampling": g.resampling,
                    "stage": [most.first, most.last],
                    "added": most.after - most.before,
                    "macs_per_pixel": most.macs_per_pixel,
                    "global_from": e.reach.global_from,
                },
                (g.stops_at,),
                "exact",
                72 if not wide(e.paths) else 48,
                "global" if e.reach.global_from else ("resampled" if g.resampling else ""),
            )
        )
    return out


def degenerate(evidence: Sequence[Evidence]) -> list[Finding]:
    """Branches that keep less than half of their taps on their map; worst where the centre keeps only one."""
    out = []
    for e in evidence:
        for b in e.paths.branches if e.paths else ():
            if b.taps is None or b.mean_taps is None or b.rate is None or b.rate == 1 or e.paths is None:
                continue
            if b.mean_taps >= FEW_TAPS * b.taps:
                continue
            out.append(
                Finding(
                    "degenerate",
                    {
                        "name": e.label,
                        "branch": b.name,
                        "rate": b.rate,
                        "map": e.paths.fork_map[0],
                        "shape": list(e.paths.fork_map),
                        "taps": b.taps,
                        "mean_taps": b.mean_taps,
                        "centre_taps": b.centre_taps,
                        "corner_taps": b.corner_taps,
                        "macs": b.macs,
                        "params": b.params,
                    },
                    (b.name,),
                    "exact",
                    78 if b.centre_taps == 1 else 52,
                    "point" if b.centre_taps == 1 else "",
                )
            )
    return out


def by_position(evidence: Sequence[Evidence]) -> list[Finding]:
    """What the border costs: how much of the image a cell sees at the corner, at the edge, at the centre."""
    items = [
        {
            "name": e.label,
            "corner": e.reach.seen.corner,
            "edge": e.reach.seen.edge,
            "centre": e.reach.seen.centre,
            "mean": e.reach.seen.mean,
        }
        for e in evidence
        if e.reach.seen is not None and e.reach.seen.least < 1
    ]
    whole = [e.label for e in evidence if e.reach.seen is not None and e.reach.seen.least == 1]
    if not items:
        return []
    return [
        Finding("by_position", {"items": items, "whole": whole}, (), "exact", 54, "whole" if whole else "")
    ]


def fixed_grid(evidence: Sequence[Evidence]) -> list[Finding]:
    """Fixed grids (the same few windows for all cells) against sliding windows, and what borders take."""
    out = []
    for e in evidence:
        if e.paths is None or not e.paths.fork_map:
            continue
        rows = e.paths.fork_map[0]
        # A sliding window has one for each row; bins that divide the map evenly have a local field too.
        grid = [
            b
            for b in e.paths.branches
            if b.kind != "global" and b.taps is None and b.windows and 1 < b.windows < rows / 2
        ]
        sliding = [b for b in e.paths.branches if b.taps is not None and b.taps > 1 and b.mean_taps]
        if grid:
            out.append(
                Finding(
                    "by_window",
                    {
                        "name": e.label,
                        "rows": rows,
                        "items": [{"name": b.name, "windows": b.windows, "cells": b.cells} for b in grid],
                    },
                    tuple(b.name for b in grid),
                    "exact",
                    40,
                    "grid",
                )
            )
        if sliding:
            out.append(
                Finding(
                    "by_window",
                    {
                        "name": e.label,
                        "items": [
                            {
                                "name": b.name,
                                "taps": b.taps,
                                "mean": b.mean_taps,
                                "corner": b.corner_taps,
                                "centre": b.centre_taps,
                                "lost": 1 - (b.mean_taps or 0) / (b.taps or 1),
                            }
                            for b in sliding
                        ],
                    },
                    tuple(b.name for b in sliding),
                    "exact",
                    40,
                    "sliding",
                )
            )
    return out


def by_size(evidence: Sequence[Evidence]) -> list[Finding]:
    """Where a trunk stops covering the image, and where a rate degenerates."""
    out = []
    for e in evidence:
        sizes = sorted(e.sizes, key=lambda s: s.side)
        if len(sizes) < 2:
            continue
        short = [s for s in sizes if s.trunk_share is not None and s.trunk_share < 1]
        if short and short[0].trunk is not None:
            covered = [s.side for s in sizes if s.trunk_share is not None and s.trunk_share >= 1]
            out.append(
                Finding(
                    "by_size",
                    {
                        "name": e.label,
                        "trunk": short[0].trunk,
                        "short": short[0].side,
                        "share": short[0].trunk_share,
                        "largest": sizes[-1].side,
                        "largest_share": sizes[-1].trunk_share,
                        "covered": covered,
                    },
                    (e.head_input,) if e.head_input else (),
                    "exact",
                    46,
                    "part" if covered else "never",
                )
            )
        worn = [
            {"side": s.side, "branch": r.layer, "mean": r.mean_taps, "taps": r.taps, "centre": r.centre_taps}
            for s in sizes
            for r in s.rates
            if r.mean_taps < FEW_TAPS * r.taps
        ]
        if worn:
            out.append(
                Finding(
                    "by_size",
                    {"name": e.label, "items": worn, "sides": [s.side for s in sizes]},
                    tuple(dict.fromkeys(str(w["branch"]) for w in worn)),
                    "exact",
                    47,
                    "rates",
                )
            )
    return out


def resolution(evidence: Sequence[Evidence]) -> list[Finding]:
    """Deepest stride, the cell's stride, and what a decoder brings back."""
    known = [e for e in evidence if e.resolution is not None]
    if len({(e.resolution.deepest, e.resolution.cell) for e in known if e.resolution}) < 2:
        return []
    items = []
    for e in known:
        r = e.resolution
        assert r is not None
        skips = [{"layer": layer, "stride": stride} for layer, stride in r.skips]
        items.append(
            {
                "name": e.label,
                "deepest": r.deepest,
                "map": r.map[0] if r.map else 1,
                "shape": list(r.map),
                "cell": r.cell or r.deepest,
                "skips": skips,
            }
        )
    return [Finding("resolution", {"items": items}, (), "exact", 44)]


def unproductive(evidence: Sequence[Evidence]) -> list[Finding]:
    """Layers whose input already spans the image."""
    out = []
    for e in evidence:
        p = e.productive
        if not p.layers:
            continue
        out.append(
            Finding(
                "unproductive",
                {
                    "name": e.label,
                    "count": len(p.layers),
                    "first": p.first,
                    "before": p.first_before,
                    "image": e.reach.image,
                    "everywhere": len(p.everywhere),
                    "shortest": p.shortest_also,
                    "macs": p.macs,
                    "macs_share": e.cost.share(p.macs),
                },
                p.layers,
                "exact",
                62,
                "" if p.first_before is not None else "global",
            )
        )
    return out


def overlap(evidence: Sequence[Evidence]) -> list[Finding]:
    """The overlap of tiled inference, each side by itself."""
    out = []
    for e in evidence:
        o = e.overlap
        if o is None:
            continue
        sides = (
            ("top", "left") if len(o.before) == 2 else tuple(f"axis{i}_first" for i in range(len(o.before)))
        )
        ends = (
            ("bottom", "right")
            if len(o.before) == 2
            else tuple(f"axis{i}_last" for i in range(len(o.before)))
        )
        items = [
            {"side": side, "pixels": pixels}
            for pair in zip(sides, o.before, ends, o.after, strict=True)
            for side, pixels in (pair[:2], pair[2:])
        ]
        out.append(
            Finding(
                "overlap",
                {
                    "name": e.label,
                    "before": list(o.before),
                    "after": list(o.after),
                    "items": items,
                    "multiple": list(o.multiple),
                    "source": o.source,
                },
                (o.source,) if o.source else (),
                "exact",
                56,
                "" if o.exact else "never",
            )
        )
    return out


def field_of_view(evidence: Sequence[Evidence]) -> list[Finding]:
    """DeepLab's published convention beside the theoretical field."""
    return [
        Finding(
            "field_of_view",
            {
                "name": e.label,
                "published": e.reach.fov.published,
                "plain": e.reach.fov.plain,
                "released": e.reach.fov.released,
                "padding": (e.reach.fov.plain - e.reach.fov.published) // 2,
            },
            (),
            "exact",
            45,
        )
        for e in evidence
        if e.reach.fov is not None and e.family is not None and e.family.startswith("deeplab")
    ]
