"""Comparing nested results whose numbers another machine adds up in another order."""

from __future__ import annotations

from typing import Any

import pytest


def nearly(value: Any, rel: float = 1e-9) -> Any:
    """The same, with every number other than a whole one taken approximately."""
    if isinstance(value, dict):
        return {k: nearly(v, rel) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(nearly(v, rel) for v in value)
    return pytest.approx(value, rel=rel) if isinstance(value, float) else value
