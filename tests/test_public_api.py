"""The names that users import."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from context_nets import Parallel, Pooled
from nearly import nearly
from torch import nn

import archlens
from archlens.errors import (
    InputSizeError,
    LayerError,
    OptionError,
    UnknownModelError,
    UsageError,
)


def test_exported_names():
    assert set(archlens.__all__) >= {"ArchlensError", "Report", "__version__", "analyze"}
    for name in archlens.__all__:
        assert getattr(archlens, name) is not None
        assert name in dir(archlens)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = archlens.no_such_thing


def test_the_docstring_is_true():
    report = archlens.analyze("deeplabv2")
    assert isinstance(report, archlens.Report)
    assert report.cell.rf.size == (1411, 1411)


def test_a_live_module_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    report = archlens.analyze(model, (3, 33, 33))
    assert report.layers[0].rf.size == (3, 3)
    assert model.training
    assert all((value == before[key]).all() for key, value in model.state_dict().items())


def test_errors_are_of_one_tree():
    with pytest.raises(archlens.ArchlensError) as caught:
        archlens.analyze("no_such_net")
    assert caught.value.exit_code == 2
    assert caught.value.hint


class _Script(nn.Conv2d):
    """A layer whose name in a notebook must stay text."""


def test_notebooks_get_an_escaped_glance():
    _Script.__name__ = "<script>alert(1)</script>"
    try:
        html = archlens.analyze(_Script(3, 4, 3), (3, 9, 9))._repr_html_()
    finally:
        _Script.__name__ = "_Script"
    assert html.startswith("<table>")
    assert "<script>" not in html
    assert "3x9x9" in html


# ------------------------------------------------------------------ every module beside every name


EVERY_MODULE = """
import importlib, json, pkgutil, types
import archlens
for found in pkgutil.walk_packages(archlens.__path__, "archlens."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
kinds = {name: type(getattr(archlens, name)).__name__ for name in archlens.__all__}
alone = archlens.explain("alexnet", options=archlens.CompareOptions(sides=()))
print(json.dumps([kinds, archlens.analyze("alexnet").cell.name, list(alone.names)]))
"""


def test_no_module_stands_in_a_names_place() -> None:
    done = subprocess.run([sys.executable, "-c", EVERY_MODULE], capture_output=True, text=True, check=True)
    kinds, cell, names = json.loads(done.stdout)
    for name, kind in kinds.items():
        wanted = "str" if name == "__version__" else "type" if name[0].isupper() else "function"
        assert kind == wanted, name
    assert (cell, names) == ("fc8", ["alexnet"])


def test_star_import_brings_what_is_promised() -> None:
    space: dict[str, Any] = {}
    exec("from archlens import *", space)
    assert set(archlens.__all__) <= space.keys()
    for name in ("analyze", "compare", "explain", "field_map", "register_geometry"):
        assert inspect.isfunction(space[name])
        assert inspect.getdoc(space[name])


# ------------------------------------------------------------------ results that write and show themselves


LAYER = "a<b>&\"'|c"


class _Named(nn.Module):
    """Names of a class, a layer and an output that HTML and tables must not take for their own."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module(LAYER, nn.Conv2d(3, 4, 3, 2, 1))
        self.head = Parallel("cat", same=nn.Identity(), bin1=Pooled(1, 4), bin2=Pooled(2, 4))
        self.score = nn.Conv2d(12, 2, 1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"<out>&": self.score(self.head(self.get_submodule(LAYER)(x)))}


_Named.__name__ = "<i>&\"Named'|"
SMALL = archlens.CompareOptions(input_size=(3, 33, 33), sides=())
MADE: dict[str, Callable[[], Any]] = {
    "report": lambda: archlens.analyze(_Named(), (3, 33, 33)),
    "comparison": lambda: archlens.compare(_Named(), _Named(), options=SMALL),
    "explained": lambda: archlens.explain(_Named(), options=SMALL),
    "support": lambda: archlens.field_map(_Named(), "support", input_size=(3, 33, 33), layer=LAYER),
    "expected": lambda: archlens.field_map(_Named(), input_size=(3, 33, 33), layer=LAYER, unit=(0, 1)),
    "projective": lambda: archlens.field_map(_Named(), input_size=(3, 33, 33), layer=LAYER, projective=True),
}
PAGES = (".html", ".json", ".md", ".csv", ".txt")
MAPS = (".npz", ".json", ".png", ".svg", ".txt")
SUFFIXES = {name: PAGES if name in ("report", "comparison", "explained") else MAPS for name in MADE}


@pytest.fixture(scope="module", params=MADE)
def made(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """A result of each kind, with its name."""
    return request.param, MADE[request.param]()


def test_a_result_saves_itself_by_suffix(made: tuple[str, Any], tmp_path: Path) -> None:
    name, result = made
    for suffix in SUFFIXES[name]:
        file = tmp_path / f"out{suffix}"
        assert result.save(file) == file
        assert result.save(str(tmp_path / f"again{suffix.upper()}")).read_bytes()
        data = file.read_bytes()
        match suffix:
            case ".json":
                assert json.loads(data) == json.loads(json.dumps(result.to_dict()))
            case ".html":
                assert data.lower().startswith(b"<!doctype html>")
                assert b"<i>&" not in data
                assert b"a<b>" not in data
            case ".md":
                assert any(line.startswith("|") for line in data.decode().splitlines())
            case ".csv":
                rows = list(csv.reader(data.decode().splitlines()))
                assert len({len(row) for row in rows}) == 1 < len(rows)
            case ".txt":
                assert data.decode().rstrip("\n") == str(result)
            case ".png":
                assert data.startswith(b"\x89PNG\r\n\x1a\n")
            case ".svg":
                assert ElementTree.fromstring(data).tag.endswith("svg")
            case ".npz":
                with np.load(io.BytesIO(data)) as held:
                    assert np.array_equal(held["map"], result.map)
                    assert json.loads(str(held["meta"])) == json.loads(json.dumps(result.to_dict()))
    assert len(list(tmp_path.iterdir())) == 2 * len(SUFFIXES[name])


@pytest.mark.parametrize("target", ["out.docx", "out", "out.json.gz", "no/such/folder/out.json", ".json"])
def test_what_cannot_be_saved_is_an_error_and_leaves_nothing(
    target: str, made: tuple[str, Any], tmp_path: Path
) -> None:
    name, result = made
    with pytest.raises(UsageError) as caught:
        result.save(tmp_path / target)
    assert caught.value.hint
    if "folder" not in target:
        assert all(suffix in caught.value.hint for suffix in SUFFIXES[name])
    assert list(tmp_path.iterdir()) == []


def test_a_name_in_bytes_is_refused() -> None:
    with pytest.raises(UsageError, match="no name of a file"):
        MADE["report"]().save(b"out.json")


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, file = MADE["report"](), tmp_path / "out.txt"
    file.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(UsageError, match="No space"):
            result.save(file)
    assert [f.read_text() for f in tmp_path.iterdir()] == ["before"]
    assert result.save(file).read_text() != "before"


def test_a_printed_result_is_plain_text(made: tuple[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    print(made[1])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) > 2
    assert not out.endswith("\n\n")


class _Table(HTMLParser):
    """Reads a table, and insists that every tag that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.caption = ""
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "caption":
            self.caption += data
        else:
            assert self.open[-1] in ("td", "th")
            self.rows[-1][-1] += data


def test_a_notebook_gets_a_table_in_which_names_stay_text(made: tuple[str, Any]) -> None:
    name, result = made
    table = _Table(result._repr_html_())
    assert table.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert len({len(row) for row in table.rows}) == 1
    assert len(table.rows) > 2
    whole = table.caption + str([cell for row in table.rows for cell in row])
    assert "<i>&\"Named'|" in whole.replace("\\'", "'")
    if name in ("support", "expected", "projective"):
        assert LAYER in whole.replace("\\'", "'")


# ------------------------------------------------------------------ what the command line says


def test_compare_says_what_the_command_says(cli: Callable[..., Any]) -> None:
    """The command from the captures that ship, the call from fresh ones."""
    said = cli("compare", "fcn", "pspnet", "--json")
    assert said.code == 0
    found = archlens.compare("fcn", "pspnet")
    assert json.loads(said.out) == nearly(json.loads(json.dumps(found.to_dict())))
    assert found.names == ("fcn", "pspnet")


AT = ("--input-size", "3x97x97")
NETS = ("fcn", "pspnet")


def test_options_mean_what_the_commands_options_mean(cli: Callable[..., Any]) -> None:
    options = archlens.CompareOptions(
        input_size="3x97x97", sides=(65, 97), cuts=("2:ppm.bin1",), settings=("num_classes=5",), lang="ko"
    )
    words = (
        "--sizes", "65,97", "--cut", "2:ppm.bin1", "--set", "num_classes=5", "--lang", "ko", "--json",
    )  # fmt: skip
    said = cli("compare", *NETS, *AT, *words)
    assert json.loads(said.out) == json.loads(json.dumps(archlens.compare(*NETS, options=options).to_dict()))
    at = archlens.CompareOptions(input_size=(3, 97, 97), at="output", sides=())
    told = cli("compare", *NETS, *AT, "--at", "output", "--full").out
    assert (
        json.loads(cli("compare", *NETS, *AT, "--at", "output", "--sizes", "97", "--json").out)["models"][0][
            "class_score"
        ]
        == archlens.compare(*NETS, options=at).reports[0].class_score
    )
    assert "Score map" in told


def test_the_others_say_what_their_commands_say(cli: Callable[..., Any]) -> None:
    alone = archlens.explain("pspnet", options=archlens.CompareOptions(input_size=(3, 97, 97)))
    assert json.loads(cli("explain", "pspnet", *AT, "--json").out) == json.loads(json.dumps(alone.to_dict()))
    assert cli("explain", "pspnet", *AT, "--full").out.rstrip("\n") == str(alone)
    assert cli("rf", "fcn", *AT).out.rstrip("\n") == str(archlens.analyze("fcn", "3x97x97"))
    field = archlens.field_map("fcn", input_size=(3, 97, 97), layer="fc7", unit=(0, 1))
    said = cli("erf", "fcn", *AT, "--layer", "fc7", "--unit", "0,1")
    assert said.out.rstrip("\n") == str(field)
    there = archlens.field_map("fcn", "support", input_size=(3, 97, 97), projective=True, unit=(4, 5))
    words = ("erf", "fcn", *AT, "--method", "support", "--projective", "--unit", "4,5", "--json")
    assert json.loads(cli(*words).out) == json.loads(json.dumps(there.to_dict()))


def test_a_run_says_what_the_command_says(cli: Callable[..., Any]) -> None:
    run = archlens.RunOptions(device="cpu", runs=2, batch_size=1, seed=3)
    found = archlens.field_map("alexnet", "gradient", run=run)
    words = ("--runs", "2", "--batch-size", "1", "--seed", "3", "--device", "cpu", "--json")
    said = json.loads(cli("erf", "alexnet", "--method", "gradient", *words).out)
    assert said == nearly(json.loads(json.dumps(found.to_dict())), 1e-4)  # float32 sums in another order
    assert found.map is not None
    assert found.map.sum() == pytest.approx(1)


def test_an_occlusion_field_of_random_weights_follows_the_seed(tmp_path: Path) -> None:
    file = tmp_path / "nets.py"
    file.write_text(
        "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 8, 9), nn.ReLU())\n"
    )

    def sizes(seed: int) -> Any:
        torch.rand(3)  # whatever else has drawn
        run = archlens.RunOptions(device="cpu", patch=5, stride=4, seed=seed)
        return archlens.field_map(
            f"{file}:make", "occlusion", input_size=(3, 33, 33), layer="1", run=run
        ).summary["size"]

    assert sizes(1) == pytest.approx(sizes(1), rel=1e-4)
    assert sizes(1) != pytest.approx(sizes(2), rel=1e-4)


def test_live_modules_and_saved_reports_are_compared(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    live = archlens.analyze(model, (3, 33, 33))
    file = live.save(tmp_path / "live.json")
    options = archlens.CompareOptions(input_size=(3, 33, 33), sides=())
    found = archlens.compare(model, str(file), options=options)
    assert found.reports[0] == found.reports[1] == live
    assert found.names == ("Sequential", "Sequential:2")


# ------------------------------------------------------------------ wrong use


def explained(model: Any = "alexnet", **options: Any) -> Any:
    """One network explained, with these options."""
    return archlens.explain(model, options=archlens.CompareOptions(**options))


def mapped(model: Any = "alexnet", *words: Any, **options: Any) -> Any:
    """A unit's field, with these options."""
    return archlens.field_map(model, *words, **options)


WRONG: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "network": (UnknownModelError, "fnc", lambda: archlens.compare("fcn", "fnc")),
    "network alone": (UnknownModelError, "fnc", lambda: mapped("fnc")),
    "one": (UsageError, "two networks", lambda: archlens.compare("fcn")),
    "none": (UsageError, "two networks", lambda: archlens.compare()),
    "not a model": (UsageError, "int", lambda: archlens.compare(1, 2)),  # type: ignore[arg-type]
    "size": (UsageError, "3x5l", lambda: explained(input_size="3x5l")),
    "zero": (UsageError, "(3, 0, 513)", lambda: archlens.analyze("fcn", (3, 0, 513))),
    "negative": (UsageError, "-5", lambda: archlens.analyze(_Named(), (3, -5, 7))),
    "huge": (UsageError, "99999999999", lambda: archlens.analyze(_Named(), "3x99999999999x9")),
    "empty": (UsageError, "[()]", lambda: archlens.analyze(_Named(), [()])),
    "broken unit": (UsageError, "3.0", lambda: archlens.analyze("alexnet", unit=(3.0, 1))),  # type: ignore[arg-type]
    "one side": (UsageError, "321", lambda: explained(sides=321)),
    "absurd sides": (UsageError, "99999999", lambda: explained(sides=(99999999,))),
    "settings of a module": (UsageError, "spec", lambda: archlens.analyze(_Named(), settings=["a=1"])),
    "nothing to explain": (LayerError, "its output is its input", lambda: archlens.explain(nn.Identity())),
    "axes": (InputSizeError, "513", lambda: mapped("fcn", input_size=(513,))),
    "illegal": (InputSizeError, "512x512", lambda: archlens.analyze("deeplabv2", (3, 512, 512))),
    "no size": (InputSizeError, "suits all", lambda: archlens.compare("alexnet", "deeplabv1_4x4_vgg16")),
    "at": (LayerError, "nope", lambda: explained(at="nope")),
    "layer": (LayerError, "nope", lambda: mapped(layer="nope")),
    "unit": (LayerError, "99,0", lambda: mapped(unit=(99, 0))),
    "origin": (LayerError, "nope", lambda: mapped(origin="nope")),
    "output": (LayerError, "nope", lambda: explained(output_name="nope")),
    "language": (UsageError, "fr", lambda: explained(lang="fr")),
    "network of a cut": (UsageError, "network 3", lambda: explained(cuts=("3:a",), sides=())),
    "cut": (UsageError, "no context", lambda: explained(cuts=("a",), sides=())),
    "option": (OptionError, "'x'", lambda: explained(settings=("x=1",))),
    "half an option": (UsageError, "no value", lambda: mapped(settings=("x",))),
    "device": (UsageError, "tpu", lambda: explained(device="tpu", profile=True)),
    "runs": (UsageError, "one run", lambda: mapped("alexnet", "gradient", run=archlens.RunOptions(runs=0))),
    "live": (UsageError, "spec", lambda: mapped(_Named(), "gradient", input_size=(3, 33, 33))),
    "projective": (UsageError, "projective", lambda: mapped("alexnet", "gradient", projective=True)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_an_error_that_says_what_to_do(name: str) -> None:
    kind, words, call = WRONG[name]
    with pytest.raises(archlens.ArchlensError) as caught:
        call()
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_networks_without_a_head_are_compared() -> None:
    one = nn.Conv2d(3, 4, 3)
    assert "Conv2d:2" in str(archlens.compare(one, one, options=SMALL))


@pytest.mark.parametrize(
    "model",
    [nn.MaxPool2d(2), nn.Flatten(), nn.Sequential(nn.ReLU(), nn.AvgPool2d(3)), nn.Conv2d(3, 2, 1)],
    ids=str,
)
def test_networks_without_macs_or_context_are_explained(model: nn.Module, tmp_path: Path) -> None:
    for lang in ("en", "ko"):
        options = archlens.CompareOptions(input_size=(3, 8, 8), lang=lang, sides=())
        found = archlens.explain(model, options=options)
        assert "{" not in str(found)
        found.save(tmp_path / "page.html")


@pytest.mark.parametrize("conv", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
def test_networks_of_any_axes_are_explained(conv: Any, tmp_path: Path) -> None:
    axes = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}[conv]
    model = nn.Sequential(conv(3, 4, 3, padding=1), nn.ReLU(), conv(4, 4, 3, 2, 2, 2), conv(4, 2, 1))
    for lang in ("en", "ko"):
        options = archlens.CompareOptions(input_size=(3,) + (17,) * axes, lang=lang, sides=(33,))
        found = archlens.explain(model, options=options)
        assert {"overlap", "growth_stops"} <= {f["id"] for f in found.findings}
        assert "axis0" not in str(found)
        found.save(tmp_path / "page.html")
        found.save(tmp_path / "found.md")


def test_numbers_of_numpy_are_numbers() -> None:
    found = archlens.analyze("alexnet", np.array([3, 227, 227]), unit=np.array([0, 0]))
    assert found.to_dict() == archlens.analyze("alexnet", (3, 227, 227), unit=(0, 0)).to_dict()


def test_a_method_that_there_is_not() -> None:
    with pytest.raises(UsageError):
        archlens.field_map("alexnet", "nonsense")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"noise": "nope"}, {"statistics": "nope"}], ids=str)
def test_premises_that_there_are_not(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        archlens.field_map("alexnet", **wrong)
