"""A field seen from a node has the axes of that node, in that node's order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import archlens


class OneAxis(nn.Module):
    """The mean over rows runs along the columns only; its transposed convolution has a phase there."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.middle = nn.Conv1d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose1d(4, 4, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.middle(self.first(x).mean(2)))


class Turned(nn.Module):
    """Rows and columns swap their places; what is doubled is the image's columns."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, (3, 1), stride=(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.up(torch.relu(x.transpose(2, 3)))


def test_the_phases_of_a_field_from_a_row_are_those_of_its_columns() -> None:
    """Seen from the row in the middle there is one axis, the image's second."""
    found = archlens.field_map(OneAxis(), "support", input_size=(3, 8, 9), layer="up", origin="middle")
    assert found.details["phase_count"] == 2
    assert sorted(p["pixels"] for p in found.details["phases"]) == [1, 2]


def test_the_phases_of_a_field_from_a_turned_map_are_told_by_its_own_axes() -> None:
    """The transposed map names the image's columns first."""
    for origin in (None, "relu"):
        found = archlens.field_map(Turned(), "support", input_size=(3, 8, 9), layer="up", origin=origin)
        assert found.details["phase_count"] == 2
        assert {tuple(p["box"]) for p in found.details["phases"]} == (
            {(1, 1), (1, 2)} if origin is None else {(1, 1), (2, 1)}
        )


class Gated(nn.Module):
    """A gate made of a vector along the channels, which has no place."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gate = nn.Conv2d(3, 4, 3, padding=1), nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        gate = self.gate(y.mean((2, 3))[:, None])[:, 0, :, None, None]
        return y * torch.sigmoid(gate)


def test_a_layer_without_positions_is_no_origin_of_energies() -> None:
    found = archlens.field_map(Gated(), "expected", input_size=(3, 8, 9), origin="gate")
    assert found.map is None
    assert found.reason == "it is read from a layer without positions"
