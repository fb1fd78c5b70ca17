"""The experiment from beginning to end, on networks of known reach."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from cue_nets import Pooled, pointwise, stack
from torch import nn

from archlens.errors import UsageError
from archlens.probes.cue import evaluation
from archlens.probes.cue.cells import cells_of
from archlens.probes.cue.run import CueOptions, cue, dry
from archlens.probes.cue.task import Task
from archlens.probes.cue.training import Trainee, train
from archlens.probes.network import Network
from archlens.study import Study
from archlens.trained import CHANCE, comparisons, from_dict, read, summed_up

HERE = Path(__file__).parent / "cue_nets.py"
SIDE = 64
CPU = torch.device("cpu")


def trained(model: nn.Module, steps: int = 150) -> tuple[Trainee, Task, dict[str, Any]]:
    network = Network(model, (3, SIDE, SIDE), CPU)
    task = Task(3, (SIDE, SIDE), 0, CPU)
    trainee = Trainee(network, cells_of(Study(network.graph)), 16)
    run = train(trainee, task, 0, 8e-3, steps, float("inf"), lambda _: None)
    return trainee, task, evaluation.evaluated(trainee, task, 0, run, None, 8e-3)


def test_a_stack_reaches_to_the_edge_of_its_window_and_no_further() -> None:
    _, task, found = trained(stack())
    window, patch = 11, task.patch / 2
    assert found["learnt"]
    assert window + patch - patch - 2 <= found["reach"] <= window + patch + 2
    assert found["swap"]["holds"]
    assert found["swap"]["cells"] > 1000
    assert found["swap"]["largest"] == 0.0
    assert not found["void"]
    assert found["beyond"]["accuracy"] == pytest.approx(CHANCE, abs=0.02)
    assert found["field"]["after"]["outside"] == 0.0


def test_a_pooled_map_answers_from_everywhere() -> None:
    _, _, found = trained(Pooled())
    assert found["learnt"]
    assert found["reach"] is None
    assert found["far_accuracy"] > 0.9
    assert found["beyond"] is None  # no cell's box misses the patch
    assert found["swap"] is None


def test_single_pixels_tell_nothing() -> None:
    _, _, found = trained(pointwise(), 60)
    assert not found["learnt"]
    assert found["near_accuracy"] == pytest.approx(CHANCE, abs=0.05)
    assert found["reach"] is None


OPTIONS = CueOptions(input_size="3x32x32", width=1, seeds=(0,), steps=20, batch_size=4, device="cpu")


def test_runs_are_kept_joined_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archlens.probes.cue.training.TRIAL_STEPS", 5)
    seen = []
    spec = f"{HERE}:stack?w=4&deep=1"
    first = cue(spec, options=OPTIONS, finished=seen.append)
    assert len(seen) == 1
    assert first.models[0]["learnt"] == "none"
    assert first.models[0]["reach"] is None
    path = tmp_path / "cue.json"
    first.save(path)
    again = read(path)
    assert again.to_dict() == json.loads(path.read_text())
    more = cue(spec, options=CueOptions(**{**vars(OPTIONS), "seeds": (0, 1)}), known=again)
    assert [s["seed"] for s in more.models[0]["seeds"]] == [0, 1]
    assert more.models[0]["seeds"][0] == again.models[0]["seeds"][0]  # not run again
    assert (tmp_path / "cue.png").exists() is False
    more.save(tmp_path / "cue.png")
    assert "not learnt" in str(more)
    path.write_text('{"task": "cue"}')
    with pytest.raises(UsageError, match="no result"):
        read(path)


def test_a_dry_run_times_steps() -> None:
    (planned,) = dry([f"{HERE}:stack?w=4&deep=1"], OPTIONS)
    assert planned["steps_per_second"] > 0
    assert planned["seconds_at_most"] > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 6}, "four classes"),
        ({"seeds": (0, 0)}, "different"),
        ({"width": "2"}, "between 0 and 1"),
        ({"width": "wide"}, "no width"),
        ({"input_size": "3x20x20"}, "too few"),
        ({"steps": 5}, "teach nothing"),
    ],
)
def test_options_that_are_none(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        cue(f"{HERE}:stack", options=CueOptions(**{**vars(OPTIONS), **change}))


def seed(reach: float | None, learnt: bool = True, **more: Any) -> dict[str, Any]:
    own = {
        "seed": 0,
        "learnt": learnt,
        "void": False,
        "converged": True,
        "reach": reach,
        "near_accuracy": 0.9,
        "far_accuracy": 0.5,
        "steps_to_near": 50,
        "steps_to_far": None,
        "beyond": None,
        "curve": [],
        "inner_curve": [],
        "field": {"before": None, "after": None},
        "far_by_image": [[1, 2]] * 8,
    }
    return {**own, **more}


def model(name: str, *seeds: dict[str, Any]) -> dict[str, Any]:
    return {"spec": name, "input_shape": [1, 3, 9, 9], "width": 1.0, **summed_up(seeds)}


def test_one_reaches_further_only_in_all_seeds() -> None:
    near, far = model("near", seed(10), seed(20)), model("far", seed(21), seed(None))
    assert [c.further for c in comparisons([near, far])] == ["far"]
    mixed = model("mixed", seed(15), seed(30))
    assert [c.further for c in comparisons([near, mixed])] == [None]
    assert comparisons([near, model("failed", seed(None, learnt=False))]) == []


def test_seeds_are_summed_up_and_none_is_dropped() -> None:
    some = summed_up([seed(10), seed(30), seed(None, learnt=False, converged=False)])
    assert some["learnt"] == "some"
    assert some["reach"] == {"median": 20, "low": 10, "high": 30, "bounded": True}
    assert some["converged"]
    assert summed_up([seed(10, converged=False)])["converged"] is False
    open_ = summed_up([seed(None), seed(None), seed(10)])["reach"]
    assert open_ == {"median": None, "low": 10, "high": None, "bounded": False}


def test_a_result_of_another_kind_is_none() -> None:
    with pytest.raises(ValueError, match="task"):
        from_dict({"task": "other"})
