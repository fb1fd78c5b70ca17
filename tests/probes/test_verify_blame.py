"""Verification names who is likely wrong: archlens, the twin, or a counter of MACs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from archlens.capture import ops
from archlens.capture.call import Call
from archlens.capture.inputs import from_example
from archlens.capture.ops.normalise import batch_norm
from archlens.capture.ops.spatial import convolution
from archlens.capture.run import capture_module
from archlens.graph import Along, Window
from archlens.probes.verify import twin_named, twin_ops
from archlens.probes.verify.by_witness import affordable
from archlens.probes.verify.counting import judged
from archlens.probes.verify.referees import Counted
from archlens.probes.verify.results import Agreement, Verification
from archlens.probes.verify.run import verify
from archlens.render.text.table import plain
from archlens.render.text.verification import verification_json, verification_table

torch.set_num_threads(1)


class Wide(nn.Module):
    """A 5x5 convolution between others."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (
            nn.Conv2d(1, 2, 3, padding=1),
            nn.Conv2d(2, 3, 5, padding=2),
            nn.Conv2d(3, 1, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.c(torch.relu(self.b(torch.relu(self.a(x)))))
        return y


def as_three(geometry: Any) -> Any:
    """A window of 5 as one of 3."""
    five = isinstance(geometry, Window) and geometry.kernel == 5
    return replace(geometry, kernel=3, padding=geometry.padding - 1) if five else geometry


def narrow(call: Call) -> Any:
    """The wrong rule: 5x5 as 3x3."""
    low = convolution(call)
    edges = tuple(
        replace(e, steps=tuple(replace(s, geometry=as_three(s.geometry)) if isinstance(s, Along) else s
                               for s in e.steps))
        for e in low.edges
    )  # fmt: skip
    return replace(low, edges=edges)


def narrow_twin(args: Any, shape: Any) -> Any:
    """The same mistake in the twin."""
    if tuple(args[1].shape[2:]) != (5, 5):
        return twin_ops.convolution(args, shape)
    small = twin_ops.Constant(torch.empty(*args[1].shape[:2], 3, 3, device="meta"), torch.device("cpu"))
    padding = [p - 1 for p in args[4]]
    return twin_ops.convolution([args[0], small, args[2], args[3], padding, *args[5:]], shape)


def checked(net: nn.Module, *size: int, **how: Any) -> tuple[Verification, dict[str, Agreement], str]:
    found = verify(net, capture_module(net, size), **{"units": 4, **how})
    return found, {c.name: c for c in found.checks}, plain(verification_table(found))


def test_what_archlens_and_the_twin_both_miss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ops.RULES, "convolution", narrow)
    monkeypatch.setitem(twin_ops.OPS, "convolution", narrow_twin)
    found, checks, text = checked(Wide(), 1, 11, 13, macs=False)
    assert all(checks[name].agrees and checks[name].checked for name in ("reach", "box", "support"))
    assert not checks["witness"].passed
    assert not found.passed
    assert checks["witness"].wrong[0].layer == "b"
    assert "False, the twin False, the network itself True" in text
    assert "archlens is likely wrong" in text


def test_a_norm_taken_for_position_by_position(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(call: Call) -> Any:
        low = batch_norm(call)
        assert low[0] is not None
        return [replace(low[0], edges=low[0].edges[:1]), *low[1:]]

    for name in ("native_batch_norm", "_native_batch_norm_legit"):
        monkeypatch.setitem(ops.RULES, name, wrong)
        monkeypatch.setitem(twin_named.NAMED, name, lambda given, _: (given["input"].clone(),))
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.InstanceNorm2d(2), nn.Conv2d(2, 2, 1))
    found, checks, _ = checked(net, 1, 9, 9, macs=False)
    assert checks["reach"].agrees
    assert not found.passed
    assert checks["witness"].wrong[0].layer == "1"


def test_archlens_alone_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ops.RULES, "convolution", narrow)
    found, checks, text = checked(Wide(), 1, 11, 13, macs=False)
    assert not found.passed
    assert not checks["reach"].passed
    assert "archlens is likely wrong" in checks["reach"].verdict
    assert "False, the twin True, the network itself True" in text


