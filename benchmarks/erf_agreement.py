"""Expected against sampled effective fields: writes docs/expected_erf.md.

    python benchmarks/erf_agreement.py [--runs 240] [--cache DIR] [--zoo]
    python benchmarks/erf_agreement.py --only vit swin      # these rows anew, the page's others as they are

Small networks of every kind, and with --zoo some networks of the zoo on small inputs. Sampled: fresh He
weights for each run, white-noise images, batch norm in training mode. Takes minutes to an hour on a CPU.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "expected")]

from attention_nets import TRANSFORMERS  # noqa: E402
from erf_nets import NETWORKS as CONVOLUTIONAL  # noqa: E402
from monte_carlo import Referee, binned, branch_energies, correlation, monte_carlo  # noqa: E402

from archlens.analyses.expected.coherent import respond  # noqa: E402
from archlens.analyses.expected.field import branch_shares, cut, expected_erf, incoming  # noqa: E402
from archlens.analyses.expected.forward.state import Images, Premises  # noqa: E402
from archlens.analyses.expected.forward.walk import forward  # noqa: E402
from archlens.analyses.expected.summaries import centred_sides, far_region, far_share  # noqa: E402
from archlens.analyses.fields.walks import Walks  # noqa: E402
from archlens.analyses.structure.class_score import class_score, main_output  # noqa: E402
from archlens.capture.run import capture_module  # noqa: E402
from archlens.zoo import catalogue  # noqa: E402

NETWORKS = {**CONVOLUTIONAL, **TRANSFORMERS}
SHARES = (0.25, 0.5, 0.75, 0.95)
PAGE = ROOT / "docs" / "expected_erf.md"


@dataclass(frozen=True)
class Case:
    """A network, and how to sample it."""

    name: str
    build: Callable[[], nn.Module]
    side: int
    runs: int
    batch: int = 8
    zoo: bool = False


def cases(runs: int, zoo: bool) -> list[Case]:
    """All that the table shows."""
    out = [Case(name, build, side, runs) for name, (build, side) in NETWORKS.items()]
    if zoo:
        for name, side, batch, times in (
            ("deeplabv3_resnet50", 129, 4, 60),
            ("pspnet_resnet50", 97, 4, 60),
            ("deeplabv1", 129, 1, 60),
            ("deeplabv3plus", 97, 4, 40),
        ):
            entry = catalogue.find(name)
            out.append(Case(name, lambda e=entry: e.build(**e.parse_options({})), side, times, batch, True))
    return out


def sample(
    case: Case, through: bool, cache: Path | None, layer: str | None = None, images: str = "white"
) -> Referee:
    """The referee's maps, from the cache where they are there."""
    kind = "" if images == "white" else "_natural"
    path = None if cache is None else cache / f"{case.name}_{case.side}_{case.runs}_{through}{kind}.npz"
    if path is not None and path.exists():
        kept = np.load(path)
        return Referee(kept["maps"], kept["coherent"])
    model = case.build()
    graph = capture_module(model, (3, case.side, case.side))
    node = class_score(graph) if case.zoo else main_output(graph)
    centre = expected_erf(forward(Walks(graph)), node).centre
    region = far_region((case.side, case.side), centre)
    inner = dict(model.named_modules()).get(layer) if layer else None
    out = monte_carlo(
        model,
        case.side,
        case.runs,
        batch=case.batch,
        regions=(region,),
        through=through,
        layer=inner,
        images=images,
    )
    if path is not None:
        np.savez_compressed(path, maps=out.maps, coherent=out.coherent)
    return out


def sides_with_errors(
    maps: np.ndarray, centre: tuple[float, ...], rng: np.random.Generator
) -> tuple[list[float], list[float]]:
    """Sides of the mean map and their bootstrap standard errors."""
    mean = centred_sides(maps.mean(0), centre, SHARES)
    again = [
        centred_sides(maps[rng.integers(0, len(maps), len(maps))].mean(0), centre, SHARES) for _ in range(60)
    ]
    return mean, list(np.std(again, axis=0))


