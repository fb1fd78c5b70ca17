"""What is the whole process's and not one capture's: torch's hooks, switches, functions and random numbers.

Captures go one at a time, and neither take another thread's calls nor leave a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import RLock, get_ident
from typing import Any, ParamSpec, TypeVar

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

P = ParamSpec("P")
T = TypeVar("T")
_ONE = RLock()


def alone(work: Callable[P, T]) -> Callable[P, T]:
    """One at a time, since what is replaced for a while has to be put back in turn. What draws from
    torch's generators inside leaves them where they were."""

    @wraps(work)
    def locked(*args: P.args, **kwargs: P.kwargs) -> T:
        ready = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        cards = range(torch.cuda.device_count() if ready else 0)
        with _ONE, torch.random.fork_rng(devices=cards):
            return work(*args, **kwargs)

    return locked


@contextmanager
def module_calls(enter: Callable[..., Any], leave: Callable[..., Any]) -> Iterator[None]:
    """Follow this thread's module calls, of any module: torch's hooks see every thread's."""
    own = get_ident()
    before = register_module_forward_pre_hook(lambda *call: enter(*call) if get_ident() == own else None)
    after = register_module_forward_hook(
        lambda *call: leave(*call) if get_ident() == own else None, always_call=True
    )
    try:
        yield
    finally:
        before.remove()
        after.remove()


@contextmanager
def unfused_attention() -> Iterator[None]:
    """Within it no fused kernel hides what attention does, neither from a capture nor from a counter."""
    kernels = torch.backends.cuda  # of every device: the choice of a kernel is one
    switches: tuple[tuple[Callable[[], bool], Callable[[bool], None]], ...] = (
        (torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
        (kernels.flash_sdp_enabled, kernels.enable_flash_sdp),
        (kernels.mem_efficient_sdp_enabled, kernels.enable_mem_efficient_sdp),
        (kernels.cudnn_sdp_enabled, kernels.enable_cudnn_sdp),
    )
    before = [ask() for ask, _ in switches]
    for _, put in switches:
        put(False)
    try:
        yield
    finally:
        for (_, put), value in zip(switches, before, strict=True):
            put(value)
