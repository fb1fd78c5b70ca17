"""archlens: what a dense-prediction network sees and what it costs.

    >>> import archlens
    >>> report = archlens.analyze("deeplabv2")
    >>> report.cell.rf.size
    (1411, 1411)

Importing archlens imports neither torch nor anything else that takes time; the names below load what they
need when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from archlens.version import __version__

if TYPE_CHECKING:
    from archlens.capture.ops.custom import register_geometry
    from archlens.errors import ArchlensError
    from archlens.pipeline import analyze
    from archlens.report import Report

_HOMES = {
    "analyze": "archlens.pipeline",
    "Report": "archlens.report",
    "ArchlensError": "archlens.errors",
    "register_geometry": "archlens.capture.ops.custom",
}

__all__ = ["ArchlensError", "Report", "__version__", "analyze", "register_geometry"]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'archlens' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
