"""The captures that ship: a first look without torch, never an error, never another answer than afresh."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nearly import nearly

from archlens import cache
from archlens.findings.evidence.gather import expected, unstructured
from archlens.graph.serialise import decode, encode
from archlens.pipeline import analyze
from archlens.spec import parse_spec
from archlens.study import Study
from archlens.zoo.catalogue import CATALOGUE, find

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(cache.SHIPPED.glob("*.graph"))
RUN = (
    "import sys; from pathlib import Path; from archlens import cache; from archlens.cli.main import run;"
    "folder = sys.argv.pop(1);"
    "cache.SHIPPED = Path(folder) if folder else cache.SHIPPED;"
    "code = run(sys.argv[1:]); print('torch' in sys.modules, file=sys.stderr); sys.exit(code)"
)


def said(*words: str, kept: Path, shipped: Path | None = None) -> tuple[str, bool]:
    """What a command line prints in a process of its own with that cache folder; whether torch came in."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(shipped or ""), *words],
        env={**os.environ, "ARCHLENS_CACHE_DIR": str(kept)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.splitlines()[-1] == "True"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the captures that the package looks into instead, and an empty cache."""
    shutil.copytree(cache.SHIPPED, tmp_path / "captures")
    monkeypatch.setattr(cache, "SHIPPED", tmp_path / "captures")
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "captures"


@pytest.mark.parametrize(
    "words",
    [
        ("rf", "deeplabv2"),
        ("summary", "alexnet"),
        ("compare", "fcn", "pspnet"),
        ("explain", "pspnet", "--full"),
    ],
    ids=" ".join,
)
def test_a_first_look_takes_no_torch_and_keeps_nothing(words: tuple[str, ...], tmp_path: Path) -> None:
    out, torch = said(*words, kept=tmp_path)
    assert out
    assert not torch
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_a_look_without_captures_says(tmp_path: Path, copy: Path) -> None:
    """From the capture that ships, from none, and from one of other code: torch comes in, the words stay."""
    words = ("rf", "alexnet", "--json")
    first = said(*words, kept=tmp_path / "a")
    fresh = said("--no-cache", *words, kept=tmp_path / "b")
    index = copy / "index.json"
    index.write_text(index.read_text("utf-8").replace(cache.source(*cache.MAKERS), "0" * 32), "utf-8")
    stale = said(*words, kept=tmp_path / "c", shipped=copy)
    assert [torch for _, torch in (first, fresh, stale)] == [False, True, True]
    assert first[0] == fresh[0] == stale[0]


def test_they_are_of_the_code_that_runs() -> None:
    index = json.loads((cache.SHIPPED / "index.json").read_text("utf-8"))
    assert index["source"] == cache.source(*cache.MAKERS), "python benchmarks/zoo_captures.py"
    assert index["captures"] == [file.name for file in FILES]


@pytest.mark.parametrize("folder", cache.MAKERS)
def test_an_edit_of_what_makes_captures_makes_them_stale(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a copy of the package, since it is the content that counts."""
    package = tmp_path / "archlens"
    shutil.copytree(ROOT / "archlens", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "__file__", str(package / "cache.py"))
    before = cache.source.__wrapped__(*cache.MAKERS)
    assert before == cache.source(*cache.MAKERS)
    module = next(iter(sorted((package / folder).rglob("*.py"))))
    module.write_text(module.read_text("utf-8") + "\n# another day\n", "utf-8")
    assert cache.source.__wrapped__(*cache.MAKERS) != before
    (package / "words.py").write_text("# numbers have no part in captures\n", "utf-8")
    after = cache.source.__wrapped__(*cache.MAKERS)
    assert after == cache.source.__wrapped__(*cache.MAKERS) != before


@pytest.mark.parametrize("network", ["alexnet_imagenet", "deeplabv1_largefov_vgg16", "pspnet_resnet50"])
def test_it_is_the_fresh_capture(network: str) -> None:
    from archlens.capture.run import capture_spec

    found = cache.shipped(parse_spec(network), None)
    assert found is not None
    fresh, name = capture_spec(parse_spec(network), (), lambda _: None)
    assert found[1] == name == network
    assert encode(found[0]) == encode(fresh)


def test_each_file_holds_the_network_and_the_size_that_it_is_called_by() -> None:
    for file in FILES:
        graph = decode(cache.unpacked(file.read_bytes()))
        shape = graph.nodes[graph.inputs[0]].shape[1:]
        assert cache.shipped_name(graph.name, shape) == file.name
        found = cache.shipped(parse_spec(graph.name), shape)
        assert found is not None
        assert encode(found[0]) == encode(graph)


def test_every_network_ships_at_its_own_size_and_answers_by_every_name() -> None:
    for entry in CATALOGUE:
        for name in (entry.name, *entry.aliases):
            found = cache.shipped(parse_spec(name), None)
            assert found is not None, name
            assert found[1] == entry.name
            assert found[0].nodes[found[0].inputs[0]].shape[1:] == entry.input_shape


@pytest.mark.parametrize("spec", ["fcn?num_classes=21", "fcn?num_classes=19", "deeplabv3?output_stride=8"])
def test_options_are_not_answered(spec: str) -> None:
    assert cache.shipped(parse_spec(spec), None) is None
    base, _, option = spec.partition("?")
    assert cache.shipped(parse_spec(base, [option]), None) is None
    assert cache.shipped(parse_spec(base), None) is not None


@pytest.mark.parametrize("size", [(3, 511, 513), (3, 513, 512), (1, 513, 513), (3, 65, 65), (513, 513)])
def test_other_sizes_are_not_answered(size: tuple[int, ...]) -> None:
    assert cache.shipped(parse_spec("fcn"), size) is None


@pytest.mark.parametrize(
    "spec", ["torchvision:alexnet", "timm:alexnet", "net.py:alexnet", "nets:alexnet", "fcn.json", "fcn.pt2"]
)
def test_other_networks_are_not_answered(spec: str) -> None:
    assert cache.shipped(parse_spec(spec), None) is None


@pytest.mark.parametrize("extend", [False, True])
@pytest.mark.parametrize("network", ["alexnet", "deeplabv1"])
def test_the_figures_that_ship_are_fresh_ones(network: str, extend: bool, copy: Path) -> None:
    study = analyze(network).study
    key = cache.figures_key(study.graph, study.cell, study.output, extend)
    assert cache.file_of(key, cache.SHIPPED).exists(), "python benchmarks/zoo_captures.py"
    shipped = expected(study, extend, use_cache=True)
    assert "lens" not in vars(study)  # nothing was walked
    fresh = expected(Study(study.graph, study.cell, study.output), extend)
    assert unstructured(shipped) == nearly(unstructured(fresh))


def test_the_figures_of_every_short_name_ship(copy: Path) -> None:
    for entry in CATALOGUE:
        found = cache.shipped(parse_spec(entry.name), None)
        assert found is not None
        study = Study(found[0])
        for extend in (False, True):
            key = cache.figures_key(study.graph, study.cell, study.output, extend)
            shipped = cache.load(key, lambda kept: kept)
            assert (shipped is not None) == bool(entry.aliases), entry.name


def test_a_first_comparison_walks_over_nothing_and_says_the_same(tmp_path: Path, copy: Path) -> None:
    words = ("compare", "fcn", "pspnet", "--json")
    first, _ = said(*words, kept=tmp_path / "a")
    for file in copy.glob("*.kept"):
        file.unlink()
    derived, torch = said(*words, kept=tmp_path / "b", shipped=copy)
    assert not torch
    assert json.loads(first) == nearly(json.loads(derived))
    assert len(list((tmp_path / "b").iterdir())) == 2
    again, _ = said(*words, kept=tmp_path / "b", shipped=copy)
    assert again == derived


def test_options_and_sizes_give_their_own_figures(copy: Path) -> None:
    own = analyze("alexnet", use_cache=True)
    assert analyze("alexnet", use_cache=True, settings=["num_classes=7"]).layers[-1].shape == (1, 7)
    other = analyze("fcn", (3, 65, 97), use_cache=True)
    assert other.input_shape == (1, 3, 65, 97)
    assert own.layers[-1].shape == (1, 1000)


def test_without_the_cache_they_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(cache, "shipped", never)
    assert analyze("alexnet").name == "alexnet_imagenet"


NAME = "alexnet_imagenet-3x227x227.graph"


def answer() -> object:
    """What ships for AlexNet."""
    found = cache.shipped(parse_spec("alexnet"), None)
    return None if found is None else encode(found[0])


def test_a_truncated_capture_is_none(copy: Path) -> None:
    whole = (copy / NAME).read_bytes()
    for length in range(0, len(whole), 23):
        (copy / NAME).write_bytes(whole[:length])
        assert answer() is None
    (copy / NAME).write_bytes(whole)
    assert answer() is not None


def test_a_flipped_byte_is_never_another_answer(copy: Path) -> None:
    right, whole = answer(), (copy / NAME).read_bytes()
    for place in range(0, len(whole), 13):
        wrong = bytearray(whole)
        wrong[place] ^= 0x5A
        (copy / NAME).write_bytes(bytes(wrong))
        assert answer() in (None, right)


@pytest.mark.parametrize("data", [[], 3, None, {}, "text", {"name": "x", "nodes": [1]}, {"nodes": {}}])
def test_json_that_is_no_graph_is_none(data: object, copy: Path) -> None:
    (copy / NAME).write_bytes(cache.packed(data))
    assert answer() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"source": null}', "\xff", '{"source": "'])
def test_an_index_that_is_none(text: str, copy: Path) -> None:
    (copy / "index.json").write_bytes(text.encode("latin-1"))
    assert answer() is None


def test_nothing_there_is_no_error(copy: Path) -> None:
    right = analyze("alexnet", use_cache=True).to_dict()
    (copy / "index.json").unlink()
    assert answer() is None
    shutil.rmtree(copy)
    assert answer() is None
    assert analyze("alexnet", use_cache=True).to_dict() == right
    copy.write_text("")  # a file in the folder's place
    assert answer() is None


def test_a_damaged_one_is_captured_anew_and_says_the_same(copy: Path) -> None:
    right = analyze("alexnet", use_cache=True).to_dict()
    (copy / NAME).write_bytes((copy / NAME).read_bytes()[:-9])
    again = analyze("alexnet", use_cache=True)
    assert again.to_dict() == right
    assert cache.contents().entries == 1  # it was captured, and kept


def test_they_go_into_the_wheel() -> None:
    """The wheel takes the package's folder, but for what git ignores."""
    names = [str(file.relative_to(ROOT)) for file in (*FILES, cache.SHIPPED / "index.json")]
    tracked = subprocess.run(
        ["git", "ls-files", "--", *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    assert sorted(tracked.stdout.split()) == sorted(names)
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout == ""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'packages = ["archlens"]' in project
    assert "exclude" not in project.partition("[tool.hatch")[2].partition("[tool.ruff]")[0]
    assert find("fcn").name == "fcn8s_vgg16"
