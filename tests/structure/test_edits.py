"""Edited graphs: geometry, costs and names after a cut, against the network built without the branch."""

from __future__ import annotations

import pytest
from context_nets import aspp, graph_of, plain, ppm

from archlens.analyses.fields.theoretical import receptive_fields
from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.class_score import class_score
from archlens.analyses.structure.context import context_module
from archlens.analyses.structure.cost import totals
from archlens.analyses.structure.edit import bins_to_one, cut, cut_all, dilated, set_rate
from archlens.analyses.structure.extend import add_image_pooling
from archlens.errors import LayerError, UsageError
from archlens.findings.edits import edited
from archlens.graph import Graph


def size(graph: Graph) -> int | None:
    field = receptive_fields(graph)[class_score(graph)]
    assert field is not None
    return field[0].path.size if field[0].path else None


@pytest.mark.parametrize("how", ["cat", "sum"])
@pytest.mark.parametrize("gone", [1, 3, 6])
def test_a_cut_equals_the_network_without_the_branch(how: str, gone: int) -> None:
    rates = (1, 3, 6, 2)
    graph = graph_of(aspp(rates, how))
    module = context_module(Walks(graph))
    assert module is not None
    made = cut(graph, module, {f"head.rate{gone}"})
    other = graph_of(aspp([r for r in rates if r != gone], how))
    assert size(made) == size(other)
    assert totals(made).params == totals(other).params
    assert totals(made).macs == totals(other).macs
    assert all(f"rate{gone}." not in layer.name for layer in made.layers)
    assert [n.id for n in made.nodes] == list(range(len(made.nodes)))


def test_all_but_the_narrowest() -> None:
    graph = graph_of(ppm())
    module = context_module(Walks(graph))
    assert module is not None
    made = cut_all(graph, module)
    assert context_module(Walks(made)) is None
    field = receptive_fields(made)[class_score(made)]
    assert field is not None
    assert field[0].kind == "local"
    assert size(made) == 15


def test_rates_keep_the_maps_and_the_centres() -> None:
    graph = graph_of(aspp((2, 3, 6)))
    flat = set_rate(graph, dilated(graph))
    other = graph_of(aspp((1, 1, 1)))
    assert [n.shape for n in flat.nodes] == [n.shape for n in graph.nodes]
    assert receptive_fields(flat)[class_score(flat)] == receptive_fields(other)[class_score(other)]
    assert size(set_rate(graph, dilated(graph), lambda r: 2 * r)) == size(graph_of(aspp((4, 6, 12))))


def test_bins_become_one() -> None:
    graph = graph_of(ppm((1, 2, 3)))
    module = context_module(Walks(graph))
    assert module is not None
    made = bins_to_one(graph, module)
    other = graph_of(ppm((1,)))
    pooled = [n for n in made.nodes if n.op == "mean"]
    assert len(pooled) == 3
    assert all(n.shape[2:] == (1, 1) for n in pooled)
    assert totals(made).macs - totals(other).macs == 2 * 8 * 8 + 17 * 17 * 2 * 8 * 5  # two mixes, wider score


def test_an_image_level_branch_makes_the_field_global() -> None:
    graph = graph_of(plain())
    at = next(n.id for n in graph.nodes if n.shape == (1, 8, 17, 17) and n.op == "relu")
    made = add_image_pooling(graph, at)
    field = receptive_fields(made)[class_score(made)]
    assert field is not None
    assert field[0].kind == "global"
    assert size(made) == size(graph)  # beside it the finite path stays
    assert made.params == graph.params + 8 * 8 + 2 * 8
    assert totals(made).macs == totals(graph).macs + 8 * 8


def test_what_a_user_may_ask_for() -> None:
    graph = graph_of(aspp((1, 3, 6)))
    assert size(edited(Walks(graph), "head.rate6")) == 39
    assert size(edited(Walks(graph), "head.rate6.0")) == 39  # a layer of the branch
    assert size(edited(Walks(graph), "all")) == 23
    assert size(edited(Walks(graph), "rates=1")) == 23
    assert size(edited(Walks(graph), "head.rate6=2")) == 39
    assert len(edited(Walks(graph_of(ppm())), "bins=1").nodes) == len(graph_of(ppm()).nodes)


@pytest.mark.parametrize(
    ("edit", "error", "says"),
    [
        ("head.rate7", LayerError, "no branch"),
        ("head.rate1=2", LayerError, "no dilated layer"),
        ("head.rate6=x", UsageError, "no rate"),
        ("bins=1", UsageError, "no grid of bins"),
    ],
)
def test_what_it_may_not_be(edit: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        edited(Walks(graph_of(aspp((1, 3, 6)))), edit)


def test_a_cut_needs_a_context_module() -> None:
    with pytest.raises(UsageError, match="no context module"):
        edited(Walks(graph_of(plain())), "all")
