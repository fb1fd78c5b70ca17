"""Rows: which nodes make one layer, and what it is called.

One row a leaf-module call, whatever ops it makes, named by its qualified name; a second call is `:2`.
Functional ops are rows of their own, `<module>.<op>` (at the root just `<op>`), repeated ones `:2` too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from archlens.capture.forms import tensors_in
from archlens.capture.process import module_calls
from archlens.graph import Graph, Layer, Node

# What a module is called in the table where the op that it makes has a more general name.
MODULE_OPS = {
    "AdaptiveAvgPool1d": "adaptive_avg_pool1d",
    "AdaptiveAvgPool2d": "adaptive_avg_pool2d",
    "AdaptiveAvgPool3d": "adaptive_avg_pool3d",
    "AdaptiveMaxPool2d": "adaptive_max_pool2d",
    "MaxPool1d": "max_pool1d",
    "AvgPool1d": "avg_pool1d",
    "Flatten": "flatten",
    "Upsample": "interpolate",
    "UpsamplingBilinear2d": "interpolate",
    "MultiheadAttention": "attention",
    "LocalResponseNorm": "local_response_norm",
    **dict.fromkeys(("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), "instance_norm"),
}
# Costliest first; an op that is not listed counts as 1, pure data movement as 0.
_MOVEMENT = {
    "reshape",
    "permute",
    "copy",
    "identity",
    "pad",
    "expand",
    "crop",
    "slice",
    "view",
    "select",
    "split",
}


@dataclass
class _Row:
    name: str
    module: str
    kind: str
    nodes: list[int] = field(default_factory=list)
    ops: list[tuple[int, str]] = field(default_factory=list)
    params: int = 0
    functional: bool = False
    output: int | None = None  # of a module call: what it returned


@dataclass
class _Frame:
    name: str
    leaf: bool
    kind: str
    row: _Row | None = None


class Rows:
    """Builds layer rows from module calls."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.names = {id(m): n for n, m in reversed(list(model.named_modules(remove_duplicate=False)))}
        self.params = {id(p): n for n, p in reversed(list(model.named_parameters(remove_duplicate=False)))}
        self.sizes = {self.params[id(p)]: p.numel() for p in model.parameters()}
        self.stack: list[_Frame] = []
        self.rows: list[_Row] = []
        self.calls: dict[str, int] = {}
        self.counted: set[str] = set()
        self.called: set[str] = set()
        self.pending: frozenset[str] = frozenset()
        self.naming_empty_call = False
        self.node_of: Callable[[torch.Tensor], int | None] = lambda _: None

    def parameter_name(self, tensor: torch.Tensor) -> str | None:
        """The qualified name of a parameter of the model."""
        return self.params.get(id(tensor))

    def listening(self) -> AbstractContextManager[None]:
        """Follow module calls while the model runs."""
        return module_calls(self._enter, self._leave)

    def _enter(self, module: nn.Module, _: Any) -> None:
        name = self.names.get(id(module))
        if name is None:  # a module made during the run
            name = self.stack[-1].name if self.stack else ""
        inside = bool(self.stack) and self.stack[-1].leaf
        leaf = inside or (module is not self.model and _is_leaf(module))
        frame = _Frame(name, leaf, type(module).__name__)
        if inside:
            frame.row, frame.name = self.stack[-1].row, self.stack[-1].name
        elif leaf:
            frame.row = self._open(name, name.rpartition(".")[0], frame.kind)
            self.called.add(name)
            # Others may stand in for the model's own (`functional_call`): those count where they are used.
            own = (self.params.get(id(p)) for p in module.parameters())
            self._count(frame.row, (name for name in own if name is not None))
        self.stack.append(frame)

    def _leave(self, _module: nn.Module, _: Any, output: Any) -> Any:
        frame = self.stack[-1]
        outer = self.stack[-2].row if len(self.stack) > 1 else None
        ends = frame.row is not None and frame.row is not outer
        if ends and frame.row is not None and frame.row.nodes:
            # A view of a buffer that was written since is read anew here, inside of its row.
            result = next(tensors_in((output,)), None)
            frame.row.output = None if result is None else self.node_of(result)
        self.stack.pop()
        if not ends or frame.row is None or frame.row.nodes:
            return None
        if not isinstance(output, torch.Tensor):
            return None
        # The call made no op (dropout in evaluation mode, nn.Identity): give it a row all the same.
        self.stack.append(frame)
        self.naming_empty_call = True
        try:
            return torch.ops.aten.alias(output)
        finally:
            self.naming_empty_call = False
            self.stack.pop()

    @property
    def open_params(self) -> int:
        """Parameters of the row of the module call that is running."""
        row = self.stack[-1].row if self.stack else None
        return 0 if row is None else row.params

    def _open(self, name: str, module: str, kind: str, functional: bool = False) -> _Row:
        count = self.calls[name] = self.calls.get(name, 0) + 1
        row = _Row(name if count == 1 else f"{name}:{count}", module, kind, functional=functional)
        self.rows.append(row)
        return row

    def use(self, parameters: Iterable[str]) -> None:
        """Parameters that the next node reads."""
        self.pending = frozenset(parameters)

    def add(self, node: int, op: str, macs: int) -> None:
        """Put a node into the row of the module call that is running, or into one of its own."""
        frame = self.stack[-1] if self.stack else _Frame("", False, "")
        if frame.leaf and frame.row is not None:
            row = frame.row
            if self.naming_empty_call and op != "constant":
                op = "dropout" if "Drop" in frame.kind else "identity"
        else:
            row = self._open(f"{frame.name}.{op}" if frame.name else op, frame.name, "", functional=True)
        row.nodes.append(node)
        row.ops.append((macs, op))
        self._count(row, self.pending)
        self.pending = frozenset()

    def _count(self, row: _Row, names: Iterable[str]) -> None:
        for name in names:
            if name in self.sizes and name not in self.counted:
                self.counted.add(name)
                row.params += self.sizes[name]

    # -------------------------------------------------------------- the result

    def graph(
        self, name: str, nodes: Sequence[Node], inputs: Sequence[int], outputs: dict[str, int]
    ) -> Graph:
        """The finished graph."""
        used = [r for r in self.rows if r.nodes]
        for row in used:
            if row.output in row.nodes[:-1]:
                at = row.nodes.index(row.output)
                row.nodes.append(row.nodes.pop(at))
                row.ops.append(row.ops.pop(at))
        used = _join_crops(used, nodes)
        used.sort(key=lambda r: r.nodes[-1])
        layers = tuple(Layer(r.name, _principal(r), tuple(r.nodes), r.module, r.kind, r.params) for r in used)
        missing: dict[str, int] = {}
        for parameter, size in self.sizes.items():
            if parameter not in self.counted:
                owner = parameter.rpartition(".")[0]
                missing[owner] = missing.get(owner, 0) + size
        unique = {id(p): p for p in self.model.parameters()}
        return Graph(
            name=name,
            nodes=tuple(nodes),
            layers=layers,
            inputs=tuple(inputs),
            outputs=outputs,
            params=sum(p.numel() for p in unique.values()),
            param_bytes=sum(p.numel() * p.element_size() for p in unique.values()),
            uncalled=missing,
        )


