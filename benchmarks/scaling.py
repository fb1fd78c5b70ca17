"""How the cost of an analysis grows with the network and its input, in one process, as ratios.

    python benchmarks/scaling.py [--rounds 7]

`analyze` (capture and every exact analysis, what `summary` and `rf` do) on plain chains of 3x3 convolutions
and on a residual network of torchvision. It should be linear in the number of layers and flat in all else:
channels, batch and input area. Least times of interleaved rounds: the machine's own noise only ever adds.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import torch
import torchvision
from torch import nn

import archlens


def chain(layers: int, channels: int) -> nn.Module:
    """Convolution, batch norm and ReLU, `layers` times."""
    parts: list[nn.Module] = []
    for i in range(layers):
        parts += [
            nn.Conv2d(channels if i else 3, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
    return nn.Sequential(*parts)


CASES = {
    "20 layers of 16 channels, 128 x 128": (20, 16, (3, 128, 128)),
    "40 layers": (40, 16, (3, 128, 128)),
    "80 layers": (80, 16, (3, 128, 128)),
    "160 layers": (160, 16, (3, 128, 128)),
    "256 channels": (20, 256, (3, 128, 128)),
    "512 x 512": (20, 16, (3, 512, 512)),
    "2048 x 2048": (20, 16, (3, 2048, 2048)),
}
RESIDUAL = {"resnet50, 224 x 224": 224, "resnet50, 896 x 896": 896, "resnet50, 3584 x 3584": 3584}


def main() -> None:
    """Time every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    jobs = {}
    with torch.device("meta"):  # weights of 256 channels cost nothing there, and none are needed
        for name, (layers, channels, size) in CASES.items():
            jobs[name] = partial(archlens.analyze, chain(layers, channels).eval(), input_size=size)
        residual = torchvision.models.resnet50(weights=None).eval()
        batch = torch.zeros(32, 3, 128, 128)
        wide = chain(20, 16).eval()
    jobs["a batch of 32"] = partial(archlens.analyze, wide, example=batch)
    for name, side in RESIDUAL.items():
        jobs[name] = partial(archlens.analyze, residual, input_size=(3, side, side))
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    print("| network and input | least, ms | ratio |\n|---|--:|--:|")
    base = 1.0
    for name, values in seconds.items():
        least = min(values[1:])
        base = least if name in (next(iter(CASES)), next(iter(RESIDUAL))) else base
        print(f"| {name} | {1000 * least:.0f} | {least / base:.2f} |")


if __name__ == "__main__":
    main()
