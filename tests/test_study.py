"""A study walks over its network once: whoever asks again gets the same thing, also from a saved report."""

from __future__ import annotations

import json
import pkgutil
import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from context_nets import Skips, aspp, ppm

import archlens
from archlens.analyses.expected.backward.walk import walk_back
from archlens.analyses.expected.coherent import respond
from archlens.analyses.expected.forward.walk import forward
from archlens.analyses.fields.status import statuses
from archlens.analyses.fields.theoretical import receptive_fields
from archlens.analyses.fields.visible import boxes
from archlens.analyses.structure.context import context_module
from archlens.findings.comparison import compared
from archlens.graph import Graph
from archlens.graph.serialise import encode
from archlens.pipeline import analyze
from archlens.report import Report, report_from_dict
from archlens.study import Study

WALKS = (receptive_fields, boxes, statuses, context_module, forward, walk_back, respond)
SIZE = (3, 65, 65)
Calls = dict[str, Counter[str]]


class Names:
    """A name for each value that says what it is, equal for equal values; a graph by its content."""

    def __init__(self) -> None:
        self.graphs: dict[int, tuple[Graph, str]] = {}  # kept alive, so that no id comes again

    def of(self, value: Any) -> str:
        graph = getattr(value, "graph", value)
        if isinstance(graph, Graph):
            if id(graph) not in self.graphs:
                text = json.dumps(encode(graph), sort_keys=True)
                self.graphs[id(graph)] = graph, sha256(text.encode()).hexdigest()[:12]
            premises = getattr(value, "premises", None)  # of moments
            return f"{self.graphs[id(graph)][1]} {premises or ''}"
        if isinstance(value, np.ndarray):
            return sha256(value.tobytes()).hexdigest()[:12]
        if isinstance(value, dict):
            return str(sorted((str(k), self.of(v)) for k, v in value.items()))
        if isinstance(value, (list, tuple)):
            return str([self.of(v) for v in value])
        return str(value)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]) -> Calls:
    """How often each walk was made over the same thing: what it was given, as text, and how many times."""
    for found in pkgutil.walk_packages(archlens.__path__, "archlens."):
        if not found.name.endswith("__main__"):
            import_module(found.name)  # now, or a late import would bind a wrapper for good
    names, out = Names(), {}
    for walk in WALKS:
        counter = out[walk.__name__] = Counter[str]()

        def counted(walk: Callable[..., Any] = walk, counter: Counter[str] = counter) -> Callable[..., Any]:
            @wraps(walk)
            def made(*args: Any, **more: Any) -> Any:
                given = signature(walk).bind(*args, **more)
                given.apply_defaults()
                counter[names.of(dict(given.arguments))] += 1
                return walk(*args, **more)

            return made

        wrapper = counted()
        for name, module in list(sys.modules.items()):
            if name.startswith("archlens") and getattr(module, walk.__name__, None) is walk:
                monkeypatch.setattr(module, walk.__name__, wrapper)
    return out


def least(calls: Calls) -> dict[str, int]:
    """How many different walks of each kind there were, after making sure that none was made twice."""
    for name, counter in calls.items():
        again = {what: times for what, times in counter.items() if times > 1}
        assert not again, f"{name} was walked again over the same thing"
    return {name: len(counter) for name, counter in calls.items()}


def test_a_page_of_two_networks_makes_each_walk_once(
    calls: Calls, cli: Callable[..., Any], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert cli("compare", "fcn", "pspnet", "--no-cache", "-o", str(page)).code == 0  # figures ship
    walked = least(calls)
    assert page.stat().st_size > 10_000
    assert walked["forward"] >= 2  # two networks have two laws at least, and two fields each to be compared
    assert walked["receptive_fields"] > walked["context_module"] >= 8  # four sizes of each
    assert min(walked.values()) >= 2


@pytest.mark.parametrize(
    "words",
    [
        ("rf", "pspnet", "--erf"),
        ("explain", "pspnet"),
        ("compare", "fcn", "fcn32s_vgg16"),
        ("erf", "pspnet"),
        ("compare", "fcn", "pspnet", "--cut", "ppm.bin1"),
    ],
    ids=lambda words: " ".join(words),
)
def test_so_do_other_commands(
    words: tuple[str, ...], calls: Calls, cli: Callable[..., Any], tmp_path: Path
) -> None:
    assert cli(*words, "--input-size", "3x97x97", "-o", str(tmp_path / "out.json")).code == 0
    assert least(calls)["receptive_fields"] >= 1


def test_all_forms_of_a_result_share_its_walks(calls: Calls, tmp_path: Path) -> None:
    found = compared([analyze(ppm(), SIZE), analyze(aspp(), SIZE)])
    for suffix in (".html", ".json", ".csv", ".md", ".txt", ".html", ".json"):
        found.save(tmp_path / f"out{suffix}")
    assert found._repr_html_()
    assert str(found)
    assert least(calls)["forward"] >= 2


FIGURES = (
    "any_module", "module", "module_nodes", "needed", "rates", "way", "stages", "strides", "last",
    "resolution", "head_input", "streams", "coverage", "unproductive", "tiling", "fov", "lens", "cell_field",
    "energy_use", "use", "head_use", "branch_edges", "branch_shares", "branch_responses",
)  # fmt: skip


@pytest.fixture(scope="module")
def study() -> Study:
    """Of a small network with a pyramid."""
    return analyze(ppm(), SIZE).study


@pytest.mark.parametrize("name", FIGURES)
def test_the_second_ask_gets_the_very_same(name: str, study: Study) -> None:
    first = getattr(study, name)
    assert getattr(study, name) is first


def test_walks_are_kept_by_where_they_begin(study: Study) -> None:
    begin, fork = study.graph.inputs[0], study.head_input
    assert fork is not None
    for walk in (study.fields, study.boxes, study.statuses):
        assert walk() is walk() is walk(begin)
        assert walk(fork) is walk(fork) is not walk()
    assert study.lens.use(study.cell) is study.lens.use(study.cell, None)
    assert study.lens.use(study.cell, fork) is not study.lens.use(study.cell)


def test_a_study_is_of_its_own_graph() -> None:
    one, other = analyze(ppm(), SIZE).study, analyze(ppm(), SIZE).study
    assert one.fields() == other.fields()
    assert one.fields() is not other.fields()


def plain(value: Any) -> Any:
    """For comparing: arrays and what holds them as lists, the rest itself."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


NETS: dict[str, Callable[[], Report]] = {
    "pyramid": lambda: analyze(ppm(), SIZE),
    "rates": lambda: analyze(aspp(pooled=True), SIZE),
    "decoder": lambda: analyze(Skips(), SIZE),
    "pspnet": lambda: analyze("pspnet", (3, 97, 97)),
    "at the output": lambda: analyze("fcn", (3, 97, 97), at="output"),
}


@pytest.mark.parametrize("name", NETS)
def test_a_saved_report_makes_the_study_again(name: str) -> None:
    report = NETS[name]()
    again = report_from_dict(json.loads(report.to_json()))
    fresh, made = report.study, again.study
    assert made is again.study is not fresh
    assert (made.cell, made.output) == (fresh.cell, fresh.output)
    assert made.fields() == fresh.fields()
    assert plain(made.boxes()) == plain(fresh.boxes())
    for figure in FIGURES:
        if figure != "lens":
            assert plain(getattr(made, figure)) == plain(getattr(fresh, figure)), figure
    assert made.curve == fresh.curve
    ours, theirs = (compared([r]).to_dict() for r in (again, report))
    assert json.dumps(ours) == json.dumps(theirs)
