"""Tables on terminals of several widths, in pipes, and as Markdown."""

import io

import pytest
from rich.console import Console

from archlens.render.text.markdown import markdown
from archlens.render.text.table import Column, Table, draw, fit, plain

TABLE = Table(
    title="a title",
    columns=(
        Column("layer"),
        Column("operation", narrow=8),
        Column("params", right=True),
        Column("note", drop=1),
    ),
    rows=(
        ("backbone.layer1.0.conv1", "conv 3x3 d12 s2", "9.41 k", "first"),
        ("backbone.layer1.0.conv2", "bn", "", "a | b *c* <d>"),
    ),
    totals=("total", "", "9.41 k", ""),
    remarks=("It says something.",),
    notes=("A convention.",),
    strong=frozenset({1}),
    paths=True,
)


def drawn(table, width, colour=None):
    console = Console(file=io.StringIO(), width=width, color_system=colour, force_terminal=colour is not None)
    draw(table, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 110, 200])
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, drawn(TABLE, width).splitlines())) <= width


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_cut(width):
    text = drawn(TABLE, width)
    assert "…" not in text
    squeezed = "".join(text.split())
    assert "conv3x3d12s2" in squeezed or width < 80
    for word in ("total", "9.41k", "Itsayssomething."):
        assert word in squeezed


def test_columns_stay_away_where_there_is_no_room():
    assert set(fit(TABLE, 200)) == {0, 1, 2, 3}
    assert 3 not in fit(TABLE, 45)


def test_folding_comes_before_leaving_out():
    widths = fit(TABLE, 62)
    assert 3 in widths
    assert widths[1] < len("conv 3x3 d12 s2")


def test_plain_text_is_aligned_and_complete():
    lines = plain(TABLE).splitlines()
    assert lines[0] == "# a title"
    assert lines[1].index("params") + len("params") == lines[2].index("9.41 k") + len("9.41 k")
    assert "a | b *c* <d>" in lines[3]
    assert lines[-2:] == ["# It says something.", "# A convention."]


def test_repeated_beginnings_of_names_step_back():
    text = drawn(TABLE, 120, "standard")
    assert "\x1b[2mbackbone.layer1.0." in text or "\x1b[1;2mbackbone.layer1.0." in text


def test_markdown_escapes_what_layers_may_be_called():
    text = markdown(TABLE)
    assert "a \\| b \\*c\\* &lt;d>" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1


def test_line_ends_in_cells_stay_in_their_row():
    table = Table("t", (Column("a"), Column("b")), (("x\ny", "z"),))
    assert plain(table).splitlines()[2] == "x y  z"
    assert "| x y | z |" in markdown(table)
