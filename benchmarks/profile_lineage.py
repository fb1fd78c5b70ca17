"""The lineage on one device: latency, images per second, memory and the share of the matrix ceiling.

    python benchmarks/profile_lineage.py                  # 513 px (or the nearest legal size), CUDA if there
    python benchmarks/profile_lineage.py --size 129 --repeat 5 --variants float32      # a CPU, in minutes
    python benchmarks/profile_lineage.py -o docs/profile.md

Writes a Markdown table; the device, the versions and everything that may have spoiled the figures stand above
and below it. A file is written whole or not at all.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import archlens
from archlens.errors import ArchlensError
from archlens.probes.device import facts, resolve
from archlens.probes.profile.run import DTYPES, Profile, profile
from archlens.zoo.catalogue import CATALOGUE, Entry

# What to call it -> precision, channels-last.
VARIANTS = {
    "float32": ("float32", False),
    "float32 channels-last": ("float32", True),
    "bfloat16": ("bfloat16", False),
    "bfloat16 channels-last": ("bfloat16", True),
}
SHORT = ("alexnet", "fcn", "deeplabv1", "dilatednet", "deeplabv2", "pspnet", "deeplabv3", "deeplabv3plus")


@dataclass(frozen=True)
class Row:
    """One network in one variant: figures, or why there are none. `liveness` is what liveness on the graph
    says that the activations take at the most, bytes."""

    network: str
    side: int
    variant: str
    found: Profile | None
    reason: str = ""
    liveness: float = float("nan")


def liveness(entry: Entry, side: int, dtype: str, batch_size: int) -> float:
    """Peak activation memory by the graph alone, bytes."""
    report = archlens.analyze(entry.name, (entry.input_shape[0], side, side))
    return report.totals["peak_activation_bytes"] * batch_size * DTYPES[dtype].itemsize / 4


def legal_side(entry: Entry, wanted: int) -> int | None:
    """The legal square side nearest to the wanted one."""
    for away in range(wanted):
        for side in (wanted + away, wanted - away):
            try:
                entry.check_input((entry.input_shape[0], side, side))
            except ArchlensError:
                continue
            return side
    return None


def main(arguments: list[str] | None = None) -> int:
    """Run the table. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        device = resolve(options.device)
    except ArchlensError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return error.exit_code
    names = {n for e in CATALOGUE for n in (e.name, *e.aliases)}
    chosen = options.models.split(",") if options.models else list(SHORT)
    unknown = [n for n in chosen if n not in names] + [
        v for v in options.variants.split(",") if v not in VARIANTS
    ]
    if unknown:
        print(f"Not known: {', '.join(unknown)}.", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for entry in CATALOGUE:
        if not set(chosen) & {entry.name, *entry.aliases}:
            continue
        side = legal_side(entry, options.size)
        if side is None:
            continue
        model = entry.build()
        for variant in options.variants.split(","):
            dtype, channels_last = VARIANTS[variant]
            print(f"{entry.name} at {side} px, {variant}", file=sys.stderr, flush=True)
            try:
                found = profile(
                    model,
                    (entry.input_shape[0], side, side),
                    device,
                    name=entry.name,
                    batch_size=options.batch_size,
                    dtype=dtype,
                    channels_last=channels_last,
                    warmup=options.warmup,
                    repeat=options.repeat,
                )
            except ArchlensError as error:
                rows.append(Row(entry.name, side, variant, None, error.message))
            else:
                estimate = liveness(entry, side, dtype, options.batch_size)
                rows.append(Row(entry.name, side, variant, found, liveness=estimate))
        del model
    known = facts(device)
    where = f"{known.name}, {known.threads} threads" if known.threads else f"{known.name}, CUDA {known.cuda}"
    title = f"Measured on {where}, PyTorch {known.torch}, batch size {options.batch_size}."
    text = "\n".join([title, "", *table(rows), "", *remarks(rows)]) + "\n"
    if options.output == "-":
        sys.stdout.write(text)
    else:
        write_whole(Path(options.output), text)
    return 0


def table(rows: list[Row]) -> list[str]:
    """Markdown lines."""
    lines = [
        "| network | px | variant | median ms | quartiles | images/s | GMACs | TFLOP/s | of matrix ceiling "
        "| peak MiB | by liveness | layers' sum / whole |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        head = f"| {row.network} | {row.side} | {row.variant} |"
        p = row.found
        if p is None:
            lines.append(f"{head} {row.reason} | | | | | | | | |")
            continue
        share = p.flops_per_second / p.ceilings.flops_per_second
        parts = p.layer_sum / p.latency.median if p.layer_sum is not None else float("nan")
        low, high = p.latency.low * 1e3, p.latency.high * 1e3
        lines.append(
            f"{head} {p.latency.median * 1e3:.1f} | {low:.1f}–{high:.1f} | {p.images_per_second:.2f} | "
            f"{p.macs / 1e9:.1f} | {p.flops_per_second / 1e12:.3f} | {share:.0%} | "
            f"{p.peak_bytes / 2**20:.0f} | {row.liveness / 2**20:.0f} | {parts:.2f} |"
        )
    return lines


def remarks(rows: list[Row]) -> list[str]:
    """Ceilings, where time and MACs part company, and notes; each once."""
    lines: list[str] = []
    for row in rows:
        if row.found is None:
            continue
        c = row.found.ceilings
        lines.append(
            f"- Ceilings, {c.dtype}: {c.flops_per_second / 1e12:.2f} TFLOP/s, "
            f"{c.bytes_per_second / 1e9:.0f} GB/s, ridge {c.ridge:.0f} FLOP/byte."
        )
    for row in rows:
        if row.found is None:
            continue
        lines += [f"- {row.network}, {row.variant}: {m.sentence}." for m in row.found.mismatches[:3]]
        lines += [f"- {row.network}, {row.variant}: {note}." for note in row.found.notes]
    return list(dict.fromkeys(lines))


def write_whole(path: Path, text: str) -> None:
    """Write beside the file and rename: an interrupted run leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=513, help="side in px; the nearest legal one is taken")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--warmup", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument(
        "--variants", default=",".join(VARIANTS), help="comma-separated: " + ", ".join(VARIANTS)
    )
    parser.add_argument("--models", default="", help="comma-separated; default: the lineage's eight")
    parser.add_argument("-o", "--output", default="-")
    return parser


if __name__ == "__main__":
    sys.exit(main())
