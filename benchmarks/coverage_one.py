"""One network, every analysis: what `coverage.py` has its worker do."""

from __future__ import annotations

import faulthandler
import json
import re
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from coverage_networks import Job

Row = dict[str, Any]
FEW = 6
"""Layers whose effective fields are asked for, besides the cell."""
STUDIED = (
    "fields", "boxes", "statuses", "seen", "support", "unit_boxes", "coverage", "places", "stages", "strides",
    "last", "resolution", "deepest_strides", "head_input", "streams", "any_module", "rates", "unproductive",
    "tiling", "fov", "lens", "cell_field", "energy_use", "use", "head_use", "curve", "shades",
    "branch_shares", "branch_responses",
)  # fmt: skip
"""What `archlens.study.Study` derives, each in an attempt of its own."""
_CARRIES = ("interpolate", "view", "reshape", "permute", "slice", "select", "crop", "input", "copy")
"""Operations that carry scores and make none: a class-score cell is none of them."""


def serve(job_end: Connection, dump: str, limit: float) -> None:
    """Take jobs one by one and send what is found, piece by piece; past the limit leave with a traceback."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    while (job := job_end.recv()) is not None:
        with open(dump, "w") as file:
            faulthandler.dump_traceback_later(limit, exit=True, file=file)
            for part in examined(job):
                job_end.send(part)
            faulthandler.cancel_dump_traceback_later()
        job_end.send(None)


def examined(job: Job) -> Iterator[Row]:
    """Everything about a network, as pieces of its row; before each attempt its name as `step`."""
    import archlens
    from archlens.comparing import CompareOptions, compare, explain
    from archlens.report import report_from_dict

    faults = Faults()
    begin = time.perf_counter()
    # A second size, half as large again, for those that segment; those that have one size leave it out.
    sides = (job.size[-1] * 3 // 2,) if job.classes and job.size else ()
    options = CompareOptions(input_size=job.size, sides=sides)
    if len(job.specs) > 1:
        yield {"step": "compare"}
        found = faults.attempt("compare", lambda: compare(*job.specs, options=options))
    else:
        yield {"step": "explain"}
        found = faults.attempt("explain", lambda: explain(job.specs[0], options=options))
    yield {**faults.row(), "explained": found is not None, "seconds": time.perf_counter() - begin}
    reports = [] if found is None else list(found.reports)
    if found is None:
        yield {"step": "analyze"}
        report = faults.attempt("analyze", lambda: archlens.analyze(job.specs[0], job.size))
        reports = [] if report is None else [report]
    if len(job.specs) == 1 and reports:
        yield {"step": "figures"}
        yield faults.attempt("figures", lambda: figures(reports[0], job)) or {}
        for name, do in studied(reports[0].study).items():
            yield {"step": name}
            faults.attempt(name, do)
        yield {"step": "energy"}
        yield faults.attempt("energy", lambda: energy(reports[0])) or {}
        yield {"step": "agreement"}
        yield {"wrong": faults.attempt("agreement", lambda: disagreements(reports[0].study)) or []}
        yield {"step": "referees"}
        yield faults.attempt("referees", lambda: referees(job, reports[0])) or {}
    shown: dict[str, Callable[[], object]] = {}
    if found is not None:
        shown |= outputs(found, "explain" if len(reports) == 1 else "compare")
    if len(job.specs) == 1 and reports:
        report = reports[0]
        shown |= outputs(report, "report") | drawings(report)
        shown["with_erf"] = lambda: report.with_erf(_some(report))
        shown["round trip"] = lambda: report_from_dict(json.loads(report.to_json()))
        shown |= maps(report)
    for name, do in shown.items():
        yield {"step": name}
        faults.attempt(name, do)
    yield {**faults.row(), "seconds": time.perf_counter() - begin, "done": True}


class Faults:
    """What went wrong: `crashes` that nobody meant, and what was `refused` in archlens' own words."""

    def __init__(self) -> None:
        self.crashes: list[Row] = []
        self.refused: list[Row] = []
        self.times: dict[str, float] = {}

    def attempt(self, step: str, do: Callable[[], Any]) -> Any:
        """Its result, or None where it fails."""
        from archlens.errors import ArchlensError

        begin = time.perf_counter()
        try:
            return do()
        except ArchlensError as error:
            cause = error.__cause__
            told = {"step": step, "error": f"{type(error).__name__}: {error.message}"[:400]}
            if cause is not None and not isinstance(cause, ArchlensError) and _ours(cause):
                self.crashes.append({**_fault(step, cause), "said": told["error"]})
            else:
                self.refused.append(told)
        except Exception as error:
            self.crashes.append(_fault(step, error))
        finally:
            self.times[step] = round(time.perf_counter() - begin, 2)
        return None

    def row(self) -> Row:
        """Both, and the seconds of the slow steps."""
        slow = {k: t for k, t in self.times.items() if t >= 1}
        return {"crashes": self.crashes, "refused": self.refused, "slow": slow}


