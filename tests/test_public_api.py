"""The names that users import."""

import pytest
from torch import nn

import archlens


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
