"""The context module, found by its structure and not by a name.

A context module is three or more branches that leave one fork, do not depend on one another, differ in their
fields, and meet again in a concat, an add, or a chain of adds (Python's `sum()` makes one): ASPP, pyramid
pooling, an inception block. A residual stack is none (each sum depends on the one before), nor are a
decoder's skips (the deep branch passes through the shallow one's source).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archlens.analyses.fields.theoretical import Field
from archlens.analyses.fields.visible import Box
from archlens.analyses.fields.walks import Walks

MERGES = ("cat", "add")
FEWEST = 3


@dataclass(frozen=True)
class Branch:
    """One way from the fork to the merge.

    Attributes:
        name: The module that holds it, or its layer; `identity` where the fork itself arrives.
        nodes: Nodes between fork and merge, in order; empty for the identity.
        merge: Node where it arrives, and
        position: the index of its edge there.
        end: Node that arrives.
        cells: Its field seen from the fork, in cells of the fork's map.
        field: Its field seen from the input, in pixels.
        extents: Cells of the fork's map that a unit may see, per axis; of a fixed grid's bins and of a global
            branch, the most that any unit sees at this size.
    """

    name: str
    nodes: tuple[int, ...]
    merge: int
    position: int
    end: int
    cells: Field
    field: Field
    extents: tuple[int, ...]

    @property
    def extent(self) -> int:
        """Of those, the first axis."""
        return self.extents[0]

    @property
    def kind(self) -> str:
        """local | varies | global | unknown, seen from the fork."""
        return max((a.kind for a in self.cells), key=("local", "varies", "global", "unknown").index)


@dataclass(frozen=True)
class ContextModule:
    """Branches of one fork that meet again.

    Attributes:
        name: The module that holds all its layers, or the merge's layer.
        fork: Node that all branches read.
        merge: Node where they have met: the concat, or the last add of the chain.
        branches: In the order of their edges.
    """

    name: str
    fork: int
    merge: int
    branches: tuple[Branch, ...]

    @property
    def nodes(self) -> frozenset[int]:
        """Its branches' nodes, and where they meet."""
        return frozenset(n for b in self.branches for n in b.nodes) | {self.merge}

    @property
    def spread(self) -> int:
        """Between the widest and the narrowest branch, in cells."""
        extents = [b.extent for b in self.branches]
        return max(extents) - min(extents)

    @property
    def narrowest(self) -> Branch:
        """The branch that sees least: the identity, a 1x1, or the least rate."""
        return min(self.branches, key=lambda b: b.extent)

    def branch(self, name: str) -> Branch | None:
        """The branch of that name."""
        return next((b for b in self.branches if b.name == name), None)


def _extents(field: Field, box: Box | None) -> tuple[int, ...]:
    out = []
    for axis, own in enumerate(field):
        if own.finite and own.path is not None:
            out.append(own.path.size)
        else:
            out.append(0 if box is None else max(int((box.hi[axis] - box.lo[axis]).max()) + 1, 0))
    return tuple(out)


def context_modules(walks: Walks) -> list[ContextModule]:
    """All context modules, in execution order."""
    walk = _Search(walks)
    found = []
    for node in walks.graph.nodes:
        if node.op in MERGES and not walk.continues(node.id):
            module = walk.module(node.id)
            if module is not None:
                found.append(module)
    return found


def context_module(walks: Walks) -> ContextModule | None:
    """The one whose branches differ most; the later one where two differ alike."""
    modules = context_modules(walks)
    return max(modules, key=lambda m: (m.spread, m.merge), default=None)


