"""Verification: what archlens says of the user's own network, held to what the network does.

Four checks, each with what was checked, what agreed, and what could not be checked and why:

* `reach`:   the visible box of every unit of every layer. The twin of the network (see `oracle`) is run on
  images that are lit up to a random line and dark beyond: a unit answers exactly if its box reaches the lit
  part. Few runs, all units, all layers.
* `box` and `support`: single units, drawn at random and at the corners: all pixels that they depend on, from
  a backward pass through the twin, bit for bit.
* `macs`:    the total against fvcore and against torch's FlopCounterMode.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from archlens.analyses.fields.status import Status, statuses
from archlens.analyses.fields.support import support
from archlens.analyses.fields.visible import NOTHING, Box, boxes
from archlens.capture.load.checkpoint import live_module
from archlens.capture.run import capture_spec
from archlens.graph import Graph, Node
from archlens.probes.device import guarded, resolve
from archlens.probes.verify.oracle import Bools, Oracle, positions
from archlens.probes.verify.referees import Counted, flop_counter, fvcore
from archlens.progress import Say, silent
from archlens.spec import Spec

SHOWN = 20  # disagreements kept for each check


@dataclass(frozen=True)
class Disagreement:
    """One thing that is not as said."""

    layer: str
    said: str
    found: str


@dataclass(frozen=True)
class Agreement:
    """One kind of check.

    Attributes:
        name: `reach`, `box`, `support`, `macs (fvcore)`, `macs (torch)`.
        unit: What is counted: `units`, `MACs`.
        checked: How many were checked.
        agreed: How many of them agree.
        bounds: How many of those are stated as upper bounds, and hold.
        layers: How many layers they are of.
        wrong: What does not agree, the first few.
        left_out: What could not be checked, and why.
    """

    name: str
    unit: str
    checked: int
    agreed: int
    bounds: int = 0
    layers: int = 0
    wrong: tuple[Disagreement, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all that was checked agrees."""
        return self.checked == self.agreed


@dataclass(frozen=True)
class Verification:
    """All checks of one network at one input size."""

    name: str
    input_shape: tuple[int, ...]
    checks: tuple[Agreement, ...]
    seconds: float
    device: str = "cpu"

    @property
    def passed(self) -> bool:
        """Whether nothing disagrees and something was checked at all."""
        return all(c.passed for c in self.checks) and any(c.checked for c in self.checks)


def verify(
    model: nn.Module,
    graph: Graph,
    *,
    units: int = 12,
    cuts: int = 1,
    seed: int = 0,
    seconds: float = 120.0,
    macs: bool = True,
    device: torch.device | None = None,
    progress: Say = silent,
) -> Verification:
    """Hold a graph to the network that it was captured from.

    Args:
        model: The network, with or without values; left as it is.
        graph: Its capture, as `archlens.capture.run.capture_module` gives it.
        units: Single units whose whole support is compared, spread over the layers.
        cuts: Lines per axis that the lit part of the image ends at; each costs two forward passes.
        seed: Of the lines and the units.
        seconds: Time after which no further unit is begun; what was left out is said.
        macs: Whether to ask the referees for MACs (fvcore runs the network for real).
        device: Where the twin is played; default the CPU. The referees run where they always do: torch's
            counter without values, fvcore on the CPU.
        progress: Called with a few words before each slow step.
    """
    start = time.monotonic()
    shape = graph.nodes[graph.inputs[0]].shape
    others = [graph.nodes[n].shape for n in graph.inputs[1:]]
    progress("recording the network's calls")
    checks: list[Agreement] = []
    try:
        oracle: Oracle | None = Oracle(model, shape, *others, device=device)
    except Exception as error:
        oracle = None
        reason = f"the network could not be run without values ({type(error).__name__}: {error})"[:300]
        checks += [Agreement(name, "units", 0, 0, left_out=(reason,)) for name in ("reach", "box", "support")]
    if oracle is not None and not _alike(graph, oracle.graph):
        reason = "a second run of the network makes other calls than the first: nothing can be compared"
        checks += [Agreement(name, "units", 0, 0, left_out=(reason,)) for name in ("reach", "box", "support")]
    elif oracle is not None:
        rng = random.Random(seed)
        checks.append(_reach(graph, oracle, rng, cuts, progress))
        checks += _single(graph, oracle, rng, units, start + seconds, progress)
    if macs:
        progress("counting MACs with torch and fvcore")
        said = sum(n.macs for n in graph.nodes)
        checks.append(_macs("macs (torch)", said, flop_counter(model, shape)))
        checks.append(_macs("macs (fvcore)", said, fvcore(model, shape)))
    return Verification(
        graph.name, shape, tuple(checks), time.monotonic() - start, str(device or torch.device("cpu"))
    )