def test_archlens_says_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the twin nor the network answers to all of it."""

    def wide(call: Call) -> Any:
        low = convolution(call)
        steps = [
            tuple(replace(s, geometry=replace(s.geometry, kernel=7, padding=3))
                  if isinstance(s, Along) and isinstance(s.geometry, Window) and s.geometry.kernel == 5 else s
                  for s in e.steps)
            for e in low.edges
        ]  # fmt: skip
        return replace(low, edges=tuple(replace(e, steps=s) for e, s in zip(low.edges, steps, strict=True)))

    monkeypatch.setitem(ops.RULES, "convolution", wide)
    found, checks, text = checked(Wide(), 1, 11, 13, macs=False)
    assert not found.passed
    assert checks["witness"].passed
    assert "likely says too much" in checks["support"].verdict
    assert "fewer" in text


@pytest.mark.parametrize("rule", ["narrow", "wide"])
def test_the_twin_alone_is_wrong(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    def wide(args: Any, shape: Any) -> Any:
        return args[0].mean((1, 2, 3), keepdim=True).expand(tuple(shape)).clone()

    monkeypatch.setitem(twin_ops.OPS, "convolution", narrow_twin if rule == "narrow" else wide)
    found, checks, text = checked(Wide(), 1, 11, 13, macs=False)
    assert found.passed
    assert not checks["support"].agrees
    assert checks["support"].suspect == "the twin"
    assert "the twin is likely wrong" in text
    assert "nothing speaks against archlens" in text
    data = {c["name"]: c for c in verification_json(found)["checks"]}
    assert data["support"]["passed"]
    assert data["support"]["suspect"] == "the twin"
    assert data["witness"]["edges"] > 0


class Valued(nn.Module):
    """A network that decides by values."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.a(x)
        if y.mean().item() > 1e9:
            y = y * 2
        out: torch.Tensor = self.b(y)
        return out


def test_a_network_that_needs_values_is_held_to_itself() -> None:
    found, checks, text = checked(Valued(), 1, 11, 9, macs=False)
    assert found.passed
    assert not checks["reach"].checked
    assert checks["witness"].checked > 0
    assert "without values" in text


