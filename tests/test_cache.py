"""The cache is never an error and never a wrong answer."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from archlens import cache
from archlens.graph import Atom, Edge, Graph, Layer, Node
from archlens.graph.serialise import encode
from archlens.spec import parse_spec

LAYOUT = ((Atom(-1, 1, 0),), (Atom(0, 4, 1),))


def small_graph(macs: int = 7) -> Graph:
    nodes = (
        Node(0, "input", (1, 4), LAYOUT, bytes=16, storage=0),
        Node(1, "relu", (1, 4), LAYOUT, (Edge(0),), macs=macs, storage=1),
    )
    return Graph("small", nodes, (Layer("relu", "relu", (1,), ""),), (0,), {"out": 1})


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def key(text: str = "fcn") -> dict[str, object]:
    found = cache.key(parse_spec(text), (3, 64, 64))
    assert found is not None
    return found


def test_what_was_stored_comes_back(where: Path) -> None:
    assert cache.load(key()) is None
    cache.store(key(), small_graph(), "small")
    kept = cache.load(key())
    assert kept is not None
    assert encode(kept[0]) == encode(small_graph())
    assert kept[1] == "small"


def test_everything_that_matters_is_in_the_key(where: Path) -> None:
    base = key()
    assert key("fcn?num_classes=19") != base
    assert cache.key(parse_spec("fcn"), (3, 64, 65)) != base
    assert {"archlens", "source", "versions", "options", "size", "target"} <= set(base)
    assert "torchvision" in key("torchvision:resnet18")["versions"]  # type: ignore[operator]


@pytest.mark.parametrize("spec", ["net.py:make", "package.module:make", "model.pt2", "report.json"])
def test_what_can_change_with_the_users_code_is_never_cached(spec: str) -> None:
    assert cache.key(parse_spec(spec), None) is None


def test_a_cache_truncated_at_every_byte_is_no_cache(where: Path) -> None:
    cache.store(key(), small_graph(), "small")
    (file,) = where.glob("*.graph")
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert cache.load(key()) is None
    file.write_bytes(whole)
    assert cache.load(key()) is not None


def test_a_flipped_byte_and_a_foreign_entry_are_no_cache(where: Path) -> None:
    cache.store(key(), small_graph(), "small")
    (file,) = where.glob("*.graph")
    whole = bytearray(file.read_bytes())
    for place in range(0, len(whole), 7):
        whole[place] ^= 0xFF
        file.write_bytes(bytes(whole))
        assert cache.load(key()) is None
        whole[place] ^= 0xFF
    # Another key's entry under this key's name: right in itself, and not what was asked for.
    file.write_bytes(bytes(whole))
    other = key("fcn?num_classes=3")
    file.rename(cache._path(other))
    assert cache.load(other) is None


def test_a_file_in_the_folders_place_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(blocked / "cache"))
    cache.store(key(), small_graph(), "small")
    assert cache.load(key()) is None
    assert cache.contents().entries == 0
    assert cache.clear().entries == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_no_error(where: Path) -> None:
    where.mkdir()
    where.chmod(stat.S_IRUSR | stat.S_IXUSR)
    cache.store(key(), small_graph(), "small")
    assert cache.load(key()) is None


def test_a_full_disk_leaves_nothing_behind(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.store(key(), small_graph(), "small")
    assert list(where.iterdir()) == []


def test_a_disk_that_is_really_full(where: Path) -> None:
    """Disks of one page, in a mount namespace of their own: no room at all, and room for a part."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    expected = _look(where / "roomy")
    for size, filled in (("4k", True), ("4k", False)):
        small = where / f"{size} {filled}"
        small.mkdir(parents=True)
        fill = 'head -c 4096 /dev/zero > "$1/other"; ' if filled else ""
        script = (
            f'mount -t tmpfs -o size={size} tmpfs "$1" || exit 9; {fill}'
            'ARCHLENS_CACHE_DIR="$1" "$2" -c "$3" && rm -f "$1/other" && ls -A "$1"'
        )
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", script, "sh", str(small), sys.executable, LOOK + "; " + LOOK],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "No space" not in done.stderr
        assert done.stdout == 2 * expected  # the right answer twice, and no file left behind


LOOK = (  # an entry of two pages
    "from archlens.pipeline import analyze;"
    "print(analyze('deeplabv2?num_classes=19', use_cache=True).to_json(graph=False))"
)


def _look(folder: Path) -> str:
    """What a process of its own says of a network, with this cache."""
    environment = {**os.environ, "ARCHLENS_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_processes_that_write_at_once(where: Path) -> None:
    """Four of them find nothing and store the same capture; all say the same, and one entry is left."""
    environment = {**os.environ, "ARCHLENS_CACHE_DIR": str(where)}
    running = [
        subprocess.Popen([sys.executable, "-c", LOOK], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0] * 4
    assert len(said) == 1
    assert [f.suffix for f in where.iterdir()] == [".graph"]
    assert _look(where) in said  # read back


def test_many_writers_at_once(where: Path) -> None:
    threads = [threading.Thread(target=cache.store, args=(key(), small_graph(), "small")) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    kept = cache.load(key())
    assert kept is not None
    assert encode(kept[0]) == encode(small_graph())
    assert [f.suffix for f in where.iterdir()] == [".graph"]


def test_the_oldest_go_when_there_are_too_many(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 3)
    for n in range(6):
        cache.store(key(f"fcn?num_classes={n + 2}"), small_graph(), "small")
        (path,) = [cache._path(key(f"fcn?num_classes={n + 2}"))]
        os.utime(path, (n, n))
    assert cache.contents().entries == 3
    assert cache.load(key("fcn?num_classes=7")) is not None
    assert cache.clear().entries == 3
    assert cache.contents().entries == 0


def test_a_second_look_needs_no_torch_and_says_the_same(where: Path) -> None:
    code = (
        "import sys; from archlens.pipeline import analyze;"
        "r = analyze('alexnet?groups=1', use_cache=True); print('torch' in sys.modules, r.to_json())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0].startswith("True ")
    assert runs[1].startswith("False ")
    assert runs[0].split(" ", 1)[1] == runs[1].split(" ", 1)[1]
