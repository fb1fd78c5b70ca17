"""What archlens says, kept in a folder, so that two versions of it can be held against each other.

    python benchmarks/outputs.py collect FOLDER    # with the version that this Python imports
    python benchmarks/outputs.py compare OLD NEW   # every file that differs, and the first lines that do

Every network's JSON, tables and graph; comparisons, explanations, fields, plots and lists. Only the command
line is used, which both versions share. Numbers that differ by less than a millionth count as the same.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

SHORT = ("alexnet", "fcn", "deeplabv1", "dilatednet", "deeplabv2", "pspnet", "deeplabv3", "deeplabv3plus")
PAIRS = (("fcn", "pspnet"), ("fcn", "deeplabv2"), ("dilatednet", "deeplabv3"), ("deeplabv2", "deeplabv3plus"))
SMALL = ["--input-size", "3x193x193"]


def cases(names: list[str]) -> dict[str, list[str]]:
    """File name -> words of the command line."""
    out: dict[str, list[str]] = {"models.txt": ["models"], "models.json": ["models", "--json"]}
    for name in names:
        out[f"{name}.json"] = ["rf", name, "--json"]
        out[f"{name}.rf.txt"] = ["rf", name]
        out[f"{name}.summary.txt"] = ["summary", name, "--all"]
        out[f"{name}.dot"] = ["graph", name]
        out[f"{name}.csv"] = ["rf", name, "-o", "-", "--all"]
    for name in SHORT:
        out[f"explain.{name}.json"] = ["explain", name, "--json"]
        out[f"explain.{name}.txt"] = ["explain", name, "--full"]
        out[f"explain.{name}.ko.txt"] = ["explain", name, "--full", "--lang", "ko", "--sizes", ""]
        out[f"models.{name}.txt"] = ["models", name]
    for a, b in PAIRS:
        out[f"compare.{a}.{b}.txt"] = ["compare", a, b]
        out[f"compare.{a}.{b}.full.txt"] = ["compare", a, b, "--full"]
        out[f"compare.{a}.{b}.json"] = ["compare", a, b, "--json"]
        out[f"compare.{a}.{b}.md"] = ["compare", a, b, "-o", "FILE.md"]
        out[f"compare.{a}.{b}.csv"] = ["compare", a, b, "-o", "FILE.csv"]
    for figure in ("growth", "cost", "miou", "stages"):
        out[f"several.{figure}.svg"] = [
            "compare",
            "fcn",
            "deeplabv3",
            "--plot",
            "FILE.svg",
            "--figure",
            figure,
        ]
    for figure in ("growth", "boxes", "branches", "coverage", "stages"):
        out[f"one.{figure}.svg"] = ["rf", "deeplabv3", "--plot", "FILE.svg", "--figure", figure]
    for method in ("support", "expected"):
        out[f"erf.{method}.json"] = ["erf", "fcn", "--method", method, "--json"]
        out[f"erf.{method}.txt"] = ["erf", "deeplabv3", "--method", method]
        out[f"erf.{method}.svg"] = ["erf", "deeplabv3", "--method", method, "-o", "FILE.svg"]
        out[f"erf.{method}.back.txt"] = ["erf", "pspnet", "--method", method, "--projective"]
    out |= {
        "erf.gradient.txt": ["erf", "fcn32s_vgg16", *SMALL, "--method", "gradient", "--runs", "2"],
        "erf.occlusion.txt": ["erf", "alexnet", "--method", "occlusion", "--stride", "60", "--patch", "60"],
        "rf.erf.txt": ["rf", "pspnet", "--erf"],
        "rf.from.txt": ["rf", "deeplabv3", "--from", "backbone.layer3.22.relu3"],
        "rf.unit.json": ["rf", "fcn", "--unit", "3,4", "--json"],
        "rf.at.txt": ["rf", "fcn", "--at", "output"],
        "cut.txt": ["compare", "pspnet", "pspnet", "--cut", "ppm.bin1", "--full", "--sizes", ""],
        "rate.json": ["explain", "deeplabv3", "--cut", "aspp.rate18=1", "--json", "--sizes", ""],
        "diff.txt": ["diff", "deeplabv3_resnet50", "deeplabv3_resnet50?output_stride=8"],
        "diff.json": ["diff", "fcn", "fcn32s_vgg16", "--json"],
        "verify.json": ["verify", "alexnet", "--json", "--units", "3"],
        "check.json": ["check", "--format", "json"],
        "check.md": ["check", "--format", "markdown"],
        "check.xml": ["check", "--format", "junit"],
        "erf.graph.dot": ["graph", "fcn", "--color-by", "erf"],
        "macs.graph.dot": ["graph", "deeplabv3plus", "--color-by", "macs"],
        "flat.graph.dot": ["graph", "fcn", "--no-fold"],
    }
    return out


def collect(folder: Path) -> None:
    """Run every case and keep what it says; a case that fails keeps its error."""
    from archlens.cli.main import run

    folder.mkdir(parents=True, exist_ok=True)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run(["models", "--json"])
    names = [row["name"] for row in json.loads(said.getvalue())]
    for file, words in cases(names).items():
        target = folder / file
        given = [str(target) if w.startswith("FILE.") else w for w in words]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(given)
        if code not in (0, 1):
            print(f"{file}: exit {code}: {err.getvalue()[:200]}", file=sys.stderr)
        if given == words or code:
            target.write_text(out.getvalue() or err.getvalue(), encoding="utf-8")


def differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Where two values of JSON differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys((*old, *new))
        return [
            d
            for k in keys
            for d in (
                differences(old[k], new[k], f"{where}.{k}")
                if k in old and k in new
                else [f"{where}.{k}: {'gone' if k in old else 'new'}"]
            )
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            d
            for i, (a, b) in enumerate(zip(old, new, strict=True))
            for d in differences(a, b, f"{where}[{i}]")
        ]
    if isinstance(old, float) and isinstance(new, (int, float)):
        return [] if math.isclose(old, new, rel_tol=1e-6, abs_tol=1e-9) else [f"{where}: {old} -> {new}"]
    return [] if old == new else [f"{where}: {str(old)[:150]} -> {str(new)[:150]}"]


def compare(old: Path, new: Path, most: int) -> int:
    """Print what differs; the number of files that do."""
    files = sorted({p.name for p in (*old.iterdir(), *new.iterdir())})
    count = 0
    for name in files:
        texts = [p.read_text("utf-8") if p.exists() else None for p in (old / name, new / name)]
        if texts[0] == texts[1]:
            continue
        if None in texts:
            found = ["only in one of them"]
        elif name.endswith(".json"):
            found = differences(*(json.loads(t or "null") for t in texts))
        else:
            lines = [(t or "").splitlines() for t in texts]
            found = [f"- {a}\n    + {b}" for a, b in zip(*lines, strict=False) if a != b]
            if len(lines[0]) != len(lines[1]):
                found.append(f"{len(lines[0])} lines -> {len(lines[1])}")
        if found:
            count += 1
            print(f"{name}: {len(found)} differences")
            for line in found[:most]:
                print(f"    {line}")
    print(f"{count} of {len(files)} files differ")
    return count


def main() -> None:
    """Collect, or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--most", type=int, default=4, help="lines shown a file")
    parser.add_argument("what", choices=("collect", "compare"))
    parser.add_argument("folders", nargs="+", type=Path)
    asked = parser.parse_args()
    if asked.what == "collect":
        collect(asked.folders[0])
    else:
        compare(*asked.folders[:2], asked.most)


if __name__ == "__main__":
    main()