def row(case: Case, cache: Path | None) -> tuple[str, float]:
    """One line of the table, and the largest deviation of a side."""
    model = case.build()
    graph = capture_module(model, (3, case.side, case.side))
    node = class_score(graph) if case.zoo else main_output(graph)
    layer = next(x.name for x in graph.layers if x.output == node)
    field = expected_erf(forward(Walks(graph), Premises(batch=case.batch)), node)
    assert field.energy is not None
    start = time.perf_counter()
    expected_erf(forward(Walks(graph), Premises(batch=case.batch)), node)
    seconds = time.perf_counter() - start
    sampled = sample(case, True, cache, layer if case.zoo else None)
    theory = centred_sides(field.energy, field.centre, SHARES)
    measured, errors = sides_with_errors(sampled.maps, field.centre, np.random.default_rng(0))
    worst = max(abs(t / m - 1) for t, m in zip(theory, measured, strict=True))
    gain, error = sampled.gain
    pairs = " | ".join(
        f"{t:.1f} / {m:.1f} ± {e:.1f}" for t, m, e in zip(theory, measured, errors, strict=True)
    )
    text = (
        f"| {case.name} | {case.side} | {case.runs} x {case.batch} | {pairs} | {100 * worst:.1f} % | "
        f"{correlation(binned(field.energy), binned(sampled.energy)):.4f} | "
        f"{far_share(field.energy, field.centre):.4f} / {far_share(sampled.energy, field.centre):.4f} | "
        f"{field.gain / gain:.2f} ± {error / gain:.2f} | {seconds:.2f} s |"
    )
    return text, worst


def coherent_row(case: Case, cache: Path | None, images: Images = "white") -> str | None:
    """Coherent far response over pixel energy, with calibrated statistics."""
    model = case.build()
    graph = capture_module(model, (3, case.side, case.side))
    node = main_output(graph)
    setting = Premises("calibrated", images, batch=case.batch)
    moments = forward(Walks(graph), setting)
    field = expected_erf(moments, node)
    if field.energy is None or far_share(field.energy, field.centre) < 1e-2:
        return None
    region = far_region((case.side, case.side), field.centre)
    (theory,) = respond(moments, node, field.unit, [region], field.origin, {})
    theory /= field.gain * float(field.energy[region].sum())
    sampled = sample(case, False, cache, images=images)
    energies = sampled.maps[:, region].sum(1)
    ratio = sampled.coherent[:, 0].mean() / energies.mean()
    error = sampled.coherent[:, 0].std() / np.sqrt(case.runs) / energies.mean()
    expected = centred_sides(field.energy, field.centre, SHARES)
    measured = centred_sides(sampled.energy, field.centre, SHARES)
    worst = max(abs(t / m - 1) for t, m in zip(expected, measured, strict=True))
    return (
        f"| {case.name} | {images} | {case.runs} | {100 * worst:.1f} % | "
        f"{field.gain / sampled.gain[0]:.2f} | {theory:.2f} | {ratio:.2f} ± {error:.2f} |"
    )


def share_rows(runs: int) -> list[str]:
    """Branch shares of ASPP with image pooling and of the PPM."""
    out = []
    for name in ("aspp_pooled", "ppm"):
        build, side = NETWORKS[name]
        model = build()
        body = model.body
        branches = [*body.branches, body.pooled] if name == "aspp_pooled" else [body.direct, *body.levels]
        graph = capture_module(model, (3, side, side))
        merge = next(n.id for n in graph.nodes if n.op == "cat")
        setting = Premises("calibrated", batch=8)
        node = main_output(graph)
        moments = forward(Walks(graph), setting)
        theory = branch_shares(moments, merge, node)
        field = expected_erf(moments, node)
        region = far_region((side, side), field.centre)
        edges = incoming(graph, merge)
        heard = [
            respond(moments, node, field.unit, [region], field.origin, cut(graph, e, edges, node))[0]
            for e in edges
        ]
        coherent = [part / sum(heard) for part in heard]
        maps = branch_energies(model, side, runs, branches)
        sums = maps.sum((2, 3)).mean(0)
        far = maps[:, :, region].sum(2).mean(0)
        for k, branch in enumerate(theory):
            out.append(
                f"| {name} | {k} | {branch.share:.3f} / {sums[k] / sums.sum():.3f} | "
                f"{branch.far:.3f} / {far[k] / far.sum():.3f} | {coherent[k]:.3f} |"
            )
    return out


