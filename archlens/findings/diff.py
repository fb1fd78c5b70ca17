"""`archlens diff`: two versions of a network, layer by layer, and what the change did to the whole.

Layers are matched by name first; of those left over, runs of the same operation, shape and parameters are
matched in order (a renamed module), and what is still alone was added or removed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from archlens.findings.figures import numbers
from archlens.report import GENERATOR, SCHEMA_VERSION, LayerReport, Report

_OWN = ("op", "shape", "params", "macs")
_COMPARED = (*_OWN, "rf")


@dataclass(frozen=True)
class LayerChange:
    """One layer that is not the same in both.

    Attributes:
        kind: added | removed | changed | renamed.
        old, new: Its name on either side; None where it is absent.
        changes: Field -> (old, new) of what differs.
    """

    kind: str
    old: str | None
    new: str | None
    changes: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class FigureChange:
    """One figure of the whole network. `percent` is None where it cannot be said."""

    figure: str
    old: float | None
    new: float | None
    percent: float | None


@dataclass(frozen=True)
class Diff:
    """What lies between two reports."""

    old: Report
    new: Report
    layers: tuple[LayerChange, ...]
    figures: tuple[FigureChange, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.layers and all(f.old == f.new for f in self.figures)

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite field is the text "inf"."""
        return {
            "schema_version": SCHEMA_VERSION,
            "generator": GENERATOR,
            "old": {"spec": self.old.spec, "name": self.old.name, "input_shape": list(self.old.input_shape)},
            "new": {"spec": self.new.spec, "name": self.new.name, "input_shape": list(self.new.input_shape)},
            "same": self.same,
            "figures": [
                {
                    "figure": f.figure,
                    "old": as_json(f.old),
                    "new": as_json(f.new),
                    "percent": as_json(f.percent),
                }
                for f in self.figures
            ],
            "layers": [
                {
                    "kind": c.kind,
                    "old": c.old,
                    "new": c.new,
                    "changes": {k: [as_json(a), as_json(b)] for k, (a, b) in c.changes.items()},
                }
                for c in self.layers
            ],
        }


def diff(old: Report, new: Report) -> Diff:
    """Compare two reports of (versions of) one network."""
    before, after = numbers(old), numbers(new)
    figures = tuple(
        FigureChange(name, before[name], after[name], _percent(before[name], after[name])) for name in before
    )
    return Diff(old, new, tuple(_layers(old, new)), figures)


def match(old: Sequence[LayerReport], new: Sequence[LayerReport]) -> list[tuple[int | None, int | None]]:
    """Pairs of positions, in the new order; removed layers stand where they were."""
    place = {row.name: j for j, row in enumerate(new)}
    pairs = {i: place[row.name] for i, row in enumerate(old) if row.name in place}
    taken = set(pairs.values())
    left_old = [i for i in range(len(old)) if i not in pairs]
    left_new = [j for j in range(len(new)) if j not in taken]
    matcher = SequenceMatcher(
        None, [_likeness(old[i]) for i in left_old], [_likeness(new[j]) for j in left_new], autojunk=False
    )
    for a, b, size in matcher.get_matching_blocks():
        for k in range(size):
            pairs[left_old[a + k]] = left_new[b + k]
    back = {j: i for i, j in pairs.items()}
    out: list[tuple[int | None, int | None]] = []
    gone = [i for i in range(len(old)) if i not in pairs]
    for j in range(len(new)):
        i = back.get(j)
        while gone and i is not None and gone[0] < i:
            out.append((gone.pop(0), None))
        out.append((i, j))
    return out + [(i, None) for i in gone]


def _likeness(row: LayerReport) -> tuple[Any, ...]:
    return row.op, row.shape, row.params


def _layers(old: Report, new: Report) -> list[LayerChange]:
    out = []
    for i, j in match(old.layers, new.layers):
        a, b = None if i is None else old.layers[i], None if j is None else new.layers[j]
        kind = (
            "added" if a is None else "removed" if b is None else "changed" if a.name == b.name else "renamed"
        )
        keys = _COMPARED if a and b else _OWN
        changes = {key: (va, vb) for key in keys if (va := _value(a, key)) != (vb := _value(b, key))}
        if changes or kind != "changed":
            out.append(LayerChange(kind, _value(a, "name"), _value(b, "name"), changes))
    return out


def _value(row: LayerReport | None, key: str) -> Any:
    if key == "rf" and row is not None:
        return None if row.rf is None else (row.rf.size if row.rf.kind == "local" else row.rf.kind)
    return getattr(row, key, None)


def _percent(old: float | None, new: float | None) -> float | None:
    if old is None or new is None or math.isinf(old) or math.isinf(new):
        return 0.0 if old == new and old is not None else None
    if old == 0:
        return 0.0 if new == 0 else None
    return 100 * (new - old) / abs(old)


def as_json(value: Any) -> Any:
    """A figure as JSON takes it: an infinite one is a text, a whole one an integer, a tuple a list."""
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, tuple) else value
