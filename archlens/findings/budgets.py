"""`archlens check`: a network's figures against its budgets and its baseline.

Each limit becomes one `Check`, passed or not, with the excess and the layers behind the figure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from archlens.errors import ReportError
from archlens.findings.diff import as_json
from archlens.findings.figures import numbers
from archlens.findings.watched import Level, Watched
from archlens.report import GENERATOR, SCHEMA_VERSION, Report

Verdict = Literal["ok", "warn", "fail", "unknown"]
TOLERANCE = 1e-6  # per cent; floats differ in their last digits from machine to machine


@dataclass(frozen=True)
class Check:
    """One limit.

    Attributes:
        network: Name in the settings.
        figure: Which figure.
        value: What it is now; None where it cannot be known.
        kind: `max`, `min`, or `baseline`.
        limit: The bound; for a baseline its value.
        excess: How far beyond the bound, per cent of it; for a baseline the signed change. Inside: None.
        allowed: Change that passes, per cent (baselines only).
        verdict: ok | warn | fail | unknown.
        layers: The layers behind the figure, dearest or most changed first.
    """

    network: str
    figure: str
    value: float | None
    kind: Literal["max", "min", "baseline"]
    limit: float
    excess: float | None
    allowed: float | None
    verdict: Verdict
    layers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite field is the text "inf"."""
        return {k: as_json(v) for k, v in asdict(self).items()}


def check(report: Report, watched: Watched, baseline: Mapping[str, Any] | None) -> list[Check]:
    """Every limit of one network.

    Args:
        report: The network as it is now.
        watched: Its budgets and allowed changes.
        baseline: As `read_baseline` gives it; None where there is none yet.
    """
    before = {k: _number(v) for k, v in (baseline or {}).get("figures", {}).items()}
    held = [f for f in watched.allowed if f in before]
    now = numbers(report, [b.figure for b in watched.budgets] + held)
    out: list[Check] = []
    for budget in watched.budgets:
        for kind, limit in (("max", budget.maximum), ("min", budget.minimum)):
            if limit is not None:
                value = now[budget.figure]
                layers = behind(report, budget.figure)
                out.append(_bound(watched.name, budget.figure, value, kind, limit, budget.level, layers))
    for figure in held:
        old = before[figure]
        if old is not None:
            layers = changed(report, baseline or {}, figure) or behind(report, figure)
            out.append(_against(watched, figure, now[figure], old, layers))
    return out


def _bound(
    network: str,
    figure: str,
    value: float | None,
    kind: str,
    limit: float,
    level: Level,
    layers: tuple[str, ...],
) -> Check:
    side: Literal["max", "min"] = "max" if kind == "max" else "min"
    if value is None:
        return Check(network, figure, None, side, limit, None, None, "unknown", layers)
    over = value - limit if side == "max" else limit - value
    if over <= 0:
        return Check(network, figure, value, side, limit, None, None, "ok", ())
    excess = math.inf if limit == 0 else 100 * over / abs(limit)
    verdict: Verdict = "warn" if level == "warn" else "fail"
    return Check(network, figure, value, side, limit, excess, None, verdict, layers)


def _against(
    watched: Watched, figure: str, value: float | None, old: float, layers: tuple[str, ...]
) -> Check:
    allowed = watched.allowed[figure]
    if value is None:
        return Check(watched.name, figure, None, "baseline", old, None, allowed, "unknown", layers)
    known = old != 0 and not math.isinf(old)
    change = 100 * (value - old) / abs(old) if known else 0.0 if value == old else math.inf
    change = 0.0 if abs(change) <= TOLERANCE else change
    passed = abs(change) <= allowed + TOLERANCE
    return Check(
        watched.name, figure, value, "baseline", old, change, allowed, "ok" if passed else "fail",
        () if passed else layers,
    )  # fmt: skip


# ------------------------------------------------------------------ the layers behind a figure

_COSTS = {"params": "params", "macs": "macs", "flops": "macs", "elementwise": "elementwise",
          "peak_memory": "activation_bytes", "param_bytes": "params"}  # fmt: skip


MOST = 3
"""Layers that are named behind a figure."""


def behind(report: Report, figure: str) -> tuple[str, ...]:
    """The dearest layers of a cost; the class-score cell for anything that it sees."""
    if figure not in _COSTS:
        return (report.class_score,)
    costs = {row.name: int(getattr(row, _COSTS[figure])) for row in report.layers}
    return _dearest(costs)


def changed(report: Report, baseline: Mapping[str, Any], figure: str) -> tuple[str, ...]:
    """The layers whose cost differs most from the baseline's, new and lost ones among them."""
    cost = _COSTS.get(figure)
    if cost not in ("params", "macs"):  # all that a baseline has of its layers
        return ()
    old = {row["name"]: row.get(cost, 0) for row in baseline.get("layers", ())}
    new = {row.name: int(getattr(row, cost)) for row in report.layers}
    return _dearest({name: abs(new.get(name, 0) - old.get(name, 0)) for name in {**old, **new}})


def _dearest(costs: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(name for name in sorted(costs, key=lambda n: -costs[n])[:MOST] if costs[name])


# ------------------------------------------------------------------ baselines


def baseline_of(report: Report) -> dict[str, Any]:
    """What a baseline file holds: all figures, and each layer's costs."""
    return {
        "schema_version": SCHEMA_VERSION,
        "generator": GENERATOR,
        "spec": report.spec,
        "input_shape": list(report.input_shape),
        "figures": {name: _rounded(value) for name, value in numbers(report).items()},
        "layers": [
            {"name": r.name, "op": r.op, "shape": list(r.shape), "params": r.params, "macs": r.macs}
            for r in report.layers
        ],
    }


def baseline_text(report: Report) -> str:
    """The file's text: one layer a line, so that a diff of two baselines reads well."""
    data = baseline_of(report)
    layers = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in data.pop("layers"))
    head = json.dumps(data, indent=1, ensure_ascii=False)
    return f'{head[:-2]},\n "layers": [\n{layers}\n ]\n}}\n'


def read_baseline(path: Path) -> dict[str, Any] | None:
    """A baseline file, or None where there is none.

    Raises:
        ReportError: It is there and cannot be read as one.
    """
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema_version"] > SCHEMA_VERSION or not isinstance(data["figures"], dict):
            raise ValueError("of a later schema")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(
            f"{path} is no baseline: {error}", "Write it again with `archlens check --update-baseline`."
        ) from error
    return dict(data)


def summary(checks: Sequence[Check]) -> dict[Verdict, int]:
    """How many of each verdict."""
    return {verdict: sum(c.verdict == verdict for c in checks) for verdict in get_args(Verdict)}


def _rounded(value: float | None) -> Any:
    """Whole numbers as integers, the rest to nine digits: the same file on every machine."""
    return as_json(value if value is None or value.is_integer() else float(f"{value:.9g}"))


def _number(value: Any) -> float | None:
    return math.inf if value == "inf" else (None if value is None else float(value))
