"""Profiles: sums, shares, reasons, memory that is known by hand, and memory that runs out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from probe_nets import CPU, Functional, chain
from torch import Tensor, nn

from archlens.analyses.structure.cost import peak_activation_bytes
from archlens.errors import DeviceError, UsageError
from archlens.probes.network import Network
from archlens.probes.profile import roofline, sweep
from archlens.probes.profile import run as module
from archlens.probes.profile.layer_profile import Latency, LayerProfile, traffic
from archlens.probes.profile.mismatch import find_mismatches
from archlens.probes.profile.roofline import Ceilings
from archlens.probes.profile.run import profile
from archlens.probes.profile.timing import measure_memory, time_rows
from archlens.zoo.catalogue import find

NO_CARD = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card")
ROOF = Ceilings("test", "float32", 1e12, 1e10, "2", 1, 1)  # ridge: 100 FLOP/byte


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLENS_CACHE_DIR", str(tmp_path))
    small = roofline.measure
    monkeypatch.setattr(roofline, "measure", lambda d, t: small(d, t, matrix=256, copy_bytes=2**22))


class Slow(nn.Module):
    """A row whose time is known, beside one that does the arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.rest = nn.Sequential(Sleep(), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.conv(x))


class Sleep(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if not x.is_meta:
            import time

            time.sleep(0.1)
        return x * 1


def test_a_sleeping_layer_is_found_and_named() -> None:
    seen: list[tuple[int, int]] = []
    found = profile(
        Slow(), (3, 16, 16), CPU, name="slow", batch_size=2, warmup=1, repeat=5,
        progress=lambda a, b: seen.append((a, b)),
    )  # fmt: skip
    by_name = {p.name: p for p in found.layers}
    slow = by_name["rest.0"]
    assert slow.latency is not None
    # Bounds that hold on any machine, however busy: a sleep is never shorter, and nothing here is dearer.
    assert 0.1 <= slow.latency.low <= slow.latency.median <= slow.latency.high
    assert slow.share == max(p.share for p in found.layers)
    assert found.latency.median >= 0.1
    assert found.latency.runs == 5
    assert found.layer_sum is not None
    assert found.unattributed == pytest.approx(found.latency.median - found.layer_sum)
    assert found.images_per_second == pytest.approx(2 / found.latency.median)
    assert sum(p.share for p in found.layers) == pytest.approx(1)
    sentences = {m.layer: m.sentence for m in found.mismatches}
    assert "0 % of the MACs: no MACs" in sentences["rest.0"]
    assert seen[-1] == (12, 12)
    assert found.input_shape == (2, 3, 16, 16)


def test_work_scales_with_the_batch_and_weights_do_not() -> None:
    one = profile(chain(), (3, 16, 16), CPU, warmup=0, repeat=1)
    four = profile(chain(), (3, 16, 16), CPU, batch_size=4, warmup=0, repeat=1, channels_last=True)
    assert four.macs == 4 * one.macs
    assert four.params == one.params
    assert four.channels_last
    conv = one.layers[0]
    assert conv.macs == 16 * 16 * 16 * 27
    assert conv.moved == 4 * (3 * 256 + 16 * 256 + 16 * 28)
    assert four.layers[0].moved == 4 * (4 * (3 * 256 + 16 * 256) + 16 * 28)
    assert conv.intensity == pytest.approx(2 * conv.macs / conv.moved)
    assert conv.latency is not None
    assert conv.flops_per_second == pytest.approx(2 * conv.macs / conv.latency.median)


def test_memory_of_a_chain_by_hand_and_by_liveness() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3, padding=1))
    live = Network(net, (3, 32, 32), CPU)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        memory = measure_memory(live, lambda: live.model(x), x)
    image, wide, narrow = 4 * 3 * 1024, 4 * 16 * 1024, 4 * 8 * 1024
    assert memory.peak == image + 2 * wide
    assert memory.rows == {0: image + wide, 1: image + 2 * wide, 2: image + wide + narrow}
    # The shape table lets the image go after its last use; here the caller holds it.
    assert memory.peak == peak_activation_bytes(live.graph) + image


def test_memory_of_a_network_is_near_the_liveness_bound() -> None:
    live = Network(find("deeplabv3_resnet50").build(), (3, 65, 65), CPU)
    x = torch.randn(1, 3, 65, 65)
    with torch.no_grad():
        memory = measure_memory(live, lambda: live.model(x), x)
    bound = peak_activation_bytes(live.graph)
    # The max pool's indices, which it makes and drops, are in no shape table.
    assert bound * 0.95 <= memory.peak <= bound * 1.7


