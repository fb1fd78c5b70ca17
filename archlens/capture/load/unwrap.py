"""The network inside its wrappers: data parallelism and compilation change how it runs, not what it is."""

from __future__ import annotations

from torch import nn


def unwrap(model: nn.Module) -> nn.Module:
    """The module that a wrapper runs.

    `nn.DataParallel` and `DistributedDataParallel` hold it as `module`, `torch.compile` as `_orig_mod`.
    """
    while True:
        kind = type(model).__name__
        if kind in ("DataParallel", "DistributedDataParallel"):
            inner = model._modules.get("module")
        elif kind == "OptimizedModule":
            inner = model._modules.get("_orig_mod")
        else:
            inner = None
        if inner is None:
            return model
        model = inner
