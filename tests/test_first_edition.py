"""What the first edition wrote (tests/first_edition) is read, says the same figures, and works everywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archlens import cache
from archlens.pipeline import analyze, describe
from archlens.report import Report, report_from_dict
from archlens.spec import parse_spec

FILES = Path(__file__).resolve().parent / "first_edition"
SAVED = ("segment", "strange", "fcn-summary", "segment-erf", "segment-unit", "segment-measured")
PLAIN = ("segment", "strange", "fcn-summary", "segment-unit")
WITHOUT_GRAPH = ("field", "explained")
CHANGED = {"deepest_stride": 4}
"""Figures that mean something else now. The first edition's baseline says 12 here: its tables took a
pyramid's bins for a deeper stage, though its own findings did not."""


def written(name: str) -> dict[str, Any]:
    """The file as JSON."""
    data: dict[str, Any] = json.loads((FILES / f"{name}.json").read_text("utf-8"))
    return data


def read(name: str) -> Report:
    """The file through the pipeline, as any model."""
    return analyze(str(FILES / f"{name}.json"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, as the folder that a command runs in."""
    shutil.copytree(FILES, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def is_known_now(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """A field that the first edition did not know: one that varies without a period had no size (and where
    branches drift apart one of them was taken for it); Fourier transforms had no rule."""
    varies = new.get("kind") == "varies" and new.get("range") is not None
    return varies or "_fft" in str(old.get("reason")) + str(old.get("status_reason"))


def lost(old: Any, new: Any, where: str = "") -> list[str]:
    """Where `new` does not say what `old` says. JSON is additive: it may say more."""
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get("unknown") and not new.get("unknown"):
            return []  # an operation that has a rule now
        if "kind" in old and "jump" in old and is_known_now(old, new):
            return lost(old["visible"], new["visible"], f"{where}.visible") if old.get("visible") else []
        return [w for k, v in old.items() for w in lost(v, new.get(k, "nothing"), f"{where}.{k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [w for i, pair in enumerate(zip(old, new, strict=True)) for w in lost(*pair, f"{where}[{i}]")]
    return [] if old == new else [f"{where}: {old!r}, now {new!r}"]


@pytest.mark.parametrize("name", SAVED)
def test_what_was_written_comes_back_whole(name: str) -> None:
    assert not lost(written(name), read(name).to_dict())


def test_a_field_that_is_new_is_nothing_lost_and_one_that_is_gone_is() -> None:
    old = written("segment")
    new = json.loads(json.dumps(old))
    new["layers"][0]["rf"]["new"] = new["new"] = 1
    assert not lost(old, new)
    del new["layers"][0]["macs"]
    assert [w.partition(":")[0] for w in lost(old, new)] == [".layers[0].macs"]


def anew(saved: Report, **asked: Any) -> dict[str, Any]:
    """The report that this archlens derives from the graph in a saved one."""
    made = describe(saved.graph, saved.spec, saved.name, **asked)
    data: dict[str, Any] = json.loads(made.to_json())
    return data


@pytest.mark.parametrize("name", PLAIN)
def test_every_figure_is_derived_anew_from_the_saved_graph(name: str) -> None:
    asked: dict[str, Any] = {"origin": "stem.0", "unit": (3, 4), "at": "output"}
    assert not lost(written(name), anew(read(name), **(asked if name == "segment-unit" else {})))


def test_measured_and_expected_columns_stand_beside_the_same_figures() -> None:
    plain, measured = written("segment"), written("segment-measured")
    times = [row.pop("measured") for row in measured["layers"]]
    assert measured.pop("measured")["layer_sum"] == pytest.approx(sum(t["seconds"] for t in times))
    assert {**measured, "graph": None} == {**plain, "graph": None}
    saved = read("segment-erf")
    again = read("segment").with_erf(row.name for row in saved.layers)
    assert len(saved.layers) == len(again.layers)
    for ours, theirs in zip(again.layers, saved.layers, strict=True):
        new, old = (row.extra["erf"] for row in (ours, theirs))
        assert (new["status"], new["reason"]) == (old["status"], old["reason"])
        for key in ("erf_50", "erf_95"):
            assert new[key] == (None if old[key] is None else pytest.approx(old[key], rel=1e-6)), ours.name
    assert any(row.extra["erf"]["erf_95"] for row in saved.layers)


@pytest.mark.parametrize(("factory", "size"), [("segment", (3, 33, 33)), ("strange", (3, 16, 16))])
def test_the_network_itself_still_says_what_the_file_says(factory: str, size: tuple[int, ...]) -> None:
    data = json.loads(analyze(f"{FILES / 'nets.py'}:{factory}", size).to_json())
    saved = written(factory)
    nodes = saved["graph"]["nodes"]
    unknown = next((k for k, node in enumerate(nodes) if node.get("unknown")), len(nodes))
    for node in nodes[unknown:]:  # where positions lie behind what had no rule is known now
        del node["layout"]
    assert not lost({key: saved[key] for key in ("layers", "totals", "graph")}, data)


COMMANDS = (
    ("rf", "{}"), ("summary", "{}"), ("erf", "{}"), ("erf", "{}", "--method", "support"), ("explain", "{}"),
    ("diff", "{}", "{}"), ("compare", "{}", "{}"), ("report", "{}", "-o", "page.html"),
    ("rf", "{}", "--all", "-o", "rows.csv"),
)  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_commands_take_it(name: str, cli: Callable[..., Any], folder: Path) -> None:
    for words in COMMANDS:
        said = cli(*(word.format(f"{name}.json") for word in words))
        assert said.code == 0, (words, said.err)
        assert said.out or "-o" in words


def test_a_network_without_a_rule_is_compared(cli: Callable[..., Any], folder: Path) -> None:
    said = cli("compare", "strange.json", "strange.json")
    assert said.code == 0, said.err


def test_diff_of_a_file_with_itself_and_with_its_network(cli: Callable[..., Any], folder: Path) -> None:
    assert cli("diff", "segment.json", "segment-measured.json", "--exit-code").code == 0
    same = cli("diff", "segment.json", "nets.py:segment", "--input-size", "3x33x33", "--exit-code", "--json")
    assert same.code == 0, same.err
    assert json.loads(same.out)["same"] is True
    assert cli("diff", "segment.json", "strange.json", "--exit-code").code == 1


def test_a_file_and_its_network_are_compared(cli: Callable[..., Any], folder: Path) -> None:
    words = ("compare", "segment.json", "nets.py:segment", "--input-size", "3x33x33", "--sizes", "33")
    said = cli(*words, "--json")
    assert said.code == 0, said.err
    saved, fresh = (model["summary"] for model in json.loads(said.out)["models"])
    assert saved == fresh


def test_saved_times_are_compared(cli: Callable[..., Any], folder: Path) -> None:
    said = cli("compare", "segment-measured.json", "segment.json", "--json")
    assert said.code == 0, said.err
    whole = written("segment-measured")["measured"]
    timed, plain = json.loads(said.out)["models"]
    assert timed["evidence"]["time"]["latency"] == pytest.approx(whole["latency"]["median"])
    assert plain["evidence"]["time"] is None


def test_check_holds_the_baseline(cli: Callable[..., Any], folder: Path) -> None:
    said = cli("check", "--config", "archlens.toml", "--format", "json")
    assert said.code == 0, said.err
    figures = {c["figure"]: c for c in json.loads(said.out)["checks"] if c["kind"] == "baseline"}
    baseline = json.loads((folder / "baselines" / "segment.json").read_text("utf-8"))["figures"]
    for name, check in figures.items():
        assert check["limit"] == baseline[name]
        assert check["value"] == (
            baseline[name] if baseline[name] == "inf" else pytest.approx(baseline[name], rel=1e-6)
        )
    assert len(figures) == 11


def test_check_fails_where_the_baseline_is_another(cli: Callable[..., Any], folder: Path) -> None:
    file = folder / "baselines" / "segment.json"
    text = file.read_text("utf-8").replace('"macs": 74624', '"macs": 74623')
    assert text != file.read_text("utf-8")
    file.write_text(text, "utf-8")
    said = cli("check", "--config", "archlens.toml")
    assert said.code == 1
    assert "macs" in said.err


def test_a_baseline_written_anew_holds_the_same_figures(cli: Callable[..., Any], folder: Path) -> None:
    file = folder / "baselines" / "segment.json"
    before = json.loads(file.read_text("utf-8"))
    assert cli("check", "--config", "archlens.toml", "--update-baseline").code == 0
    after = json.loads(file.read_text("utf-8"))
    for name, value in (before["figures"] | CHANGED).items():
        assert after["figures"][name] == (value if isinstance(value, str) else pytest.approx(value)), name
    assert before["figures"].keys() == after["figures"].keys()
    assert after["layers"] == before["layers"]


@pytest.mark.parametrize("name", WITHOUT_GRAPH)
def test_what_holds_no_graph_is_refused_in_words(name: str, cli: Callable[..., Any], folder: Path) -> None:
    said = cli("rf", f"{name}.json")
    assert (said.code, said.out) == (2, "")
    assert f"{name}.json holds no captured graph" in said.err


def test_its_captures_are_no_answer_of_ours(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder that both editions share: the old entry is not taken, not even under our name."""
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(folder / "cache"))
    expected = analyze("alexnet?groups=1").to_dict()
    (old,) = (folder / "cache").glob("*.graph")
    wanted = cache.key(parse_spec("alexnet?groups=1"), None)
    assert wanted is not None
    ours = cache.file_of(wanted, folder / "cache")
    assert ours != old
    ours.write_bytes(old.read_bytes())
    assert cache.load(wanted, lambda kept: kept) is None
    assert analyze("alexnet?groups=1", use_cache=True).to_dict() == expected
    assert cache.load(wanted, lambda kept: kept) is not None
    assert cache.contents().entries == 2


def test_its_ceilings_are_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archlens.probes.profile import roofline

    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(folder / "cache"))
    ((key, kept),) = roofline._load().items()
    raw = json.loads((folder / "cache" / "roofline" / "ceilings.json").read_text("utf-8"))
    assert kept.bytes_per_second == raw[key]["bytes_per_second"]
    assert kept.ridge == pytest.approx(raw[key]["flops_per_second"] / raw[key]["bytes_per_second"])


def test_damaged_data_is_an_error_of_ours() -> None:
    from archlens.errors import ReportError

    data = written("segment")
    data["layers"].pop()
    with pytest.raises(ReportError, match="damaged"):
        report_from_dict(data)
