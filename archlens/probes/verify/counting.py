"""MACs held to two counters, and which of the three is likely wrong where they differ.

Both counters have gaps of their own: fvcore drops what no output reads and has no rule for recurrent layers;
each leaves out operators that it doesn't know. So a difference is explained where it can be: by a part of the
network that a counter leaves out, to the last MAC, or by the other counter, which counts as archlens does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations

from torch import nn

from archlens.analyses.fields.status import statuses
from archlens.analyses.structure.cost import uncounted
from archlens.capture.inputs import Inputs
from archlens.graph import Graph
from archlens.probes.verify.referees import Counted, flop_counter, fvcore
from archlens.probes.verify.results import Agreement, Disagreement
from archlens.words import number

RECURRENT = ("GRU", "LSTM", "RNN")
MULTIPLYING = (
    "gru",
    "lstm",
    "rnn",
    "mm",
    "mv",
    "dot",
    "conv",
    "linear",
    "attention",
    "einsum",
)
"""Parts of names of operators that multiply and add."""


def macs_against(model: nn.Module, graph: Graph, inputs: Inputs) -> list[Agreement]:
    """The network's MACs held to torch's FlopCounterMode and to fvcore.

    Args:
        model: Left as it is.
        graph: Its capture.
        inputs: What it is called with.
    """
    return judged(graph, {"torch": flop_counter(model, inputs), "fvcore": fvcore(model, inputs)})


def judged(graph: Graph, counts: dict[str, Counted]) -> list[Agreement]:
    """One check a counter, with who is likely wrong where it differs."""
    said, missing = sum(n.macs for n in graph.nodes), uncounted_ops(graph)
    right = {
        name
        for name, count in counts.items()
        if count.macs is not None
        and (count.macs == said or (missing and count.macs > said) or gaps(graph, count.macs))
    }
    totals = [count.macs for count in counts.values() if count.macs is not None]
    alike = totals[0] if not right and len(totals) > 1 and len(set(totals)) == 1 else None
    return [_one(graph, name, count, right - {name}, alike) for name, count in counts.items()]


def _one(graph: Graph, name: str, count: Counted, others: Collection[str], alike: int | None) -> Agreement:
    said, check = sum(n.macs for n in graph.nodes), f"macs ({name})"
    if count.macs is None:
        return Agreement(check, "MACs", 0, 0, left_out=(count.reason or "no answer",))
    if count.macs == said:
        return Agreement(check, "MACs", said, said)
    missing = uncounted_ops(graph)
    if missing and count.macs > said:
        verdict = f"archlens says that it counts at least so many: without {', '.join(missing)}"
        return Agreement(check, "MACs", said, said, bounds=said, verdict=verdict)
    convolutions = sum(n.macs for n in graph.nodes if "conv" in n.op)
    pairs = (
        ("convolutions", convolutions, count.convolutions),
        ("products", said - convolutions, count.macs - count.convolutions),
    )
    wrong = tuple(Disagreement(what, number(a), number(b)) for what, a, b in pairs if a != b)
    gap = gaps(graph, count.macs)
    if gap:
        suspect, verdict = name, f"{name} leaves out {gap}"
    elif others:
        other = next(iter(others))
        suspect, verdict = name, f"{name} is likely wrong: {other} counts as archlens does"
        if met := unknown_to(count):
            verdict += f"; {name} does not count {', '.join(met)}"
    elif alike is not None:
        suspect, verdict = "", f"archlens is likely wrong: all counters count {number(alike)}"
    else:
        suspect, verdict = "", f"archlens or {name}: no counter agrees, and nothing known explains it"
    agreed = max(0, said - abs(said - count.macs))
    return Agreement(check, "MACs", said, agreed, wrong=wrong, suspect=suspect, verdict=verdict)


def uncounted_ops(graph: Graph) -> list[str]:
    """Operations whose arithmetic archlens says that it does not count."""
    return sorted({op for n in graph.nodes if (op := uncounted(n)) is not None})


def unknown_to(count: Counted) -> list[str]:
    """Operators that a counter has no rule for and that multiply and add."""
    met = [op for op in count.uncounted if not op.startswith("upsample")]
    return [op for op in met if any(part in op for part in MULTIPLYING)]


def gaps(graph: Graph, counted: int) -> str:
    """The parts of the network that a counter leaves out if its total is to be explained, to the last MAC, in
    words; "" where no choice of them explains it."""
    parts = [(words, nodes) for words, nodes in _left_out(graph) if _macs(graph, nodes)]
    said = sum(n.macs for n in graph.nodes)
    for many in range(1, len(parts) + 1):
        for chosen in combinations(parts, many):
            gone: frozenset[int] = frozenset().union(*(nodes for _, nodes in chosen))
            if said - _macs(graph, gone) == counted:
                return " and ".join(f"{number(_macs(graph, nodes))} MACs {words}" for words, nodes in chosen)
    return ""


def _left_out(graph: Graph) -> Iterator[tuple[str, frozenset[int]]]:
    """What counters are known to leave out: words and nodes."""
    read = graph.ancestors(*graph.outputs.values())
    fields = [statuses(graph, origin) for origin in graph.inputs]
    dependent = frozenset(n.id for n in graph.nodes if any(f[n.id] is not None for f in fields))
    yield "that no output reads", dependent - read
    yield "that depend on no input", frozenset(n.id for n in graph.nodes) - dependent
    for kind in RECURRENT:
        layers = [layer for layer in graph.layers if layer.kind.removesuffix("Cell") == kind]
        yield f"of recurrent layers ({kind})", frozenset(n for layer in layers for n in layer.nodes)


def _macs(graph: Graph, nodes: Collection[int]) -> int:
    return sum(graph.nodes[n].macs for n in nodes)
