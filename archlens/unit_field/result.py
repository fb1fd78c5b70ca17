"""The result of looking at one unit: a map of what it uses, its figures, and how sure they are."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.summaries import PERCENT, centred_sides
from archlens.errors import UsageError
from archlens.report import GENERATOR, SCHEMA_VERSION, json_value
from archlens.showing import Shown

Method = Literal["support", "expected", "gradient", "occlusion"]
METHODS: tuple[Method, ...] = ("support", "expected", "gradient", "occlusion")


@dataclass(frozen=True)
class RunOptions:
    """How a network is run for `gradient` and `occlusion`.

    Attributes:
        device: auto | cpu | cuda | cuda:N.
        weights: Checkpoint to load; None for the weights that the network is built with.
        images: Folder of images; None for noise and random weights (gradient only).
        limit: Images at most.
        channel: Only this channel of the unit; None for all.
        runs: Random networks to average over.
        batch_size: Images at a time.
        seed: Of weights and noise.
        mean, std, bgr: Preprocessing; None for the model's own.
        patch, stride: Side and step of the occluder, px.
        mixed: bfloat16 arithmetic where that is allowed.
    """

    device: str = "auto"
    weights: str | None = None
    images: str | None = None
    limit: int | None = None
    channel: int | None = None
    runs: int = 32
    batch_size: int = 2
    seed: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    bgr: bool | None = None
    patch: int = 11
    stride: int = 3
    mixed: bool = False


@dataclass(frozen=True)
class FieldMap(Shown):
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
    centre: tuple[float, ...]
    channel: int | None = None
    map: NDArray[Any] | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    status: str = "unknown"
    reason: str | None = None
    visible: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def projective(self) -> bool:
        """Whether it is the other direction: units that one pixel reaches."""
        return bool(self.details.get("projective"))

    @property
    def squares(self) -> dict[int, float]:
        """Percent of the energy -> side of the centred square that holds it, px; of maps of energy."""
        if self.map is None or self.map.dtype == bool or self.projective:
            return {}
        sides = centred_sides(self.map, self.centre, [share / 100 for share in PERCENT])
        return dict(zip(PERCENT, sides, strict=True))

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