def test_shared_and_functional_rows_have_times() -> None:
    live = Network(Functional(), (3, 9, 9), CPU)
    x = torch.randn(1, 3, 9, 9)
    with torch.no_grad():
        times = time_rows(live, lambda: live.model(x), 1, 3)
    named = {live.graph.layers[i].name: s for i, s in times.items()}
    for name in (
        "conv",
        "act",
        "shared",
        "shared:2",
        "interpolate",
        "crop",
        "cat",
        "add",
        "add:2",
        "sigmoid",
    ):
        assert len(named[name]) == 3
        assert min(named[name]) > 0


def test_views_move_nothing_and_shared_weights_are_read_twice() -> None:
    live = Network(Functional(), (3, 9, 9), CPU)
    layers = {layer.name: layer for layer in live.graph.layers}
    assert traffic(live.graph, layers["crop"], 5) == 0
    assert traffic(live.graph, layers["drop"], 5) == 0
    assert traffic(live.graph, layers["shared:2"], 1) == 2 * 8 * 81 + 64
    assert traffic(live.graph, layers["act"], 1) == 2 * 8 * 81


def row(name: str, ms: float, macs: int, moved: int, total_ms: float) -> LayerProfile:
    flops = 2 * macs
    least = ROOF.seconds(flops, moved)
    return LayerProfile(
        name=name, op="conv2d", kind="Conv2d", latency=Latency(ms / 1e3, ms / 1e3, ms / 1e3, 5),
        share=ms / total_ms, params=0, macs=macs, elementwise=0, moved=moved,
        intensity=flops / moved, flops_per_second=None, bytes_per_second=None,
        bound=ROOF.bound(flops, moved), roof_seconds=least, roof_share=least / (ms / 1e3), held=None,
    )  # fmt: skip


def test_reasons_by_the_roofline() -> None:
    total = 10 + 6 + 4 + 2 + 0.02
    layers = [
        row("dense", 10, 4_000_000_000, 10_000_000, total),  # 8 ms of work in 10 ms
        row("wide", 6, 100_000_000, 40_000_000, total),  # 5 FLOP/byte: 4 ms to move
        row("slow", 4, 100_000_000, 1_000_000, total),  # 0.2 ms of work in 4 ms
        row("pool", 2, 0, 10_000_000, total),
        row("tiny", 0.02, 10, 100, total),
    ]
    found = {m.layer: m for m in find_mismatches(layers, ROOF)}
    assert found["dense"].cause == "fast kernel"
    assert found["wide"].cause == "memory"
    assert "ridge of 100" in found["wide"].sentence
    assert found["slow"].cause == "slow kernel"
    assert found["pool"].cause == "no MACs"
    assert "9.54 MiB" in found["pool"].sentence
    assert "tiny" not in found
    assert next(iter(found)) == "dense"
    small = [row("a", 0.02, 10, 100, 0.04), row("b", 0.02, 10_000_000, 100, 0.04)]
    assert find_mismatches(small, ROOF)[0].cause in ("overhead", "fast kernel")
    assert find_mismatches([], ROOF) == []


def test_latency_is_median_and_quartiles() -> None:
    assert Latency.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Latency(3.0, 2.0, 4.0, 5)
    assert Latency.of([2.0]) == Latency(2.0, 2.0, 2.0, 1)
    assert math.isnan(Latency.of([]).median)


def test_a_ceiling_that_is_beaten_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([1e3, 1e13, 1e13])
    monkeypatch.setattr(
        roofline, "measure", lambda d, t: Ceilings("x", "float32", next(rates), 1e13, "2", 1, 1)
    )
    found = profile(chain(), (3, 16, 16), CPU, warmup=0, repeat=2)
    assert found.ceilings.flops_per_second == 1e13
    assert not any("beat the measured" in n for n in found.notes)


def test_out_of_memory_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    class Greedy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not x.is_meta:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 TiB")
            return x + 1

    cleaned: list[int] = []
    from archlens.probes import device

    monkeypatch.setattr(device, "clean", lambda d: cleaned.append(1))
    with pytest.raises(DeviceError, match="ran out of memory while profiling greedy") as caught:
        profile(Greedy(), (3, 8, 8), CPU, name="greedy")
    assert "--batch-size" in caught.value.hint
    assert cleaned == [1]