def _last(frames: traceback.StackSummary) -> str:
    """The last frame of archlens, and where it ended if that was elsewhere."""
    own = [f for f in frames if "/archlens/" in f.filename]
    told = [f"{f.filename.rsplit('/archlens/', 1)[-1]}:{f.lineno} {f.name}" for f in own[-1:]]
    if frames and (not own or frames[-1] is not own[-1]):
        last = frames[-1]
        told.append(f"{'/'.join(last.filename.rsplit('/', 3)[-3:])}:{last.lineno} {last.name}")
    return " > ".join(told)


def _ours(error: BaseException) -> bool:
    """Whether an exception that archlens reports as a network's was raised by archlens itself."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "/archlens/" in frames[-1].filename


def _fault(step: str, error: BaseException) -> Row:
    words = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    return {"step": step, "error": words, "frame": _last(traceback.extract_tb(error.__traceback__))}


def dumped(text: str) -> str:
    """The innermost frame of archlens in what faulthandler wrote."""
    found = re.search(r'File "[^"]*/archlens/([^"]+)", line (\d+) in (\S+)', text)
    return f"{found[1]}:{found[2]} {found[3]}" if found else ""


# ------------------------------------------------------------------ figures


def figures(report: Any, job: Job) -> Row:
    """How much is known of the fields, and where the classes are decided."""
    from archlens.analyses.structure.class_score import channels

    rows = [r for r in report.layers if r.rf is not None]
    nodes = report.graph.nodes
    cell = report.graph.node_of(report.class_score)
    dims = len(report.input_shape) - 2
    return {
        "size": "x".join(map(str, report.input_shape[1:])),
        "layers": len(rows),
        "apart": len(report.layers) - len(rows),
        "status": dict(Counter(r.rf.status for r in rows)),
        "kinds": dict(Counter(r.rf.kind for r in rows)),
        "unknown": dict(Counter(n.unknown for n in nodes if n.unknown)),
        "bound": dict(Counter(r.rf.status_reason for r in rows if r.rf.status == "bound")),
        "uncounted": report.totals_reason or "",
        "attention": any(n.op in ("softmax", "attention", "lstm") for n in nodes),
        "notes": list(report.notes),
        "outputs": {k: list(report.graph.nodes[n].shape) for k, n in report.graph.outputs.items()},
        "cell": {
            "name": report.class_score,
            "op": cell.op,
            "shape": list(cell.shape),
            "field": "" if report.cell.rf is None else report.cell.rf.words,
            "found": bool(job.classes)
            and channels(cell) == job.classes
            and len(cell.positions) == dims
            and cell.op not in _CARRIES,
        },
    }


def energy(report: Any) -> Row:
    """Of how many layers the expected field is known, how many have a rule themselves, what has none."""
    from archlens.graph import Keep

    study = report.study
    law, missing = study.lens.moments.nodes, study.lens.moments.missing
    rows = [r for r, layer in zip(report.layers, report.graph.layers, strict=True) if r.rf is not None]
    layers = [a for a, r in zip(report.graph.layers, report.layers, strict=True) if r.rf is not None]

    def told(node: int) -> str:
        n = report.graph.nodes[node]
        if n.unknown is not None:
            return f"{n.unknown} (not understood)"
        if any(isinstance(s, Keep) for e in n.edges for s in e.steps):
            return f"{n.op} (with a mask)"
        return f"{n.op} (over positions)" if n.op in ("layer_norm", "batch_norm") else str(n.op)

    return {
        "energy": sum(law[a.output] is not None for a in layers),
        "energy_own": sum(not any(n in missing for n in a.nodes) for a in layers),
        "energy_rows": len(rows),
        "energy_missing": dict(Counter(map(told, missing))),
        "cell_energy": bool(study.use.known),
        "cell_reason": "" if study.use.known else study.use.reason[:200],
    }


def disagreements(study: Any) -> list[str]:
    """Where what is said of the class-score cell contradicts itself: energy from where nothing is read, or
    something read outside the visible box."""
    import numpy as np

    out = []
    read, energy, seen = study.support(study.cell), study.cell_field.energy, study.seen(study.cell)
    if read is not None and energy is not None and read.shape == energy.shape:
        outside = float(np.where(read, 0.0, energy).sum())
        if outside > 1e-6:
            out.append(f"{100 * outside:.3g} % of the energy lies where nothing is read")
    if read is not None and seen is not None and read.any():
        found = [(int(n.min()), int(n.max())) for n in np.nonzero(read)]
        said = list(zip(*seen, strict=True))
        if any(a < lo or b > hi for (a, b), (lo, hi) in zip(found, said, strict=True)):
            out.append(f"reads {found}, sees {said}")
    return out


def referees(job: Job, report: Any) -> Row:
    """Whether parameters and multiply-accumulates agree with `numel` and torch: "=", or both figures."""
    from archlens.capture.load import load, meta_build
    from archlens.spec import parse_spec

    loaded = load(parse_spec(job.specs[0]))
    model = meta_build(loaded).to("meta")
    own = sum(p.numel() for p in model.parameters())
    rows = sum(r.params for r in report.layers) + sum(report.uncalled.values())
    params = "=" if own == report.totals["params"] == rows else f"{report.totals['params']} for {own}"
    try:
        try:
            twice = _flops(model, report.input_shape, "meta")
        except Exception:  # it looks at values, or makes tensors where it is told not to
            twice = _flops(loaded.build(), report.input_shape, "cpu")
    except Exception as error:
        return {"params": params, "macs": f"not counted ({type(error).__name__})"}
    macs = report.totals["macs"]
    return {"params": params, "macs": "=" if twice == 2 * macs else f"{macs} for {twice // 2}"}


def _flops(model: Any, shape: tuple[int, ...], device: str) -> int:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    torch.backends.mha.set_fastpath_enabled(False)
    model.eval().requires_grad_(False)
    plain = sdpa_kernel(SDPBackend.MATH)  # a CPU's fused attention is not counted
    with torch.no_grad(), torch.device(device), plain, FlopCounterMode(display=False) as counter:
        model(torch.zeros(shape, device=device))
    return counter.get_total_flops()


# ------------------------------------------------------------------ every analysis, every form


def studied(study: Any) -> dict[str, Callable[[], object]]:
    """Each of STUDIED."""
    out: dict[str, Callable[[], object]] = {}
    for name in STUDIED:
        value = getattr(type(study), name, None)
        if name in ("seen", "support"):
            out[name] = lambda name=name: getattr(study, name)(study.cell)
        elif callable(value):
            out[name] = getattr(study, name)
        else:
            out[name] = lambda name=name: getattr(study, name)
    out["seen_shares"] = lambda: study.seen_shares(study.cell)
    return out


def outputs(result: Any, name: str) -> dict[str, Callable[[], object]]:
    """Each form that a result is written as."""
    from archlens.render.forms import forms

    return {f"{name}{suffix}": make for suffix, make in forms(result).items()}


def drawings(report: Any) -> dict[str, Callable[[], object]]:
    """The graph, folded and not, and each figure."""
    from archlens.render.graph.dot import GraphStyle, graph_dot
    from archlens.render.plots.kinds import ONE, figure_of

    out: dict[str, Callable[[], object]] = {
        f"plot {name}": lambda name=name: figure_of(report, name, "svg") for name in ONE
    }
    out["graph"] = lambda: graph_dot(report, GraphStyle())
    out["graph depth 2"] = lambda: graph_dot(report, GraphStyle(depth=2))
    return out


def maps(report: Any) -> dict[str, Callable[[], object]]:
    """The computed fields of one unit, of the saved report, both ways, and from a layer in the middle."""
    from archlens.unit_field.call import field_map

    folder = tempfile.TemporaryDirectory()
    file = Path(folder.name) / "report.json"

    before = report.before(report.class_score)
    middle = before[len(before) // 2].name

    def made(method: Any, projective: bool = False, origin: str | None = None) -> object:
        if not file.exists():
            file.write_text(report.to_json())
        found = field_map(str(file), method, projective=projective, origin=origin)
        return [str(found), found.save(file.with_suffix(".npz")), folder]

    return {
        "field_map support": lambda: made("support"),
        "field_map expected": lambda: made("expected"),
        "field_map projective": lambda: made("support", True),
        "field_map support from the middle": lambda: made("support", False, middle),
        "field_map expected from the middle": lambda: made("expected", False, middle),
    }


def _some(report: Any) -> list[str]:
    rows = [r.name for r in report.layers if r.rf is not None]
    return [*rows[:: max(1, len(rows) // FEW)], report.class_score]
