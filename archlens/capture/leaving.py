"""Values that leave torch and come back: `.item()`, `.tolist()`, `.numpy()`, a branch on data.

Where they go in between nobody sees. So a network that looks at values is run on several images, and what is
called with other numbers, other constants or other shapes each time depends on them in a way that cannot be
told: it is unknown, by that name. What is called alike each time is taken for what it looks like, and a note
says on how many images that rests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from archlens.capture.forms import tensors_in
from archlens.graph import Graph

IMAGES = 4
_WAYS = {
    "item", "tolist", "numpy", "__array__", "__dlpack__", "__int__", "__float__", "__bool__", "__index__",
    "__complex__", "__contains__",
}  # fmt: skip


@dataclass
class Calls:
    """What a run called, with everything that is no function of the image by torch's own account.

    Attributes:
        signed: For each call what it was and with which numbers, constants and shapes.
        nodes: For each call the nodes that it made.
        ways: How values left torch.
    """

    signed: list[tuple[Any, ...]] = field(default_factory=list)
    nodes: list[range] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)

    def sign(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        results: Any,
        depends: Callable[[torch.Tensor], bool],
        made: range,
    ) -> None:
        """Note one call."""
        shapes = tuple(tuple(t.shape) for t in tensors_in((results,)))
        self.signed.append((str(func), _signed((args, kwargs), depends), shapes))
        self.nodes.append(made)


class Watching(TorchFunctionMode):
    """Notes how values of the image leave torch."""

    def __init__(self, depends: Callable[[torch.Tensor], bool], ways: list[str]) -> None:
        super().__init__()
        self.depends, self.ways = depends, ways

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _WAYS and args and isinstance(args[0], torch.Tensor) and self.depends(args[0]):
            self.ways.append(name if name.startswith("__") else f".{name}()")
        return func(*args, **(kwargs or {}))


def _signed(value: Any, depends: Callable[[torch.Tensor], bool]) -> Any:
    if isinstance(value, torch.Tensor):
        if depends(value):
            return "image"
        data = value.detach().cpu().contiguous().flatten().view(torch.uint8) if value.numel() else value
        return hashlib.sha1(bytes(data.numpy())).hexdigest() if value.numel() else tuple(value.shape)
    if isinstance(value, (list, tuple)):
        return tuple(_signed(v, depends) for v in value)
    if isinstance(value, dict):
        return tuple((k, _signed(v, depends)) for k, v in value.items())
    return repr(value)


def marked(graph: Graph, runs: Sequence[Calls]) -> Graph:
    """The graph of the first run, in which what differs from run to run is unknown."""
    first = runs[0]
    way = first.ways[0]
    reason = f"a value that left torch ({way})"
    differs: set[int] = set()
    for other in runs[1:]:
        for k, (a, b) in enumerate(zip(first.signed, other.signed, strict=False)):
            if a[0] != b[0]:  # another way: nothing behind is comparable
                differs.update(n for made in first.nodes[k:] for n in made)
                break
            if a != b:
                differs.update(first.nodes[k])
        else:
            if len(first.signed) != len(other.signed):
                k = min(len(first.signed), len(other.signed))
                differs.update(n for made in first.nodes[k:] for n in made)
    nodes = tuple(replace(n, unknown=reason) if n.id in differs else n for n in graph.nodes)
    found = (
        f"{len(differs)} of {len(nodes)} results change with them in a way that cannot be followed"
        if differs
        else f"all calls were the same for {len(runs)} images"
    )
    note = f"values leave torch ({', '.join(dict.fromkeys(first.ways))}): {found}"
    return replace(graph, nodes=nodes, notes=(*graph.notes, note))
