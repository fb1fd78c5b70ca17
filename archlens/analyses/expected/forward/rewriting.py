"""The graph as the expected field walks it: operations that hang together are followed as one.

The walks take what meets in a sum, a product or a window to be independent. With a random layer on one of two
ways it is; without one, what hangs together is told as one node here, where that can be done exactly:

* a sum of multiples of the same things, x + (y - x), adds up their factors;
* what is made of one value position by position, x * sigmoid(x), is a scalar function of it (`formulas`);
* a max pool of a max pool is one with a larger window.

An antialiased resize is told by its reach; here it has its weights.

Whatever else depends on each other has no rule, and its name says so. Nodes keep their ids; those that a
function was made of stay, and nothing reads them any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archlens.analyses.expected.forward.formulas import Formula
from archlens.analyses.expected.forward.transfer import (
    carrying,
    function,
    offset,
    renames,
    role,
    scales,
    shaped_steps,
)
from archlens.graph import AdaptivePool, Along, Edge, Full, Graph, IndexMap, Node, Resize, Slice, Step, Window

MANY = 100
"""Inputs of a mean from which on one of them hardly counts."""
SUM = "terms that depend on each other"
PRODUCT = "factors that depend on each other"
Term = tuple[int, tuple[Step, ...]]


def rewritten(graph: Graph) -> Graph:
    """The graph with what hangs together told as one; the same graph where nothing does."""
    work = _Rewriting(graph)
    nodes = tuple(work.follow(node) for node in graph.nodes)
    changed = any(a is not b for a, b in zip(nodes, graph.nodes, strict=True))
    return replace(graph, nodes=nodes) if changed else graph


class _Rewriting:
    """What is known of the nodes before the one at hand.

    Attributes:
        loose: Bits of all that a node depends on without a random layer in between.
        balanced: Whether its mean is 0, and its sign as good as random.
        formulas: Its value as a function of one node's.
        nodes: The nodes as they are walked.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.loose: list[int] = []
        self.balanced: list[bool] = []
        self.formulas: list[Formula] = []
        self.nodes: list[Node] = []
        self.parts: dict[Term, int] = {}  # bits of channels that were taken out of a node's

    def follow(self, node: Node) -> Node:
        """The node as it is walked."""
        new, formula, several = node, self._formula(node), len(node.edges) > 1
        if role(node) == "max_pool":
            new = self._pooled(node)
        elif "antialias" in node.attrs:
            new = _resized(node)
        elif several and role(node) in ("linear", "product") and self._tied(node):
            new = self._together(node, formula)
        elif formula is not None and (self._is_bent(node, formula) or (several and role(node) == "divide")):
            new = _as_function(node, formula)
        self.nodes.append(new)
        self.formulas.append(Formula.of(node.id) if formula is None else formula)
        self.balanced.append(self._balanced(node))
        self.loose.append(self._loose(node))
        return new

    # -------------------------------------------------------------- what depends on what

    def _loose(self, node: Node) -> int:
        bits = 1 << node.id
        if role(node) in ("random", "unknown", "input", "constant"):
            return bits
        for index in carrying(node):
            bits |= self._behind(node, index)
        return bits

    def _behind(self, node: Node, index: int) -> int:
        """What one edge depends on without a random layer. Other channels of a map are other random numbers:
        parts of it that are taken out are things of their own. A factor of random sign counts as random."""
        edge = node.edges[index]
        if role(node) == "product" and len(node.edges) == 2:
            other = node.edges[1 - index].source
            if self.balanced[other] and not self.loose[other] & self.loose[edge.source]:
                return 0
        read = 1
        for taken in shaped_steps(self.graph, edge):
            geometry = getattr(taken.step, "geometry", None)
            if not taken.positional and isinstance(geometry, (Slice, IndexMap)) and node.op != "cat":
                key = (edge.source, edge.steps)
                return self.parts.setdefault(key, 1 << (len(self.graph.nodes) + len(self.parts)))
            if isinstance(taken.step, Along) and isinstance(geometry, (Full, Window, AdaptivePool)):
                n_in, n_out = taken.before[taken.step.dim], taken.step.size
                read *= geometry.kernel if isinstance(geometry, Window) else -(-n_in // n_out)
        if read >= MANY and ("mean" in node.op or "avg_pool" in node.op):
            return 0
        return self.loose[edge.source]

    def _balanced(self, node: Node) -> bool:
        kind = role(node)
        if kind in ("random", "batch_norm", "layer_norm", "input"):
            return True
        before = [self.balanced[e.source] for e in node.edges]
        if kind == "linear":
            return all(before) and offset(node) == 0
        f = function(node)
        odd = f is not None and f.name in ("tanh", "erf", "sin", "neg")
        return odd and all(before)

    def _tied(self, node: Node) -> bool:
        """Whether terms or factors share something without a random layer between. What lies side by side in
        a concat does not meet."""
        if node.op not in ("add", "sub", "mul"):
            return False
        if node.op == "mul" and node.edges[0].steps and node.edges[0] == replace(node.edges[1], gate=False):
            return False  # a square behind steps: the product's rule knows it
        return _overlap([self._behind(node, k) for k in range(len(node.edges))])

    # -------------------------------------------------------------- as one

    def _together(self, node: Node, formula: Formula | None) -> Node:
        if role(node) == "linear" and (summed := self._summed(node)) is not None:
            return summed
        if formula is not None:
            return _as_function(node, formula)
        return _without_rule(node, SUM if role(node) == "linear" else PRODUCT)

    def _summed(self, node: Node) -> Node | None:
        """A sum as one of independent terms, each with its factor."""
        terms: dict[Term, float] = {}
        number = offset(node)
        for edge, factor in zip(node.edges, scales(node), strict=True):
            _add(terms, (edge.source, edge.steps), factor)
        for _ in range(len(self.nodes)):
            found = self._dependent(terms)
            if found is None:
                edges = tuple(Edge(source, steps) for (source, steps), f in terms.items() if f)
                attrs = {"scales": [f for f in terms.values() if f], "constant": number}
                return replace(node, op="add", edges=edges, attrs=attrs)
            opened = self._opened(found)
            if opened is None:
                return None
            factor = terms.pop(found)
            for edge, part in zip(opened[0], opened[1], strict=True):
                _add(terms, (edge.source, edge.steps), factor * part)
            number += factor * opened[2]
        return None

    def _dependent(self, terms: dict[Term, float]) -> Term | None:
        """The last made of terms that depend on each other; None where none do."""
        kept = sorted((t for t, f in terms.items() if f), key=lambda t: -t[0])
        for k, one in enumerate(kept):
            if any(self.loose[one[0]] & self.loose[other[0]] for other in kept[k + 1 :]):
                return one
        return None

    def _opened(self, term: Term) -> tuple[Sequence[Edge], Sequence[float], float] | None:
        """What a term is a sum or a multiple of: its terms, their factors, and the number added."""
        node = self.graph.nodes[term[0]]
        if term[1]:
            return None
        if renames(node):
            return node.edges, (1.0,), 0.0
        if role(node) == "linear" and node.op in ("add", "sub"):
            return node.edges, scales(node), offset(node)
        f, number = function(node), node.attrs.get("constant")
        if f is not None and f.name == "neg":
            return node.edges, (-1.0,), 0.0
        if len(node.edges) == 1 and number and role(node) in ("product", "divide"):
            return node.edges, (number if node.op == "mul" else 1 / number,), 0.0
        return None

    def _formula(self, node: Node) -> Formula | None:
        """A node's value as a function of another node's alone, position by position."""
        if not node.edges or any(e.steps for e in node.edges):
            return None
        parts = [self.formulas[e.source] for e in node.edges]
        if len({p.root for p in parts}) > 1:
            return None
        return Formula.joined(node, parts)

    def _is_bent(self, node: Node, formula: Formula) -> bool:
        """Whether a function is applied to what is a function already, so that its input is not normal."""
        if len(node.edges) > 1 or renames(node):
            return False
        power = role(node) == "power"
        if power and not formula.whole_power(node):
            return False  # of what hardly varies: see the walk
        return power or not self.formulas[node.edges[0].source].affine

    # -------------------------------------------------------------- max pools

    def _pooled(self, node: Node) -> Node:
        """A max pool of a max pool whose windows leave no gaps, as one of a larger window."""
        source = self.nodes[node.edges[0].source]
        while renames(source):
            source = self.nodes[source.edges[0].source]
        if role(source) != "max_pool":
            return node
        outer, inner = node.edges[0].steps, source.edges[0].steps
        joined = [_joined(a, b) for a, b in zip(inner, outer, strict=False)]
        if len(outer) != len(inner) or any(s is None for s in joined):
            return node
        steps = tuple(s for s in joined if s is not None)
        kernel = [s.geometry.kernel for s in steps if isinstance(s.geometry, Window)]
        attrs = {**node.attrs, "kernel": kernel}
        return replace(node, edges=(Edge(source.edges[0].source, steps),), attrs=attrs)


def _resized(node: Node) -> Node:
    """An antialiased resize with one step an axis, whose weights are known; the capture has its reach."""
    steps = (s for s in node.edges[0].steps if isinstance(s, Along) and isinstance(s.geometry, Resize))
    resized = tuple(replace(s, geometry=Resize("linear")) for s in steps)
    return replace(node, edges=(replace(node.edges[0], steps=resized),))


def _joined(inner: Step, outer: Step) -> Along | None:
    """Two windows along the same dimension as one."""
    if not (isinstance(inner, Along) and isinstance(outer, Along)) or inner.dim != outer.dim:
        return None
    a, b = inner.geometry, outer.geometry
    if not (isinstance(a, Window) and isinstance(b, Window)):
        return None
    if a.dilation != 1 or b.dilation != 1 or a.kernel < a.stride:
        return None
    kernel = (b.kernel - 1) * a.stride + a.kernel
    padding = a.padding + a.stride * b.padding
    return Along(outer.dim, Window(kernel, a.stride * b.stride, padding), outer.size)


def _add(terms: dict[Term, float], term: Term, factor: float) -> None:
    terms[term] = terms.get(term, 0.0) + factor


def _overlap(sets: Sequence[int]) -> bool:
    seen = 0
    for bits in sets:
        if bits & seen:
            return True
        seen |= bits
    return False


def _as_function(node: Node, formula: Formula) -> Node:
    attrs = {"function": "formula", "constants": formula.terms}
    return replace(node, edges=(Edge(formula.root),), attrs=attrs)


def _without_rule(node: Node, why: str) -> Node:
    return replace(node, attrs={**node.attrs, "name": f"{node.op} of {why}"})
