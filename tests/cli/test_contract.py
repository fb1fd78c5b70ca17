"""The JSON that others rely on: keys, types, and the figures that the contract itself quotes."""

import json

import pytest

from archlens import __version__

AXES = ("size", "sizes", "jump", "start")


@pytest.fixture(scope="module")
def deeplabv2():
    from archlens import analyze

    return json.loads(analyze("deeplabv2").to_json())


def test_the_quoted_example(deeplabv2):
    assert deeplabv2["schema_version"] == 1
    assert deeplabv2["generator"] == f"archlens {__version__}"
    assert deeplabv2["model"] == {
        "spec": "deeplabv2",
        "name": "deeplabv2_resnet101",
        "input_shape": [1, 3, 513, 513],
    }
    assert deeplabv2["outputs"] == {"out": "interpolate"}
    assert deeplabv2["class_score"] == "aspp.add:3"
    conv1 = dict(deeplabv2["layers"][0])
    field = conv1.pop("rf")
    assert conv1 == {
        "name": "backbone.conv1",
        "op": "conv2d",
        "inputs": ["input"],
        "shape": [1, 64, 257, 257],
        "params": 9408,
        "macs": 621388992,
        "elementwise": 0,
        "activation_bytes": 16908544,
        "cost_status": "exact",
        "cost_reason": None,
    }
    quoted = {
        "kind": "local",
        "size": [7, 7],
        "sizes": [[7], [7]],
        "jump": [2, 2],
        "start": [-3, -3],
        "aligned": True,
        "local": None,
        "source": None,
        "reason": None,
        "visible": {"unit": [128, 128], "lo": [253, 253], "hi": [259, 259]},
    }
    assert {key: field[key] for key in quoted} == quoted
    totals = deeplabv2["totals"]
    assert (totals["params"], totals["macs"], totals["flops"]) == (44048532, 188885763264, 377771526528)


@pytest.mark.parametrize("command", ["summary", "rf"])
def test_commands_print_the_report(command, cli, deeplabv2):
    said = cli(command, "deeplabv2", "--json")
    assert said.code == 0
    assert json.loads(said.out) == deeplabv2


@pytest.mark.parametrize("name", ["fcn", "pspnet", "deeplabv3plus", "alexnet"])
def test_every_layer_keeps_the_form(name, cli):
    data = json.loads(cli("rf", name, "--json").out)
    names = [layer["name"] for layer in data["layers"]]
    assert len(names) == len(set(names))
    assert data["class_score"] in names
    for layer in data["layers"]:
        assert {type(layer[key]) for key in ("params", "macs", "elementwise", "activation_bytes")} == {int}
        assert set(layer["inputs"]) <= {*names, "input"}
        field = layer["rf"]
        assert field["kind"] in ("local", "varies", "global", "unknown")
        if field["kind"] == "local":
            assert len({len(field[key]) for key in AXES}) == 1
            assert field["local"] is None
        elif field["size"] is None:
            assert [field[key] for key in AXES] == [None] * 4
        if field["visible"] is not None:
            low, high = field["visible"]["lo"], field["visible"]["hi"]
            assert all(
                0 <= a <= b < n for a, b, n in zip(low, high, data["model"]["input_shape"][2:], strict=True)
            )


def test_a_global_layer_keeps_its_finite_path(cli):
    data = json.loads(cli("rf", "pspnet", "--json").out)
    cell = next(layer for layer in data["layers"] if layer["name"] == data["class_score"])["rf"]
    assert (cell["kind"], cell["size"], cell["jump"], cell["start"]) == ("global", None, None, None)
    assert cell["local"]["size"] == [495, 495]
    assert cell["source"] == "ppm.bin1.pool"


def test_compare(cli):
    data = json.loads(cli("compare", "deeplabv1", "pspnet", "--json").out)
    assert set(data) >= {"schema_version", "generator", "input_shape", "models", "findings"}
    assert data["input_shape"] == [1, 3, 513, 513]
    assert isinstance(data["findings"], list)
    for finding in data["findings"]:
        assert set(finding) >= {"id", "claim", "evidence", "layers", "confidence"}
    first, second = data["models"]
    assert first["model"]["spec"] == "deeplabv1"
    assert second["totals"]["macs"] == second["summary"]["macs"]
    assert second["summary"]["global_from"] == "ppm.bin1.pool"
    assert first["summary"]["field"] == [435, 435]


def test_models(cli):
    rows = json.loads(cli("models", "--json").out)
    keys = {"name", "aliases", "year", "paper", "params", "macs", "input_shape", "options"}
    assert all(keys <= set(row) for row in rows)
    row = next(row for row in rows if "deeplabv2" in row["aliases"])
    assert (row["name"], row["year"], row["paper"]) == ("deeplabv2_resnet101", 2016, "arXiv:1606.00915")
    assert (row["params"], row["macs"], row["input_shape"]) == (44048532, 188885763264, [1, 3, 513, 513])
    assert {option["name"] for option in row["options"]} == {"num_classes", "rates"}


def test_the_same_command_gives_the_same_bytes(cli):
    assert cli("rf", "fcn", "--json").out == cli("rf", "fcn", "--json").out
