"""The twin's rules for forms that overloads and settings make different; archlens says the same of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archlens.capture.run import capture_module
from archlens.probes.verify.run import verify

torch.set_num_threads(1)


class Net(nn.Module):
    """A function of a convolved image."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function, self.conv = function, nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.InstanceNorm2d(4, affine=True)
        self.own = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, self.conv(x))


def dynamic(_: Net, x: torch.Tensor) -> torch.Tensor:
    kernel = x.mean((2, 3)).reshape(4, 1, 1, 1) * torch.ones(4, 1, 3, 3)
    return F.conv2d(x, kernel, x.mean((0, 2, 3)), padding=1, groups=4)


FORMS: dict[str, Callable[[Net, torch.Tensor], Any]] = {
    "instance norm": lambda net, x: net.norm(x),
    "own statistics": lambda net, x: net.own(x),
    "clamp by a tensor": lambda _, x: torch.clamp(x, min=x.roll(2, 3)),
    "clamp_min by a tensor": lambda _, x: torch.clamp_min(torch.zeros_like(x) + x, x.flip(2)),
    "vector norm": lambda _, x: torch.linalg.vector_norm(x, 2, dim=3),
    "norm of order 3": lambda _, x: torch.linalg.vector_norm(x, 3, (2,)),
    "var": lambda _, x: x.var(2, correction=0),
    "maximum of a row": lambda _, x: x.max(dim=3)[0],
    "topk": lambda _, x: x.topk(2, dim=2)[0],
    "sort": lambda _, x: torch.sort(x, stable=True, dim=3)[0],
    "dynamic kernel": dynamic,
    "in place": lambda _, x: (x * 2).transpose_(2, 3).relu(),
    "detached": lambda _, x: x.detach() * 2,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_twin_plays_it(form: str) -> None:
    net = Net(FORMS[form])
    found = verify(net, capture_module(net, (2, 7, 6)), units=6, draws=1, macs=False)
    checks = {c.name: c for c in found.checks}
    for name in ("reach", "box", "support"):
        assert checks[name].checked, checks[name].left_out
        assert checks[name].agrees, (checks[name].wrong, checks[name].verdict)
        assert not any("no rule" in words for words in checks[name].left_out), checks[name].left_out
    assert checks["witness"].passed
