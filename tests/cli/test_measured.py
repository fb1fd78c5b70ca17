"""`--profile` in comparisons and pages: what runs carries its time and memory wherever the report goes."""

from __future__ import annotations

import json

import pytest

SIZE = ("--input-size", "3x65x65")
NETS = ("deeplabv1_largefov_vgg16", "pspnet_resnet50")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A report of each network that was run, as files."""
    from archlens.cli.main import run

    folder = tmp_path_factory.mktemp("measured")
    files = []
    for name in NETS:
        files.append(str(folder / f"{name}.json"))
        assert run(["report", name, *SIZE, "--device", "cpu", "--profile", "-o", files[-1]]) == 0
    return files


def test_each_layer_and_the_whole_are_timed(saved):
    for file in saved:
        with open(file, encoding="utf-8") as handle:
            data = json.load(handle)
        whole = data["measured"]
        assert whole["batch_size"] == 1
        assert whole["dtype"] == "float32"
        assert 0 < whole["latency"]["low"] <= whole["latency"]["median"] <= whole["latency"]["high"]
        assert whole["images_per_second"] == pytest.approx(1 / whole["latency"]["median"])
        times = [row["measured"]["seconds"] for row in data["layers"] if "measured" in row]
        assert len(times) == len(data["layers"])
        assert sum(times) == pytest.approx(whole["layer_sum"])
        # What is held is at least what the liveness of the graph asks for.
        assert whole["peak_bytes"] >= data["totals"]["peak_activation_bytes"]


def test_saved_measurements_are_compared(cli, saved):
    """Without running anything: the table, the finding in both languages, and the module's part."""
    said = cli("compare", *saved, "--json")
    assert said.code == 0
    plain, pspnet = json.loads(said.out)["models"]
    assert plain["evidence"]["time"]["module_seconds"] is None
    rows = {row["name"]: row["measured"]["seconds"] for row in pspnet["layers"]}
    module = sum(seconds for name, seconds in rows.items() if name.startswith("ppm."))
    found = pspnet["evidence"]["time"]
    assert found["module_seconds"] == pytest.approx(module)
    assert found["fusion_seconds"] == rows["conv5_4.conv"]
    times = [f for f in json.loads(said.out)["findings"] if f["id"] == "time"]
    assert [f["confidence"] for f in times] == ["measured"] * 2
    claim = next(f["claim"] for f in times if f["evidence"]["name"].startswith("pspnet"))
    assert "ppm takes" in claim
    assert " ms, " in claim
    table = cli("compare", *saved).out
    assert "Latency, measured" in table
    assert "median of 7 passes" in table
    assert "걸린다" in cli("compare", *saved, "--lang", "ko").out


def test_the_page_shows_them(cli, saved, tmp_path):
    file = tmp_path / "page.html"
    assert cli("compare", *saved, "-o", str(file)).code == 0
    page = file.read_text(encoding="utf-8")
    assert "Images a second" in page
    assert 'data-key="time"' in page
    assert "median of 7 passes" in page


def test_without_a_run_there_are_no_such_rows(cli, tmp_path):
    said = cli("compare", *NETS, *SIZE)
    assert "measured" not in said.out
    file = tmp_path / "page.html"
    assert cli("report", NETS[0], *SIZE, "-o", str(file)).code == 0
    assert 'data-key="time"' not in file.read_text(encoding="utf-8")


def test_an_edited_graph_is_not_measured(cli, saved):
    """The times of the whole network are not those of the cut one."""
    said = cli("compare", *saved, "--cut", "ppm.bin1", "--json")
    pspnet = json.loads(said.out)["models"][1]
    assert "measured" not in pspnet
    assert pspnet["evidence"]["time"] is None
    assert any("not measured" in note for note in pspnet["notes"])


def test_a_saved_report_has_nothing_to_run(cli, saved, tmp_path):
    plain = tmp_path / "plain.json"
    assert cli("report", NETS[0], *SIZE, "-o", str(plain)).code == 0
    said = cli("compare", str(plain), saved[1], "--profile", "--json")
    assert said.code == 0
    without, with_time = json.loads(said.out)["models"]
    assert any("nothing to run" in note for note in without["notes"])
    assert with_time["measured"]["latency"]["runs"] == 7


def test_a_device_that_is_not_there(cli):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a card")
    said = cli("compare", *NETS, *SIZE, "--profile", "--device", "cuda")
    assert said.code == 2
    assert "CUDA" in said.err