# ------------------------------------------------------------------ boxes of all units


def unit_boxes(box: Box, node: Node) -> tuple[np.ndarray, np.ndarray]:
    """(axes, *positions) inclusive ends of every unit, over its channels; lo > hi where it sees nothing."""
    los = [np.broadcast_to(a, node.shape) for a in box.lo]
    his = [np.broadcast_to(a, node.shape) for a in box.hi]
    empty = np.any([lo > hi for lo, hi in zip(los, his, strict=True)], axis=0)
    over = node.others
    lo = np.stack([np.where(empty, NOTHING, a).min(over) for a in los])
    hi = np.stack([np.where(empty, -NOTHING, a).max(over) for a in his])
    return lo, hi


def _reach(graph: Graph, oracle: Oracle, rng: random.Random, cuts: int, progress: Say) -> Agreement:
    """Half-lit images: for every unit of every layer, whether it reaches across a line."""
    tally = _Tally(graph, "reach")
    found, sure = boxes(graph), statuses(graph)
    start = graph.nodes[graph.inputs[0]]
    ends = {
        n.id: unit_boxes(box, n) for n in graph.nodes if (box := found[n.id]) is not None and box.lo
    }  # a unit at a time would take longer than the runs
    for axis, dim in enumerate(start.positions):
        for _ in range(cuts):
            line = rng.randrange(1, start.shape[dim]) if start.shape[dim] > 1 else 0
            for before in (True, False):
                progress(f"lighting positions {'before' if before else 'from'} {line} of axis {axis}")
                lit: list[slice] = [slice(None)] * len(start.shape)
                lit[dim] = slice(0, line) if before else slice(line, None)
                x = torch.zeros(start.shape, dtype=torch.float64, device=oracle.device)
                x[tuple(lit)] = 1.0

                def take(node: int, value: Tensor, _: bool, axis: int = axis, line: int = line,
                         before: bool = before) -> None:  # fmt: skip
                    status = sure[node]
                    if node not in ends or status is None or status.word == "unknown":
                        return
                    answers = positions(value.cpu().numpy() != 0, graph.nodes[node].positions)
                    lo, hi = ends[node]
                    said = (lo[axis] < line) if before else (hi[axis] >= line)
                    tally.compare(node, status, said, answers, f"reaching position {line} of axis {axis}")

                with torch.no_grad():
                    oracle.watch(x, take)
    return tally.check(_unplayed(graph, oracle, sure))


# ------------------------------------------------------------------ whole supports of single units


def _single(
    graph: Graph, oracle: Oracle, rng: random.Random, units: int, end: float, progress: Say
) -> list[Agreement]:
    sure, found = statuses(graph), boxes(graph)
    known = [
        layer.output
        for layer in graph.layers
        if (s := sure[layer.output]) is not None
        and s.word != "unknown"
        and graph.nodes[layer.output].positions
    ]
    asked = _drawn(graph, known, rng, units)
    box_tally, support_tally = _Tally(graph, "box"), _Tally(graph, "support")
    late = 0
    progress(f"following {len(asked)} units back")
    answers = oracle.supports(asked)
    for node, unit in asked:
        if time.monotonic() > end:
            late += 1
            continue
        there, said = next(answers), support(graph, node, unit)
        status = sure[node]
        if there is None or said is None or status is None:
            continue
        at = f"unit {','.join(map(str, unit))}"
        support_tally.compare(node, status, said, there, at, whole=True)
        box = found[node]
        ends = None if box is None else box.unit(graph.nodes[node], unit)
        box_tally.compare(node, status, _filled(ends, there.shape), _filled(_hull(there), there.shape), at,
                          whole=True)  # fmt: skip
    left_out: tuple[str, ...] = (f"{late} of {len(asked)} units: the time was up",) if late else ()
    left_out += _unplayed(graph, oracle, sure)
    return [box_tally.check(left_out), support_tally.check(left_out)]


def _drawn(
    graph: Graph, nodes: Sequence[int], rng: random.Random, count: int
) -> list[tuple[int, tuple[int, ...]]]:
    """Units of layers spread over the depth, the last one always among them; corners and random places."""
    if not nodes or count < 1:
        return []
    steps = [round(k * (len(nodes) - 1) / max(1, count - 1)) for k in range(count)] if count > 1 else [-1]
    out = []
    for k, step in enumerate(steps):
        node = graph.nodes[nodes[step]]
        sizes = node.map_size
        corner = k % 4 == 0
        out.append((node.id, tuple(rng.choice((0, n - 1)) if corner else rng.randrange(n) for n in sizes)))
    return out


