"""A witness that knows no rule: the user's own network, run for real, with some of its image changed.

A unit that changes when a pixel does depends on that pixel, whatever anybody's rules say. The network runs in
float64 on dense images, with its own weights and with random positive ones, large (they keep rectifiers open)
and small without biases (they stay below the ceiling of those that have one); what is changed is changed
upwards and downwards. The opposite proves nothing: a maximum or a rectifier may absorb
one change, so a unit that does not answer may depend all the same. `archlens.capture` only says which node
each tensor is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from archlens.capture.forms import filled, tensors_in
from archlens.capture.inputs import Inputs, from_sizes
from archlens.capture.leaving import Calls, ended, on_other_images
from archlens.capture.load.weightless import copied
from archlens.capture.process import unfused_attention
from archlens.capture.rows import Rows
from archlens.capture.trace import Tracer, named
from archlens.graph import Graph
from archlens.probes.calls import plain_numbers

Bools = NDArray[np.bool_]
Weights = Literal["own", "large", "small"]
KINDS: tuple[Weights, ...] = ("own", "large", "own", "small")
"""Which weights each draw has, in turn."""
UNFILLED = {
    "aten::empty",
    "aten::empty_like",
    "aten::empty_strided",
    "aten::new_empty",
    "aten::new_empty_strided",
}
FAINT = 1e-9
"""Changes below this share of what a map's values are like count as rounding: sums of everything that is then
taken away again leave it."""


class OtherWay(Exception):
    """The network made other calls than before: it decides by values."""


class _Enough(Exception):
    """All that is watched has been seen."""


@dataclass(frozen=True)
class _Site:
    """Where a node's value is first at hand: after the `call`-th call, the `place`-th tensor that it takes or
    gives."""

    node: int
    place: int


@dataclass
class _Draw:
    """One image through one copy of the network, kept to hold changed ones against."""

    model: nn.Module
    inputs: Inputs
    values: dict[int, Tensor] = field(default_factory=dict)
    sizes: dict[int, float] = field(default_factory=dict)
    changes: int = 0
    state: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        """What the network holds before it runs: some count their runs in a buffer."""
        self.state = {name: b.clone() for name, b in self.model.named_buffers()}

    def reset(self) -> None:
        """Put the network's buffers back."""
        for name, buffer in self.model.named_buffers():
            if name in self.state:
                buffer.copy_(self.state[name])

    def remember(self, node: int, value: Tensor) -> None:
        """Keep a node's value, and what its elements are like."""
        self.values[node] = value.clone()
        countable = value.numel() and (value.is_floating_point() or value.is_complex())
        self.sizes[node] = float(value.abs().nan_to_num(posinf=0.0).mean()) if countable else 0.0


