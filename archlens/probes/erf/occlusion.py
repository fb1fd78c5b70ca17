"""The occlusion field, on the live network (Zhou, Khosla, Lapedriza, Oliva & Torralba, ICLR 2015).

A patch is moved over an image and the change of a unit's activation is recorded for each place of the patch:
the discrepancy map. A "unit" in that paper is a channel; it answers at the position where its activation is
largest in the image. The maps of a channel's `top` images are re-centred on that position's own centre in the
input and averaged, so that what is left belongs to the channel and not to an image. The region above a
threshold of the map's peak is the empirical field; its size is the side of a square of the same area.

Two things to know when reading sizes. A patch of s px touches a field of r px in r + s - 1 places, so a map
is up to s - 1 px wider than the field. And the threshold is a choice: it stands beside the figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from archlens.errors import LayerError, UsageError
from archlens.probes.device import guarded, in_float32
from archlens.probes.erf.occluder import Canvas, Floats, Occluder, equivalent_side, paint, patched
from archlens.probes.network import Network
from archlens.progress import Count, uncounted

PATCH = Occluder()


@dataclass(frozen=True)
class ChannelField:
    """The empirical field of one channel.

    Attributes:
        channel: Its index.
        side: Side of the square with the area above the threshold, px; NaN where nothing changed.
        images: Images averaged; a channel that is off in an image is not measured in it.
    """

    channel: int
    side: float
    images: int


@dataclass(frozen=True)
class OcclusionField:
    """A layer's empirical field.

    Attributes:
        layer: Its name.
        theoretical: Size of the theoretical field per axis, px; None where it is not finite.
        size: Mean over channels of the empirical side, px.
        spread: Standard deviation over channels, as in the paper's table.
        channels: One by one, strongest first.
        silent: Channels that were chosen and never answered: activation 0 everywhere, or no change at all.
        overflown: Places where an activation was not finite; their maps are left out.
        map: Mean of the channels' re-centred maps, each of sum 1, laid on `unit`; float64, sum 1.
        unit: Where the map is laid.
        centre: That unit's centre in the input, px.
        occluder: The patch.
        threshold: Share of a map's peak above which a place counts.
        top: Images a channel, those with its strongest answers.
        source: What the images were.
        notes: What a reader must know.
    """

    layer: str
    theoretical: tuple[int, ...] | None
    size: float
    spread: float
    channels: tuple[ChannelField, ...]
    silent: int
    overflown: int
    map: Floats
    unit: tuple[int, ...]
    centre: tuple[float, ...]
    occluder: Occluder
    threshold: float
    top: int
    source: str
    notes: tuple[str, ...]

    @property
    def known(self) -> bool:
        """Whether some channel answered."""
        return bool(np.isfinite(self.map).all())


@dataclass
class _Peak:
    """A channel's strongest answer in one image."""

    value: float
    image: int
    unit: tuple[int, ...]


@dataclass
class _Layer:
    name: str
    chosen: list[int] = field(default_factory=list)
    peaks: dict[int, list[_Peak]] = field(default_factory=dict)  # channel -> its top images
    canvases: dict[int, Canvas] = field(default_factory=dict)
    overflown: int = 0
    centres: dict[tuple[int, ...], tuple[float, ...]] = field(default_factory=dict)

    def centre(self, network: Network, unit: tuple[int, ...]) -> tuple[float, ...]:
        """A unit's own centre in the input, px."""
        if unit not in self.centres:
            self.centres[unit] = network.walks.centre(network.node(self.name).id, unit)
        return self.centres[unit]