class _Search:
    """Dominators and ancestors of a graph, kept while modules are looked for."""

    def __init__(self, walks: Walks) -> None:
        self.walks, self.graph = walks, walks.graph
        graph = self.graph
        self.dominators: list[tuple[int, ...]] = []  # from the input to the node itself; () = constant
        self.ancestors: list[int] = []  # bit n: depends on node n, or is it
        for node in graph.nodes:
            bits = 1 << node.id
            chains = []
            for edge in node.edges:
                bits |= self.ancestors[edge.source]
                if self.dominators[edge.source]:
                    chains.append(self.dominators[edge.source])
            self.ancestors.append(bits)
            if node.id in graph.inputs:
                self.dominators.append((node.id,))
            else:
                self.dominators.append((*_common(chains), node.id) if chains else ())

    def continues(self, node: int) -> bool:
        """Whether this merge is only a step of a larger one of its kind."""
        readers = self.graph.consumers[node]
        return len(readers) == 1 and self.graph.nodes[readers[0]].op == self.graph.nodes[node].op

    def leaves(self, root: int) -> Iterator[tuple[int, int, int]]:
        """(merge node, edge index, arriving node) of a chain of merges, in order."""
        node = self.graph.nodes[root]
        for index, edge in enumerate(node.edges):
            if edge.gate or not self.dominators[edge.source]:
                continue
            source = self.graph.nodes[edge.source]
            if source.op == node.op and self.graph.consumers[source.id] == [root]:
                yield from self.leaves(source.id)
            else:
                yield root, index, source.id

    def module(self, root: int) -> ContextModule | None:
        """The context module that ends in this merge, or None."""
        leaves = list(self.leaves(root))
        if len(leaves) < FEWEST:
            return None
        forks = sorted({d for _, _, end in leaves for d in self.dominators[end]}, reverse=True)
        for fork in forks:
            group = [leaf for leaf in leaves if fork in self.dominators[leaf[2]]]
            if len(group) < FEWEST:
                continue
            between = [self.between(fork, end) for _, _, end in group]
            if all(not (a & b) for i, a in enumerate(between) for b in between[:i]) and between.count(0) < 2:
                return self.build(fork, root, group, between)
            if len(group) == len(leaves):  # an earlier fork only adds what the branches share
                return None
        return None

    def between(self, fork: int, end: int) -> int:
        """Bits of the nodes on the ways from the fork to the end, the fork itself not."""
        own = 0
        bits = self.ancestors[end]
        for n in range(fork + 1, end + 1):
            if bits >> n & 1 and self.ancestors[n] >> fork & 1:
                own |= 1 << n
        return own

    def build(
        self, fork: int, root: int, group: Sequence[tuple[int, int, int]], between: Sequence[int]
    ) -> ContextModule | None:
        cells = self.walks.fields(fork)
        seen = [cells[end] for _, _, end in group]
        fields = [self.walks.fields()[end] for _, _, end in group]
        if any(not f for f in seen) or any(not f for f in fields):
            return None
        if len({tuple((a.kind, a.path.size if a.path else None) for a in f or ()) for f in seen}) < 2:
            return None
        boxed = self.walks.boxes(fork)
        nodes = [tuple(n for n in range(fork + 1, root + 1) if bits >> n & 1) for bits in between]
        branches = tuple(
            Branch(name, own, merge, index, end, cell or (), field or (), _extents(cell or (), boxed[end]))
            for name, own, (merge, index, end), cell, field in zip(
                self.names(nodes), nodes, group, seen, fields, strict=True
            )
        )
        return ContextModule(self.module_name(nodes, root), fork, root, branches)

    def names(self, nodes: Sequence[tuple[int, ...]]) -> list[str]:
        """One name a branch: the deepest module that holds it alone, else its first layer with weights."""
        shared = [_prefix(self.layer_names(own)) for own in nodes]
        names = []
        for own, prefix in zip(nodes, shared, strict=True):
            layers = self.layer_names(own)
            alone = prefix and sum(_holds(prefix, other) for other in shared) == 1
            weighty = [self.graph.name_of(n) for n in own if "weight" in self.graph.nodes[n].attrs]
            names.append(prefix if alone else (weighty or layers or ["identity"])[0])
        return names

    def layer_names(self, nodes: Sequence[int]) -> list[str]:
        return list(dict.fromkeys(self.graph.name_of(n) for n in nodes))

    def module_name(self, nodes: Sequence[tuple[int, ...]], root: int) -> str:
        merge = self.graph.name_of(root)
        layers = [name for own in nodes for name in self.layer_names(own)]
        return _prefix([*layers, merge]) or merge


def _common(chains: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """What several dominator chains begin with."""
    first = chains[0]
    for other in chains[1:]:
        n = 0
        while n < min(len(first), len(other)) and first[n] == other[n]:
            n += 1
        first = first[:n]
    return first


def _prefix(names: Sequence[str]) -> str:
    """The dotted components that all names begin with."""
    if not names:
        return ""
    parts = [name.split(".") for name in names]
    same = 0
    while same < min(map(len, parts)) and len({p[same] for p in parts}) == 1:
        same += 1
    return ".".join(parts[0][:same])


def _holds(prefix: str, name: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")
