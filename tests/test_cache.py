"""The cache is never an error and never a wrong answer."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from context_nets import aspp, ppm

import archlens
from archlens import cache
from archlens.findings.evidence.gather import expected
from archlens.graph import Atom, Edge, Graph, Layer, Node
from archlens.graph.serialise import encode
from archlens.pipeline import _decoded, analyze
from archlens.spec import parse_spec
from archlens.study import Study

SIZE = (3, 65, 65)
LAYOUT = ((Atom(-1, 1, 0),), (Atom(0, 4, 1),))


def small_graph(macs: int = 7) -> Graph:
    nodes = (
        Node(0, "input", (1, 4), LAYOUT, bytes=16, storage=0),
        Node(1, "relu", (1, 4), LAYOUT, (Edge(0),), macs=macs, storage=1),
    )
    return Graph("small", nodes, (Layer("relu", "relu", (1,), ""),), (0,), {"out": 1})


CAPTURE = {"graph": encode(small_graph()), "name": "small"}


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def key(text: str = "fcn") -> dict[str, object]:
    found = cache.key(parse_spec(text), (3, 64, 64))
    assert found is not None
    return found


def test_what_was_stored_comes_back(where: Path) -> None:
    assert cache.load(key(), _decoded) is None
    cache.store(key(), CAPTURE)
    kept = cache.load(key(), _decoded)
    assert kept is not None
    assert encode(kept[0]) == encode(small_graph())
    assert kept[1] == "small"


def test_everything_that_matters_is_in_the_key(where: Path) -> None:
    base = key()
    assert key("fcn?num_classes=19") != base
    assert cache.key(parse_spec("fcn"), (3, 64, 65)) != base
    assert {"archlens", "source", "versions", "options", "size", "name"} <= set(base)
    assert "torchvision" in key("torchvision:resnet18")["versions"]  # type: ignore[operator]


@pytest.mark.parametrize("spec", ["net.py:make", "package.module:make", "model.pt2", "report.json"])
def test_what_can_change_with_the_users_code_is_never_cached(spec: str) -> None:
    assert cache.key(parse_spec(spec), None) is None


def test_a_cache_truncated_at_every_byte_is_no_cache(where: Path) -> None:
    cache.store(key(), CAPTURE)
    (file,) = where.glob("*.kept")
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        assert cache.load(key(), _decoded) is None
    file.write_bytes(whole)
    assert cache.load(key(), _decoded) is not None


def test_a_flipped_byte_and_a_foreign_entry_are_no_cache(where: Path) -> None:
    cache.store(key(), CAPTURE)
    (file,) = where.glob("*.kept")
    whole = bytearray(file.read_bytes())
    for place in range(0, len(whole), 7):
        whole[place] ^= 0xFF
        file.write_bytes(bytes(whole))
        assert cache.load(key(), _decoded) is None
        whole[place] ^= 0xFF
    # Another key's entry under this key's name: right in itself, and not what was asked for.
    file.write_bytes(bytes(whole))
    other = key("fcn?num_classes=3")
    file.rename(cache.file_of(other, where))
    assert cache.load(other, _decoded) is None


def test_a_file_in_the_folders_place_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(blocked / "cache"))
    cache.store(key(), CAPTURE)
    assert cache.load(key(), _decoded) is None
    assert cache.contents().entries == 0
    assert cache.clear().entries == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_no_error(where: Path) -> None:
    where.mkdir()
    where.chmod(stat.S_IRUSR | stat.S_IXUSR)
    cache.store(key(), CAPTURE)
    assert cache.load(key(), _decoded) is None


def test_a_full_disk_leaves_nothing_behind(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.store(key(), CAPTURE)
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
    """Two of them find nothing and store the same capture; all say the same, and one entry is left."""
    environment = {**os.environ, "ARCHLENS_CACHE_DIR": str(where)}
    running = [
        subprocess.Popen([sys.executable, "-c", LOOK], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0] * 2
    assert len(said) == 1
    assert [f.suffix for f in where.iterdir()] == [".kept"]
    assert _look(where) in said  # read back


def test_many_writers_at_once(where: Path) -> None:
    threads = [threading.Thread(target=cache.store, args=(key(), CAPTURE)) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    kept = cache.load(key(), _decoded)
    assert kept is not None
    assert encode(kept[0]) == encode(small_graph())
    assert [f.suffix for f in where.iterdir()] == [".kept"]


def test_files_of_others_stay(where: Path) -> None:
    cache.store(key(), CAPTURE)
    others = [where / name for name in ("a.gz", "b.gif", "c.key", "graph", "d.kept.txt", "e.graphml")]
    for file in others:
        file.write_text("not ours")
    assert cache.clear().entries == 1
    assert sorted(where.iterdir()) == sorted(others)


def test_the_oldest_go_when_there_are_too_many(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 3)
    for n in range(6):
        cache.store(key(f"fcn?num_classes={n + 2}"), CAPTURE)
        os.utime(cache.file_of(key(f"fcn?num_classes={n + 2}"), where), (n, n))
    assert cache.contents().entries == 3
    assert cache.load(key("fcn?num_classes=7"), _decoded) is not None
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


# ------------------------------------------------------------------ what is derived from a graph


def test_figures_are_found_again_by_the_graph_alone(where: Path) -> None:
    """A network of the user's own: captured anew, and derived once."""
    study = analyze(aspp(), SIZE).study
    first = expected(study, use_cache=True)
    assert len(list(where.glob("*.kept"))) == 1
    again = analyze(aspp(), SIZE).study
    assert expected(again, use_cache=True) == first
    assert "lens" not in vars(again)  # nothing was walked for it
    assert again.energy_use.far == first.use.far
    assert repr(first) == repr(expected(analyze(aspp(), SIZE).study))


