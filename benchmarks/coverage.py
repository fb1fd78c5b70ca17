"""Which networks of torchvision, timm and segmentation_models_pytorch archlens analyses, end to end.

    python benchmarks/coverage.py                          # everything, writes docs/coverage.md
    python benchmarks/coverage.py timm:resnet50 smp:unet   # just these, prints their rows

Each network is analysed in a process of its own with a time limit. Parameters are held against
`sum(p.numel())`, multiply-accumulates against half of what torch's FlopCounterMode counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs" / "coverage.md"
LIMIT = 180  # seconds a network
SMALL = re.compile(r"tiny|small|_s$|nano|_xs|atto|pico|femto|mini|b0|s0|_t$")
SMP_ENCODERS = ("resnet34", "mit_b0")


@dataclass(frozen=True)
class Row:
    """What came out for one network."""

    spec: str
    size: str = ""
    layers: int = 0
    known: int = 0
    unknown: str = ""
    attention: bool = False
    params: str = ""
    macs: str = ""
    seconds: float = 0.0
    note: str = ""
    error: str = ""


def specs() -> list[str]:
    """All that is covered: torchvision whole, one small network of each family of timm, smp's decoders."""
    from torchvision import models

    out = [f"torchvision:{n}" for n in models.list_models(module=models)]
    out += [f"torchvision:{n}" for n in models.list_models(module=models.segmentation)]
    out += [f"torchvision:{n}" for n in models.list_models(module=models.video)]
    try:
        from timm.models._registry import _module_to_models
    except ImportError:
        _module_to_models = {}
    for _, names in sorted(_module_to_models.items()):
        ordered = sorted(names)
        out.append("timm:" + ([n for n in ordered if SMALL.search(n)] or ordered)[0])
    try:
        from archlens.capture.load.smp import architectures

        for name in architectures():
            encoders = ("",) if name == "dpt" else SMP_ENCODERS
            refused = ("mit_b0",) if name in ("linknet", "unetplusplus") else ()  # by the package itself
            out += [f"smp:{name}" + (f"?encoder_name={e}" if e else "") for e in encoders if e not in refused]
    except ImportError:
        pass
    return out


def measure(spec: str) -> Row:
    """Analyse one network and hold its figures against the referees."""
    import torch

    from archlens.errors import ArchlensError
    from archlens.pipeline import analyze

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(LIMIT)
    begin = time.perf_counter()
    try:
        report = analyze(spec)
        seconds = time.perf_counter() - begin
        rows = [r for r in report.layers if r.rf is not None]
        lost = Counter(n.unknown for n in report.graph.nodes if n.unknown)
        params, macs = _referees(spec, report)
    except ArchlensError as error:
        return Row(spec, error=error.message[:200])
    except Exception as error:
        return Row(spec, error=f"{type(error).__name__}: {error}"[:200])
    finally:
        signal.alarm(0)
    return Row(
        spec=spec,
        size="x".join(map(str, report.input_shape[1:])),
        layers=len(rows),
        known=sum(r.rf is not None and r.rf.kind != "unknown" for r in rows),
        unknown=", ".join(f"`{op}`" for op in lost),
        attention=any(n.op in ("softmax", "attention", "lstm") for n in report.graph.nodes),
        params=params,
        macs=macs,
        seconds=seconds,
        note="; ".join(report.notes),
    )


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {LIMIT} s")


def _referees(spec: str, report: Any) -> tuple[str, str]:
    """Whether parameters and multiply-accumulates agree: "=", or both figures."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from archlens.capture.load import load, meta_build
    from archlens.spec import parse_spec

    loaded = load(parse_spec(spec))
    real = any("real tensors" in n for n in report.notes)
    device = "cpu" if real else "meta"
    model = (loaded.build() if real else meta_build(loaded).to("meta")).eval().requires_grad_(False)
    own = sum(p.numel() for p in model.parameters())
    rows = sum(r.params for r in report.layers) + sum(report.uncalled.values())
    params = "=" if own == report.totals["params"] == rows else f"{report.totals['params']} for {own}"
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), torch.device(device), FlopCounterMode(display=False) as counter:
            model(torch.zeros(report.input_shape, device=device))
    except Exception as error:
        return params, f"not counted ({type(error).__name__})"
    twice = counter.get_total_flops()
    macs = report.totals["macs"]
    return params, "=" if twice == 2 * macs else f"{macs} for {twice // 2}"


def run(wanted: Sequence[str], jobs: int) -> Iterator[Row]:
    """Rows as they are done, in the order asked for."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, maxtasksperchild=8) as pool:
        for row in pool.imap(measure, wanted):
            print(line(row), flush=True)
            yield row


def line(row: Row) -> str:
    """A row of the table."""
    if row.error:
        return f"| {row.spec} | - | - | - | - | - | failed: {row.error} |"
    share = f"{100 * row.known / max(row.layers, 1):.0f} %"
    words = "; ".join(part for part in (row.unknown and f"unknown: {row.unknown}", row.note) if part)
    return f"| {row.spec} | {row.size} | {row.layers} | {share} | {row.params} | {row.macs} | {words} |"


def summary(rows: Sequence[Row]) -> list[str]:
    """The shares."""
    done = [r for r in rows if not r.error]
    plain = [r for r in done if not r.attention]
    whole = [r for r in done if r.known == r.layers]
    whole_plain = [r for r in plain if r.known == r.layers]
    counted = [r for r in done if not r.macs.startswith("not")]
    return [
        f"{len(rows)} networks, {len(rows) - len(done)} failed.",
        f"Every layer known: {len(whole)} of {len(done)}; of those without attention or recurrence "
        f"{len(whole_plain)} of {len(plain)} ({100 * len(whole_plain) / max(len(plain), 1):.1f} %).",
        f"Parameters equal: {sum(r.params == '=' for r in done)} of {len(done)}.",
        f"Multiply-accumulates equal half of FlopCounterMode: {sum(r.macs == '=' for r in counted)} of "
        f"{len(counted)}.",
    ]


def page(rows: Sequence[Row]) -> str:
    """docs/coverage.md."""
    from importlib.metadata import version

    packages = ("torch", "torchvision", "timm", "segmentation-models-pytorch")
    head = [
        "# Coverage",
        "",
        "Networks of other packages, each analysed end to end by `python benchmarks/coverage.py`, which made "
        "this page. `known` is the share of layers whose field is known; an operation that archlens does not "
        "understand is named, and every layer behind it says unknown. `params` and `MACs`: `=` where they "
        "equal `sum(p.numel())` and half of what torch's FlopCounterMode counts; it counts nothing of an "
        "LSTM that runs as one call, so there the figures differ.",
        "",
        "Versions: " + ", ".join(f"{p} {version(p)}" for p in packages) + ".",
        "",
        *(f"* {text}" for text in summary(rows)),
        "",
        "| network | input | layers | known | params | MACs | remarks |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *map(line, rows)]) + "\n"


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("specs", nargs="*", help="model specs; default: the whole list")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args()
    rows = list(run(options.specs or specs(), options.jobs))
    print(*summary(rows), sep="\n", file=sys.stderr)
    if not options.specs:
        DOCS.write_text(page(rows), encoding="utf-8")
    plain = [r for r in rows if not r.error and not r.attention]
    share = sum(r.known == r.layers for r in plain) / max(len(plain), 1)
    return 0 if share >= 0.95 and not any(r.error for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