HEAD = """# Expected effective field: theory against measurement

Written by `benchmarks/erf_agreement.py`; do not edit by hand.

The closed form (`archlens.analyses.expected.field`) against gradients of live networks: for each run fresh He
weights and white-noise images, batch norm in training mode, the squared gradient of the middle unit of one
image. *Runs* are weight draws x images a batch. Sides are those of the smallest centred square that holds
25, 50, 75 and 95 % of the energy, px, **closed form / measured ± standard error** (bootstrap over runs).
*Correlation* is that of the two maps in bins of 8 px; *far* the energy outside the centred square of half
the input's side; *gain* the ratio of the total energies.

| network | input | runs | 25 % | 50 % | 75 % | 95 % | worst | correlation | far | gain | closed form |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""

COHERENT = """
## Coherent response of the far region

The square of the gradient's sum over the far region, over the sum of squares there, with calibrated
statistics: 1 where a coherent change is heard like independent pixels. White noise, and 1/f noise, which is
correlated as photographs are. Networks with less than 1 % of their energy far away are left out. *Worst* is
the largest deviation of a side, *gain* the ratio of the total energies, here too.

| network | images | runs | worst side | gain | closed form | measured |
|---|---|---|---|---|---|---|
"""

BRANCHES = """
## Shares of the branches

Of the energy and of the far energy, closed form / measured; of the coherent far response, closed form.

| network | branch | energy | far energy | coherent far response |
|---|---|---|---|---|
"""

LIMITS = """
## Where they part, and why

* **Gain.** The total energy is not what the field is about, and it is where small widths show. Without batch
  norm it is too high (largefov by half, deeplabv1 2.6 times): behind overlapping max pools neighbouring
  values agree, so two windows choose the same value less often than independent values would. With depthwise
  convolutions and gates (mobile, gated) it is up to a quarter off: a depthwise filter sums nine inputs, no
  large number. The shape hardly changes, because all paths share these factors.
* **Globally pooled branches.** Over white noise a map's mean hardly varies, and batch norm blows what is
  left up to variance 1; the statistics are then taken over as many values as there are images. The closed
  form takes the batch's size into account (`Setting.batch`); for many images the pooled branch's share is
  smaller, since the deviation of few values is underestimated.
* **Coherent response.** It is that of constant statistics: in training mode the gradient through the batch
  statistics adds a faint uniform part, and takes some of a pooled branch's away. Pooled features vary in few
  common directions, and batch norm holds those down. The closed form knows that only roughly: behind global
  pooling it is up to a third high over white noise, and **two to three times too high over 1/f noise**. Take
  it there as an upper estimate. Below a bilinear decoder (unet) it is a third low over white noise: the
  tangent keeps one amplitude for all lags.
* **Images decide the coherent lens.** Over white noise image pooling (aspp_pooled) answers a coherent far
  change six times stronger than its pixel energy says, over 1/f noise only about as strong as it says, where
  a network without pooling is at two thirds. What batch norm blows up over noise, it does not over pictures.
* **Bin 1 over 1/f noise.** There ppm's widest side is 7 % too large: its pooled branches weigh too much.
* **Width.** The theory is for wide layers; the small networks have 32 to 64 channels.
* **Norms of one image.** Group, instance and layer norm divide by deviations that differ from image to image,
  group to group and, over channels, from place to place; of that their means are followed (few channels in a
  group, weak borders), not that gradients are larger where values are. The gradient through the statistics is
  a uniform part of 2 / n. Sides are within 2.4 %; innermost ones of one cell, at widths of 32, within 8 %.
  The gain of instance norm is a quarter low. **A coherent change is heard through the statistics**: a norm
  over places hands a k-th of it (k channels in a group) to every place, near or far, and takes it away where
  it was. Behind group and instance norm the far region's coherent response is therefore twice what its pixels
  say, without any pooling; over 1/f noise the closed form is up to twice too high there, as behind pools.
* **Attention.** Weights are those of random scores, of any number of keys; tokens that vary in few directions
  (narrow layers, small patches) are followed to first order, an eighth of them off at 27 directions. The
  norm behind a sum with attention divides tokens alike, where those with steep weights are larger: with one
  or two heads of a layer the share of attention comes out up to a tenth too high. Behind masks
  and partitions, gradients that queries hand to different keys are taken as independent. The gain in shifted
  windows is a seventh low. The **coherent far response is a tenth to a quarter too high**. Where half of the
  energy lies in one patch and the rest everywhere, a side between the two is steep in both shares. What
  constants add (embedded positions, biases of relative positions) counts as zero. No rule: attention whose
  queries are no places (object queries), that turns queries and keys (rotary positions), with a learned
  temperature (cosine attention), over channels, and without a softmax.
