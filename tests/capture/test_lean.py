"""A capture costs milliseconds and imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from archlens.pipeline import analyze
for name in ("deeplabv3_resnet101", "fcn", "pspnet"):
    analyze(name)
heavy = [m for m in ("sympy", "torch._dynamo", "torchvision", "timm", "torch._inductor") if m in sys.modules]
print(",".join(heavy))
"""


def test_the_zoo_imports_neither_sympy_nor_dynamo() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_modules_are_left_as_they_were() -> None:
    import torch
    from torch import nn

    from archlens.pipeline import analyze

    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    make = torch.tensor
    analyze(net, "1x16x16")
    assert net.training
    assert torch.tensor is make
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
