"""JSON: the same bytes for the same input."""

from __future__ import annotations

import json
from typing import Any


def dumps(data: Any, indent: int | None = None) -> str:
    """Text of plain data, in one line where nothing else is asked for. NaN has no JSON and is refused."""
    return json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