def _is_leaf(module: nn.Module) -> bool:
    children = {n for n, _ in module.named_children()}
    return not children - {"parametrizations"} or isinstance(module, nn.MultiheadAttention)


def _principal(row: _Row) -> str:
    """The op that stands for a row: the one with most MACs, else the last that computes something."""
    if row.kind in MODULE_OPS:
        return MODULE_OPS[row.kind]
    best = max(row.ops, key=lambda m: m[0])
    if best[0] > 0:
        return best[1]
    real = [op for _, op in row.ops if op not in _MOVEMENT]
    return (real or [op for _, op in row.ops])[-1]


def _join_crops(rows: list[_Row], nodes: Sequence[Node]) -> list[_Row]:
    """`x[:, :, a:b, c:d]` is two slices to ATen and one crop to a reader: one row, named once."""
    readers: dict[int, int] = {}
    for n in nodes:
        for e in n.edges:
            readers[e.source] = readers.get(e.source, 0) + 1
    out: list[_Row] = []
    renumber: dict[str, int] = {}
    for row in rows:
        last = out[-1] if out else None
        if (
            row.functional
            and last is not None
            and last.functional
            and row.ops[0][1] in ("crop", "slice")
            and last.ops[0][1] in ("crop", "slice")
            and row.module == last.module
            and nodes[row.nodes[0]].edges[0].source == last.nodes[-1]
            and readers.get(last.nodes[-1], 0) == 1
        ):
            last.nodes += row.nodes
            last.ops += row.ops
            continue
        out.append(row)
    for row in out:
        if row.functional:
            base = row.name.split(":")[0]
            count = renumber[base] = renumber.get(base, 0) + 1
            row.name = base if count == 1 else f"{base}:{count}"
    return out
