"""A user's own counterfactual, as text: what `--cut` takes.

ppm.bin1             without this branch (a branch's name, or any layer of it)
all                  without all branches of the context module but the narrowest
aspp.rate18=1        this branch's (layer's, module's) dilation set to 1, or to another rate
rates=1              the rates of the context module, or without one of the head, set to 1
bins=1               a pyramid's bins replaced by one
"""

from __future__ import annotations

from archlens.analyses.fields.walks import Walks
from archlens.analyses.structure.context import ContextModule, context_module
from archlens.analyses.structure.edit import bins_to_one, cut, cut_all, dilated, set_rate
from archlens.errors import LayerError, UsageError, did_you_mean
from archlens.graph import Graph


def edited(walks: Walks, text: str) -> Graph:
    """The graph with one edit.

    Raises:
        LayerError: No such branch or layer; the hint names the nearest.
        UsageError: A value that is no rate, or an edit that this network has no place for.
    """
    graph = walks.graph
    name, equals, value = text.partition("=")
    module = context_module(walks)
    if equals:
        if not value.isdigit() or int(value) < 1:
            raise UsageError(f"--cut {text}: {value!r} is no rate", "Write a whole number, as in aspp=1.")
        if name == "bins":
            return _one_bin(graph, module, text)
        return set_rate(graph, _windows(graph, module, name), int(value))
    if module is None:
        raise UsageError(
            f"--cut {text}: {graph.name} has no context module, so no branch to cut",
            "Set a rate instead, as in --cut LAYER=1.",
        )
    if name == "all":
        return cut_all(graph, module)
    return cut(graph, module, {_branch(graph, module, name)})


def _branch(graph: Graph, module: ContextModule, name: str) -> str:
    if module.branch(name) is not None:
        return name
    for branch in module.branches:
        if any(graph.name_of(n) == name for n in branch.nodes):
            return branch.name
    known = [b.name for b in module.branches]
    raise LayerError(f"{module.name} of {graph.name} has no branch {name!r}", did_you_mean(name, known))


def _one_bin(graph: Graph, module: ContextModule | None, text: str) -> Graph:
    flat = None if module is None else bins_to_one(graph, module)
    if flat is None or flat.nodes == graph.nodes or not text.endswith("=1"):
        raise UsageError(
            f"--cut {text}: {graph.name} has no grid of bins to replace by 1",
            "bins=1 is for pyramid pooling.",
        )
    return flat


def _windows(graph: Graph, module: ContextModule | None, name: str) -> set[int]:
    """Dilated windows in the layers of that name, branch or module; `rates`: of the context module."""
    if name == "rates" and module is not None:
        found = set(dilated(graph, {n for b in module.branches for n in b.nodes}))
    elif name == "rates":
        found = set(dilated(graph)[-1:])
    else:
        found = set(
            dilated(
                graph,
                {
                    n
                    for layer in graph.layers
                    if layer.name == name or layer.name.startswith(name + ".")
                    for n in layer.nodes
                },
            )
        )
    if not found:
        known = [graph.name_of(n) for n in dilated(graph)]
        raise LayerError(
            f"{graph.name} has no dilated layer {name!r}",
            did_you_mean(name, known) if known else "None of its layers is dilated.",
        )
    return found