def measure(
    network: Network,
    layers: Sequence[str],
    images: Iterable[Tensor],
    *,
    unit: Sequence[int] | None = None,
    channel: int | None = None,
    channels: int = 16,
    top: int = 5,
    occluder: Occluder = PATCH,
    threshold: float = 0.5,
    batch_size: int = 32,
    source: str = "images",
    seed: int = 0,
    progress: Count = uncounted,
) -> list[OcclusionField]:
    """The empirical field of several layers at once: every occluded image is run once for all of them.

    Args:
        images: Batches of preprocessed images, (N, C, H, W).
        unit: Where the averaged map is laid (of each layer; default its centre). It does not choose what is
            measured: channels answer where they are strongest.
        channel: Only this one; default the `channels` whose strongest answers are largest.
        top: Images a channel.
        threshold: Share of the peak.
        batch_size: Occluded images a run.
        source: Words for the images.
        progress: Called with (occluded images done, all of them).
    """
    if len(network.input_shape) != 3:
        raise UsageError("The occlusion method needs images: an input of channels x height x width.")
    sizes = network.input_shape[1:]
    if occluder.stride < 1 or not 1 <= occluder.size <= min(sizes):
        raise UsageError(
            f"A patch of {occluder.size} px does not go over {sizes[0]}x{sizes[1]} px by {occluder.stride}.",
            hint="Use a patch of 1 px up to the input's side and a stride of 1 px or more.",
        )
    if not 0 < threshold < 1 or top < 1 or channels < 1:
        raise UsageError("The threshold lies between 0 and 1; at least one image and one channel are needed.")
    states = [_Layer(name) for name in layers]

    @torch.no_grad()
    def work() -> int:
        pictures = _first_look(network, states, images, channel, channels, top)
        if not pictures:
            raise UsageError("No images to measure with.", hint="Give a folder by --images.")
        needed = sorted({p.image for s in states for c in s.chosen for p in s.peaks[c]})
        places = [(y, x) for y in occluder.places(sizes[0]) for x in occluder.places(sizes[1])]
        generator = torch.Generator().manual_seed(seed)
        for k, index in enumerate(needed):

            def report(done: int, before: int = k) -> None:
                progress(before * len(places) + done, len(needed) * len(places))

            _occlude(network, states, pictures[index], index, occluder, places, batch_size, generator, report)
        return len(pictures)

    doing = "measuring the occlusion field"
    count = guarded(network.device, doing, "Use a smaller --batch-size.", in_float32(work))
    words = f"{source}, {count} in all"
    return [_result(network, s, unit, occluder, threshold, top, words) for s in states]


def _first_look(
    network: Network,
    states: list[_Layer],
    images: Iterable[Tensor],
    channel: int | None,
    channels: int,
    top: int,
) -> list[Tensor]:
    """Find each channel's strongest answers, choose channels, and keep the images on the CPU."""
    pictures: list[Tensor] = []
    answers: list[dict[int, list[_Peak]]] = [{} for _ in states]
    for batch in images:
        got, _ = network.run(batch.to(network.device, network.dtype), [s.name for s in states])
        for state, found in zip(states, answers, strict=True):
            flat, grid = _by_channel(network, state.name, got[state.name])
            if channel is not None and not 0 <= channel < flat.shape[1]:
                raise LayerError(f"{state.name} has no channel {channel}.", hint=f"It has {flat.shape[1]}.")
            best, where = flat.max(2)
            state.overflown += int((~torch.isfinite(best)).sum())
            for i, (row, spots) in enumerate(zip(best.tolist(), where.tolist(), strict=True)):
                for c, (value, spot) in enumerate(zip(row, spots, strict=True)):
                    # A unit at 0 behind a ReLU is off: an occluder can only switch it on elsewhere.
                    if math.isfinite(value) and value != 0 and (channel is None or c == channel):
                        at = tuple(int(v) for v in np.unravel_index(spot, grid)) if grid else ()
                        found.setdefault(c, []).append(_Peak(value, len(pictures) + i, at))
        pictures += list(batch.cpu())
    for state, found in zip(states, answers, strict=True):
        for peaks in found.values():
            peaks.sort(key=lambda p: -p.value)
        order = sorted(found, key=lambda c: -found[c][0].value)
        state.chosen = [channel] if channel is not None else order[:channels]
        state.peaks = {c: found.get(c, [])[:top] for c in state.chosen}
    return pictures


