"""Where cells lie, and what they can see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cue_nets import Pooled, classifier, depth, stack

from archlens.capture.run import capture_module
from archlens.errors import LayerError
from archlens.probes.cue.cells import cells_of
from archlens.probes.cue.task import Task
from archlens.study import Study


def test_cells_of_a_stack_by_hand() -> None:
    study = Study(capture_module(stack(deep=2), (3, 40, 48)))
    cells = cells_of(study)
    assert len(cells.centres) == 20 * 24
    assert cells.centres[0].tolist() == [0.0, 0.0]
    assert cells.centres[25].tolist() == [2.0, 2.0]  # row 1, column 1; stride 2
    # 3 + 2 * 4 = 11 px: five to each side, cut at the border.
    assert (cells.low[25].tolist(), cells.high[25].tolist()) == ([0, 0], [7, 7])
    middle = 10 * 24 + 12
    assert (cells.low[middle].tolist(), cells.high[middle].tolist()) == ([15, 19], [25, 29])
    assert not cells.uncut[25]
    assert cells.uncut[middle]


def test_what_misses_a_patch_is_what_reads_none_of_its_pixels() -> None:
    study = Study(capture_module(stack(deep=2), (3, 40, 48)))
    cells, task = cells_of(study), Task(3, (40, 48), 0, torch.device("cpu"))
    corners = task.batch(8, task.generator(0)).corners.numpy()
    missed = cells.misses(corners, task.patch)
    for cell in range(0, len(cells.centres), 37):
        row, column = divmod(cell, 24)
        support = study.support(study.cell, (row, column))
        assert support is not None
        for k, (top, left) in enumerate(corners):
            seen = support[top : top + task.patch, left : left + task.patch].any()
            assert missed[k, cell] == (not seen)
    assert not cells_of(Study(capture_module(Pooled(), (3, 40, 48)))).misses(corners, 4).any()


def test_hits_are_counted_by_distance() -> None:
    study = Study(capture_module(stack(deep=2), (3, 40, 48)))
    cells, task = cells_of(study), Task(3, (40, 48), 0, torch.device("cpu"))
    batch = task.batch(8, task.generator(0))
    right = np.random.default_rng(0).random((8, len(cells.centres))) < 0.5
    found = cells.hits(right, batch, task.patch)
    assert found.cells.sum() == right.size
    assert found.hits.sum() == right.sum()
    assert (found.inner_cells.sum(1) == cells.uncut.sum()).all()
    assert (found.beyond[:, 1] + found.inside[:, 1] == len(cells.centres)).all()
    middle = batch.corners.numpy() + (task.patch - 1) / 2
    apart = np.abs(cells.centres[None] - middle[:, None]).max(2)
    for k, (first, last) in enumerate(zip(found.edges[:-1], found.edges[1:], strict=True)):
        here = (apart >= first) & (apart < last)
        assert found.cells[:, k].tolist() == here.sum(1).tolist()
        assert found.hits[:, k].tolist() == (here & right).sum(1).tolist()
    assert found.near[:, 1].tolist() == (apart <= 2).sum(1).tolist()
    assert found.far[:, 1].tolist() == (apart > 12).sum(1).tolist()


def test_scores_are_those_of_the_cells() -> None:
    study = Study(capture_module(stack(deep=2), (3, 40, 48)))
    cells = cells_of(study)
    maps = torch.arange(2.0 * 4 * 20 * 24).reshape(2, 4, 20, 24)
    assert torch.equal(cells.scores(maps), maps.flatten(2))


def test_large_maps_answer_in_part() -> None:
    study = Study(capture_module(stack(deep=1), (3, 256, 64)))
    cells = cells_of(study)
    assert len(cells.rows) == 64
    assert len(cells.columns) == 32
    assert cells.rows.tolist()[:2] == [0, 2]


@pytest.mark.parametrize(("net", "words"), [(classifier, "no map"), (depth, "1 channel")])
def test_networks_that_cannot_answer(net: object, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        cells_of(Study(capture_module(net(), (3, 40, 40))))  # type: ignore[operator]
