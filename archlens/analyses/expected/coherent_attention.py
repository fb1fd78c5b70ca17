"""What an attention answers to a coherent change of its queries, keys or values; see `coherent`.

Amplitudes of the values' changes add up under the weights; a change that all keys share is not seen by a
softmax.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archlens.analyses.expected.forward.attending import attended as doing
from archlens.analyses.expected.forward.attention import Attention
from archlens.analyses.expected.forward.state import Forward
from archlens.graph import Node
from archlens.graph.masks import unpack

Floats = NDArray[np.float64]
Change = tuple[Floats, Floats]  # second moment at a place, amplitude across places; regions last


def attended(fwd: Forward, node: Node, part: Attention, changes: Sequence[Change | None]) -> Change | None:
    """The change of the result from those of queries, keys and values; None where there is none."""
    does = doing(fwd, node, part)
    channels = fwd.graph.nodes[part.query].shape[part.dims(fwd.graph)[0][1]]
    of_query, of_key, of_value = (
        None if c is None else tuple(_standing(v, last) for v in c)
        for c, last in zip(changes, part.tokens_last, strict=False)
    )
    own, across = np.zeros(()), np.zeros(())  # second moments, both
    if of_query is not None:
        own = own + does.query * channels * of_query[0]
        across = across + does.query * channels * does.far * of_query[1] ** 2
    if of_key is not None:
        energy, amplitude = (_mean(node, part, v) for v in of_key)
        loose = does.key * channels * np.maximum(energy - amplitude**2, 0.0)
        own, across = own + loose, across + does.far * loose
    if of_value is not None:
        energy, amplitude = (_mean(node, part, v) for v in of_value)
        together = amplitude**2
        own = own + together + does.same * np.maximum(energy - together, 0.0)
        across = across + together
    last = part.tokens_last[3]
    return None if not own.ndim else (_standing(own, last), _standing(np.sqrt(across), last))


def _standing(values: Floats, last: bool) -> Floats:
    """Tokens along the third dimension from the end, or back; regions are the last."""
    return np.swapaxes(values, -2, -3) if last else values


def _mean(node: Node, part: Attention, values: Floats) -> Floats:
    """Over the keys that a query keeps; they lie along the third dimension from the end."""
    if part.mask is None:
        return np.asarray(values.mean(-3, keepdims=True))
    kept = unpack(part.mask).astype(float)
    keys = np.broadcast_to(kept, (*kept.shape[:-2], node.shape[-2], values.shape[-3]))
    share = keys / keys.sum(-1, keepdims=True)
    return np.asarray(np.einsum("...ij,...jcr->...icr", share, values))
