"""CSV: raw numbers in the units of the JSON, one row a layer or a network, never rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # rows of the zoo are written without it, and without numpy
    from archlens.report import Report


def layers(report: Report, only: str | None = None) -> str:
    """Every layer (or one) with everything that is known of it; a column a spatial axis."""
    rows = []
    for layer in report.layers if only is None else [report.layer(only)]:
        flat = layer.to_json()
        field = flat.pop("rf") or {}
        local = field.pop("local", None) or {}
        visible = field.pop("visible", None) or {}
        rows.append(
            {
                **flat,
                **{f"rf_{key}": value for key, value in field.items()},
                **{f"rf_local_{key}": local.get(key) for key in ("size", "jump", "start")},
                **{f"visible_{key}": visible.get(key) for key in ("unit", "lo", "hi")},
            }
        )
    return records(rows)


def records(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of plain data under the union of their keys. Lists become `7x11` or, of words, `a b`."""
    rows = list(rows)
    heads = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, heads, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        if any(isinstance(v, (list, tuple)) for v in value):  # sizes by phase, an axis each
            return " x ".join("" if v is None else "|".join(map(str, v)) for v in value)
        return (" " if any(isinstance(v, str) for v in value) else "x").join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return value