def test_kept_figures_are_shown_as_derived_ones(where: Path, tmp_path: Path) -> None:
    """In every form: the page, the tables, the numbers."""
    said = []
    for _ in range(2):
        options = archlens.CompareOptions(input_size=SIZE, sides=(), use_cache=True)
        found = archlens.compare(aspp(), ppm(), options=options)
        page = tmp_path / "page.html"
        found.save(page)
        said.append((found.to_dict(), str(found), page.read_text("utf-8")))
        kept = "lens" not in vars(found.reports[0].study)
    assert kept
    assert said[0] == said[1]
    assert len(list(where.glob("*.kept"))) == 2


def test_other_figures_are_no_answer(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another graph, another cell, another question and another code each derive their own."""
    report = analyze(aspp(), SIZE)
    expected(report.study, use_cache=True)
    for study, extend in (
        (analyze(ppm(), SIZE).study, False),
        (Study(report.graph, report.study.cell - 1), False),
        (Study(report.graph), True),
    ):
        before = len(list(where.glob("*.kept")))
        found = expected(study, extend, use_cache=True)
        assert "lens" in vars(study)
        assert found == expected(Study(study.graph, study.cell, study.output), extend)
        assert len(list(where.glob("*.kept"))) == before + 1
    monkeypatch.setattr(cache, "source", lambda *_: "of another code")
    study = Study(report.graph)
    expected(study, use_cache=True)
    assert "lens" in vars(study)


@pytest.mark.parametrize(
    "value", [{}, None, [], {"use": 3}, {"use": {"far": "0.5"}}, {"use": {"sides": {"fifty": 1.0}}}]
)
def test_figures_of_another_form_are_derived_anew(where: Path, value: object) -> None:
    study = analyze(aspp(), SIZE).study
    wanted = cache.figures_key(study.graph, study.cell, study.output, False)
    cache.store(wanted, value)
    assert expected(study, use_cache=True).use.known
    assert "lens" in vars(study)


def test_all_that_figures_are_derived_by_is_in_their_key() -> None:
    """What the slow figures import of archlens, but for modules that hold no arithmetic of theirs."""
    code = (
        "import sys, archlens.findings.evidence.counterfactual, archlens.findings.evidence.paths, "
        "archlens.analyses.expected.lens;"
        "print(*(m for m in sys.modules if m.startswith('archlens.')))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    parts = {tuple(name.split(".")[1:]) for name in said.split()}
    held = [tuple(name.removesuffix(".py").split("/")) for name in cache.DERIVERS]
    loose = {p for p in parts if not any(p[: len(h)] == h or h[: len(p)] == p for h in held)}
    assert loose <= {("errors",), ("version",), ("progress",)}
