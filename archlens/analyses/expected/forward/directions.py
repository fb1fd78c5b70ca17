"""In how many directions tokens vary, for attention: scores of few directions are no normal numbers.

Two tokens of c channels that vary in p directions alike have a product of variance 1 / p relative to their
squared length: p is the participation ratio of their covariance. `few` = 1 / p is followed from the image
on, by what the rules of covariances do to a small deviation. A random layer of D outputs adds 1 / D, the
taps of a window average, an activation keeps its slopes' share, a sum weighs its parts and adds 2 a b / D for
those that meet by chance. Only networks with attention are asked.
"""

from __future__ import annotations

from math import prod

from archlens.analyses.expected.forward.activations import pair_at
from archlens.analyses.expected.forward.state import Forward, Moments
from archlens.analyses.expected.forward.transfer import function, role
from archlens.graph import Node


def few(walk: Forward, node: Node, law: Moments) -> float:
    """1 / p of a node, from those of its sources; `law` is its own law."""
    kind = role(node)
    channels = int(prod(node.shape[d] for d in node.others))
    if kind == "input":
        return min(1 / channels, 1.0)
    before = [walk.at(e.source) for e in node.edges if walk.nodes[e.source] is not None]
    if not before or kind == "constant":
        return 0.0
    if kind == "random":
        return min(before[0].few / int(prod(node.attrs["weight"][2:])) + 1 / channels, 1.0)
    if kind == "activation":
        f = function(node)
        assert f is not None
        x = before[0]
        slopes = pair_at(f, x.mean, x.variance, float(x.cov[-1]), True)
        kept = min(slopes * loose(x) / max(loose(law), 1e-12), 1.0) ** 2
        return x.few * kept + (1 - kept) / channels
    if node.op in ("add", "sub") and len(before) > 1:
        parts = [loose(b) for b in before]
        shares = [p / (sum(parts) or 1.0) for p in parts]
        mixed = 1 - sum(s**2 for s in shares)
        return sum(s**2 * b.few for s, b in zip(shares, before, strict=True)) + mixed / channels
    return max(b.few for b in before)


def loose(law: Moments) -> float:
    """The variance that far places do not share."""
    return max(law.variance - float(law.cov[-1]), 0.0)
