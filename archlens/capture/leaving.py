"""Values that leave torch and come back: `.item()`, `.tolist()`, `.numpy()`, a branch on data.

Where they go in between nobody sees. So a network that looks at values is run on several images, and what is
called with other numbers, other constants or other shapes each time depends on them in a way that cannot be
told: it is unknown, by that name, whether or not torch saw an image in it. What is called alike each time is
taken for what it looks like, and a note says on how many images that rests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes

from archlens.capture.forms import tensors_in
from archlens.graph import Graph

IMAGES = 4
_WAYS = {
    "item", "tolist", "numpy", "__array__", "__dlpack__", "__int__", "__float__", "__bool__", "__index__",
    "__complex__", "__contains__",
}  # fmt: skip
_SHARING = {".numpy()", "__array__", "__dlpack__"}
RANDOM = "a random number"
"""The way that no value of the image has gone: the network decides by numbers that it draws."""


@dataclass
class Calls:
    """What a run called, with everything that is no function of the image by torch's own account.

    Attributes:
        signed: For each call what it was and with which numbers, constants and shapes.
        ways: How values left torch.
        left: Nodes that did, in the capture that takes part.
        varied: Calls, counted from 0, that another run was seen to make otherwise.
        shared: Tensors of the image whose memory was handed out, with what it held then.
    """

    signed: list[tuple[Any, ...]] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    varied: frozenset[int] = frozenset()
    shared: list[tuple[torch.Tensor, str]] = field(default_factory=list)

    def sign(
        self, func: Any, args: Any, kwargs: Any, results: Any, depends: Callable[[torch.Tensor], bool]
    ) -> bool:
        """Note one call; whether it is one of those that vary."""
        shapes = tuple(tuple(t.shape) for t in tensors_in((results,)))
        self.signed.append((str(func), _signed((args, kwargs), depends), shapes))
        return len(self.signed) - 1 in self.varied

    def leaves(self, way: str, tensor: torch.Tensor, node: int | None) -> None:
        """Note that a tensor's values leave torch."""
        self.ways.append(way)
        if node is not None and node not in self.left:
            self.left.append(node)
        if way in _SHARING:
            self.shared.append((tensor, digest(tensor)))

    def written(self) -> list[torch.Tensor]:
        """Tensors whose memory was written to outside of torch since this was last asked."""
        out = []
        for k, (tensor, before) in enumerate(self.shared):
            if (now := digest(tensor)) != before:
                self.shared[k] = (tensor, now)
                out.append(tensor)
        return out

    @property
    def reason(self) -> str:
        """Why something is not known."""
        return f"a value that left torch ({self.ways[0] if self.ways else RANDOM})"


class Watching(TorchFunctionMode):
    """Notes how values of the image leave torch."""

    def __init__(self, node: Callable[[torch.Tensor], int | None], calls: Calls) -> None:
        super().__init__()
        self.node, self.calls = node, calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _WAYS and args and isinstance(args[0], torch.Tensor):
            node = self.node(args[0])
            if node is not None:
                self.calls.leaves(name if name.startswith("__") else f".{name}()", args[0], node)
        return func(*args, **(kwargs or {}))


def digest(tensor: torch.Tensor) -> str:
    """What a tensor holds, in few letters."""
    if tensor.is_meta or not tensor.numel():
        return ""
    with torch._C.DisableTorchFunction(), _disable_current_modes():  # no call of the network's
        # A copy of its own: one element may have any stride, and be called contiguous.
        data = torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach()).flatten()
        return hashlib.sha1(bytes(data.view(torch.uint8).numpy())).hexdigest()


def _signed(value: Any, depends: Callable[[torch.Tensor], bool]) -> Any:
    if isinstance(value, torch.Tensor):
        lies = (tuple(value.shape), value.stride(), value.storage_offset())  # where a view looks may vary
        return lies if depends(value) else (*lies, digest(value))
    if isinstance(value, (list, tuple)):
        return tuple(_signed(v, depends) for v in value)
    if isinstance(value, dict):
        return tuple((k, _signed(v, depends)) for k, v in value.items())
    return repr(value)


def on_other_images(first: Calls, run: Callable[[int], Calls]) -> tuple[list[Calls], frozenset[int], bool]:
    """What a network that looks at values calls on several images.

    Args:
        first: What it called on image 0.
        run: What it calls on image 1, 2, ..; one that it does not take may fail.

    Returns:
        All runs; calls of the first that another one makes otherwise; whether another goes on behind its end.
    """
    runs = [first]
    for k in range(1, IMAGES):
        with suppress(Exception):
            runs.append(run(k))
    return (runs, *varied(runs))


def varied(runs: Sequence[Calls]) -> tuple[frozenset[int], bool]:
    """Calls of the first run that another one makes otherwise, and whether another goes on behind its end."""
    first, differ, longer = runs[0].signed, set[int](), False
    for other in (run.signed for run in runs[1:]):
        for k, (a, b) in enumerate(zip(first, other, strict=False)):
            if a[0] != b[0]:  # another way: nothing behind is comparable
                differ.update(range(k, len(first)))
                break
            if a != b:
                differ.add(k)
        else:
            differ.update(range(len(other), len(first)))
            longer |= len(other) > len(first)
    return frozenset(differ), longer


def ended(graph: Graph, reason: str) -> Graph:
    """A graph whose results are unknown: another image computes on behind this run's end."""
    ends = set(graph.outputs.values())
    nodes = tuple(replace(n, unknown=reason) if n.id in ends else n for n in graph.nodes)
    return replace(graph, nodes=nodes)
