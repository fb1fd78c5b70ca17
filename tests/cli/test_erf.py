"""`archlens erf`: the four methods, the files it writes, and what it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

SMALL = ("--input-size", "3x65x65")


def load(path: Path) -> tuple[np.ndarray, dict[str, object]]:
    with np.load(io.BytesIO(path.read_bytes())) as data:
        return data["map"], json.loads(str(data["meta"]))


def test_expected_map_and_its_metadata(cli, tmp_path):
    file = tmp_path / "map.npz"
    assert cli("erf", "pspnet", *SMALL, "-o", str(file)).code == 0
    energy, meta = load(file)
    assert energy.shape == (65, 65)
    assert energy.dtype == np.float64
    assert energy.sum() == pytest.approx(1.0)
    assert (meta["layer"], meta["unit"], meta["from"]) == ("conv6", [4, 4], "input")
    assert meta["status"] == "assumed"
    assert meta["assumptions"]


def test_support_is_what_reaches_the_unit(cli, tmp_path):
    file = tmp_path / "map.npz"
    words = ("--layer", "backbone.pool1", "--unit", "60,60", "--method", "support", "-o", str(file))
    said = cli("erf", "fcn32s_vgg16", *SMALL, *words)
    assert said.code == 0
    mask, meta = load(file)
    assert mask.dtype == bool
    # pool1 reads rows 120, 121 of conv1_2, which reads 119..122 of conv1_1, which is padded by 100.
    rows, cols = np.nonzero(mask)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (19, 24, 19, 24)
    assert mask.sum() == 36
    assert meta["status"] == "exact"
    assert meta["visible"] == {"lo": [19, 19], "hi": [24, 24]}


def test_from_another_layer(cli, tmp_path):
    file = tmp_path / "map.npz"
    words = ("--from", "backbone.pool5", "--method", "support", "-o", str(file))
    assert cli("erf", "deeplabv2_vgg16", *SMALL, "--layer", "aspp.fc6_1", *words).code == 0
    mask, meta = load(file)
    assert mask.shape == (9, 9)
    assert meta["from"] == "backbone.pool5"
    assert {tuple(p) for p in np.argwhere(mask)} == {
        (4, 4)
    }  # rate 6 on a map of 9: only the centre is inside


def test_gradient_over_random_weights(cli):
    said = cli("erf", "alexnet", "--layer", "backbone.conv2", "--method", "gradient", "--runs", "2",
               "--device", "cpu", "--json")  # fmt: skip
    data = json.loads(said.out)
    assert said.code == 0
    assert data["runs"] == 2
    assert data["map_shape"] == [227, 227]
    value, error = data["summary"]["erf_50"]
    assert 0 < value < 51
    assert error > 0


def test_text_names_the_unit_and_the_status(cli):
    said = cli("erf", "alexnet", "--layer", "backbone.conv1").out
    assert "expected field of backbone.conv1, unit 27,27" in said
    assert "assumed" in said
    assert "ERF 50 %" in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--layer", "nope"), "nope"),
        (("--unit", "99,99"), "map is"),
        (("--method", "guess"), "guess"),
        (("-o", "map.gif"), ".gif"),
        (("--method", "gradient", "--images", "nowhere"), "nowhere"),
        (("--method", "gradient", "--mean", "a,b"), "--mean"),
        (("--method", "gradient", "--device", "meta"), "meta"),
    ],
)
def test_wrong_use_is_named(cli, words, expected):
    said = cli("erf", "alexnet", *words)
    assert said.code == 2
    assert expected in said.err
    assert "Traceback" not in said.err


def test_the_occlusion_table(cli):
    said = cli("erf", "alexnet", "--method", "occlusion", "--limit", "1", "--stride", "72", "--patch", "24",
               "--device", "cpu", "--json")  # fmt: skip
    rows = {row["name"]: row for row in json.loads(said.out)["layers"]}
    assert {"backbone.pool1", "backbone.pool2", "backbone.conv3", "backbone.conv4", "backbone.pool5"} <= set(
        rows
    )
    assert rows["backbone.pool5"]["theoretical_size"] == [195, 195]


def test_the_other_direction(cli, tmp_path):
    """A pixel reaches the units whose support holds it."""
    file = tmp_path / "map.npz"
    words = ("erf", "fcn32s_vgg16", *SMALL, "--layer", "backbone.pool1")
    assert cli(*words, "--projective", "--method", "support", "--unit", "20,20", "-o", str(file)).code == 0
    reached, meta = load(file)
    assert meta["projective"]
    units = {tuple(int(v) for v in u) for u in np.argwhere(reached)}
    assert (60, 60) in units  # which reads rows and columns 19 to 24
    # 6 px every 2 px: three units an axis read a pixel.
    assert len(units) == 9
    assert "units of backbone.pool1" in cli(*words, "--projective", "--unit", "20,20").out
    assert cli(*words, "--projective", "--unit", "99,0").code == 2
    said = cli(*words, "--projective", "--unit", "20,20", "--method", "occlusion")
    assert said.code == 2
    assert "computed" in said.err


def test_the_share_that_a_pixel_has(cli, tmp_path):
    """The same units, with a weight each: 1 pixel of the 36 that a pooled unit sees, the middle ones more."""
    file = tmp_path / "map.npz"
    words = ("erf", "fcn32s_vgg16", *SMALL, "--layer", "backbone.pool1", "--projective", "--unit", "20,20")
    assert cli(*words, "-o", str(file)).code == 0
    shares, meta = load(file)
    assert np.count_nonzero(shares) == 9
    assert meta["status"] == "assumed"
    assert meta["summary"]["pixels"] == 9
    assert meta["summary"]["largest_share"] == shares.max() > 1 / 36
    assert "units' worth" in cli(*words).out
    assert cli(*words, "-o", str(tmp_path / "map.png")).code == 0


def test_supports_of_all_phases(cli):
    """FCN-8s' class scores: a cell sees 436 px or 468 px, as its phase has it."""
    said = cli("erf", "fcn", "--method", "support", "--json")
    found = json.loads(said.out)
    assert found["phase_count"] == 16 == len(found["phases"])
    assert {tuple(p["box"]) for p in found["phases"]} == {(436, 436), (436, 468), (468, 436), (468, 468)}
    assert all(p["pixels"] == p["box"][0] * p["box"][1] for p in found["phases"])
    assert "phases   16: 190,096 to 219,024 pixels" in cli("erf", "fcn", "--method", "support").out


def test_the_columns_of_rf(cli):
    """The chain's closed form: the effective field grows, and stays inside the theoretical one."""
    said = cli("rf", "alexnet", "--erf")
    assert said.code == 0
    assert "ERF 50 %" in said.out
    rows = {r["name"]: r for r in json.loads(cli("rf", "alexnet", "--erf", "--json").out)["layers"]}
    for name in ("backbone.conv1", "backbone.pool1", "backbone.conv2", "backbone.conv5"):
        erf, size = rows[name]["erf"], rows[name]["rf"]["size"][0]
        assert 0 < erf["erf_50"] < erf["erf_95"] <= size
        assert erf["status"] == "assumed"
    cosine = json.loads(cli("rf", "torchvision:swin_v2_t", "--erf", "--json").out)["layers"]
    last = cosine[-1]["erf"]
    assert last["status"] == "unknown"
    assert last["erf_95"] is None
