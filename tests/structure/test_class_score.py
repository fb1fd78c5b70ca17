"""The class-score cell: small networks of each kind, and the layer where each of them decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from context_nets import CLASSES, Skips
from torch import Tensor, nn

from archlens.analyses.structure.class_score import class_score, main_output
from archlens.capture.run import capture_module
from archlens.graph import Graph
from archlens.pipeline import describe
from archlens.render.plots.coverage import coverage_map
from archlens.render.text.layers import rf_table
from archlens.render.text.table import plain

Then = Callable[[Tensor], Tensor]


class Scored(nn.Module):
    """A strided body, a 1x1 to the classes (`score`), and what comes behind."""

    def __init__(self, *then: Then) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.score = nn.Conv2d(8, CLASSES, 1)
        self.then = then
        self.behind = nn.ModuleList(f for f in then if isinstance(f, nn.Module))

    def forward(self, x: Tensor) -> Tensor:
        x = self.score(self.body(x))
        for step in self.then:
            x = step(x)
        return x


def up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


def deconv(groups: int = 1) -> nn.Module:
    """Twice the size, class by class."""
    return nn.ConvTranspose2d(CLASSES, CLASSES, 4, stride=2, padding=1, groups=groups, bias=groups == 1)


def captured(net: nn.Module) -> Graph:
    return capture_module(net.eval(), ((3, 32, 48),))


def cell(net: nn.Module) -> str:
    graph = captured(net)
    return graph.name_of(class_score(graph))


CARRIED: dict[str, tuple[Then, ...]] = {
    "nothing": (),
    "resize": (up,),
    "resize, log-softmax": (up, nn.LogSoftmax(1)),
    "resize, softmax": (up, nn.Softmax2d()),
    "softmax, resize": (nn.Softmax(1), up),
    "resize, sigmoid": (up, nn.Sigmoid()),
    "resize, tanh": (up, nn.Tanh()),
    "log-sigmoid": (nn.LogSigmoid(),),
    "resize, classes": (up, lambda x: x.argmax(1)),
    "resize, classes by max": (up, lambda x: x.max(1)[1]),
    "resize, temperature, softmax, log": (up, lambda x: ((x / 2.5).softmax(1)).clamp(1e-6, 1.0).log()),
    "resize, metres": (up, lambda x: torch.sigmoid(x) * 80),
    "channels last": (up, lambda x: x.permute(0, 2, 3, 1).contiguous().log_softmax(-1)),
    "a list of pixels": (up, lambda x: x.permute(0, 2, 3, 1).reshape(-1, CLASSES).log_softmax(-1)),
    "crop": (up, lambda x: x[:, :, 1:-1, 1:-1]),
    "pad": (nn.ReflectionPad2d(2),),
    "dropout, resize": (nn.Dropout2d(), up),
    "transposed convolution": (deconv(),),
    "grouped one, last (DRN)": (deconv(CLASSES), nn.LogSoftmax(1)),
    "two of them, crop, softmax": (deconv(), deconv(CLASSES), lambda x: x[:, :, 2:-2, 2:-2], nn.Softmax(1)),
}


@pytest.mark.parametrize("what", CARRIED)
def test_what_only_carries_the_scores_is_walked_back_over(what: str) -> None:
    assert cell(Scored(*CARRIED[what])) == "score"


DECIDES: dict[str, tuple[tuple[Then, ...], str]] = {
    "a convolution from class to class": ((nn.Conv2d(CLASSES, CLASSES, 3), up, nn.LogSoftmax(1)), "behind.0"),
    "a transposed one to other classes": (
        (nn.ConvTranspose2d(CLASSES, 3, 4, stride=2, padding=1), nn.LogSoftmax(1)), "behind.0"
    ),
    "a block that ends in a ReLU": ((nn.ReLU(),), "behind.0"),
    "a softmax over the places": ((lambda x: x.flatten(2).softmax(2),), "softmax"),
    "the best place": ((lambda x: x.flatten(2).argmax(2),), "argmax"),
    "a transposed one behind a block as wide": ((nn.ReLU(), deconv(), deconv()), "behind.1"),
}  # fmt: skip


@pytest.mark.parametrize("what", DECIDES)
def test_what_computes_stays(what: str) -> None:
    then, name = DECIDES[what]
    assert cell(Scored(*then)) == name


def test_a_sum_after_resizing_is_the_cell() -> None:
    assert cell(Skips()) == "add:2"
    assert cell(nn.Sequential(Skips(), nn.LogSoftmax(1))) == "0.add:2"


class Swept(nn.Module):
    """ReNet's way: rows, then columns, swept by a recurrent layer; the columns' has the classes."""

    def __init__(self, resized: bool) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.rows = nn.LSTM(8, 4, batch_first=True, bidirectional=True)
        self.columns = nn.LSTM(8, CLASSES, batch_first=True)
        self.resized = resized

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        n, c, h, w = x.shape
        y, _ = self.rows(x.permute(0, 2, 3, 1).reshape(n * h, w, c))
        y, _ = self.columns(y.reshape(n, h, w, 8).permute(0, 2, 1, 3).reshape(n * w, h, 8))
        y = y.reshape(n, w, h, CLASSES).permute(0, 3, 2, 1)
        return F.log_softmax(up(y), 1) if self.resized else y


@pytest.mark.parametrize("resized", [False, True])
def test_a_recurrent_layer_decides(resized: bool) -> None:
    assert cell(Swept(resized)) == "columns"


class Queries(nn.Module):
    """A query network: `mixed` as EoMT (queries run with the tokens), else as DETR; masks or none."""

    def __init__(self, masks: bool, mixed: bool = False) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.queries = nn.Parameter(torch.zeros(1, 6, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.classes = nn.Linear(8, CLASSES)
        self.masks, self.mixed = masks, mixed

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.body(x)
        tokens = x.flatten(2).transpose(1, 2)
        read = torch.cat([self.queries, tokens], 1) if self.mixed else self.queries
        found = self.attention(read, read if self.mixed else tokens, read if self.mixed else tokens)[0]
        queries = found[:, :6]
        out = {"pred_logits": self.classes(queries)}
        if self.masks:
            out["pred_masks"] = torch.einsum("bqc,bchw->bqhw", queries, x)
        out["tokens"] = tokens
        return out


@pytest.mark.parametrize("mixed", [False, True])
def test_a_query_network_is_asked_for_its_masks(mixed: bool) -> None:
    graph = captured(Queries(masks=True, mixed=mixed))
    assert main_output(graph) == graph.outputs["pred_masks"]
    report = describe(graph, spec="queries", name="queries")
    assert report.layer(report.main_output).shape == (1, 6, 16, 24)
    assert coverage_map(report).shape == (16, 24)


def test_one_without_masks_keeps_its_classes() -> None:
    graph = captured(Queries(masks=False))
    assert main_output(graph) == graph.outputs["pred_logits"]


class Detector(nn.Module):
    """YOLO's way: boxes and classes of two grids one after the other, and the grids; `protos` adds masks."""

    def __init__(self, protos: bool) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.coarse = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.heads = nn.ModuleList(nn.Conv2d(8, 4 + CLASSES, 1) for _ in range(2))
        self.protos = nn.Conv2d(8, 5, 3, padding=1) if protos else None

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        grids = [torch.relu(self.fine(x))]
        grids.append(torch.relu(self.coarse(grids[0])))
        found = [h(g).flatten(2) for h, g in zip(self.heads, grids, strict=True)]
        out = {"found": torch.cat(found, 2), "grid": grids[0]}
        return out if self.protos is None else {**out, "protos": self.protos(grids[0])}


