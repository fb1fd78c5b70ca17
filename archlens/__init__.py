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
    from archlens.comparing import CompareOptions, compare, explain
    from archlens.errors import ArchlensError
    from archlens.pipeline import analyze
    from archlens.probes.cue.run import CueOptions, cue
    from archlens.report import Report
    from archlens.trained import CueResult
    from archlens.unit_field.call import field_map
    from archlens.unit_field.result import FieldMap, RunOptions

_HOMES = {
    "analyze": "archlens.pipeline",
    "compare": "archlens.comparing",
    "cue": "archlens.probes.cue.run",
    "explain": "archlens.comparing",
    "field_map": "archlens.unit_field.call",
    "register_geometry": "archlens.capture.ops.custom",
    "ArchlensError": "archlens.errors",
    "CompareOptions": "archlens.comparing",
    "CueOptions": "archlens.probes.cue.run",
    "CueResult": "archlens.trained",
    "FieldMap": "archlens.unit_field.result",
    "Report": "archlens.report",
    "RunOptions": "archlens.unit_field.result",
}

__all__ = [
    "ArchlensError",
    "CompareOptions",
    "CueOptions",
    "CueResult",
    "FieldMap",
    "Report",
    "RunOptions",
    "__version__",
    "analyze",
    "compare",
    "cue",
    "explain",
    "field_map",
    "register_geometry",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'archlens' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
