"""Counting the calls that a model makes, so that a layer row is found again in another run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from archlens.capture.process import module_calls
from archlens.capture.rows import _is_leaf


class Site(NamedTuple):
    """Where a row's result comes to light: the `turn`-th call of a leaf module, or (module None) the
    `turn`-th call of a torch function outside of leaf modules, which must be `function`."""

    module: str | None
    turn: int
    function: str = ""


class Calls(TorchFunctionMode):
    """Counts calls while a model runs; `begin(call)` and `end(call, output)` surround each.

    What `end` returns replaces the output, unless it is None.
    """

    def __init__(
        self,
        model: nn.Module,
        begin: Callable[[Site], None] | None = None,
        end: Callable[[Site, Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.names = {id(m): n for n, m in reversed(list(model.named_modules(remove_duplicate=False)))}
        self.begin, self.end = begin, end
        self.current: Site | None = None
        self._leaves: list[Site | None] = []  # one entry a module call; the leaf's own call where in one
        self._stack: list[str] = []
        self._module_calls: dict[str, int] = {}
        self._functions = 0

    @contextmanager
    def walking(self) -> Iterator[None]:
        """Follow the calls made inside."""
        with module_calls(self._enter, self._leave), self:
            yield

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._leaves and self._leaves[-1] is not None:
            return func(*args, **(kwargs or {}))
        self._functions += 1
        call = Site(None, self._functions, str(getattr(func, "__name__", func)))
        self.current = call
        try:
            return self._around(call, lambda: func(*args, **(kwargs or {})))
        finally:
            self.current = None

    def _around(self, call: Site, work: Callable[[], Any]) -> Any:
        if self.begin is not None:
            self.begin(call)
        out = work()
        if self.end is not None:
            changed = self.end(call, out)
            return out if changed is None else changed
        return out

    def _enter(self, module: nn.Module, _: Any) -> None:
        outer = self._leaves[-1] if self._leaves else None
        name = self.names.get(id(module)) or (self._stack[-1] if self._stack else "")
        leaf = outer
        if outer is None and module is not self.model and _is_leaf(module):
            count = self._module_calls[name] = self._module_calls.get(name, 0) + 1
            leaf = self.current = Site(name, count)
            if self.begin is not None:
                with torch._C.DisableTorchFunction():
                    self.begin(leaf)
        self._leaves.append(leaf)
        self._stack.append(name)

    def _leave(self, _module: nn.Module, _: Any, output: Any) -> Any:
        leaf = self._leaves.pop()
        self._stack.pop()
        if leaf is None or (self._leaves and self._leaves[-1] is not None):
            return None
        self.current = None
        if self.end is None or output is None:  # None: the module raised, and the hook is called all the same
            return None
        with torch._C.DisableTorchFunction():  # what the callback computes is not the model's call
            return self.end(leaf, output)


def plain_numbers(t: torch.Tensor) -> torch.Tensor:
    """A tensor's values on the CPU, floating-point ones in float64."""
    own = t.detach().cpu().clone()
    return own.double() if own.is_floating_point() else own
