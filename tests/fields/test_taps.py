"""Taps over maps: slices, dense and sparse must all be the matrix product that numpy does."""

from __future__ import annotations

import numpy as np
import pytest

from archlens.analyses.fields.taps import Taps, matrix, pattern
from archlens.graph import (
    AdaptivePool,
    Full,
    Geometry,
    Grouped,
    IndexMap,
    Pad,
    Resize,
    Roll,
    Slice,
    TransposedWindow,
    Window,
)

CASES: list[tuple[Geometry, int, int]] = [
    (Window(3, padding=1), 20, 20),
    (Window(3, 2, 1), 21, 11),
    (Window(5, 3, 4, 2), 30, 10),
    (Window(2, 4), 20, 5),  # taps that some inputs never meet
    (Window(31, 1, 15), 31, 31),  # more taps than are worth a slice each
    (Window(3, 1, 40, 20), 9, 49),  # all of them outside
    (TransposedWindow(4, 2, 1), 10, 20),
    (TransposedWindow(3, 3, 0, 2), 6, 20),
    (Slice(2, 3), 20, 6),
    (Slice(19, -1), 20, 20),
    (Pad(2, "constant"), 10, 14),
    (Pad(2, "reflect"), 10, 14),
    (Roll(3), 10, 10),
    (IndexMap((4, 4, 0)), 6, 3),
    (AdaptivePool(), 10, 4),
    (Resize("linear"), 7, 12),
    (Resize("cubic"), 6, 9),
    (Grouped(2), 8, 6),
    (Full(), 9, 4),
    (Window(3, padding=1), 300, 300),
    (Resize("linear"), 520, 530),  # too large for a dense matrix: scipy's
]


def random_map(shape: tuple[int, ...], lit: bool) -> np.ndarray:
    """Noise, or noise inside a small box."""
    values = np.random.default_rng(0).normal(size=shape)
    if lit:
        inside = np.zeros(shape)
        box = tuple(slice(n // 3, n // 3 + max(n // 4, 1)) for n in shape)
        inside[box] = values[box]
        return inside
    return values


@pytest.mark.parametrize("lit", [False, True])
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} {c[1]}-{c[2]}")
def test_taps_go_over_a_map_as_their_matrix_does(case: tuple[Geometry, int, int], lit: bool) -> None:
    geometry, n_in, n_out = case
    taps = matrix(geometry, n_in, n_out)
    assert taps.dense.shape == (n_out, n_in)
    for shape, dim in (((n_in, 5), 0), ((2, n_in, 70), 1), ((1, 70, n_in), 2)):
        values = random_map(shape, lit)
        wanted = np.moveaxis(np.tensordot(taps.dense, values, (1, dim)), 0, dim)
        assert np.allclose(taps.apply(values, dim), wanted, atol=1e-12)
        back = random_map((*shape[:dim], n_out, *shape[dim + 1 :]), lit)
        wanted = np.moveaxis(np.tensordot(taps.dense.T, back, (1, dim)), 0, dim)
        assert np.allclose(taps.apply_transposed(back, dim), wanted, atol=1e-12)


@pytest.mark.parametrize("case", CASES[:19], ids=lambda c: f"{c[0]} {c[1]}-{c[2]}")
def test_what_is_made_of_taps_is_what_is_made_of_their_matrix(case: tuple[Geometry, int, int]) -> None:
    geometry, n_in, n_out = case
    taps = matrix(geometry, n_in, n_out)
    dense = taps.dense
    assert taps.sum() == pytest.approx(dense.sum())
    assert taps.squares == pytest.approx((dense**2).sum())
    assert np.allclose(taps.row_sums, dense.sum(axis=1))
    assert np.allclose(taps.squared().dense, dense**2)
    assert np.array_equal(taps.ones().dense, dense != 0)
    assert np.array_equal(pattern(geometry, n_in, n_out).dense, dense != 0)
    index, weight = taps.by_row
    by_row = np.zeros(dense.shape)
    np.add.at(by_row, (np.arange(n_out)[:, None], index), weight)
    assert np.allclose(by_row, dense)
    for down, right in ((0, 0), (1, 0), (0, -2), (-1, 1), (99, 0)):
        moved = taps.shifted(down, right)
        wanted = np.zeros(dense.shape)
        for o in range(n_out):
            for i in range(n_in):
                if 0 <= o + down < n_out and 0 <= i + right < n_in:
                    wanted[o, i] = dense[o + down, i + right]
        assert np.allclose(moved.dense, wanted)
        assert np.allclose(taps.common(moved).dense, dense * wanted)


def test_weights_at_one_place_add_up() -> None:
    taps = Taps.summed((2, 3), np.array([1, 0, 1]), np.array([2, 0, 2]), np.array([1.0, 2.0, 3.0]), None)
    assert np.array_equal(taps.dense, [[2, 0, 0], [0, 0, 4]])


def test_regular_taps_need_no_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows go over as slices, whatever their stride: a dense matrix of a large map would be slow."""
    monkeypatch.setattr(Taps, "_as_matrix", None)
    for geometry, n_in, n_out in ((Window(3, 2, 1), 21, 11), (TransposedWindow(4, 2, 1), 10, 20)):
        taps = matrix(geometry, n_in, n_out)
        assert taps.apply(np.ones((n_in, 4)), 0).shape == (n_out, 4)
        assert taps.apply_transposed(np.ones((n_out, 4)), 0).shape == (n_in, 4)
