"""The captures of networks that cannot change under our feet: those that ship with archlens, and those kept
in the user's cache directory.

The lineage ships captured (`zoo/captures`), so that its first look needs no torch: its networks at their own
sizes, those with short names at a few more. A capture counts as long as the content of the code that made it
(zoo, capture, graph) is the running one's; `benchmarks/zoo_captures.py` makes them again.

In the cache a zoo network or an installed package's model is the same graph as long as the spec, the options,
the input size, and the versions of archlens, torch and that package are; all of them are in the key. A user's
own file or module can change with anything that it imports, so its capture is never kept.

What takes long to derive from a graph is kept too, with the graph itself and the code that derives it in the
key; for the short names at their own sizes it ships beside the captures.

A cache is a convenience: whatever is wrong with it (truncated, foreign, read-only, full disk, two writers at
once), the answer is computed anew and nothing is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

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
DERIVERS = ("graph", "analyses", "study.py", "findings/evidence", "shades.py")
"""What decides which figures are derived from a graph."""

MOST_ENTRIES = 512
_SUFFIX = ".kept"
T = TypeVar("T")
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
        "name": spec.target,
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
    except (OSError, ValueError, KeyError, TypeError, RecursionError, zlib.error, ArchlensError):
        return None


def shipped_name(network: str, shape: Sequence[int]) -> str:
    """What its file is called."""
    return f"{network}-{'x'.join(map(str, shape))}.graph"


def packed(data: Any) -> bytes:
    """JSON, compressed; the same bytes for the same data."""
    return zlib.compress(json.dumps(data, separators=(",", ":")).encode(), 9)


def unpacked(blob: bytes) -> Any:
    """The data of `packed`."""
    return json.loads(zlib.decompress(blob))


def figures_key(graph: Graph, cell: int, output: int, extend: bool) -> dict[str, Any]:
    """Everything that the slow figures of a graph depend on: the same on every machine."""
    content = json.dumps(encode(graph), sort_keys=True).encode()
    shape = graph.nodes[graph.inputs[0]].shape[1:]
    return {
        "format": FORMAT,
        "source": source(*DERIVERS),
        "name": f"{graph.name} {'x'.join(map(str, shape))}{' extended' if extend else ''}",
        "graph": hashlib.sha256(content).hexdigest(),
        "cell": cell,
        "output": output,
    }


def load(wanted: dict[str, Any], read: Callable[[Any], T]) -> T | None:
    """What was kept under a key, as `read` makes it of plain data; None where there is nothing sound."""
    for file in (file_of(wanted, SHIPPED), file_of(wanted, folder())):
        try:
            blob = file.read_bytes()
            data = unpacked(blob[32:])
            if hashlib.sha256(blob[32:]).digest() == blob[:32] and data["key"] == wanted:
                return read(data["value"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError, zlib.error, ArchlensError):
            continue
    return None


def store(wanted: dict[str, Any], value: Any, where: Path | None = None) -> None:
    """Keep plain data, whole or not at all."""
    try:
        payload = packed({"key": wanted, "value": value})
        path = file_of(wanted, where or folder())
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, hashlib.sha256(payload).digest() + payload)
        _remove(_entries(path.parent)[:-MOST_ENTRIES])
    except (OSError, ValueError, TypeError, UsageError):
        return


def contents() -> Contents:
    """What the cache holds."""
    sizes = [size for _, size, _ in _entries(folder())]
    return Contents(folder(), len(sizes), sum(sizes))


def clear() -> Contents:
    """Delete all that is kept; answers what was there."""
    before = contents()
    _remove(_entries(before.folder))
    return before


def file_of(wanted: dict[str, Any], where: Path) -> Path:
    """The file of a key: called after the network where it ships, elsewhere after all of the key."""
    name = re.sub("[^A-Za-z0-9_]+", "-", wanted["name"])[:60]
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    return where / (name + ("" if where == SHIPPED else f"-{digest[:32]}") + _SUFFIX)


@lru_cache(maxsize=4)
def source(*folders: str) -> str:
    """A fingerprint of the content of our own code: of some folders and files, or of the whole package. The
    same on every machine, and another one after any edit."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for place in [root / name for name in folders] or [root]:
        files = [place] if place.suffix else place.rglob("*.py")
        for file in sorted(files, key=lambda f: f.relative_to(root).as_posix()):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()[:32]


Entry = tuple[float, int, Path]
"""When it was written, bytes, file."""


def _entries(where: Path) -> list[Entry]:
    """The oldest first; one that goes meanwhile is none."""
    out = []
    with suppress(OSError):
        for file in (*where.glob("*" + _SUFFIX), *where.glob("*.graph")):  # .graph is of the first edition
            with suppress(OSError):
                found = file.stat()
                out.append((found.st_mtime, found.st_size, file))
    return sorted(out)


def _remove(entries: Sequence[Entry]) -> None:
    for _, _, file in entries:
        with suppress(OSError):
            file.unlink()