def _hull(lit: Bools) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    places = np.argwhere(lit)
    return None if not len(places) else (tuple(places.min(0)), tuple(places.max(0)))


def _filled(ends: tuple[tuple[int, ...], tuple[int, ...]] | None, shape: tuple[int, ...]) -> Bools:
    """A box as a mask."""
    out = np.zeros(shape, bool)
    if ends is not None:
        out[tuple(slice(lo, hi + 1) for lo, hi in zip(*ends, strict=True))] = True
    return out


# ------------------------------------------------------------------ MACs


def _macs(name: str, said: int, count: Counted) -> Agreement:
    if count.macs is None:
        return Agreement(name, "MACs", 0, 0, left_out=(count.reason or "no answer",))
    wrong = () if count.macs == said else (Disagreement("total", f"{said:,}", f"{count.macs:,}"),)
    return Agreement(name, "MACs", said, said if not wrong else 0, wrong=wrong)


# ------------------------------------------------------------------ bookkeeping


class _Tally:
    """Adds up one check."""

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph, self.name = graph, name
        self.names = {n: layer.name for layer in graph.layers for n in layer.nodes}
        self.checked = self.agreed = self.bounds = 0
        self.layers: set[str] = set()
        self.wrong: list[Disagreement] = []

    def compare(
        self, node: int, status: Status, said: Bools, found: Bools, what: str, whole: bool = False
    ) -> None:
        """Two masks: element by element, or as one answer (`whole`). A bound may say more than is there."""
        layer = self.names.get(node, "input")
        if said.shape != found.shape:
            said = np.broadcast_to(said, found.shape)
        bound = status.word == "bound"
        bad = (found & ~said) if bound else (said != found)
        count = 1 if whole else bad.size
        failed = int(bad.any()) if whole else int(bad.sum())
        self.layers.add(layer)
        self.checked += count
        self.agreed += count - failed
        self.bounds += count - failed if bound else 0
        if failed and len(self.wrong) < SHOWN:
            if whole:
                words = f"{int(said.sum())} positions", f"{int(found.sum())} positions"
            else:
                unit = ",".join(map(str, np.argwhere(bad)[0]))
                words = f"unit {unit}: {bool(said[bad][0])}", f"{bool(found[bad][0])}"
            self.wrong.append(Disagreement(layer, f"{what}: {words[0]}", words[1]))

    def check(self, left_out: tuple[str, ...]) -> Agreement:
        """The result."""
        return Agreement(
            self.name, "units", self.checked, self.agreed, self.bounds, len(self.layers),
            tuple(self.wrong), left_out,
        )  # fmt: skip


def _unplayed(graph: Graph, oracle: Oracle, sure: Sequence[Status | None]) -> tuple[str, ...]:
    """What could not be compared, in words."""
    out = [
        f"behind {op} ({n} {'call' if n == 1 else 'calls'}): the twin has no rule for it"
        for op, n in sorted(oracle.skipped.items())
    ]
    lost = [layer for layer in graph.layers if (s := sure[layer.output]) is not None and s.word == "unknown"]
    if lost:
        first = sure[lost[0].output]
        reason = first.reason if first is not None else None
        out.append(f"{len(lost)} layers from {lost[0].name} on are unknown ({reason})")
    return tuple(out)


def _alike(graph: Graph, other: Graph) -> bool:
    return [(n.op, n.shape) for n in graph.nodes] == [(n.op, n.shape) for n in other.nodes]


def verify_spec(
    spec: Spec,
    size: Sequence[int] | None,
    *,
    units: int,
    cuts: int,
    seed: int,
    seconds: float,
    macs: bool,
    device: str,
    progress: Say,
) -> Verification:
    """Run the oracles on a copy of the network that a spec names (`probes.verify`)."""
    where = resolve(device)
    module = live_module(spec)[0]
    graph, _ = capture_spec(spec, tuple(size) if size else None, progress)
    progress("checking")
    return guarded(
        where,
        f"verifying {graph.name}",
        "Use a smaller --input-size, or --device cpu.",
        lambda: verify(
            module.eval(), graph, units=units, cuts=cuts, seed=seed, seconds=seconds, macs=macs, device=where,
            progress=progress,
        ),
    )  # fmt: skip
