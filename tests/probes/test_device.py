"""Devices by name, and errors that say what to do."""

from __future__ import annotations

import json
import time

import pytest
import torch
from probe_nets import CPU

from archlens.errors import DeviceError
from archlens.probes import device
from archlens.probes.profile import neighbours, roofline

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")


def test_auto_and_cpu() -> None:
    assert device.resolve("cpu") == CPU
    assert device.resolve("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert device.resolve("meta", allow_meta=True).type == "meta"


@pytest.mark.parametrize("name", ["meta", "gpu", "cuda:x", "cuda:", "cpu:0", "cuda:99"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(DeviceError) as caught:
        device.resolve(name)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_cuda_without_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="not there") as caught:
        device.resolve("cuda")
    assert "--device cpu" in caught.value.hint


@NO_CARD
def test_cuda_by_number() -> None:
    assert device.resolve("cuda:0") == torch.device("cuda", 0)
    assert device.facts(torch.device("cuda", 0)).memory_bytes > 0


def test_out_of_memory_leaves_nothing_behind() -> None:
    """The failed work's tensors are gone by the time the device is cleaned."""
    alive: list[int] = []

    class Held:
        def __init__(self) -> None:
            alive.append(1)

        def __del__(self) -> None:
            alive.pop()

    def work() -> None:
        held = Held()
        assert held is not None
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 TiB")

    counts: list[int] = []
    original = device.clean
    device.clean = lambda d: counts.append(len(alive)) or original(d)  # type: ignore[func-returns-value, assignment]
    try:
        with pytest.raises(DeviceError, match="ran out of memory while testing") as caught:
            device.guarded(CPU, "testing", "Take less.", work)
    finally:
        device.clean = original
    assert counts == [0]
    assert caught.value.hint == "Take less."


def test_a_lost_card_and_other_errors() -> None:
    def lost() -> None:
        raise RuntimeError("CUDA error: unspecified launch failure\nmore")

    def other() -> None:
        raise ValueError("mine")

    with pytest.raises(DeviceError, match="lost while testing: CUDA error: unspecified"):
        device.guarded(CPU, "testing", "", lost)
    with pytest.raises(ValueError, match="mine"):
        device.guarded(CPU, "testing", "", other)
    assert device.is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert device.is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert not device.is_lost(RuntimeError("CUDA error: out of memory"))
    assert device.is_lost(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not device.is_lost(
        RuntimeError("CUDA error: no kernel image is available for execution on the device")
    )


def test_what_nvidia_smi_says() -> None:
    state = neighbours.parse("97, 83, 1410, 0x0000000000000024\n", "17, 512\n4242, 10240\n", own=17)
    assert state is not None
    assert state.throttled == ("power cap", "thermal limit (software)")
    assert state.others == {4242: 10240 * 2**20}
    said = neighbours.remarks(state, state)
    assert "1 other process on the card" in said[0]
    assert "97.0 % busy" in said[1]
    assert "1410 MHz" in said[2]
    assert "power cap" not in neighbours.remarks(state, state, capped=False)[2]
    # In a container: nobody has our number, so the one that holds what we hold is us.
    foreign = neighbours.parse("0, 40, 1410, 0x0\n", "9001, 512\n9002, 10240\n", own=17, held=600 * 2**20)
    assert foreign is not None
    assert foreign.others == {9002: 10240 * 2**20}
    assert neighbours.remarks(None, None) == []
    unsure = neighbours.parse("[N/A], 40, [N/A], [N/A]\n", "", own=1)
    assert unsure is not None
    assert unsure.utilization is None
    assert neighbours.remarks(unsure, unsure) == []
    assert neighbours.parse("", "", 1) is None
    assert neighbours.ask(CPU) is None


def test_the_work_of_others_is_not_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """In ten seconds the machine worked 34, of which 30 were ours: 0.4 processors of others."""
    moments = iter([(100.0, 50.0, 5.0), (110.0, 84.0, 35.0), (110.0, 84.0, 35.0), (110.0, 74.0, 19.0)])
    monkeypatch.setattr(neighbours, "_work", lambda: next(moments))
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    others = neighbours.Others()
    assert others.processors() == pytest.approx(0.4)
    assert others.remark() is None  # a tenth of the machine passes
    assert "1 of 4 processors busy" in (others.remark() or "")


def test_a_card_is_asked_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work goes on until there is an answer; on the CPU nothing is asked."""
    done: list[int] = []
    answer = neighbours.CardState(100.0, 60.0, 1400.0, ("power cap",), {})

    def ask(_: object) -> neighbours.CardState:
        while len(done) < 3:
            time.sleep(0.001)
        return answer

    monkeypatch.setattr(neighbours, "ask", ask)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    card = torch.device("cuda", 0)
    assert neighbours.ask_under(card, lambda: done.append(1)) is answer
    assert len(done) >= 3
    assert neighbours.ask_under(CPU, lambda: done.append(1)) is None


def test_others_cannot_always_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_work", lambda: None)
    assert neighbours.Others().remark() is None


def test_drift_is_said() -> None:
    assert neighbours.drift([1.0] * 9) is None
    assert neighbours.drift([1.0, 2.0]) is None
    assert "50.0 % slower" in (neighbours.drift([1.0] * 3 + [1.2] * 3 + [1.5] * 3) or "")


def test_ceilings_are_measured_once(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(neighbours.Others, "remark", lambda _: None)
    calls: list[int] = []

    def fake(d: torch.device, t: torch.dtype) -> roofline.Ceilings:
        calls.append(1)
        return roofline.Ceilings("x", "float32", 4e12, 1e11, "2", 1, 1)

    monkeypatch.setattr(roofline, "measure", fake)
    first = roofline.ceilings(CPU, torch.float32)
    assert roofline.ceilings(CPU, torch.float32) == first
    assert len(calls) == 1
    assert first.ridge == 40
    assert first.bound(4e12, 1e12) == "memory"
    assert first.seconds(4e12, 1e12) == 10
    file = roofline.cache_file()
    assert len(json.loads(file.read_text())) == 1
    assert not list(file.parent.glob("*.tmp"))
    file.write_text('{"half')
    assert roofline.ceilings(CPU, torch.float32) == first
    assert len(calls) == 2
    # Measured while something else ran: used, said, and not kept.
    monkeypatch.setattr(neighbours.Others, "remark", lambda _: "the machine was busy")
    spoiled = roofline.ceilings(CPU, torch.bfloat16)
    assert "busy" in spoiled.note
    assert len(json.loads(file.read_text())) == 1


def test_real_ceilings_are_plausible() -> None:
    found = roofline.measure(CPU, torch.float32, matrix=256, copy_bytes=2**24)
    assert 1e8 < found.flops_per_second < 1e14
    assert 1e8 < found.bytes_per_second < 1e13
