"""Tap matrices of resizes against torch's own interpolation of unit impulses: weights, and what is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from archlens.analyses.fields.taps import matrix, reads
from archlens.graph import Resize

SIZES = [1, 2, 3, 4, 5, 7, 8, 11, 16, 23, 33, 65]
SCALES = [2.0, 0.5, 1.5, 3.0, 0.7, 1.3, 2.4, 0.35, 1.05, 1 / 3, 4.0]
MODES = [
    ("nearest", False),
    ("nearest-exact", False),
    ("linear", False),
    ("linear", True),
    ("cubic", False),
    ("cubic", True),
]


def torchs(mode: str, align: bool, n: int, m: int | None, scale: float | None) -> np.ndarray:
    """(m, n) weights of torch: the rows of an identity are interpolated."""
    eye = torch.eye(n, dtype=torch.float64).reshape(n, 1, 1, n)
    given: dict[str, Any] = {"mode": {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)}
    if mode in ("linear", "cubic"):
        given["align_corners"] = align
    if scale is None:
        out = F.interpolate(eye, size=(1, m), **given)
    else:
        out = F.interpolate(eye, scale_factor=(1.0, scale), **given)
    return out.reshape(n, -1).T.numpy()


@pytest.mark.parametrize(("mode", "align"), MODES)
def test_weights_are_torchs(mode: Any, align: bool) -> None:
    wrong = []
    for n in SIZES:
        for m, scale in [(m, None) for m in SIZES] + [(int(n * s), s) for s in SCALES if n * s >= 1]:
            there = torchs(mode, align, n, m, scale)
            if mode == "nearest" and m in (n, 2 * n):
                scale = None  # as the lowering has it for images
            geometry = Resize(mode, align, scale)
            ours = matrix(geometry, n, m).dense
            index = reads(geometry, n, m)
            read = np.zeros((m, n), bool)
            for t in range(index.shape[1]):
                some = index[:, t] >= 0
                read[np.nonzero(some)[0], index[some, t]] = True
            if not np.allclose(ours, there, atol=1e-12) or not (read == (np.abs(there) > 1e-9)).all():
                wrong.append((n, m, scale, int((read != (np.abs(there) > 1e-9)).sum())))
    assert wrong == []
