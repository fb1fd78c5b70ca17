"""A network made ready for real runs: the activation of any layer row, by name, with autograd.

Rows are named while the network is captured (`archlens.capture.rows`), below autograd, where tensors have no
gradient. So the network is walked twice. The first walk, on the meta device, notes for every row where it
comes to light above autograd: as the k-th call of a leaf module, or as the k-th call of a torch function made
outside of leaf modules. The second walk, with values, counts the same calls and takes the result of the
wanted one. Both walks are `Calls`, so they count alike; the function's name and the shape are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from archlens.analyses.fields.walks import Walks
from archlens.capture.load.weightless import copied
from archlens.capture.process import unfused_attention
from archlens.capture.rows import Rows
from archlens.capture.trace import Tracer, named
from archlens.errors import ArchlensError, DeviceError, LayerError, TraceError
from archlens.graph import Graph, Layer, Node
from archlens.probes.calls import Calls, Site
from archlens.probes.device import clean


class _NotedRows(Rows):
    """Rows that remember during which call each node was made."""

    def __init__(self, model: nn.Module, walk: Calls) -> None:
        super().__init__(model)
        self.walk = walk
        self.call_of: dict[int, Site | None] = {}

    def add(self, node: int, op: str, macs: int) -> None:
        self.call_of[node] = self.walk.current
        super().add(node, op, macs)


class _Enough(BaseException):
    """All wanted activations are there: the rest of the forward pass is not needed."""


class Network:
    """A copy of a network on a device, its graph, and its activations by layer name.

    Attributes:
        model: The copy, in evaluation mode, without gradients of its parameters.
        graph: Its capture at batch size 1.
        frozen: Ids of the parameters that the network does not train (fixed bilinear kernels).
        notes: What a reader must know.
    """

    def __init__(
        self,
        model: nn.Module,
        input_shape: Sequence[int],
        device: torch.device,
        *,
        name: str = "model",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Copy the model, capture it, and move the copy.

        Args:
            model: Left as it is.
            input_shape: (C, *spatial), without the batch.
            device: Where runs happen.
            name: The graph's name.
            dtype: Of parameters and inputs.

        Raises:
            DeviceError: The model has no values (it lives on the meta device).
            TraceError: Its forward pass failed.
        """
        if any(t.is_meta for t in (*model.parameters(), *model.buffers())):
            raise DeviceError(
                "The model lives on the meta device and has no values to run with.",
                hint="Build it on the CPU for live measurements.",
            )
        self.notes: list[str] = []
        self.device, self.dtype = device, dtype
        self.input_shape = tuple(input_shape)
        try:
            self.model = copied(model)
        except (RuntimeError, TypeError) as error:
            self.model = model
            self.notes.append(f"the model could not be copied ({error}) and was used itself")
        self.model.eval()
        self.graph, calls = _capture(self.model, self.input_shape, name)
        names = dict(self.model.named_parameters(remove_duplicate=False))
        self.frozen = frozenset(n for n, p in names.items() if not p.requires_grad)
        self.model.requires_grad_(False).to(device=device, dtype=dtype)
        self.walks = Walks(self.graph)
        self.layers = self.graph.layer_index
        # A row may take several calls (`x[..., a:b][..., c:d]`): the last one brings its result.
        self.calls: dict[int, Site | None] = {
            i: calls.get(layer.output) for i, layer in enumerate(self.graph.layers)
        }
        self.made: dict[Site, list[int]] = {}  # nodes by the call that made them, in order
        for node, call in calls.items():
            if call is not None:
                self.made.setdefault(call, []).append(node)
        of = self.graph.layer_of
        self.row_of_call: dict[Site, int] = {
            call: of[n] for n, call in calls.items() if call is not None and n in of
        }

    # -------------------------------------------------------------- names

    def node(self, name: str) -> Node:
        """The node of a layer row, or of `input`. Raises LayerError."""
        return self.graph.node_of(name)

    def unit(self, name: str, unit: Sequence[int] | None = None) -> tuple[int, ...]:
        """A unit's index along `node.positions`; default the centre, n // 2. Raises LayerError."""
        return self.node(name).unit(unit, name)

    def channels(self, name: str) -> int:
        """Values of one unit: the product of all dimensions that are no positions and no batch."""
        node = self.node(name)
        return prod(n for d, n in enumerate(node.shape) if d != 0 and d not in node.positions)

    def at(self, name: str, activation: Tensor, unit: Sequence[int]) -> Tensor:
        """One unit of every image: activation of layer `name` -> (N, channels)."""
        node = self.node(name)
        place: dict[int, int] = dict(zip(node.positions, unit, strict=True))
        if 0 in place:  # windows partitioned into the batch: images first, windows inside
            per_image = node.shape[0]
            if activation.shape[0] % per_image:
                raise LayerError(f"The batch of {name} does not divide into images.")
            activation = activation.reshape(-1, per_image, *activation.shape[1:])
            place = {d + 1: u for d, u in place.items()}
        index = tuple(place.get(d, slice(None)) for d in range(activation.ndim))
        return activation[index].reshape(activation.shape[0], -1)

    def idle(self, name: str) -> frozenset[str]:
        """Leaf modules that a layer does not depend on, in any of their calls."""
        of = self.graph.layer_of
        reached = self.graph.ancestors(self.node(name).id)
        used = {_module(self.graph.layers[of[n]]) for n in reached & of.keys()}
        return frozenset(_module(layer) for layer in self.graph.layers if layer.kind) - used

    # -------------------------------------------------------------- runs

    def run(
        self, x: Tensor, wanted: Iterable[str], origin: str = "input"
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Run until all wanted layers are there.

        Args:
            x: (N, C, *spatial), on the device.
            wanted: Layer names.
            origin: Layer (or `input`) that gradients are taken with respect to. Other than the input, it
                becomes a leaf of the autograd graph: paths that lead around it do not count.

        Returns:
            Activations by name (`input` is x itself), and the origin's, fit for `torch.autograd.grad` where
            gradients are on.

        Raises:
            LayerError: A layer does not come to light: it lies inside a call of its own kind.
        """
        names = list(dict.fromkeys(wanted))
        keys: dict[Site, list[str]] = {}  # several where one call has several results
        for name in names:
            if name != "input":
                keys.setdefault(self._key(name), []).append(name)
        source = self._key(origin) if origin != "input" else None
        got: dict[str, Tensor] = {"input": x} if "input" in names else {}
        start: list[Tensor] = [x] if source is None else []

        def end(call: Site, out: Any) -> Any:
            if call == source:
                if not isinstance(out, Tensor):
                    raise LayerError(
                        f"{origin} is one of several results of a call and cannot be the origin.",
                        hint="Measure from the layer before it.",
                    )
                leaf = self._take(origin, out).detach().requires_grad_(torch.is_grad_enabled())
                start.append(leaf)
                # What runs on is a copy: work in place must not change the origin.
                out = leaf.clone()
            for name in keys.get(call, ()):
                got[name] = self._take(name, out).clone()
            if len(got) == len(names) and start:
                raise _Enough
            return out if call == source else None

        if len(got) < len(names) or not start:
            own = x.clone()  # a network may work on its input in place
            with suppress(_Enough), unfused_attention(), Calls(self.model, end=end).walking():
                self.model(own)
        missing = [n for n in names if n not in got] + ([] if start else [origin])
        if missing:
            raise LayerError(
                f"{missing[0]} did not come up in the live run, though it did in the capture.",
                hint="The network's control flow depends on values: measure another layer.",
            )
        return got, start[0]

    def _key(self, name: str) -> Site:
        self.node(name)
        call = self.calls[self.layers[name]]
        if call is None:
            raise LayerError(
                f"{name} is made in passing and cannot be taken from a live run.",
                hint="Measure the layer before or after it.",
            )
        return call

    def _take(self, name: str, out: Any) -> Tensor:
        """The tensor of a call's result that is the layer's."""
        node = self.node(name)
        inside = self.made[self._key(name)]
        fits = [t for _, t in named(out) if t.ndim == len(node.shape) and t.shape[1:] == node.shape[1:]]
        if len(fits) == 1 and node.id == inside[-1]:
            return fits[0]
        # Several results of one call (a split): they were made in the order that they are returned in.
        alike = [n for n in inside if self.graph.nodes[n].shape[1:] == node.shape[1:]]
        if len(fits) == len(alike) > 1:
            return fits[alike.index(node.id)]
        raise LayerError(
            f"{name} lies inside a larger call and cannot be taken from a live run.",
            hint="Measure the layer before or after it.",
        )


def _module(layer: Layer) -> str:
    """The leaf module of a row: its name without the number of the call."""
    base, _, turn = layer.name.rpartition(":")
    return base if turn.isdigit() and base else layer.name


def _capture(model: nn.Module, shape: tuple[int, ...], name: str) -> tuple[Graph, dict[int, Site | None]]:
    """The graph, and for each node the call that made it: on meta, or with values where that fails."""
    parameter = next(model.parameters(), torch.empty(0))
    try:
        return _trace(model, torch.empty((1, *shape), dtype=parameter.dtype, device="meta"), name, False)
    except ArchlensError:
        raise
    except Exception:  # needs values: the second try tells
        x = torch.zeros((1, *shape), dtype=parameter.dtype, device=parameter.device)
    try:
        return _trace(model, x, name, True)
    except ArchlensError:
        raise
    except Exception as error:
        message = f"The model's forward pass failed: {error}"
        clean(parameter.device)
        raise TraceError(message, hint="Check the input size and the number of channels.") from error


def _trace(model: nn.Module, x: Tensor, name: str, real: bool) -> tuple[Graph, dict[int, Site | None]]:
    """`archlens.capture.trace.capture`, with a walk beside it."""
    walk = Calls(model)
    rows = _NotedRows(model, walk)
    tracer = Tracer(rows, real)
    inputs = [tracer.add_input(x, range(2, x.ndim))]
    # The rows' hooks come first: they may make a node (for dropout) when a module is left.
    with torch.no_grad(), unfused_attention(), rows.listening(), walk.walking(), tracer:
        out = model(x)
    outputs = {key: node for key, t in named(out) if (node := tracer.tensors.node(t)) is not None}
    graph = rows.graph(name, tracer.nodes, inputs, outputs)
    return graph, rows.call_of
