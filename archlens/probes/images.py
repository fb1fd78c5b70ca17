"""Inputs for live measurements: a folder of images, or noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from archlens.errors import UsageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")
Noise = Literal["white", "natural"]


@dataclass(frozen=True)
class Preprocessing:
    """From an image to a network's input: (value - mean) / std, channel by channel.

    Attributes:
        mean, std: In the order of the network's channels, so blue first with `bgr`.
        bgr: The network takes blue, green, red.
        scale: What white is before the mean is taken away: 1.0, or 255.0 as Caffe has it.
        name: Where it comes from, for the notes.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    bgr: bool = False
    scale: float = 1.0
    name: str = "torchvision's ImageNet statistics"

    def apply(self, rgb: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..1, red first -> the network's input."""
        if rgb.shape[1] != len(self.mean):
            raise UsageError(
                f"The images have {rgb.shape[1]} channels, the mean {len(self.mean)}.",
                hint="Give one mean and one std for each channel.",
            )
        x = rgb.flip(1) if self.bgr else rgb
        mean, std = (torch.tensor(v, dtype=rgb.dtype).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return (x * self.scale - mean) / std


CAFFE = Preprocessing((104.00699, 116.66877, 122.67892), (1.0, 1.0, 1.0), True, 255.0, "Caffe's BGR means")
IMAGENET = Preprocessing()
TENSORFLOW = Preprocessing((0.5,) * 3, (0.5,) * 3, False, 1.0, "TensorFlow DeepLab's range of -1 to 1")
# By the beginning of a zoo network's name, the first that fits.
KNOWN: tuple[tuple[str, Preprocessing], ...] = (
    ("alexnet", CAFFE),
    ("fcn", CAFFE),
    ("deeplabv1", CAFFE),
    ("dilatednet", CAFFE),
    ("deeplabv2", CAFFE),
    ("deeplabv3plus_xception", TENSORFLOW),
    ("pspnet", IMAGENET),
    ("deeplabv3", IMAGENET),
)


def preprocessing(
    name: str = "",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    bgr: bool | None = None,
) -> Preprocessing:
    """The model's own preprocessing where it is known, changed by what the user gives.

    A mean or a standard deviation above 1 says that white is 255; both are in the order of the network's
    channels.

    Raises:
        UsageError: A standard deviation that is not positive, or lists of different lengths.
    """
    base = next((p for start, p in KNOWN if name.startswith(start)), IMAGENET)
    if mean is None and std is None and bgr is None:
        return base
    new_mean = base.mean if mean is None else tuple(float(v) for v in mean)
    new_std = base.std if std is None else tuple(float(v) for v in std)
    if mean is not None and std is None:
        new_std = (1.0,) * len(new_mean)
    if len(new_mean) != len(new_std):
        raise UsageError(
            f"{len(new_mean)} means and {len(new_std)} standard deviations do not belong together.",
            hint="Give one of each for every channel.",
        )
    if not all(math.isfinite(s) and s > 0 for s in new_std):
        raise UsageError("A standard deviation must be positive.", hint="For instance 0.229,0.224,0.225.")
    given = [v for v in (mean, std) if v is not None]
    scale = base.scale if not given else 255.0 if any(abs(x) > 1 for v in given for x in v) else 1.0
    return replace(
        base,
        mean=new_mean,
        std=new_std,
        bgr=base.bgr if bgr is None else bgr,
        scale=scale,
        name="as given",
    )


def find(folder: Path | str, limit: int | None = None) -> list[Path]:
    """The images of a folder and its subfolders, in the order of their names.

    Raises:
        UsageError: No such folder, not readable, or no images in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder.", hint="--images takes a folder of images.")
    try:
        next(root.iterdir(), None)
        found = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    except OSError as error:
        raise UsageError(f"{root} cannot be read: {error.strerror}.", hint="See its permissions.") from error
    if not found:
        raise UsageError(f"There are no images in {root}.", hint="Known are " + ", ".join(SUFFIXES) + ".")
    return found[:limit]


def read(path: Path, size: Sequence[int]) -> Tensor:
    """One image, its shorter side fitted and its centre cropped: (3, H, W), 0..1, red first.

    Raises:
        UsageError: The file cannot be read as an image; the message names it.
    """
    # Pillow is what torchvision itself reads data sets with; its own decoders are deprecated.
    from PIL import Image, ImageOps
    from torchvision.transforms.v2 import functional as F

    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"{path} cannot be read as an image: {why}", hint="Remove the file, or save it as JPEG or PNG."
        ) from error
    image = F.pil_to_tensor(upright)
    height, width = image.shape[-2:]
    factor = max(size[0] / height, size[1] / width)
    fitted = [max(size[0], round(height * factor)), max(size[1], round(width * factor))]
    image = F.resize(image, fitted, antialias=True)
    cropped: Tensor = F.center_crop(image, list(size))
    return cropped.to(torch.float32) / 255


def batches(
    paths: Sequence[Path], size: Sequence[int], how: Preprocessing, batch_size: int
) -> Iterator[Tensor]:
    """The images, preprocessed: (N, 3, H, W) with N = batch_size, the last one maybe smaller."""
    for start in range(0, len(paths), batch_size):
        group = [read(p, size) for p in paths[start : start + batch_size]]
        yield how.apply(torch.stack(group))


def noise(kind: Noise, count: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Random images of mean 0 and variance 1: (count, C, *spatial), float32 on the CPU.

    `white`: every pixel on its own. `natural`: amplitudes fall with 1 / frequency, as those of photographs do
    (Field, J. Opt. Soc. Am. A 4, 1987); the mean of an image has the amplitude of its lowest frequency, so
    images differ in brightness. The variance is 1 over images and positions, not within each image. Channels
    are independent.
    """
    white = torch.randn((count, *shape), generator=generator)
    if kind == "white":
        return white
    sizes = shape[1:]
    dims = tuple(range(2, 2 + len(sizes)))
    square = torch.zeros(())
    for axis, n in enumerate(sizes):
        view = [1] * len(sizes)
        view[axis] = n
        square = square + torch.fft.fftfreq(n).view(view) ** 2
    frequency = square.sqrt()
    amplitude = 1 / frequency.clamp_min(1 / max(sizes))
    amplitude = amplitude / amplitude.square().mean().sqrt()
    spectrum = torch.fft.fftn(white, dim=dims) * amplitude
    image: Tensor = torch.fft.ifftn(spectrum, dim=dims).real
    return image.contiguous()
