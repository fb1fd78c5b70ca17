"""The captures of networks that cannot change under our feet, kept in the user's cache directory.

A zoo network or an installed package's model is the same graph as long as the spec, the options, the input
size, and the versions of archlens, torch and that package are; all of them are in the key. A user's own file
or module can change with anything that it imports, so it is never cached.

A cache is a convenience: whatever is wrong with it (truncated, foreign, read-only, full disk, two writers at
once), the answer is computed anew and nothing is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from archlens.errors import ArchlensError
from archlens.graph import Graph
from archlens.graph.serialise import decode, encode
from archlens.spec import Spec
from archlens.version import __version__

FORMAT = 1
MOST_ENTRIES = 256
_SUFFIX = ".graph"
_PACKAGES = {"torchvision": "torchvision", "timm": "timm", "smp": "segmentation_models_pytorch"}


@dataclass(frozen=True)
class Contents:
    """What `archlens cache info` shows."""

    folder: Path
    entries: int
    bytes: int


def folder() -> Path:
    """Where captures are kept: $ARCHLENS_CACHE_DIR, or the user's cache directory."""
    given = os.environ.get("ARCHLENS_CACHE_DIR")
    if given:
        return Path(given)
    import platformdirs

    return Path(platformdirs.user_cache_dir("archlens", appauthor=False))


def key(spec: Spec, size: tuple[int, ...] | None) -> dict[str, Any] | None:
    """Everything that a capture depends on, or None where that cannot be known."""
    if spec.kind != "zoo" and spec.kind not in _PACKAGES:
        return None
    try:
        versions = {"torch": version("torch")}
        if spec.kind in _PACKAGES:
            versions[spec.kind] = version(_PACKAGES[spec.kind])
    except PackageNotFoundError:
        return None
    return {
        "format": FORMAT,
        "archlens": __version__,
        "source": _source(),
        "versions": versions,
        "kind": spec.kind,
        "target": spec.target,
        "options": dict(sorted(spec.options.items())),
        "size": None if size is None else list(size),
    }


def load(wanted: dict[str, Any]) -> tuple[Graph, str] | None:
    """The graph and the model's name kept under a key, or None."""
    try:
        blob = _path(wanted).read_bytes()
        digest, payload = blob[:32], blob[32:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        data = json.loads(zlib.decompress(payload))
        if data["key"] != wanted:
            return None
        return decode(data["graph"]), str(data["name"])
    except (OSError, ValueError, KeyError, TypeError, zlib.error, ArchlensError):
        return None


def store(wanted: dict[str, Any], graph: Graph, name: str) -> None:
    """Keep a capture, whole or not at all."""
    temporary = ""
    try:
        data = json.dumps({"key": wanted, "name": name, "graph": encode(graph)}, separators=(",", ":"))
        payload = zlib.compress(data.encode(), 6)
        path = _path(wanted)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, path)
        _prune(path.parent)
    except (OSError, ValueError, TypeError):
        if temporary:
            _remove(Path(temporary))


def contents() -> Contents:
    """What the cache holds."""
    files = _entries(folder())
    return Contents(folder(), len(files), sum(_size(f) for f in files))


def clear() -> Contents:
    """Delete every capture; answers what was there."""
    before = contents()
    for file in _entries(before.folder):
        _remove(file)
    return before


def _path(wanted: dict[str, Any]) -> Path:
    text = json.dumps(wanted, sort_keys=True)
    return folder() / (hashlib.sha256(text.encode()).hexdigest()[:40] + _SUFFIX)


@lru_cache(maxsize=1)
def _source() -> str:
    """A fingerprint of our own source, so that an edited checkout never answers from before the edit."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for part in ("", "zoo", "zoo/backbones", "zoo/heads", "capture"):
        for file in sorted((root / part).glob("*.py")):
            status = file.stat()
            digest.update(f"{part}/{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _entries(where: Path) -> list[Path]:
    try:
        return sorted(where.glob("*" + _SUFFIX))
    except OSError:
        return []


def _prune(where: Path) -> None:
    """Let the oldest entries go when there are too many."""
    files = _entries(where)
    if len(files) > MOST_ENTRIES:
        by_age = sorted(files, key=_age)
        for file in by_age[: len(files) - MOST_ENTRIES]:
            _remove(file)


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError:
        return
