"""Boxes, supports and projective fields of drawn networks against the oracle, for every unit tried."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_nets import network
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from oracle_compare import Tally, compare

from archlens.analyses.fields.projective import projective
from archlens.analyses.fields.status import statuses
from archlens.analyses.fields.support import support
from archlens.analyses.fields.visible import boxes


@pytest.mark.filterwarnings("ignore")
@settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.data())
def test_what_is_said_is_what_is_seen(data: st.DataObject) -> None:
    def pick(options):
        return data.draw(st.sampled_from(list(options)))

    n = pick([2, 2, 1, 3])
    net, shape = network(pick, n, pick(range(1, 8)))
    note(f"input {shape}\n{net.text()}")
    tally = Tally()
    graph, seen = compare(net, shape, tally)
    assert tally.wrong == []
    assert tally.unknown == {}
    assert tally.unplayed == {}
    found, sure = boxes(graph), statuses(graph)
    pixel = tuple(pick(range(m)) for m in shape[2:])
    reached = projective(graph, pixel)
    for node in graph.nodes[1:]:
        status, box = sure[node.id], found[node.id]
        if node.id not in seen or status is None or box is None:
            continue
        unit = tuple(pick(range(node.shape[d])) for d in node.positions)
        lit, there = support(graph, node.id, unit), seen[node.id][(..., *unit)]
        assert lit is not None
        ends = box.unit(node, unit)
        places = np.argwhere(lit)
        if ends is None:
            assert len(places) == 0
        else:
            assert (tuple(places.min(0)), tuple(places.max(0))) == ends
        forward = reached[node.id]
        assert forward is not None
        if status.word == "exact":
            assert (lit == there).all(), (node.id, node.op, unit)
            assert (forward == seen[node.id][pixel]).all(), (node.id, node.op)
        else:
            assert (lit >= there).all(), (node.id, node.op, unit)
            assert (forward >= seen[node.id][pixel]).all(), (node.id, node.op)
