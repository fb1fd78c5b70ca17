"""Verification: what archlens says of the user's own network, held to what the network does.

Checks, each with what was checked, what agreed, and what could not be checked and why:

* `reach`, `box` and `support`: against the network's linear positive twin (`by_twin`);
* `witness`: against the network itself, with some of its image changed (`by_witness`);
* `macs`:    the total against fvcore and against torch's FlopCounterMode (`counting`).

Where the first two differ from archlens, it is said who is likely wrong (`judging`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from archlens.capture.inputs import Inputs, from_sizes
from archlens.capture.load import load
from archlens.capture.load.checkpoint import live_module
from archlens.capture.run import capture_spec, loaded_inputs
from archlens.graph import Graph
from archlens.probes.device import guarded, is_lost, is_out_of_memory, resolve
from archlens.probes.verify.by_twin import reach, single, unplayed
from archlens.probes.verify.by_witness import hear, parts
from archlens.probes.verify.claims import Claims, Part, Unit
from archlens.probes.verify.counting import macs_against
from archlens.probes.verify.judging import of_twin, of_witness
from archlens.probes.verify.oracle import Oracle
from archlens.probes.verify.results import Agreement, Verification
from archlens.probes.verify.witness import Witness
from archlens.progress import Say, silent
from archlens.spec import Spec

TWIN_CHECKS = ("reach", "box", "support")


def verify(
    model: nn.Module,
    graph: Graph,
    *,
    units: int = 12,
    cuts: int = 1,
    draws: int = 8,
    seed: int = 0,
    seconds: float = 120.0,
    macs: bool = True,
    device: torch.device | None = None,
    inputs: Inputs | None = None,
    progress: Say = silent,
) -> Verification:
    """Hold a graph to the network that it was captured from.

    Args:
        model: The network, with or without values; left as it is.
        graph: Its capture, as `archlens.capture.run.capture_module` gives it.
        units: Single units whose whole support is compared, spread over the layers.
        cuts: Lines per axis that the lit part of the image ends at; each costs two forward passes.
        draws: Images that the network itself is run on, each with all changes.
        seed: Of the lines, the units and the images.
        seconds: Time after which nothing further is begun, half of it the twin's; what was left out is said.
        macs: Whether to ask the referees for MACs (fvcore runs the network for real).
        device: Where the twin is played; default the CPU. All else runs where it always does: torch's counter
            without values, fvcore and the network itself on the CPU.
        inputs: What the network is called with; default one image of the graph's size, and further inputs.
        progress: Called with a few words before each slow step.
    """
    start = time.monotonic()
    shape = graph.nodes[graph.inputs[0]].shape
    given = inputs or from_sizes([graph.nodes[n].shape[1:] for n in graph.inputs], model)
    rng = random.Random(seed)
    claims = Claims(graph)
    asked = Asked(claims.halves(rng, cuts), claims.drawn(rng, units), rng)
    progress("recording the network's calls")
    oracle, no_twin = _oracle(model, graph, given, device)
    witness, no_witness = _witness(model, given, draws, seed)
    same = witness if witness is not None and alike(graph, witness.graph) else None
    if oracle is None:
        checks = left_out(TWIN_CHECKS, no_twin)
    else:
        checks = _against_twin(claims, oracle, asked, same, start, seconds, progress)
    if witness is None:
        checks += left_out(("witness",), no_witness)
    else:
        checks.append(_against_itself(claims, oracle, witness, asked, start + seconds, progress))
    if macs:
        progress("counting MACs with torch and fvcore")
        checks += macs_against(model, graph, given)
    return Verification(
        graph.name, shape, tuple(checks), time.monotonic() - start, str(device or torch.device("cpu"))
    )


@dataclass(frozen=True)
class Asked:
    """What the twin and the network itself are asked about.

    Attributes:
        halves: Half images.
        drawn: Single units: node and index.
        rng: Of what else is drawn.
    """

    halves: list[Part]
    drawn: list[tuple[int, Unit]]
    rng: random.Random


def _oracle(
    model: nn.Module, graph: Graph, inputs: Inputs, device: torch.device | None
) -> tuple[Oracle | None, str]:
    """The twin, or why there is none."""
    try:
        oracle = Oracle(model, inputs, device=device)
    except Exception as error:
        return None, f"the network could not be run without values ({_words(error)})"
    if not alike(graph, oracle.graph):
        return None, "a second run of the network makes other calls than the first: nothing can be compared"
    return oracle, ""


def _witness(model: nn.Module, inputs: Inputs, draws: int, seed: int) -> tuple[Witness | None, str]:
    """The network itself, or why it cannot be run."""
    try:
        return Witness(model, inputs, draws=draws, seed=seed), ""
    except Exception as error:
        return None, f"the network could not be run with values ({_words(error)})"


def _against_twin(
    claims: Claims,
    oracle: Oracle,
    asked: Asked,
    witness: Witness | None,
    start: float,
    seconds: float,
    progress: Say,
) -> list[Agreement]:
    try:
        reached, late = reach(claims, oracle, asked.halves, start + seconds / 2, progress)
        box, support, later = single(claims, oracle, asked.drawn, start + seconds / 2, progress)
    except Exception as error:
        if is_out_of_memory(error) or is_lost(error):
            raise
        return left_out(TWIN_CHECKS, f"the twin cannot play it ({_words(error)})")
    lost = unplayed(oracle) + claims.unknown()
    end = time.monotonic() + max(10.0, seconds / 4)
    found = ((reached, "reach", late), (box, "box", later), (support, "support", later))
    return [of_twin(tally, name, words + lost, witness, end) for tally, name, words in found]


def _against_itself(
    claims: Claims, oracle: Oracle | None, witness: Witness, asked: Asked, end: float, progress: Say
) -> Agreement:
    notes = claims.unknown()
    drawn = asked.drawn
    if not alike(claims.graph, witness.graph):
        # What archlens says of this run is held to this run: it is archlens' word all the same.
        oracle, claims = None, Claims(witness.graph)
        drawn = claims.drawn(asked.rng, len(drawn))
        own = "run with values it makes other calls: what archlens says of those was held to them"
        notes = (*claims.unknown(), own)
    if time.monotonic() > end:
        return left_out(("witness",), "the time was up")[0]
    try:
        changed = parts(claims, asked.halves, drawn, asked.rng)
        hearing = hear(claims, witness, changed, drawn, end, progress)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return left_out(("witness",), f"the network fails on changed images ({_words(error)})")[0]
    hearing.left_out += notes
    return of_witness(hearing, oracle)


def alike(graph: Graph, other: Graph) -> bool:
    """Whether two captures made the same calls."""
    return [(n.op, n.shape) for n in graph.nodes] == [(n.op, n.shape) for n in other.nodes]


def left_out(names: Sequence[str], reason: str) -> list[Agreement]:
    """Checks that could not be made."""
    return [Agreement(name, "units", 0, 0, left_out=(reason,)) for name in names]


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def verify_spec(
    spec: Spec,
    sizes: Sequence[Sequence[int]],
    *,
    units: int,
    cuts: int,
    seed: int,
    seconds: float,
    macs: bool,
    device: str,
    progress: Say,
) -> Verification:
    """Run all checks on a copy of the network that a spec names; `sizes`: one an input, default its own."""
    where = resolve(device)
    module = live_module(spec)[0].eval()
    graph, _ = capture_spec(spec, sizes, progress)
    inputs = loaded_inputs(load(spec), module, sizes)
    progress("checking")
    return guarded(
        where,
        f"verifying {graph.name}",
        "Use a smaller --input-size, or --device cpu.",
        lambda: verify(
            module, graph, units=units, cuts=cuts, seed=seed, seconds=seconds, macs=macs, device=where,
            inputs=inputs, progress=progress,
        ),
    )  # fmt: skip
