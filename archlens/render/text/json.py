"""JSON, compact: one line, the same bytes for the same input."""

from __future__ import annotations

import json
from typing import Any


def dumps(data: Any) -> str:
    """Text of plain data. NaN has no JSON and is refused."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False)
