"""The lineage's table of the cue experiment: what training makes of each network.

    python benchmarks/cue_table.py                      # all that is missing, in order of priority
    python benchmarks/cue_table.py --minutes 7          # as much as fits
    python benchmarks/cue_table.py --device cuda        # three seeds at half width and 513 px

Adds to what earlier runs kept (`archlens/zoo/cue.json`, written after each seed, never edited by hand). Runs
are bounded by steps, so a shard that is cut off loses one seed at most. What has not run is absent.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from archlens.probes.cue.run import CueOptions, cue  # noqa: E402
from archlens.render.forms import cue_forms  # noqa: E402
from archlens.showing import write_file  # noqa: E402
from archlens.trained import CueResult, read  # noqa: E402

TABLE = ROOT / "archlens" / "zoo" / "cue.json"

LINEAGE = ("fcn32s_vgg16", "fcn", "pspnet", "deeplabv3", "deeplabv2", "deeplabv2_vgg16", "deeplabv1",
           "deeplabv3plus", "dilatednet")  # fmt: skip
VARIANTS = (
    "pspnet?bins=1",
    "pspnet?bins=6",
    "pspnet?ppm=false",
    "deeplabv3?image_pooling=false",
    "deeplabv3?rates=1,1,1",
)
LARGE = ("fcn32s_vgg16", "deeplabv2_largefov_resnet101", "pspnet", "deeplabv3")
"""At 513 px on a CPU too: an image must be larger than the windows that it is to tell apart."""


def jobs(card: bool) -> Iterator[tuple[str, int, tuple[int, ...], str]]:
    """(spec, side, seeds, width), the most telling first."""
    if card:
        for spec in (*LINEAGE, *VARIANTS):
            yield spec, 513, (0, 1, 2), "1/2"
        return
    first = ("fcn32s_vgg16", "pspnet", "deeplabv3", "deeplabv2", "fcn", "deeplabv2_vgg16")
    for seed in (0, 1, 2):
        for spec in first:
            yield spec, 257, (seed,), "1/8"
        if seed == 0:
            for spec in LARGE:
                yield spec, 513, (0,), "1/8"
            for spec in (*LINEAGE, *VARIANTS):
                if spec not in first:
                    yield spec, 257, (0,), "1/8"


def main() -> int:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("words", nargs="*", help="what the specs begin with; default: all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no seed after so many")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=TABLE)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    start = time.monotonic()
    known = read(given.output) if given.output.is_file() else None

    def keep(result: CueResult) -> None:
        nonlocal known
        known = result
        write_file(given.output, cue_forms(result)[".json"]())

    for spec, side, seeds, width in jobs(given.device.startswith("cuda")):
        if given.words and not spec.startswith(tuple(given.words)):
            continue
        if time.monotonic() - start > 60 * given.minutes:
            break
        options = CueOptions(
            input_size=f"3x{side}x{side}", width=width, seeds=seeds, steps=given.steps, device=given.device
        )
        begun = time.monotonic()
        cue(spec, options=options, known=known, finished=keep)
        print(f"{spec} {side} px {seeds}: {time.monotonic() - begun:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
