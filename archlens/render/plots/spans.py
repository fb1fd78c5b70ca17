"""The stages of a network, as plots name them: a module, and its stride where it has several."""

from __future__ import annotations

from archlens.analyses.structure.growth import Growth
from archlens.study import Subject
from archlens.words import number


def spans(s: Subject) -> list[tuple[str, list[Growth]]]:
    """(name, layers on the widest way) of each stage, in order; a stage that strides counts once a stride."""
    found: list[tuple[str, float, list[Growth]]] = []
    for stage in s.stages:
        for g in s.way:
            if not stage.first <= s.of[g.node] <= stage.last:
                continue
            if found and (found[-1][0], found[-1][1]) == (stage.name, g.jump):
                found[-1][2].append(g)
            else:
                found.append((stage.name, g.jump, [g]))
    names = [name for name, _, _ in found]
    return [
        (f"{name} /{number(jump)}" if names.count(name) > 1 else name, layers) for name, jump, layers in found
    ]
