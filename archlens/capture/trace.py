"""Capture: one run without arithmetic. nn.Module + input shapes -> Graph.

The model runs once under a `TorchDispatchMode`. Parameters and everything that depends on the input live on
the meta device, which has shapes and no values; whatever does not depend on the input (position tables,
masks of shifted windows) is computed for real on the CPU. Every ATen call on an input-dependent tensor is
lowered to geometry and becomes a node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from archlens.capture.call import Call, Cut, Lowered
from archlens.capture.constants import Constants, to_meta, values_kept
from archlens.capture.cuts import NOTE as CUTS_NOTE
from archlens.capture.cuts import cut
from archlens.capture.forms import MOVED, Form, filled, form_of, one_by_one, tensors_in
from archlens.capture.inputs import Inputs
from archlens.capture.leaving import RANDOM, Calls, Watching
from archlens.capture.ops import lower, unknown
from archlens.capture.process import unfused_attention
from archlens.capture.rows import Rows
from archlens.capture.shapes import SHAPES
from archlens.capture.storage import Tensors
from archlens.graph import Edge, Graph, Layout, Node, Step
from archlens.graph.layouts import carry, joined, plain

# Results that take a tensor for its type and shape only: they don't depend on its values.
FACTORIES = {
    "new_empty", "new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like", "empty_like",
    "rand_like", "randn_like", "new_empty_strided",
}  # fmt: skip


# Operators that have multiply-accumulates: they count also where they don't depend on the input.
COUNTED = {"convolution", "addmm", "mm", "bmm", "baddbmm", "linear"}
# Operators that answer with values: without any there is no answer.
LOOKING = {"_local_scalar_dense": ".item()", "is_nonzero": "bool()", "equal": "equal"}
# Operators whose results are as many as the values say.
COUNTING = {"nonzero": "nonzero", "masked_select": "a mask", "_unique2": "unique", "unique_dim": "unique",
            "unique_consecutive": "unique"}  # fmt: skip


RUNNING = "what two running sums share cancels"
SCALED = ("mul", "div", "neg", "gather", "index")
BY_WEIGHTS = "the network decides by its own weights: with other ones it may see other things"


class NeedsValues(RuntimeError):
    """The model looks at values, and a capture without arithmetic has none."""


# Modules that insist on a state on the device of their input. Long ones (LSTM) are quicker with values, where
# a layer is one call.
RECURRENT = {"GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"}


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records nodes while a model runs. Use through `capture`."""

    def __init__(self, rows: Rows, real: bool, calls: Calls | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows = rows
        self.real = real
        self.nodes: list[Node] = []
        self.tensors = Tensors(self._node)
        rows.node_of = self.tensors.node
        self.constants = Constants(rows)
        self.cuts: dict[int, Cut] = {}  # node -> what masks of attention do to it
        self.notes: list[str] = []
        self.calls = calls  # a run with values: what it called, to be held against other runs

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would wrap the method, whose first call then imports torch._dynamo: a second

    # -------------------------------------------------------------- the run

    @contextmanager
    def following(self) -> Iterator[None]:
        """Everything that a run inside is followed by."""
        watching = nullcontext() if self.calls is None else Watching(self.tensors.node, self.calls)
        with torch.no_grad(), unfused_attention(), values_kept(), self.rows.listening(), watching, self:
            yield
        self.written_outside()

    def add_input(self, tensor: torch.Tensor, axes: Sequence[int], name: str = "") -> int:
        """Register an input: `axes` are its spatial dimensions, `name` the keyword it is passed under."""
        index = len(self.nodes)
        self.tensors.new(tensor, index)
        size = tensor.numel() * tensor.element_size()
        layout = plain(tensor.shape, axes)
        storage = self.tensors.storage(tensor)
        attrs = {"name": name} if name else {}
        shape = tuple(tensor.shape)
        self.nodes.append(Node(index, "input", shape, layout, bytes=size, storage=storage, attrs=attrs))
        return index

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        schema = func._schema
        name = schema.name.removeprefix("aten::")
        if name.startswith("_foreach_"):
            with self:  # a list of calls in one: each is recorded
                return one_by_one(func, args, kwargs)
        form = form_of(schema)
        full = filled(schema, args, kwargs)
        inputs = list(tensors_in(full))
        if self.calls is not None and self.calls.shared:
            self.written_outside()
        # Asked for once: rules ask again and again, and whether a tensor is still what it was takes a look.
        known = {id(t): self.tensors.node(t) for t in inputs}
        depends = name not in FACTORIES and any(node is not None for node in known.values())
        writes = form.target == 0
        if depends and form.reshapes:  # afterwards the tensor has another shape: rules ask for the one before
            before = torch.ops.aten.alias(full[0])
            known[id(before)], full = known[id(full[0])], (before, *full[1:])
        if self.calls is not None and depends and (way := LOOKING.get(name) or COUNTING.get(name)):
            self.calls.leaves(way, inputs[0], known[id(inputs[0])])
        if not depends:
            if name in LOOKING and self.constants.by_chance(inputs):
                if self.calls is None:
                    raise NeedsValues("it decides by random numbers")
                self.calls.leaves(RANDOM, inputs[0], None)
            elif name in LOOKING and self.constants.parameters(inputs) and BY_WEIGHTS not in self.notes:
                self.notes.append(BY_WEIGHTS)
            out = self._constant(func, name, args, kwargs, full, inputs)
            if self._varies(func, args, kwargs, out):
                self._lost(form, full, list(tensors_in((out,))))
                return out
            if writes and inputs and known[id(inputs[0])] is None:
                return out
        elif self.real:
            out = func(*args, **kwargs)
        elif name == "index" and any(t.is_meta and self._is_constant(t) for t in tensors_in(full[1])):
            raise NeedsValues("it indexes with a list, which torch turns into a tensor of the input's device")
        elif looking := LOOKING.get(name) or COUNTING.get(name):
            raise NeedsValues(f"it looks at values ({looking})")
        elif writes and not form.reshapes:
            out = args[0]
        elif writes or form.outs:
            if any(not t.is_meta for t in tensors_in(form.written(full))):
                raise NeedsValues(f"{name} writes what depends on the input into a tensor with values")
            out = func(*to_meta(args), **to_meta(kwargs))
        else:
            out = self._shapes(func, form.name, args, kwargs, full)
        results = list(tensors_in((out,)))
        if depends and self._varies(func, args, kwargs, out):
            self._lost(form, full, results)
        elif depends and results:
            self._record(func, form, full, results, lambda t: known.get(id(t)))
        elif form.view and inputs:
            # A view of a constant may be written to later: remember how to find its base.
            self._views_of_constant(form, full, results, inputs[0])
        return out

    def _varies(self, func: Any, args: Any, kwargs: Any, out: Any) -> bool:
        """Whether other images had this call made otherwise."""
        return self.calls is not None and self.calls.sign(func, args, kwargs, out, self.depends)

    def _lost(self, form: Form, full: tuple[Any, ...], results: list[torch.Tensor]) -> None:
        """Results that depend on values that left torch: on what left, and on what else the call reads."""
        assert self.calls is not None
        own = [n for t in tensors_in(full) if (n := self.tensors.node(t)) is not None]
        edges = tuple(Edge(n) for n in sorted({*own, *self.calls.left}))
        name = form.name.split("::")[-1]
        for t in results:
            node = self._node(name, tuple(t.shape), edges, unknown=self.calls.reason)
            if form.view:
                self.tensors.view(t, full[0], None, node)
            elif form.target is not None or form.outs:
                self.tensors.write(t, node)
            else:
                self.tensors.new(t, node)

    def written_outside(self) -> None:
        """Memory that was handed out and has changed holds what nobody knows."""
        if self.calls is None:
            return
        for t in self.calls.written():
            edges = tuple(Edge(n) for n in sorted(self.calls.left))
            self.tensors.write(t, self._node("copy", tuple(t.shape), edges, unknown=self.calls.reason))

    def depends(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor depends on the input."""
        return self.tensors.node(tensor) is not None

    def _constant(
        self, func: Any, name: str, args: Any, kwargs: Any, full: tuple[Any, ...], inputs: list[torch.Tensor]
    ) -> Any:
        """A call that does not depend on the input: run for real, but where parameters have no values."""
        recurrent = bool(self.rows.stack) and self.rows.stack[-1].kind in RECURRENT
        keep = recurrent or self.real
        out = self.constants.run(func, name in FACTORIES, args, kwargs, inputs, self._is_constant, keep)
        results = list(tensors_in((out,)))
        used = self.constants.note(func, args, kwargs, results, inputs)
        for t in results:
            if used and t not in self.tensors:
                self.tensors.new(t, None)  # keeps it alive, so that its identity stays its own
        if self.rows.naming_empty_call and results:
            if self.rows.open_params:
                self._free(name, func, full, results, "constant")
        elif name in COUNTED and results:
            self.rows.use(used)
            self._free(name, func, full, results)
        return out

    def _is_constant(self, tensor: torch.Tensor) -> bool:
        return self.tensors.node(tensor) is None

    def _free(
        self, name: str, func: Any, full: tuple[Any, ...], results: list[torch.Tensor], op: str = ""
    ) -> None:
        """A node that depends on no input: it has a cost and no field."""
        names = form_of(func._schema).arguments
        call = Call(name, full, tuple(results), lambda _: None, lambda _: None, names=names)
        low = lower(call)[0]
        if low is None:
            return
        t = call.out[0]
        layout = joined([], call.shape)
        size = 0 if op else t.numel() * t.element_size()
        node = Node(len(self.nodes), op or low.op, call.shape, layout, macs=0 if op else low.macs, bytes=size)
        self.nodes.append(node)
        self.rows.add(node.id, node.op, node.macs)

    def _shapes(self, func: Any, name: str, args: Any, kwargs: Any, full: tuple[Any, ...]) -> Any:
        """The results' shapes, by a rule of our own or by torch's meta kernel."""
        rule = SHAPES.get(name)
        if rule is not None:
            out = rule(full)
            if out is not None:
                return out
        return func(*to_meta(args), **to_meta(kwargs))

    # -------------------------------------------------------------- recording

    def _record(
        self,
        func: Any,
        form: Form,
        full: tuple[Any, ...],
        results: list[torch.Tensor],
        node_of: Callable[[torch.Tensor], int | None],
    ) -> None:
        name = form.name
        call = Call(
            name, form.read(full), tuple(results), node_of, lambda t: self._layout(node_of(t)),
            lambda t: self._cut(node_of(t)), self.constants, form.arguments, self.nodes.__getitem__,
        )  # fmt: skip
        # A slice of all there is: torch before 2.7 records one for every `:` of an index, later ones don't.
        whole = name == "slice" and results[0].shape == call.tensor(0).shape and call.given("step", 1) == 1
        if (whole or name in ("alias", "detach", "lift_fresh")) and not self.rows.naming_empty_call:
            for t in results:
                self.tensors.view(t, call.tensor(0), (), node_of(call.tensor(0)))
            return
        self.rows.use(self.constants.parameters(tensors_in(full)))
        lowered = lower(call)
        first: int | None = None
        for index, t in enumerate(results):
            low = lowered[index] if index < len(lowered) else None
            if low is None and t.numel() == 0:  # statistics that were not taken
                self.tensors.new(t, None)
                continue
            if low is None:
                # Indices of a maximum, say: they depend on what the values beside them depend on.
                if t.shape == results[0].shape and first is not None:
                    self.tensors.new(t, first)
                    continue
                low = unknown(call)
            if t.numel() == 0 and not low.bound and not low.unknown:  # an empty slice: nothing to follow
                self.tensors.new(t, None)
                continue
            if t.numel() == 0:  # of another image there may be some
                low = replace(low, unknown=True)
            if low.aside:
                self.tensors.later(t, partial(self._aside, low, tuple(t.shape)))
                continue
            node = self._add(func, call, form, low, t)
            first = node if first is None else first
        for t in tensors_in(form.written_aside(full)):  # running statistics, say
            aside = f"{name} wrote to it"
            edges = () if first is None else (Edge(first),)
            self.tensors.replace(t, self._node("copy", tuple(t.shape), edges, unknown=aside))

    def _add(self, func: Any, call: Call, form: Form, low: Lowered, t: torch.Tensor) -> int:
        """The node of one result, and what the result is from now on."""
        low, made = cut(call, low)
        shape = tuple(t.shape)
        fresh = not form.view and form.target is None and not form.outs
        node = Node(
            id=len(self.nodes),
            op=low.op,
            shape=shape,
            layout=self._arrive(low.edges, shape),
            edges=low.edges,
            macs=low.macs,
            elementwise=low.elementwise,
            bytes=t.numel() * t.element_size() if fresh else 0,
            attrs=dict(low.attrs),
            unknown=str(func).replace(".default", "") if low.unknown else None,
            bound=low.bound or self._cancels(call, low),
        )
        self.nodes.append(node)
        self.rows.add(node.id, low.op, low.macs)
        if made is not None:
            self.cuts[node.id] = made
            if low.op == "softmax" and CUTS_NOTE not in self.notes:
                self.notes.append(CUTS_NOTE)
        if form.reshapes:
            steps = low.edges[0].steps if len(low.edges) == 1 and not low.unknown else None
            self.tensors.turn(t, steps, node.id)
        elif form.outs:
            self.tensors.replace(t, node.id)
        elif form.target is not None:
            self.tensors.write(t, node.id)
        elif form.view:
            steps = low.edges[0].steps if len(low.edges) == 1 and not low.unknown else None
            self.tensors.view(t, call.tensor(0), steps, node.id)
        else:
            self.tensors.new(t, node.id)
        self.nodes[node.id] = replace(self.nodes[node.id], storage=self.tensors.storage(t))
        return node.id

    def _aside(self, low: Lowered, shape: tuple[int, ...]) -> int:
        return self._node(low.op, shape, low.edges)

    def _cancels(self, call: Call, low: Lowered) -> str | None:
        """Why a difference of two running sums says too much: what both hold goes away (box filters)."""
        if low.attrs.get("constant_kernel") and self._running(low.edges[0].source) is not None:
            return RUNNING
        if call.name not in ("sub", "add", "rsub") or len(low.edges) != 2:
            return None
        sums = [self._running(e.source) for e in low.edges]
        return RUNNING if sums[0] is not None and sums[0] == sums[1] else None

    def _running(self, node: int) -> int | None:
        """The running sum that a node is a part of, through views and sums with others."""
        here = self.nodes[node]
        while here.op != "cumsum":
            if len(here.edges) != 1 or here.op not in (*MOVED, *SCALED):
                return None
            here = self.nodes[here.edges[0].source]
        return here.id

    def _arrive(self, edges: Sequence[Edge], shape: tuple[int, ...]) -> Layout:
        """A result's layout, from what its edges do to the layouts of their sources."""
        layouts = []
        for edge in edges:
            layout, size = self.nodes[edge.source].layout, self.nodes[edge.source].shape
            for step in edge.steps:
                layout, size = carry(layout, size, step)
            if len(size) == len(shape):
                layouts.append(layout)
        return joined(layouts, shape)

    def _cut(self, node: int | None) -> Cut | None:
        return None if node is None else self.cuts.get(node)

    def _layout(self, node: int | None) -> Layout | None:
        return None if node is None else self.nodes[node].layout

    def _node(
        self,
        op: str,
        shape: tuple[int, ...],
        edges: tuple[Edge, ...],
        unknown: str | None = None,
        bound: str | None = None,
    ) -> int:
        """A node that no call made: a re-read view, or a buffer after a write through a view."""
        layout = self._arrive(edges, shape)
        node = Node(len(self.nodes), op, shape, layout, edges, unknown=unknown, bound=bound)
        self.nodes.append(node)
        self.rows.add(node.id, op, 0)
        return node.id

    def _views_of_constant(
        self, form: Form, full: tuple[Any, ...], results: list[torch.Tensor], base: torch.Tensor
    ) -> None:
        name, names = form.name, form.arguments
        call = Call(
            name, full, tuple(results), lambda t: 0 if t is base else None, lambda _: None, names=names
        )
        for low, t in zip(lower(call), results, strict=False):
            steps: tuple[Step, ...] | None = None
            if low is not None and not low.unknown and len(low.edges) == 1:
                steps = low.edges[0].steps
            self.tensors.view(t, base, steps, None)


# ------------------------------------------------------------------ the whole run


def capture(
    model: torch.nn.Module,
    inputs: Inputs,
    name: str,
    *,
    real: bool = False,
    training: bool = False,
    calls: Calls | None = None,
) -> Graph:
    """Run `model` once and return what it did.

    Args:
        model: In evaluation mode afterwards, or in training mode.
        inputs: Batch first; meta tensors, or real ones with `real`.
        name: The graph's name.
        real: Run with values, for models that cannot run without.
        training: Run in training mode, for models that cannot run in evaluation mode.
        calls: Takes down what is called, for runs with values.

    Returns:
        The graph. The model's own errors pass through.
    """
    model.train(training)
    rows = Rows(model)
    tracer = Tracer(rows, real, calls)
    ids = [tracer.add_input(t, inputs.axes(t), key) for key, t in inputs.tensors()]
    with tracer.following():
        out = model(*inputs.args, **inputs.kwargs)
    outputs = {key: node for key, t in named(out) if (node := tracer.tensors.node(t)) is not None}
    graph = rows.graph(name, tracer.nodes, ids, outputs)
    return replace(graph, notes=(*graph.notes, *tracer.notes)) if tracer.notes else graph


def named(out: Any, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Output tensors with names: `out` for a single one, keys of dicts, positions in tuples."""
    if isinstance(out, torch.Tensor):
        yield prefix or "out", out
    elif isinstance(out, Mapping):
        for key, value in out.items():
            yield from named(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(out, (list, tuple)):
        fields = getattr(out, "_fields", None)
        for i, value in enumerate(out):
            key = fields[i] if fields else str(i)
            yield from named(value, f"{prefix}.{key}" if prefix else str(key))
    elif hasattr(out, "__dataclass_fields__"):
        for key in out.__dataclass_fields__:
            yield from named(getattr(out, key), f"{prefix}.{key}" if prefix else key)
