"""The generated file behind `archlens models` holds what the networks hold."""

import json

import pytest

from archlens.pipeline import analyze
from archlens.zoo.catalogue import CATALOGUE
from archlens.zoo.costs import FILE, zoo_figures


def test_it_names_the_whole_catalogue_in_order():
    assert list(json.loads(FILE.read_text())) == [entry.name for entry in CATALOGUE]


@pytest.mark.parametrize("name", [entry.name for entry in CATALOGUE])
def test_it_agrees_with_the_code(name):
    totals = analyze(name, use_cache=True).totals
    figures = zoo_figures()[name]
    assert (figures.params, figures.macs) == (totals["params"], totals["macs"]), (
        "python benchmarks/zoo_costs.py writes the file again; say why in the changelog"
    )
