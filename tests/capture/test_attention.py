"""Attention: global over all tokens, exact to the token within (shifted) windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer
from torchvision.models.swin_transformer import SwinTransformer, SwinTransformerBlockV2

from archlens.analyses.fields.visible import boxes
from archlens.graph import Keep
from archlens.graph.masks import pack, unpack
from archlens.graph.serialise import decode, encode
from archlens.pipeline import analyze
from archlens.report import LayerReport, Report


def row(report: Report, name: str) -> LayerReport:
    return next(layer for layer in report.layers if layer.name == name)


def swin(version: int) -> SwinTransformer:
    torch.manual_seed(0)
    kind = {"block": SwinTransformerBlockV2} if version == 2 else {}
    return SwinTransformer([2, 2], 4, [2, 2], [1, 1], [4, 4], num_classes=3, **kind).eval()


def seen_by_gradient(model: nn.Module, layer: str, unit: tuple[int, int]) -> list[tuple[int, int]]:
    """First and last row and column that the unit's gradient reaches, in float64."""
    model = model.double()
    kept = {}
    module = dict(model.named_modules())[layer]
    handle = module.register_forward_hook(lambda _, __, out: kept.update(out=out))
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    model(image)
    handle.remove()
    (grad,) = torch.autograd.grad(kept["out"][0, unit[0], unit[1]].square().sum(), image)
    energy = grad[0].abs().sum(0).numpy()
    there = energy > energy.max() * 1e-20  # a cut weighs e**-100
    return [(int(i.min()), int(i.max())) for i in np.nonzero(there)]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("unit", [(0, 0), (1, 2), (2, 13), (7, 8), (9, 15), (14, 14), (15, 15)])
def test_shifted_windows_reach_what_the_gradient_reaches(version: int, unit: tuple[int, int]) -> None:
    model = swin(version)
    report = analyze(model, "3x32x32")
    graph = report.graph
    end = next(layer for layer in graph.layers if layer.name == "features.1.1.add:2").output
    box = boxes(graph)[end]
    assert box is not None
    seen = box.unit(graph.nodes[end], unit)
    assert seen is not None
    lo, hi = seen
    assert list(zip(lo, hi, strict=True)) == seen_by_gradient(model, "features.1.1", unit)


def test_a_mask_is_said_in_the_notes_and_survives_json() -> None:
    report = analyze(swin(1), "3x32x32")
    assert any("-50" in note for note in report.notes)
    assert any(isinstance(s, Keep) for n in report.graph.nodes for e in n.edges for s in e.steps)
    assert decode(encode(report.graph)) == report.graph


def test_masks_pack_small_and_unpack_equal() -> None:
    mask = np.zeros((3, 1, 5, 7), bool)
    mask[1, :, 2:] = True
    step = pack(np.broadcast_to(mask, (3, 4, 5, 7)))
    assert step.shape == (3, 1, 5, 1)
    assert (np.broadcast_to(unpack(step), mask.shape) == mask).all()


def test_a_vision_transformer_is_global_and_keeps_its_patches_as_local_path() -> None:
    model = VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=4)
    report = analyze(model, "3x32x32")
    mlp = row(report, "encoder.layers.encoder_layer_1.mlp.3")
    assert mlp.rf is not None
    assert mlp.rf.kind == "global"
    assert mlp.rf.local is not None
    assert mlp.rf.local.size == (8, 8)
    assert mlp.rf.local.jump == (8, 8)
    assert not report.notes


class Block(nn.Module):
    """Attention over the rows of a map only."""

    def __init__(self, causal: bool = False, mask: bool = False) -> None:
        super().__init__()
        self.causal, self.mask = causal, mask
        self.qkv = nn.Linear(4, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, _, h, w = x.shape
        tokens = x.permute(0, 2, 3, 1).reshape(b * h, w, 4)
        q, k, v = self.qkv(tokens).chunk(3, dim=-1)
        given = None
        if self.mask:
            given = (torch.arange(w)[:, None] - torch.arange(w)).abs() <= 2
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=given, is_causal=self.causal)
        return out.reshape(b, h, w, 4).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("model", "lo", "hi"),
    [(Block(), (5, 0), (5, 11)), (Block(causal=True), (5, 0), (5, 6)), (Block(mask=True), (5, 4), (5, 8))],
    ids=["all", "causal", "band"],
)
def test_attention_along_rows(model: nn.Module, lo: tuple[int, int], hi: tuple[int, int]) -> None:
    rf = analyze(model, "4x10x12").layers[-1].rf
    assert rf is not None
    assert rf.visible is not None
    assert (rf.visible.lo, rf.visible.hi) == (lo, hi)
    assert rf.kind in ("varies", "global")


def test_subtracting_a_pixel_mean_cuts_nothing() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.tensor([123.0, 117.0, 104.0]).view(1, 3, 1, 1))
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x - self.mean)

    report = analyze(Mean(), "3x16x16")
    assert not report.notes
    assert all(layer.rf is not None and layer.rf.status == "exact" for layer in report.layers)
