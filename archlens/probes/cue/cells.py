"""Where the cells of a class-score map lie, and what of the image each can see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from archlens.errors import LayerError
from archlens.probes.cue.curves import Hits
from archlens.probes.cue.task import Batch, distances
from archlens.study import Study
from archlens.words import count

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_ASIDE = 65
"""Cells a side that answer; of larger maps every so-many-th."""
BIN = 8.0
"""Width of the distance bins, px; a sixteenth of the side on images below 128 px."""


@dataclass(frozen=True)
class Cells:
    """The cells that answer.

    Attributes:
        layer: The class-score cell.
        positions: Its node's two position dimensions.
        rows, columns: Of the map, that answer.
        centres: (cells, 2) of their theoretical fields, px; row by row.
        low, high: (cells, 2) ends of their visible boxes, px, inclusive; low > high where nothing is seen.
        uncut: (cells,) whether the image's border leaves the box whole.
        image: (H, W) px.
        known: Whether the boxes are known; else all cells count as seeing everything.
    """

    layer: str
    positions: tuple[int, int]
    rows: Ints
    columns: Ints
    centres: Floats
    low: Ints
    high: Ints
    uncut: NDArray[np.bool_]
    image: tuple[int, int]
    known: bool

    @property
    def edges(self) -> Floats:
        """Of the distance bins, px."""
        side = max(self.image)
        width = BIN if side >= 128 else side / 16
        return np.arange(0.0, side + width, width)

    def scores(self, activation: Tensor) -> Tensor:
        """(N, channels, cells) of the layer's activation."""
        own = activation.movedim(self.positions, (-2, -1)).flatten(1, -3)
        rows = torch.as_tensor(self.rows, device=own.device)
        columns = torch.as_tensor(self.columns, device=own.device)
        return own[:, :, rows[:, None], columns[None]].flatten(2)

    def misses(self, corners: Ints, patch: int) -> NDArray[np.bool_]:
        """(N, cells): whether a cell's box holds nothing of an image's patch."""
        first, last = corners[:, None], corners[:, None] + patch - 1
        return np.asarray(((self.low[None] > last) | (self.high[None] < first)).any(2))

    def hits(self, right: NDArray[np.bool_], batch: Batch, patch: int) -> Hits:
        """What (N, cells) right and wrong answers are by distance."""
        corners = batch.corners.cpu().numpy()
        apart = distances(self.centres, corners, patch)
        edges = self.edges
        bins = np.clip(np.digitize(apart, edges) - 1, 0, len(edges) - 2)
        many = len(edges) - 1

        def counted(mask: NDArray[np.bool_]) -> Ints:
            flat = bins + many * np.arange(len(bins))[:, None]
            return np.bincount(flat[mask], minlength=len(bins) * many).reshape(len(bins), many)

        def pair(mask: NDArray[np.bool_]) -> Ints:
            return np.stack([(right & mask).sum(1), mask.sum(1)], axis=1)

        inner = np.broadcast_to(self.uncut, right.shape)
        beyond = self.misses(corners, patch) if self.known else np.zeros_like(right)
        return Hits(
            edges,
            counted(right),
            counted(np.ones_like(right)),
            counted(right & inner),
            counted(inner),
            pair(apart <= patch / 2),
            pair(apart > max(self.image) / 4),
            pair(beyond),
            pair(~beyond),
        )


def cells_of(study: Study) -> Cells:
    """The class-score cells of a captured network.

    Raises:
        LayerError: They are no map of two axes, or have too few channels for four classes.
    """
    node, name = study.graph.nodes[study.cell], study.name(study.cell)
    dims = tuple(d for axis in (0, 1) if (d := node.axis_dim(axis)) is not None)
    if len(dims) != 2 or len(node.positions) != 2 or len(study.image) != 2:
        raise LayerError(
            f"{name}, the class-score cell, is no map of an image", "The cue task is for networks of images."
        )
    channels = int(np.prod([n for d, n in enumerate(node.shape) if d and d not in node.positions]))
    if channels < 4:
        raise LayerError(
            f"{name}, the class-score cell, has {count(channels, 'channel')}: four must answer",
            "Build the network with at least four classes.",
        )
    places = [np.arange(n)[(n - 1) % s // 2 :: s] for n in (node.shape[d] for d in dims)
              for s in (-(-n // MOST_ASIDE),)]  # fmt: skip
    order = [dims.index(d) for d in node.positions]
    units = [(int(r), int(c)) for r in places[0] for c in places[1]]
    own = [tuple(u[k] for k in order) for u in units]
    sure = study.statuses()[study.cell]
    known = sure is not None and sure.word != "unknown"
    seen = [study.seen(study.cell, u) for u in own] if known else [None] * len(own)
    whole = ((0, 0), tuple(n - 1 for n in study.image))
    nothing = ((1, 1), (0, 0))
    ends = [(s or nothing) if known else whole for s in seen]
    low, high = (np.array([e[k] for e in ends], np.int64) for k in (0, 1))
    centres = np.array([study.centre(study.cell, u) for u in own])
    return Cells(
        layer=name,
        positions=(dims[0], dims[1]),
        rows=places[0],
        columns=places[1],
        centres=centres,
        low=low,
        high=high,
        uncut=_uncut(low, high, study.image),
        image=(study.image[0], study.image[1]),
        known=known,
    )


def _uncut(low: Ints, high: Ints, image: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether a box ends inside of the image, on all sides."""
    return np.asarray(((low > 0) & (high < np.array(image) - 1)).all(1))
