"""Every command: its help, its shared options, and the shape of what it prints."""

import csv
import inspect
import io
import json

import pytest

from archlens.cli.main import COMMANDS

# The one order everywhere: the shared options stand in it in every command that has them.
ORDER = [
    "input_size", "device", "json", "output", "layer", "unit", "at", "origin", "settings", "weights",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.__name__)
class TestEveryCommand:
    def test_the_module_has_the_name_of_the_command(self, command):
        assert command.__module__ == f"archlens.cli.commands.{command.__name__}"

    def test_help_fits_one_screen_width_and_says_what_it_does(self, command, cli):
        said = cli(command.__name__, "--help")
        assert said.code == 0
        assert "Usage: archlens" in said.out
        assert "\x1b" not in said.out
        assert max(map(len, said.out.splitlines())) <= 80
        assert (inspect.getdoc(command) or "").split()[0] in said.out

    def test_shared_options_stand_in_one_order(self, command):
        names = [name for name in inspect.signature(command).parameters if name in ORDER]
        assert names == sorted(names, key=ORDER.index)

    def test_an_unknown_option_is_wrong_use(self, command, cli):
        said = cli(command.__name__, "--no-such-option")
        assert said.code == 2
        assert said.out == ""
        assert "--no-such-option" in said.err


def test_no_command_shows_the_help_on_stderr(cli):
    said = cli()
    assert (said.code, said.out) == (2, "")
    assert "Commands:" in said.err


def test_version(cli):
    from archlens import __version__

    assert cli("--version").out == f"archlens {__version__}\n"


def test_summary_ends_in_totals_and_names_its_convention(cli):
    said = cli("summary", "deeplabv2")
    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[0] == "# deeplabv2 (deeplabv2_resnet101) at 3x513x513"
    (total,) = [line for line in lines if line.startswith("total")]
    assert "44.0 M" in total
    assert "188.9 G" in total
    assert "FLOPs = 2 MACs" in said.out


def test_rf_shows_by_default_what_changes_the_field_or_the_map(cli):
    few, every = cli("rf", "deeplabv2").out, cli("rf", "deeplabv2", "--all").out
    assert "backbone.bn1" not in few
    assert "backbone.bn1" in every
    assert "backbone.layer4.2.conv2" in few
    assert len(every.splitlines()) > 350
    assert "aspp.add:3" in few


def test_rf_words_of_phases_and_of_global_fields(cli):
    assert "436|468" in cli("rf", "fcn").out
    assert "global (local 495)" in cli("rf", "pspnet").out


def test_a_unit_is_of_the_layer_that_is_named(cli):
    data = json.loads(cli("rf", "fcn", "--layer", "fc6", "--unit", "0,16", "--json").out)
    layers = {layer["name"]: layer for layer in data["layers"]}
    assert layers["fc6"]["rf"]["visible"]["unit"] == [0, 16]
    assert layers["fc7"]["rf"]["visible"]["unit"] == [0, 16]  # its map has that unit too
    assert layers["score_fr"]["rf"]["visible"]["unit"] == [0, 16]


def test_without_a_layer_a_unit_is_of_the_class_score_cell(cli):
    data = json.loads(cli("rf", "fcn", "--unit", "0,0", "--json").out)
    cell = next(layer for layer in data["layers"] if layer["name"] == data["class_score"])
    assert cell["rf"]["visible"] == {"unit": [0, 0], "lo": [0, 0], "hi": [214, 214]}


def test_at_output_takes_the_full_resolution_pixel(cli):
    assert json.loads(cli("rf", "deeplabv2", "--at", "output", "--json").out)["class_score"] == "interpolate"


def test_fields_from_a_layer_are_in_its_cells(cli):
    said = cli("rf", "deeplabv2", "--from", "backbone.layer4.2.relu3", "--layer", "aspp.fc1_c0")
    assert said.out.splitlines()[2].split()[5:7] == ["13", "1"]


def test_a_report_can_be_looked_at_again(cli, tmp_path):
    file = tmp_path / "r.json"
    assert cli("rf", "fcn", "-o", str(file)).code == 0
    again, first = cli("rf", str(file)), cli("rf", "fcn")
    assert again.out.splitlines()[1:] == first.out.splitlines()[1:]


def test_csv_holds_raw_numbers_of_every_layer(cli, tmp_path):
    file = tmp_path / "r.csv"
    assert cli("rf", "deeplabv2", "-o", str(file)).code == 0
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert len(rows) == 350
    assert rows[0]["name"] == "backbone.conv1"
    assert rows[0]["macs"] == "621388992"
    assert rows[0]["visible_lo"] == "253x253"


def test_markdown_is_a_pipe_table(cli, tmp_path):
    file = tmp_path / "r.md"
    assert cli("summary", "fcn", "-o", str(file)).code == 0
    lines = [line for line in file.read_text().splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_models_lists_every_network_with_short_names_and_costs(cli):
    out = cli("models").out
    for name in (
        "alexnet",
        "fcn",
        "deeplabv1",
        "dilatednet",
        "deeplabv2",
        "pspnet",
        "deeplabv3",
        "deeplabv3plus",
    ):
        assert f"= {name} " in out
    assert "188.9 G" in out
    assert "torchvision's deeplabv3_resnet101 is another network" in out


def test_models_of_one_network_lists_its_options(cli):
    out = cli("models", "deeplabv3").out
    assert "output_stride" in out
    assert "32 or 16 or 8" in out


def test_compare_sets_figures_side_by_side(cli):
    said = cli("compare", "fcn", "pspnet")
    assert said.code == 0
    assert said.out.splitlines()[0] == "# fcn | pspnet at 3x513x513"
    rows = {line.split("  ")[0]: line.split()[-2:] for line in said.out.splitlines()}
    assert rows["Score map"] == ["74x74", "65x65"]
    assert rows["Sees at the centre, px"] == ["468x468", "513x513"]
    assert rows["Global from"] == ["never", "ppm.bin1.pool"]
    assert {
        "Parameters",
        "MACs",
        "Peak memory",
        "Deepest stride",
        "Output stride",
        "Reach, of the area",
    } <= set(rows)


def test_compare_takes_a_size_that_suits_all(cli):
    data = json.loads(cli("compare", "fcn", "deeplabv1_4x4_vgg16", "--json").out)
    assert data["input_shape"] == [1, 3, 514, 514]


def test_compare_says_so_where_no_size_suits_all(cli):
    said = cli("compare", "alexnet", "deeplabv1_4x4_vgg16")
    assert said.code == 2
    assert "8 m + 2" in said.err


def test_completion_knows_the_networks():
    from archlens.cli.options import complete_model

    assert [name for name, _ in complete_model("psp")] == ["pspnet", "pspnet_resnet50", "pspnet_resnet101"]