def test_interrupted_runs_pass_the_interrupt_on() -> None:
    def stop(done: int, _all: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile(chain(), (3, 8, 8), CPU, progress=stop)
    assert profile(chain(), (3, 8, 8), CPU, warmup=0, repeat=1).latency.median > 0  # nothing was left behind


def test_wrong_use() -> None:
    with pytest.raises(UsageError, match="float64"):
        profile(chain(), (3, 8, 8), CPU, dtype="float64")
    with pytest.raises(UsageError, match="start at 1"):
        profile(chain(), (3, 8, 8), CPU, batch_size=0)
    with pytest.raises(UsageError, match="Channels-last"):
        profile(nn.Conv1d(3, 2, 3), (3, 8), CPU, channels_last=True)


def test_half_precision_on_the_cpu() -> None:
    found = profile(chain(), (3, 16, 16), CPU, dtype="bfloat16", warmup=0, repeat=2)
    assert found.dtype == found.ceilings.dtype == "bfloat16"
    assert found.layers[0].moved == 2 * (3 * 256 + 16 * 256 + 16 * 28)
    assert found.param_bytes == 2 * found.params

    class Unfit(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.dtype == torch.bfloat16 and not x.is_meta:
                raise NotImplementedError("\"op\" not implemented for 'BFloat16'")
            return x + 1

    with pytest.raises(UsageError, match="cannot run in bfloat16 on cpu"):
        profile(Unfit(), (3, 8, 8), CPU, dtype="bfloat16")


def test_a_compiled_network_has_totals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network: network)
    found = profile(chain(), (3, 8, 8), CPU, compiled=True, warmup=0, repeat=2)
    assert found.layer_sum is found.adds_up is None
    assert all(p.latency is None for p in found.layers)
    assert any("fused" in n for n in found.notes)

    def fail(_network: nn.Module) -> nn.Module:
        raise RuntimeError("no compiler found\nmore")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(UsageError, match="no compiler found"):
        profile(chain(), (3, 8, 8), CPU, compiled=True)


class Limited(nn.Module):
    """Runs out of memory beyond 2 images of 16x16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() > 3 * 2 * 256:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.conv(x)


def test_a_sweep_ends_where_memory_does() -> None:
    seen: list[tuple[int, int]] = []
    found = sweep.sweep(
        Limited(), 3, [(16, 16), (32, 32), (8, 8)], [1, 2, 4, 8], CPU, warmup=0, repeat=2,
        progress=lambda a, b: seen.append((a, b)),
    )  # fmt: skip
    status = {(p.size[0], p.batch_size): p.status for p in found}
    assert [status[8, b] for b in (1, 2, 4, 8)] == ["ok"] * 4
    assert [status[16, b] for b in (1, 2, 4, 8)] == ["ok", "ok", "out of memory", "not tried"]
    assert [status[32, b] for b in (1, 2, 4, 8)] == ["out of memory"] + ["not tried"] * 3
    first = found[0]
    assert first.latency is not None
    assert first.images_per_second == pytest.approx(1 / first.latency.median)
    assert first.peak_bytes == 4 * 64 * (3 + 4)
    assert seen[-1] == (12, 12)


def test_a_sweep_on_the_cpu_does_not_wait_for_the_killer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "available_bytes", lambda d: 4 * 64 * 7 * 3)
    found = sweep.sweep(Limited(), 3, [(8, 8)], [1, 2, 3, 4], CPU, warmup=0, repeat=1)
    assert [p.status for p in found] == ["ok", "ok", "not tried", "not tried"]
    assert "KiB" in found[2].reason


def test_a_sweep_over_illegal_sizes_and_a_lost_card() -> None:
    net = find("pspnet").build()
    found = sweep.sweep(net, 3, [(32, 32)], [1, 2], CPU, warmup=0, repeat=1)
    assert [p.status for p in found] == ["illegal size"] * 2
    assert "32" in found[0].reason

    class Lost(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(DeviceError, match="lost at a batch of 1"):
        sweep.sweep(Lost(), 3, [(8, 8)], [1], CPU)


@NO_CARD
def test_a_card_is_left_clean() -> None:
    device = torch.device("cuda", 0)
    before = torch.cuda.memory_reserved(device)
    found = sweep.sweep(chain(), 3, [(4096, 4096)], [1, 4096], device, warmup=0, repeat=1)
    assert [p.status for p in found] == ["ok", "out of memory"]
    assert torch.cuda.memory_reserved(device) <= before + 2**21


@NO_CARD
def test_a_profile_on_a_card() -> None:
    found = profile(chain(), (3, 256, 256), torch.device("cuda", 0), batch_size=8, dtype="bfloat16")
    assert found.device.type == "cuda"
    assert all(p.latency is not None and p.latency.median > 0 for p in found.layers)
    assert found.peak_bytes > 8 * 3 * 256 * 256 * 2
    assert found.margin == module.MARGIN
