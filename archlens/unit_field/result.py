"""The result of looking at one unit: a map of what it uses, its figures, and how sure they are."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archlens.errors import UsageError
from archlens.report import GENERATOR, SCHEMA_VERSION, json_value

Method = Literal["support", "expected", "gradient", "occlusion"]
METHODS: tuple[Method, ...] = ("support", "expected", "gradient", "occlusion")


@dataclass(frozen=True)
class FieldMap:
    """A unit's field.

    Attributes:
        map: Over the origin's positions: bool for support, else float64 of sum 1; None where unknown. Of a
            projective field over the layer's positions: bool, or float64 shares of each unit's energy.
        summary: Figures of the map; each a number, or a (value, standard error) pair where measured.
        status: exact | bound | assumed | unknown, with the reason.
        visible: (lo, hi) of the unit's visible box in the origin, inclusive.
    """

    spec: str
    name: str
    input_shape: tuple[int, ...]
    method: Method
    layer: str
    unit: tuple[int, ...]
    origin: str
    channel: int | None
    centre: tuple[float, ...]
    map: NDArray[Any] | None
    summary: Mapping[str, Any]
    status: str
    reason: str | None
    visible: tuple[tuple[int, ...], tuple[int, ...]] | None
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the map."""
        return {
            "schema_version": SCHEMA_VERSION,
            "generator": GENERATOR,
            "model": {"spec": self.spec, "name": self.name, "input_shape": list(self.input_shape)},
            "method": self.method,
            "layer": self.layer,
            "unit": list(self.unit),
            "from": self.origin,
            "channel": self.channel,
            "map_shape": None if self.map is None else list(self.map.shape),
            "centre": list(self.centre),
            "visible": None
            if self.visible is None
            else {"lo": list(self.visible[0]), "hi": list(self.visible[1])},
            "summary": {key: json_value(value) for key, value in self.summary.items()},
            "status": self.status,
            "status_reason": self.reason,
            "assumptions": list(self.assumptions),
            "notes": list(self.notes),
            **{key: json_value(value) for key, value in self.details.items()},
        }

    def to_npz(self) -> bytes:
        """`map` (float64, or bool for support) and `meta` (this as a JSON string), as an .npz file.

        Raises:
            UsageError: There is no map to write.
        """
        if self.map is None:
            raise UsageError(
                f"there is no {self.method} map of {self.layer}: {self.reason or 'nothing reaches it'}",
                "Leave -o out to see what is known.",
            )
        out = io.BytesIO()
        values = self.map if self.map.dtype == bool else np.asarray(self.map, np.float64)
        np.savez_compressed(out, map=values, meta=np.array(json.dumps(self.to_dict())))
        return out.getvalue()
