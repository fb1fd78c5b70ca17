"""The copy that is trained."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from cue_nets import Attending, plain
from torch import nn

from archlens.errors import UsageError
from archlens.probes.cue.copies import copied, normalise, still, thin, with_classes
from archlens.spec import parse_spec

HERE = Path(__file__).parent / "cue_nets.py"
LINEAGE = ("fcn", "deeplabv1", "dilatednet", "deeplabv2", "pspnet", "deeplabv3", "deeplabv3plus")


@pytest.mark.parametrize("name", LINEAGE)
def test_the_lineage_is_thinned_and_runs(name: str) -> None:
    whole, thin_ = (copied(parse_spec(name), w, 0) for w in (Fraction(1), Fraction(1, 8)))
    assert thin_.normalised == (name in ("fcn", "deeplabv1", "dilatednet"))
    assert ("a batch norm behind each convolution" in " ".join(thin_.notes)) == thin_.normalised
    ratio = sum(p.numel() for p in thin_.model.parameters()) / sum(
        p.numel() for p in whole.model.parameters()
    )
    assert ratio == pytest.approx(1 / 64, rel=0.35)
    for a, b in zip(convs(whole.model), convs(thin_.model), strict=True):
        assert (a.groups == a.in_channels > 1) == (b.groups == b.in_channels > 1)  # depthwise stays so
        assert (a.kernel_size, a.stride, a.dilation) == (b.kernel_size, b.stride, b.dilation)
    side = 193 if name == "dilatednet" else 65
    with torch.no_grad():
        out = thin_.model.eval()(torch.zeros(1, 3, side, side))
    assert out.shape[1] == 4


def convs(model: nn.Module) -> list[nn.Conv2d]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d)]


def test_who_takes_four_classes() -> None:
    assert with_classes(parse_spec("pspnet"))[0].options == {"num_classes": "4"}
    assert with_classes(parse_spec(f"{HERE}:stack"))[0].options == {"num_classes": "4"}
    assert with_classes(parse_spec(f"{HERE}:plain")) == (parse_spec(f"{HERE}:plain"), False)
    assert "its first four channels answer" in copied(parse_spec(f"{HERE}:plain"), Fraction(1), 0).notes


def test_norms_and_dropout() -> None:
    model = plain()
    normalise(model)
    assert [type(m).__name__ for m in model.modules()].count("BatchNorm2d") == 2
    assert still(model)
    assert not still(model)


def test_what_cannot_be_thinned_is_said() -> None:
    with pytest.raises(UsageError, match="MultiheadAttention"):
        thin(Attending(), Fraction(1, 2), {3, 4}, "it")
    with pytest.raises(UsageError, match="trained anew"):
        copied(parse_spec("saved.json"), Fraction(1), 0)
