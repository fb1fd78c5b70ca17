"""The captures of networks that cannot change under our feet: those that ship with archlens, and those kept
in the user's cache directory.

The lineage ships captured (`zoo/captures`), so that its first look needs no torch: its networks at their own
sizes, those with short names at a few more. A capture counts as long as the content of the code that made it
(zoo, capture, graph) is the running one's; `benchmarks/zoo_captures.py` makes them again.

In the cache a zoo network or an installed package's model is the same graph as long as the spec, the options,
the input size, and the versions of archlens, torch and that package are; all of them are in the key. A user's
own file or module can change with anything that it imports, so it is never kept.

A cache is a convenience: whatever is wrong with it (truncated, foreign, read-only, full disk, two writers at
once), the answer is computed anew and nothing is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from archlens.errors import ArchlensError, UsageError
from archlens.graph import Graph
from archlens.graph.serialise import decode, encode
from archlens.showing import write_file
from archlens.spec import Spec
from archlens.version import __version__
from archlens.zoo.catalogue import find

FORMAT = 2
SHIPPED = Path(__file__).parent / "zoo" / "captures"
MAKERS = ("zoo", "capture", "graph")
"""Folders whose code decides what a capture of the zoo is."""

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
        "source": source(),
        "versions": versions,
        "kind": spec.kind,
        "target": spec.target,
        "options": dict(sorted(spec.options.items())),
        "size": None if size is None else list(size),
    }


def shipped(spec: Spec, size: tuple[int, ...] | None) -> tuple[Graph, str] | None:
    """The capture of a zoo network that came with archlens, and the network's name; None where there is none
    of this size, with these options, from this very code."""
    if spec.kind != "zoo" or spec.options:
        return None
    entry = find(spec.target)
    file = SHIPPED / shipped_name(entry.name, size or entry.input_shape)
    try:
        if not file.exists() or json.loads((SHIPPED / "index.json").read_bytes())["source"] != source(
            *MAKERS
        ):
            return None
        graph = decode(unpacked(file.read_bytes()))
        return (graph, entry.name) if graph.name == entry.name else None
    except (OSError, ValueError, KeyError, TypeError, zlib.error, ArchlensError):
        return None


def shipped_name(network: str, shape: Sequence[int]) -> str:
    """What its file is called."""
    return f"{network}-{'x'.join(map(str, shape))}{_SUFFIX}"


def packed(data: Any) -> bytes:
    """JSON, compressed; the same bytes for the same data."""
    return zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 9)


def unpacked(blob: bytes) -> Any:
    """The data of `packed`."""
    return json.loads(zlib.decompress(blob))


def load(wanted: dict[str, Any]) -> tuple[Graph, str] | None:
    """The graph and the model's name kept under a key, or None."""
    try:
        blob = _path(wanted).read_bytes()
        digest, payload = blob[:32], blob[32:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        data = unpacked(payload)
        if data["key"] != wanted:
            return None
        return decode(data["graph"]), str(data["name"])
    except (OSError, ValueError, KeyError, TypeError, zlib.error, ArchlensError):
        return None


def store(wanted: dict[str, Any], graph: Graph, name: str) -> None:
    """Keep a capture, whole or not at all."""
    try:
        payload = packed({"key": wanted, "name": name, "graph": encode(graph)})
        path = _path(wanted)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, hashlib.sha256(payload).digest() + payload)
        _prune(path.parent)
    except (OSError, ValueError, TypeError, UsageError):
        return


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


@lru_cache(maxsize=4)
def source(*folders: str) -> str:
    """A fingerprint of the content of our own code: of some folders, or of the whole package. The same on
    every machine, and another one after any edit."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for place in [root / name for name in folders] or [root]:
        for file in sorted(place.rglob("*.py"), key=lambda f: f.relative_to(root).as_posix()):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:32]


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