class _Following(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts a run's calls and shows the tensors of each."""

    def __init__(self, show: Callable[[int, Any, list[Tensor]], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.show, self.calls = show, 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func._schema.name == "aten::alias":  # also made to name module calls without any, while learning
            return out
        if func._schema.name in UNFILLED:  # memory as it was: nothing that anybody may depend on
            for t in tensors_in((out,)):
                t.zero_()
        self.show(self.calls, func, [*tensors_in(filled(func._schema, args, kwargs)), *tensors_in((out,))])
        self.calls += 1
        return out


class Witness:
    """A network on real values, and how its units answer to changes.

    Attributes:
        graph: The capture that node ids refer to.
        draws: How many images changes are made to.
    """

    def __init__(
        self,
        model: nn.Module,
        sizes: Sequence[Sequence[int]] | Inputs,
        *,
        draws: int = 8,
        seed: int = 0,
        keep: Collection[int] | None = None,
    ) -> None:
        """Run the network once to learn its calls.

        Args:
            model: Left as it is; parameters without values get random ones.
            sizes: (C, *spatial) of each input, or what the model is called with.
            draws: Images that changes are made to, half of them through positive weights.
            seed: Of images and weights.
            keep: Nodes to watch; default all.
        """
        self.draws, self._seed = draws, seed
        self._model = model
        self._models: dict[Weights, nn.Module] = {}
        own = self._with("own")
        given = sizes if isinstance(sizes, Inputs) else from_sizes(sizes, own)
        self._first = _image(given, 0, _generator(seed, 0))
        self.graph, self._all, self._names = self._learn(own, given)
        self.watch(keep)

    def _learn(self, own: nn.Module, given: Inputs) -> tuple[Graph, Mapping[int, list[_Site]], list[Any]]:
        """Its calls; where values leave torch, what other images change is unknown, as in a capture."""
        calls = Calls()
        learnt = _learnt(own, self._first, calls)
        if not calls.ways:
            return learnt

        def again(k: int) -> Calls:
            found = Calls()
            _learnt(own, _image(given, 2 * k, _generator(self._seed, 0, 0, k)), found)
            return found

        _, vary, longer = on_other_images(calls, again)
        graph, sites, names = _learnt(own, self._first, Calls(varied=vary)) if vary else learnt
        return ended(graph, calls.reason) if longer else graph, sites, names

    def watch(self, nodes: Collection[int] | None) -> None:
        """Look at these nodes only, and run no further than the last of them; None: at all."""
        wanted = None if nodes is None else frozenset(nodes)
        self._sites = {
            call: own
            for call, sites in self._all.items()
            if (own := [s for s in sites if wanted is None or s.node in wanted])
        }
        self._end = max(self._sites, default=0)
        self._kept: dict[int, _Draw] = {}

    def _with(self, weights: Weights) -> nn.Module:
        """A copy of the network, made when it is first asked for."""
        if weights not in self._models:
            rng = _generator(self._seed, 0, KINDS.index(weights))
            self._models[weights] = _valued(self._model, rng, weights)
        return self._models[weights]

    def drawn(self, turn: int) -> int:
        """Run one image unchanged and remember what its units are, until `forget`.

        Returns:
            How many of the watched nodes it gave values to.
        """
        if turn not in self._kept:
            image = _image(self._first, turn, _generator(self._seed, 1 + turn))
            draw = self._kept[turn] = _Draw(self._with(KINDS[turn % len(KINDS)]), image)
            with suppress(OtherWay):  # what lies behind a decision that falls otherwise has no values
                self._run(draw, draw.inputs, draw.remember)
        return len(self._kept[turn].values)

    def forget(self, turn: int) -> None:
        """Let go of the values of one image, and of its weights where they are drawn again at need."""
        self._kept.pop(turn, None)
        if (weights := KINDS[turn % len(KINDS)]) != "own":
            self._models.pop(weights, None)

    def _run(self, draw: _Draw, inputs: Inputs, take: Callable[[int, Tensor], None]) -> None:
        def show(call: int, func: Any, involved: list[Tensor]) -> None:
            if call >= len(self._names) or func is not self._names[call]:
                raise OtherWay
            for site in self._sites.get(call, ()):
                value = involved[site.place]
                if not (value.is_conj() or value.is_neg()):  # views that are not what their memory says
                    take(site.node, value)
            if call == self._end and call + 1 < len(self._names):
                raise _Enough

        # A copy: networks may write into their input.
        given = inputs.on(lambda t: t.clone())
        with torch.no_grad():
            draw.reset()
        following = _Following(show)
        with suppress(_Enough), torch.no_grad(), _drawing_alike(), unfused_attention(), following:
            draw.model(*given.args, **given.kwargs)

    def answers(self, where: Bools, origin: int = 0) -> Iterator[dict[int, Bools]]:
        """Which units change when some of the image does, draw by draw.

        Args:
            where: Positions that change, of the shape of the input's spatial axes.
            origin: Index of the input.

        Yields:
            Node id -> (*positions) whether that unit changed, over its channels; nodes of another shape than
            before, or behind a decision that fell otherwise, are missing.
        """
        for turn in range(self.draws):
            yield self.answer(turn, where, origin)

    def answer(self, turn: int, where: Bools, origin: int = 0) -> dict[int, Bools]:
        """The same of one draw."""
        self.drawn(turn)
        draw, node = self._kept[turn], self.graph.nodes[self.graph.inputs[origin]]
        rng = _generator(self._seed, 1 + turn, 1 + draw.changes)
        draw.changes += 1
        mask = torch.as_tensor(np.ascontiguousarray(where)).reshape(
            [n if d in node.positions else 1 for d, n in enumerate(node.shape)]
        )
        sign = 1.0 if (turn // 2 + turn) % 2 == 0 else -1.0
        image = draw.inputs.tensors()[origin][1]
        if image.is_floating_point():
            size = 0.5 + 2 * torch.rand(image.shape, generator=rng, dtype=torch.float64)
            other = image + (sign * size).to(image.dtype)
        else:
            other = torch.randint(0, 2, image.shape, generator=rng).to(image.dtype)
        changed = torch.where(mask, other, image)
        return self._changed(draw, _exchanged(draw.inputs, image, changed))

    def _changed(self, draw: _Draw, inputs: Inputs) -> dict[int, Bools]:
        found: dict[int, Bools] = {}

        def take(node: int, value: Tensor) -> None:
            before = draw.values.get(node)
            shape = tuple(value.shape)
            if before is None or before.shape != shape or shape != self.graph.nodes[node].shape:
                return
            if value.is_floating_point() or value.is_complex():
                moved = (value - before).abs() > FAINT * max(draw.sizes[node], 1e-290)
                moved |= value.isnan() != before.isnan()
            else:
                moved = value != before
            dims = self.graph.nodes[node].positions
            over = tuple(d for d in range(value.ndim) if d not in dims)
            found[node] = np.asarray(moved.numpy().any(axis=over))

        with suppress(OtherWay):
            self._run(draw, inputs, take)
        return found


@contextmanager
def _drawing_alike() -> Iterator[None]:
    """A network that draws random numbers draws the same ones each time."""
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(0)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


def _generator(*seeds: int) -> torch.Generator:
    """Random numbers of their own for each image and each change, in whatever order they are asked for."""
    mixed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    return torch.Generator().manual_seed(mixed)


def _image(like: Inputs, k: int, rng: torch.Generator) -> Inputs:
    """Dense values: of both signs, or all positive. What is not the first input and has values keeps them."""
    first = like.tensors()[0][1]

    def fresh(t: Tensor) -> Tensor:
        if t is not first and not t.is_meta:
            return plain_numbers(t)
        if not t.is_floating_point():
            return torch.randint(0, 2, t.shape, generator=rng).to(t.dtype)
        noise: Tensor = torch.randn(t.shape, generator=rng, dtype=torch.float64)
        return noise if k // 2 % 2 == 0 else noise.abs() * 0.5 + 0.2

    return like.on(fresh)


def _exchanged(inputs: Inputs, old: Tensor, new: Tensor) -> Inputs:
    return inputs.on(lambda t: new if t is old else t)


def _learnt(
    model: nn.Module, inputs: Inputs, calls: Calls
) -> tuple[Graph, Mapping[int, list[_Site]], list[Any]]:
    """The graph of a real run, at which calls its nodes come to light, and the calls."""
    rows = Rows(model)
    tracer = Tracer(rows, real=True, calls=calls)
    ids = [tracer.add_input(t, inputs.axes(t), key) for key, t in inputs.tensors()]
    sites: dict[int, list[_Site]] = {}
    names: list[Any] = []
    known: set[int] = set()

    def show(call: int, func: Any, involved: list[Tensor]) -> None:
        names.append(func)
        for place, t in enumerate(involved):
            node = tracer.tensors.peek(t)
            if node is not None and node not in known:
                known.add(node)
                sites.setdefault(call, []).append(_Site(node, place))

    with tracer.following(), _Following(show):
        out = model(*inputs.args, **inputs.kwargs)
    outputs = {key: node for key, t in named(out) if (node := tracer.tensors.node(t)) is not None}
    return rows.graph("witness", tracer.nodes, ids, outputs), sites, names


def _valued(model: nn.Module, rng: torch.Generator, weights: Weights) -> nn.Module:
    """A copy on the CPU in float64, with its own weights or with random positive ones."""
    memo: dict[int, Any] = {}
    for name, p in model.named_parameters():
        value = _values(p, rng, weights != "own")
        if weights == "small" and value.is_floating_point():
            # Without biases all scales with the image: it may shrink on its way and is seen all the same.
            value *= 0.0 if name.endswith("bias") else 0.5 if p.ndim > 1 else 1.0
        memo[id(p)] = nn.Parameter(value, requires_grad=p.requires_grad)
    for name, b in model.named_buffers():
        if id(b) not in memo:
            memo[id(b)] = _buffer(name, b)
    return copied(model, memo).eval()


def _values(p: Tensor, rng: torch.Generator, positive: bool) -> Tensor:
    if not p.is_floating_point() or (not positive and not p.is_meta and bool((p != 0).any())):
        return torch.zeros(p.shape, dtype=p.dtype) if p.is_meta else plain_numbers(p)
    spread = torch.rand(p.shape, generator=rng, dtype=torch.float64)
    fan_in = max(1, p[0].numel() if p.ndim > 1 else 1)
    return (0.5 + spread) / fan_in if positive else (2 * spread - 1) / sqrt(fan_in)


def _buffer(name: str, b: Tensor) -> Tensor:
    if not b.is_meta:
        return plain_numbers(b)
    value = 1.0 if name.endswith("running_var") else 0.0
    return torch.full(b.shape, value, dtype=torch.float64 if b.is_floating_point() else b.dtype)