class Unread(nn.Module):
    """A branch that no output reads."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 9, 3), nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.a(x)
        self.b(y)
        out: torch.Tensor = self.c(y)
        return out


class Recurrent(nn.Module):
    """Columns read one after the other, in both directions."""

    def __init__(self, kind: type[nn.Module] = nn.GRU) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3, padding=1)
        self.r = kind(4, 5, batch_first=True, bidirectional=True)
        self.f = nn.Linear(10, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.f(self.r(self.c(x).mean(2).transpose(1, 2))[0])
        return y


def test_macs_that_no_output_reads() -> None:
    pytest.importorskip("fvcore")
    found, checks, text = checked(Unread(), 3, 9, 9)
    assert found.passed
    assert checks["macs (torch)"].agrees
    assert checks["macs (fvcore)"].suspect == "fvcore"
    assert "fvcore leaves out 8100 MACs that no output reads" in text


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_recurrent_layers_that_fvcore_does_not_count(kind: type[nn.Module]) -> None:
    pytest.importorskip("fvcore")
    found, checks, text = checked(Recurrent(kind), 3, 5, 5, draws=2)
    assert found.passed
    assert checks["witness"].checked > 0
    assert f"of recurrent layers ({kind.__name__})" in text


def test_two_counters_against_archlens() -> None:
    graph = capture_module(Unread(), (3, 9, 9))
    said = sum(n.macs for n in graph.nodes)

    def words(torch_says: int | None, fvcore_says: int | None) -> list[Agreement]:
        counts = {
            "torch": Counted(torch_says, convolutions=torch_says or 0),
            "fvcore": Counted(fvcore_says, convolutions=fvcore_says or 0, uncounted=("gru", "relu")),
        }
        return judged(graph, counts)

    assert [c.passed for c in words(said, said)] == [True, True]
    both = words(said + 7, said + 7)
    assert [c.passed for c in both] == [False, False]
    assert both[0].wrong[0].layer == "convolutions"
    assert [c.passed for c in words(said + 7, said)] == [True, True]
    one = words(said, said - 3)[1]
    assert one.suspect == "fvcore"
    assert one.verdict.endswith("fvcore does not count gru")
    assert [c.passed for c in words(None, said - 3)] == [True, False]


def test_totals_that_are_bounds_are_not_held_to_the_last_mac() -> None:
    graph = capture_module(Unread(), (3, 9, 9))
    said = sum(n.macs for n in graph.nodes)
    nodes = list(graph.nodes)
    nodes[-1] = replace(nodes[-1], attrs={**nodes[-1].attrs, "uncounted": True})
    bound = replace(graph, nodes=tuple(nodes))
    counts = {
        "torch": Counted(said + 9, convolutions=said),
        "fvcore": Counted(said - 9, convolutions=said - 9),
    }
    more, less = judged(bound, counts)
    assert more.passed
    assert more.bounds == said
    assert "at least" in more.verdict
    assert less.suspect == "fvcore"


def test_less_is_asked_where_runs_are_few() -> None:
    assert affordable(30, 8, 10_000) == (8, 30)
    assert affordable(30, 8, 80) == (8, 9)
    assert affordable(30, 8, 20) == (4, 4)
    assert affordable(30, 8, 2) == (1, 2)
    assert affordable(30, 8, 0) == (0, 0)


def test_the_table_is_narrow_enough() -> None:
    from archlens.render.text.table import fit

    found, _, _ = checked(Unread(), 3, 9, 9, draws=1)
    table = verification_table(found)
    assert sum(fit(table, 80).values()) + 2 * (len(fit(table, 80)) - 1) <= 80


class Tokens(nn.Module):
    """Words looked up, and a mask that is passed by name."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.c = nn.Embedding(10, 6), nn.Conv1d(6, 3, 3, padding=1)

    def forward(self, input_ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": self.c((self.words(input_ids) * mask[..., None]).transpose(1, 2))}


def test_inputs_by_name() -> None:
    net = Tokens()
    example = {"input_ids": torch.randint(0, 10, (1, 9)), "mask": torch.ones(1, 9)}
    graph = capture_module(net, example=example)
    found = verify(net, graph, units=3, draws=4, inputs=from_example(example, net))
    assert found.passed
    assert all(c.checked == c.agreed > 0 for c in found.checks)


def test_a_module_that_makes_no_call_does_not_end_the_witness() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(), nn.Identity(), nn.Conv2d(2, 1, 3))
    _, checks, _ = checked(net, 1, 9, 9, draws=2, macs=False)
    assert checks["witness"].layers >= 3
    assert not checks["witness"].left_out


def test_no_time_is_said() -> None:
    found, checks, _ = checked(Wide(), 1, 11, 13, macs=False, seconds=0.0)
    assert found.passed
    assert not checks["witness"].checked
    assert "time" in checks["witness"].left_out[0]


class LearntMask(nn.Module):
    """Attention along rows whose mask comes in one sum with a learnt bias, as in transformers' Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(3, 4) for _ in range(3))
        self.bias = nn.Parameter(torch.randn(6, 6))
        self.register_buffer("mask", torch.zeros(6, 6).index_fill(1, torch.tensor([4, 5]), -100.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x[0].permute(1, 2, 0)  # (rows, 6, 3)
        scores = self.q(rows) @ self.k(rows).transpose(1, 2) + (self.bias[None] + self.mask)
        out: torch.Tensor = scores.softmax(2) @ self.v(rows)
        return out


def test_a_mask_with_a_learnt_bias_is_one_to_the_twin_too() -> None:
    found, checks, _ = checked(LearntMask(), 3, 5, 6, units=8, macs=False)
    assert found.passed, found.checks
    assert all(checks[name].agreed == checks[name].checked > 0 for name in ("reach", "support", "witness"))
