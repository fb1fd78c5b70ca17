"""Constant masks of attention as text: what a `Keep` step carries. No torch.

The mask of a shifted window says the same for thousands of pairs of tokens: packed to bits and compressed it
is a few hundred characters, in memory and in a saved report.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from archlens.graph import Keep

Bools = NDArray[np.bool_]


def pack(kept: Bools) -> Keep:
    """The step for a mask; dimensions along which it does not change get size 1."""
    for dim in range(kept.ndim):
        first = kept.take([0], axis=dim) if kept.shape[dim] > 1 else kept
        if bool((kept == first).all()):
            kept = first
    return Keep(kept.shape, b64encode(zlib.compress(np.packbits(kept).tobytes())).decode("ascii"))


@lru_cache(maxsize=256)
def unpack(step: Keep) -> Bools:
    """The mask of a step: True where elements stay. Read-only."""
    size = int(np.prod(step.shape))
    packed = np.frombuffer(zlib.decompress(b64decode(step.bits)), np.uint8)
    mask = np.unpackbits(packed, count=size).astype(bool).reshape(step.shape)
    mask.setflags(write=False)
    return mask