def test_a_detector_with_masks_is_asked_for_them() -> None:
    graph = captured(Detector(protos=True))
    assert main_output(graph) == graph.outputs["protos"]


def test_a_detector_without_masks_says_that_it_has_no_cell() -> None:
    graph = captured(Detector(protos=False))
    assert main_output(graph) == graph.outputs["found"]
    said = plain(rf_table(describe(graph, spec="detector", name="detector"), everything=True))
    assert "In bold: the output, cat. It is no map: there is no class-score cell." in said
    assert "In bold: the class-score cell, score." in plain(
        rf_table(describe(captured(Scored()), spec="s", name="s"))
    )


class Several(nn.Module):
    """Outputs by name: of a map its mean, itself, or itself at half the size."""

    def __init__(self, **outputs: str) -> None:
        super().__init__()
        self.net = Scored()
        self.outputs = outputs

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.net(x)
        made = {"mean": x.mean((2, 3)), "map": x, "half": F.avg_pool2d(x, 2), "tokens": x.flatten(2)}
        return {name: made[what] for name, what in self.outputs.items()}


@pytest.mark.parametrize(
    ("outputs", "meant"),
    [
        ({"a": "map", "b": "half"}, "a"),
        ({"a": "half", "b": "map"}, "a"),
        ({"a": "mean", "b": "half", "c": "map"}, "b"),
        ({"a": "mean", "b": "tokens"}, "a"),
        ({"a": "mean", "b": "tokens", "c": "map"}, "c"),
        ({"a": "tokens", "b": "map"}, "a"),
        ({"a": "half", "out": "map"}, "out"),
        ({"a": "map", "out": "mean"}, "out"),
    ],
)
def test_which_output_is_meant(outputs: dict[str, str], meant: str) -> None:
    graph = captured(Several(**outputs))
    assert main_output(graph) == graph.outputs[meant]
