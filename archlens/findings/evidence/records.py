"""The kinds of evidence as records. Plain numbers; no sentence is made here.

reach, use, growth, paths, counterfactuals, degeneration, resolution, cost, measured time, published - and the
same by position and by input size. Fields are pixels of the input along its first axis unless said otherwise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from archlens.analyses.expected.use import Use
from archlens.findings.evidence.counterfactual import Counterfactual
from archlens.findings.evidence.paths import Paths
from archlens.shades import Shades

if TYPE_CHECKING:
    from archlens.analyses.fields.coverage import Coverage
    from archlens.analyses.structure.fov import FieldOfView
    from archlens.findings.evidence.by_size import AtSize
    from archlens.findings.evidence.measured import Measured
    from archlens.findings.evidence.published import Ablation


@dataclass(frozen=True)
class Reach:
    """What the cell may see.

    Attributes:
        image: Side of the input.
        kind: local | varies | global | unknown.
        sizes: Theoretical sizes over the phases, of the field or of the finite local path beside it.
        share: The largest of them over the image's side.
        covers_from: First layer whose theoretical field is at least as wide as the image, and
        covers_at: its field.
        global_from: First layer that reads the whole input, whatever its size.
        seen: Share of the image's area that the cells see at this size, by position.
        fov: DeepLab's published convention, for VGG-16 trunks.
    """

    image: int
    kind: str
    sizes: tuple[int, ...]
    share: float | None
    covers_from: str | None
    covers_at: int | None
    global_from: str | None
    seen: Coverage | None
    fov: FieldOfView | None


@dataclass(frozen=True)
class StageGrowth:
    """What a stage adds to the field, and what a pixel of it costs."""

    name: str
    first: str
    last: str
    before: int
    after: int
    stride: float
    macs: int
    macs_per_pixel: float | None


@dataclass(frozen=True)
class GrowthEvidence:
    """Stages on the widest way; where growth stops; what resampling adds by reading neighbours."""

    stages: tuple[StageGrowth, ...]
    stops_at: str | None
    stops_with: int | None
    resampling: int


@dataclass(frozen=True)
class Dilated:
    """A dilated window on its map."""

    layer: str
    rate: int
    map: int
    taps: int
    mean_taps: float
    full: float
    corner: int
    centre: int


@dataclass(frozen=True)
class ResolutionEvidence:
    """Strides in pixels; the finer maps that a decoder brings back, as (layer, stride)."""

    deepest: float
    deepest_from: str
    cell: float | None
    map: tuple[int, ...]
    skips: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Cost:
    """Parameters and MACs: all, the context module's branches, and the convolution that fuses them."""

    params: int
    macs: int
    module_params: int | None
    module_macs: int | None
    fusion: str | None
    fusion_params: int
    fusion_macs: int

    def share(self, macs: int) -> float | None:
        """Of all MACs; None where there are none."""
        return macs / self.macs if self.macs else None


@dataclass(frozen=True)
class Stream:
    """A way into a decoder's sum: the deep map, or a finer one.

    Attributes:
        share: Of the cell's pixel energy.
        far, side95: Of the stream's own energy: the far share, and the square that holds 95 %.
    """

    layer: str
    share: float
    far: float
    side95: float | None
    deep: bool


@dataclass(frozen=True)
class Expected:
    """What stands on expected energies, and is kept since it is slow. As in `Evidence` and `Study`."""

    use: Use
    head: Use | None
    streams: tuple[Stream, ...]
    paths: Paths | None
    counterfactuals: tuple[Counterfactual, ...]
    curve: tuple[tuple[float, float], ...]
    shades: Shades | None


@dataclass(frozen=True)
class Productive:
    """Layers that can add nothing at this size: their input's field is as large as the image."""

    layers: tuple[str, ...]
    first: str | None
    first_before: int | None
    everywhere: tuple[str, ...]
    shortest_also: int
    macs: int


@dataclass(frozen=True)
class Overlap:
    """Margins of tiled inference, pixels per axis, each side by itself."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    multiple: tuple[int, ...]
    exact: bool
    source: str | None


@dataclass(frozen=True)
class Evidence:
    """One network at one input size.

    Attributes:
        label: How the network is called in this comparison.
        name: The network's own name.
        family: The lineage's member that it is (`fcn`, `pspnet`, ...), or None.
        use: The cell's use of the image.
        head: The cell's use of the map that the head reads, and
        head_input: that map's layer.
        head_cells: Cells a side that the head's branches read of it; of a head without branches, the one
            window that they make together.
        head_map: Cells a side of that map.
        streams: What a decoder adds up, the deepest first.
        time: What was measured, where it was run.
    """

    label: str
    name: str
    family: str | None
    reach: Reach
    use: Use
    head: Use | None
    head_input: str | None
    head_cells: tuple[int, ...]
    head_map: int
    streams: tuple[Stream, ...]
    growth: GrowthEvidence
    paths: Paths | None
    counterfactuals: tuple[Counterfactual, ...]
    degeneration: tuple[Dilated, ...]
    resolution: ResolutionEvidence | None
    cost: Cost
    productive: Productive
    overlap: Overlap | None
    sizes: tuple[AtSize, ...]
    published: tuple[Ablation, ...] = ()
    time: Measured | None = None

    @property
    def deep(self) -> Stream | None:
        """The deepest stream, where a decoder adds finer maps."""
        return next((s for s in self.streams if s.deep), None)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return asdict(self)
