"""The context module is found by its structure: what counts, and what does not."""

from __future__ import annotations

import pytest
from context_nets import Net, Parallel, Pooled, Skips, aspp, conv, graph_of, plain, ppm, residual
from torch import nn

from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.context import context_module, context_modules


@pytest.mark.parametrize("how", ["cat", "sum", "add"])
def test_branches_that_meet_in_a_concat_or_a_chain_of_adds(how: str) -> None:
    graph = graph_of(aspp((1, 3, 6), how))
    module = context_module(Walks(graph))
    assert module is not None
    assert [b.name for b in module.branches] == ["head.rate1", "head.rate3", "head.rate6"]
    assert [b.extent for b in module.branches] == [3, 7, 13]
    assert module.name == "head"
    assert graph.nodes[module.fork].shape == (1, 8, 17, 17)
    assert len(context_modules(Walks(graph))) == 1
    # Seen from the input: a field of 15 px at stride 4 below the fork.
    assert [b.field[0].path.size for b in module.branches if b.field[0].path] == [23, 39, 63]


def test_a_pyramid_with_the_map_itself() -> None:
    module = context_module(Walks(graph_of(ppm())))
    assert module is not None
    assert [b.name for b in module.branches] == ["head.same", *(f"head.bin{b}" for b in (1, 2, 3, 6))]
    assert [b.kind for b in module.branches] == ["local", "global", "varies", "varies", "varies"]
    assert module.narrowest.name == "head.same"
    assert module.branches[1].extent == 17


@pytest.mark.parametrize("model", [plain(), residual(), Skips()], ids=["plain", "residual", "skips"])
def test_what_is_no_context_module(model: nn.Module) -> None:
    assert context_modules(Walks(graph_of(model))) == []


def test_two_branches_are_too_few() -> None:
    assert context_module(Walks(graph_of(aspp((1, 6))))) is None


def test_branches_of_one_field_are_none() -> None:
    same = Parallel("cat", a=conv(8, 8), b=conv(8, 8), c=conv(8, 8))
    assert context_module(Walks(graph_of(Net(same, 24)))) is None


def test_branches_that_depend_on_one_another_are_none() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = conv(8, 8), conv(8, 8), conv(8, 8)

        def forward(self, x):  # type: ignore[no-untyped-def]
            import torch

            a = self.a(x)
            b = self.b(a)
            return torch.cat([x, a, b, self.c(b)], 1)

    assert context_module(Walks(graph_of(Net(Dense(), 32)))) is None


def test_a_finer_map_in_the_same_concat_is_left_out() -> None:
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before = conv(8, 8)
            self.rates = nn.ModuleList(conv(8, 8, d=r) for r in (1, 2, 4))
            self.pool = Pooled(1)

        def forward(self, x):  # type: ignore[no-untyped-def]
            import torch

            deep = self.before(x)
            return torch.cat([x, *(r(deep) for r in self.rates), self.pool(deep)], 1)

    module = context_module(Walks(graph_of(Net(Head(), 40))))
    assert module is not None
    assert len(module.branches) == 4