* **Deep attention in windows is far off**, and says so beside the figure. Swin backbones of other libraries,
  sides of 50 % of the energy, closed form / sampled (40 runs; Swin-T 24), px: depths 2,2 at 112 px 35.0 and
  34.9; 2,2,2 at 112 px 52.4 and 55.3; 2,2,6 at 112 px 54.4 and 66.6; Swin-T's third stage at 224 px 52.6 and
  78.5. Probably gradients that all keys get alike are lost where tokens are put into other windows.
* **Seen to be off, and not said beside the figure.** Sums whose terms depend on each other with nothing
  random between (`x + pool(x) - x`: PoolFormer's sides are half of what samples say), a sigmoid multiplied by
  hand (`x * sigmoid(x)` in a residual trunk: 27 % too wide), a concat of unequal parts before a norm
  (DenseNet: 11 %, small ones up to 29 %), max pools right behind max pools (SPPF: 30 % too narrow), an
  instance norm behind an upsampling (its uniform part is lost), standardised weights (10 %).
* **Lags.** Correlations between gradients are followed over two cells of the map at hand. An average over
  more than three cells on top of another one (a 7x7 average pool of stride 1 over a resize) loses the rest.
* **Trained weights** are another matter: that is what the gradient and the occlusion field are for.
"""


def merged(page: str, fresh: list[str]) -> str:
    """A part of the page with some rows anew: in their places, or behind those of networks before them."""
    lines, order = page.splitlines(), list(NETWORKS)
    for text in fresh:
        name, second = text.split(" | ")[:2]
        known = [k for k, line in enumerate(lines) if line.split(" | ")[:2] == [name, second]]
        if known:
            lines[known[0]] = text
            continue
        before = order[: order.index(name[2:])]
        images = {second} if second in ("white", "natural") else set()
        heads = [line.split(" | ")[:2] for line in lines]
        rows = [k for k, (first, *more) in enumerate(heads) if first[2:] in before and images <= set(more)]
        lines.insert(rows[-1] + 1, text)
    return "\n".join(lines)


def renewed(page: str, names: list[str], runs: int, cache: Path | None) -> str:
    """The page with the rows of some networks sampled anew, and the text as it is here."""
    table, rest = page.split(COHERENT[:20], 1)
    coherent, branches = (COHERENT[:20] + rest.split(LIMITS[:20])[0]).split(BRANCHES[:20])
    chosen = [c for c in cases(runs, False) if c.name in names]
    table = merged(table.split("\n\nLargest")[0], [row(c, cache)[0] for c in chosen])
    few = [x for c in chosen if (x := coherent_row(c, cache)) is not None]
    rows = [line for line in table.splitlines() if re.match(r"\| \w+ \| \d", line)]
    worst = max(float(line.split("|")[8].split()[0]) for line in rows)
    page = HEAD + "\n".join(rows) + f"\n\nLargest deviation of a side: {worst:.1f} %.\n"
    return page + merged(coherent, few) + "\n" + BRANCHES[:20] + branches + LIMITS


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=240)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--zoo", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", metavar="NETWORK")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.cache is not None:
        given.cache.mkdir(parents=True, exist_ok=True)
    if given.only:
        page = renewed(PAGE.read_text(encoding="utf-8"), given.only, given.runs, given.cache)
        PAGE.write_text(page, encoding="utf-8")
        return
    lines, worst = [], 0.0
    for case in cases(given.runs, given.zoo):
        text, deviation = row(case, given.cache)
        worst = max(worst, deviation)
        lines.append(text)
        print(text, flush=True)
    second = [coherent_row(c, given.cache) for c in cases(given.runs, False)]
    few = [c for c in cases(given.runs // 4, False) if c.name in ("plain", "residual", "aspp_pooled", "ppm")]
    second += [coherent_row(c, given.cache, "natural") for c in few]
    third = share_rows(max(given.runs // 6, 10))
    page = HEAD + "\n".join(lines) + f"\n\nLargest deviation of a side: {100 * worst:.1f} %.\n"
    page += COHERENT + "\n".join(x for x in second if x) + "\n" + BRANCHES + "\n".join(third) + "\n" + LIMITS
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
