"""CSV: raw numbers in the units of the JSON, one row a layer or a network, never rounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from archlens.report import Report


def layers(report: Report, names: Sequence[str] | None = None) -> str:
    """Every layer (or those named) with everything that is known of it; a column a spatial axis."""
    wanted = None if names is None else set(names)
    rows = []
    for layer in report.layers:
        if wanted is not None and layer.name not in wanted:
            continue
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
