"""Project settings: `[tool.archlens]` in pyproject.toml, or an archlens.toml. No torch.

    [tool.archlens]
    input_size = "3x513x513"            # defaults of the shared options
    device = "cpu"
    lang = "en"
    baselines = "reports/baselines"     # folder, relative to this file

    [tool.archlens.allowed]             # changes against the baseline that pass, per cent either way
    macs = 1.0
    erf_95 = 5.0

    [tool.archlens.networks.mynet]      # networks that `archlens check` watches
    spec = "models/net.py:make?width=32"
    input_size = "3x512x1024"
    [tool.archlens.networks.mynet.budgets]
    macs = { max = 2.0e11 }
    erf_95 = { min = 200, level = "warn" }

Precedence: command line, ARCHLENS_* environment variables, this file, built-in defaults. Dashes and
underscores in keys mean the same. Unknown keys are errors.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archlens.errors import UsageError, did_you_mean
from archlens.findings.watched import Budget, Watched
from archlens.spec import parse_size, spelled

_TOP = ("input_size", "device", "lang", "baselines", "allowed", "networks")
_NETWORK = ("spec", "input_size", "budgets", "allowed", "set")
_BUDGET = ("min", "max", "level")
DEVICES = ("auto", "cpu", "cuda", "meta", *(f"cuda:{n}" for n in range(16)))
LANGUAGES = ("en", "ko")


@dataclass(frozen=True)
class Settings:
    """What a project has set. `path` is the file, or None where there is none."""

    path: Path | None = None
    input_size: str | None = None
    device: str | None = None
    lang: str | None = None
    baselines: Path | None = None
    networks: tuple[Watched, ...] = ()
    allowed: Mapping[str, float] = field(default_factory=dict)


def find(start: Path, given: Path | None = None, watched: bool = True) -> Settings:
    """The settings in force in a folder: of the file given, else of the nearest one upwards.

    Where the networks watched are not asked for, their figures are neither read nor checked: every command
    asks for a project's defaults, and knowing the figures costs numpy.

    Raises:
        UsageError: The file is missing or malformed, or says something that archlens does not know.
    """
    if given is not None:
        if not given.is_file():
            raise UsageError(f"there is no settings file {given}", "Check --config.")
        return read(given, watched)
    for folder in (start, *start.parents):
        own = folder / "archlens.toml"
        if own.is_file():
            return read(own, watched)
        project = folder / "pyproject.toml"
        if project.is_file() and _table(project) is not None:
            return read(project, watched)
    return Settings()


def read(path: Path, watched: bool = True) -> Settings:
    """The settings of one file: `[tool.archlens]` of a pyproject.toml, the top level of any other."""
    table = _table(path) or {}
    top = _known(table, _TOP, path, "")
    allowed = _allowed(top.get("allowed", {}), path, "allowed") if watched else {}
    networks = _mapping(top.get("networks", {}), path, "networks", "a table of networks") if watched else {}
    baselines = top.get("baselines", "reports/baselines")
    return Settings(
        path=path,
        input_size=_size_text(top.get("input_size"), path, "input_size"),
        device=_choice(top.get("device"), DEVICES, path, "device"),
        lang=_choice(top.get("lang"), LANGUAGES, path, "lang"),
        baselines=path.parent / _text(baselines, path, "baselines"),
        networks=tuple(_network(str(name), body, path, allowed) for name, body in networks.items()),
        allowed=allowed,
    )


def _table(path: Path) -> Mapping[str, Any] | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "Check the file.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}", "Mend it at the line named.") from error
    if path.name != "pyproject.toml":
        return data
    tool = data.get("tool", {})
    found = tool.get("archlens") if isinstance(tool, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _network(name: str, body: Any, path: Path, inherited: Mapping[str, float]) -> Watched:
    where = f"networks.{name}"
    table = _known(_mapping(body, path, where, "a table"), _NETWORK, path, where)
    size = _size_text(table.get("input_size"), path, f"{where}.input_size")
    budgets = _mapping(table.get("budgets", {}), path, f"{where}.budgets", "a table of figures")
    options = _mapping(table.get("set", {}), path, f"{where}.set", "a table of options")
    return Watched(
        name=name,
        spec=_text(table.get("spec", name), path, f"{where}.spec"),
        input_size=None if size is None else parse_size(size),
        options=tuple(f"{key}={spelled(value)}" for key, value in options.items()),
        budgets=tuple(
            _budget(str(figure), limits, path, f"{where}.budgets") for figure, limits in budgets.items()
        ),
        allowed={**inherited, **_allowed(table.get("allowed", {}), path, f"{where}.allowed")},
    )


def _budget(figure: str, limits: Any, path: Path, where: str) -> Budget:
    name = _figure(figure, path, where)
    limits = _mapping(limits, path, f"{where}.{figure}", "a table such as { max = 2e11 }")
    table = _known(limits, _BUDGET, path, f"{where}.{figure}")
    low, high = (_number(table.get(k), path, f"{where}.{figure}.{k}") for k in ("min", "max"))
    if low is None and high is None:
        raise _wrong(path, f"{where}.{figure}", "a min, a max, or both")
    level = _choice(table.get("level", "error"), ("warn", "error"), path, f"{where}.{figure}.level")
    return Budget(name, low, high, "warn" if level == "warn" else "error")


def _allowed(table: Any, path: Path, where: str) -> dict[str, float]:
    out = {}
    for figure, percent in _mapping(table, path, where, "a table of figures and per cents").items():
        value = _number(percent, path, f"{where}.{figure}")
        if value is None or value < 0:
            raise _wrong(path, f"{where}.{figure}", "a number of per cent, 0 or more")
        out[_figure(str(figure), path, where)] = value
    return out


def _figure(name: str, path: Path, where: str) -> str:
    from archlens.findings.figures import LIMITS  # only settings with budgets need to know them

    plain = name.replace("-", "_")
    if plain not in LIMITS:
        raise UsageError(f"{path}: {where} names an unknown figure {name!r}", did_you_mean(plain, LIMITS))
    return plain


def _known(table: Mapping[str, Any], known: tuple[str, ...], path: Path, where: str) -> dict[str, Any]:
    out = {}
    for key, value in table.items():
        plain = str(key).replace("-", "_")
        if plain not in known:
            place = f" in {where}" if where else ""
            raise UsageError(f"{path}: unknown key {key!r}{place}", did_you_mean(plain, known))
        out[plain] = value
    return out


def _mapping(value: Any, path: Path, where: str, wanted: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(path, where, wanted)
    return value


def _text(value: Any, path: Path, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(path, where, "a text")
    return value


def _size_text(value: Any, path: Path, where: str) -> str | None:
    if value is None:
        return None
    text = _text(value, path, where)
    try:
        parse_size(text)
    except UsageError as error:
        raise UsageError(f"{path}: {where}: {error.message}", error.hint) from error
    return text


def _choice(value: Any, known: tuple[str, ...], path: Path, where: str) -> str | None:
    if value is None:
        return None
    if value not in known:
        raise UsageError(f"{path}: {where} cannot be {value!r}", did_you_mean(str(value), known))
    return str(value)


def _number(value: Any, path: Path, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong(path, where, "a number")
    return float(value)


def _wrong(path: Path, where: str, wanted: str) -> UsageError:
    return UsageError(f"{path}: {where} must be {wanted}", "docs/ci.md shows an example.")