def _by_channel(network: Network, name: str, activation: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """(N, channels, positions), and the shape of the positions."""
    node = network.node(name)
    if 0 in node.positions:
        raise LayerError(f"{name} has its positions in the batch.", hint="Measure another layer.")
    rest = [d for d in range(1, len(node.shape)) if d not in node.positions]
    grid = node.map_size
    moved = activation.permute(0, *rest, *node.positions)
    return moved.reshape(len(activation), -1, max(1, math.prod(grid))), grid


def _occlude(
    network: Network,
    states: list[_Layer],
    picture: Tensor,
    index: int,
    occluder: Occluder,
    places: Sequence[tuple[int, int]],
    batch_size: int,
    generator: torch.Generator,
    report: Callable[[int], None],
) -> None:
    """One image under all places of the patch; adds the discrepancy maps that it was chosen for."""
    wanted = [(s, c, p) for s in states for c in s.chosen for p in s.peaks[c] if p.image == index]
    names = list(dict.fromkeys(s.name for s, _, _ in wanted))
    picture = picture.to(network.device, network.dtype)
    # Batches of one size throughout: a card may take other kernels for other sizes, and the last digits that
    # these differ by would be a change everywhere.
    full = picture.repeat(min(batch_size, len(places)), 1, 1, 1)
    got, _ = network.run(full, names)
    plain = _answers(network, wanted, got)[0]
    change = np.zeros((len(places), len(wanted)))
    done = 0
    for batch in patched(picture, occluder, places, batch_size, generator):
        got, _ = network.run(torch.cat([batch, full[len(batch) :]]), names)
        change[done : done + len(batch)] = np.abs(_answers(network, wanted, got)[: len(batch)] - plain)
        done += len(batch)
        report(done)
    sizes = network.input_shape[1:]
    for k, (state, c, peak) in enumerate(wanted):
        values = change[:, k]
        if not np.isfinite(values).all():
            state.overflown += int((~np.isfinite(values)).sum())
            continue
        painted = paint(values, places, occluder, sizes)
        centre = state.centre(network, peak.unit)
        state.canvases.setdefault(c, Canvas.blank(sizes)).add(painted, centre)


def _answers(network: Network, wanted: Sequence[tuple[_Layer, int, _Peak]], got: dict[str, Tensor]) -> Floats:
    """(N, wanted) activations."""
    columns = [network.at(s.name, got[s.name], p.unit)[:, c].double() for s, c, p in wanted]
    return np.asarray(torch.stack(columns, 1).cpu().numpy())


def _result(
    network: Network,
    state: _Layer,
    unit: Sequence[int] | None,
    occluder: Occluder,
    threshold: float,
    top: int,
    source: str,
) -> OcclusionField:
    at = network.unit(state.name, unit)
    centre = state.centre(network, at)
    sizes = network.input_shape[1:]
    found: list[ChannelField] = []
    total = np.zeros(sizes)
    for c in state.chosen:
        canvas = state.canvases.get(c)
        mean = canvas.mean() if canvas is not None else np.zeros((1, 1))
        side = equivalent_side(mean, threshold)
        if canvas is None or not side > 0:
            continue
        found.append(ChannelField(c, side, canvas.images))
        laid = canvas.laid(sizes, centre)
        if laid.sum() > 0:
            total += laid / laid.sum()
    sides = np.array([f.side for f in found])
    whole = total.sum()
    silent = len(state.chosen) - len(found)
    notes = [*network.notes, f"a patch of {occluder.size} px widens a field by up to {occluder.size - 1} px"]
    if silent:
        notes.append(f"{silent} of {len(state.chosen)} channels never answered")
    if not state.chosen:
        notes.append("no channel answered in any image")
    if state.overflown:
        notes.append(f"{state.overflown} activations were infinite or undefined; their maps are left out")
    return OcclusionField(
        layer=state.name,
        theoretical=_theoretical(network, state.name),
        size=float(sides.mean()) if len(sides) else float("nan"),
        spread=float(sides.std(ddof=1)) if len(sides) > 1 else float("nan"),
        channels=tuple(found),
        silent=silent,
        overflown=state.overflown,
        map=total / whole if whole > 0 else np.full(sizes, np.nan),
        unit=at,
        centre=centre,
        occluder=occluder,
        threshold=threshold,
        top=top,
        source=source,
        notes=tuple(notes),
    )


def _theoretical(network: Network, name: str) -> tuple[int, ...] | None:
    fields = network.walks.fields()[network.node(name).id]
    if fields is None or any(f.kind != "local" or f.path is None for f in fields):
        return None
    return tuple(f.path.size for f in fields if f.path is not None)
