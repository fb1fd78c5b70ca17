"""What `profile`, `verify` and the occlusion table print, of figures that are made up: none of them twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import read_nets as nets
from read_back import by_first, markdown_table, numbers_in, plain_table, says

from archlens.probes.device import DeviceFacts
from archlens.probes.erf.occluder import Occluder
from archlens.probes.erf.occlusion import ChannelField, OcclusionField
from archlens.probes.profile.layer_profile import Latency, LayerProfile
from archlens.probes.profile.roofline import Ceilings
from archlens.probes.profile.run import Profile
from archlens.probes.profile.sweep import Point
from archlens.probes.verify.results import Agreement, Disagreement, Verification
from archlens.render.text.fields import occlusion_json, occlusion_rows
from archlens.render.text.markdown import markdown
from archlens.render.text.profile import profile_json, profile_table, sweep_json, sweep_table
from archlens.render.text.table import plain
from archlens.render.text.verification import verification_json, verification_table


def layer(name: str, **known: Any) -> LayerProfile:
    """A row with figures of its own."""
    made: dict[str, Any] = {
        "name": name, "op": "conv2d", "kind": "Conv2d", "latency": None, "share": 0.0, "params": 7, "macs": 0,
        "elementwise": 0, "moved": 0, "intensity": None, "flops_per_second": None, "bytes_per_second": None,
        "bound": None, "roof_seconds": 0.0, "roof_share": None, "held": None,
    }  # fmt: skip
    return LayerProfile(**{**made, **known})


@pytest.fixture(scope="module")
def profiled() -> Profile:
    layers = (
        layer("stem", latency=Latency(0.00312, 0.0029, 0.0034, 20), share=0.624, macs=230_400,
              intensity=12.34, flops_per_second=4.5e9, roof_share=0.417, bound="compute", held=51_200),
        layer("pool", latency=Latency(0.00188, 0.0017, 0.0021, 20), share=0.376, intensity=0.25,
              flops_per_second=6.7e6, roof_share=0.083, bound="memory", held=20_480),
        layer("view"),
    )  # fmt: skip
    return Profile(
        model="made up", device=DeviceFacts("cpu", "a processor", 2**33, 2, "2.6", None),
        input_shape=(2, 3, 40, 64), dtype="float32", channels_last=False, compiled=False,
        latency=Latency(0.0056, 0.0054, 0.0061, 20), images_per_second=357.14, layers=layers, layer_sum=0.005,
        unattributed=0.0006, adds_up=False, margin=0.10, params=589, macs=355_200, flops_per_second=1.27e8,
        peak_bytes=102_400, param_bytes=2_356, memory_method="counted",
        ceilings=Ceilings("a processor", "float32", 9.5e10, 1.9e10, "2.6", 2048, 2**28), mismatches=(),
        notes=(),
    )  # fmt: skip


@pytest.mark.parametrize("way", ["plain", "markdown"])
def test_profile_says_each_layers_figures(profiled: Profile, way: str) -> None:
    table = profile_table(profiled, everything=True)
    heads, body = plain_table(plain(table)) if way == "plain" else markdown_table(markdown(table))
    rows = by_first(heads, body)
    for one in profiled.layers[:2]:
        row = rows[one.name]
        assert one.latency is not None
        assert says(row["time"], one.latency.median)
        low, high = row["quartiles"].split("..")
        assert says(low, one.latency.low)
        assert says(high, one.latency.high)
        for head, value in (
            ("share", one.share), ("MACs", one.macs), ("achieved", one.flops_per_second), ("held", one.held),
            ("FLOP/B", one.intensity), ("of roof", one.roof_share),
        ):  # fmt: skip
            assert says(row[head], float(value)) if value else row[head] == "-", (one.name, head)
        assert row["bound"] == one.bound
    assert set(rows["view"].values()) == {"view", "conv2d", "-"}
    whole = rows["whole pass"]
    assert says(whole["time"], 0.0056)
    assert says(whole["MACs"], 355_200)
    assert says(whole["achieved"], 1.27e8)
    assert says(whole["held"], 102_400)


def test_profile_says_how_the_layers_add_up(profiled: Profile) -> None:
    notes = [line[2:] for line in plain(profile_table(profiled)).splitlines() if line.startswith("# ")]
    assert numbers_in(notes[1]) == [357, 20]  # three digits
    assert "layers add up to 5.00 ms, 10.7 % less than the whole pass (beyond 10.0 %)" in notes
    roof = next(note for note in notes if note.startswith("roofline"))
    assert "95.0 GFLOP/s by a 2048-square matrix product, 19.0 GB/s by a copy" in roof
    assert roof.endswith("ridge at 5 FLOP/byte")
    assert profile_json(profiled)["layers"][0]["latency"]["median"] == 0.00312


def test_a_sweep_says_each_point() -> None:
    points = [
        Point(1, (40, 64), "ok", Latency(0.002, 0.0019, 0.0023, 5), 500.0, 51_200),
        Point(4, (80, 128), "ok", Latency(0.0317, 0.0311, 0.0333, 5), 126.18, 819_200),
        Point(8, (80, 128), "out of memory", reason="too large"),
    ]
    _, body = plain_table(plain(sweep_table("made up", points)))
    for row, point in zip(body[:2], points, strict=False):
        assert point.latency is not None
        assert (row[0], row[1]) == ("x".join(map(str, point.size)), str(point.batch_size))
        assert says(row[2], point.latency.median)
        assert says(row[3].split("..")[0], point.latency.low)
        assert says(row[3].split("..")[1], point.latency.high)
        assert says(row[4], float(point.images_per_second or 0))
        assert says(row[5], float(point.peak_bytes or 0))
    assert body[2] == ["80x128", "8", "out of memory", "-", "-", "-", "too large"]
    assert [p["batch_size"] for p in sweep_json("made up", points)["points"]] == [1, 4, 8]


def test_verify_says_how_many_agree() -> None:
    found = Verification(
        "made up", (1, 3, 40, 64),
        (
            Agreement("reach", "units", 12_345, 12_345, bounds=17, layers=4),
            Agreement("box", "units", 9, 8, layers=3, wrong=(Disagreement("wide", "9..31", "9..30"),)),
            Agreement("macs (torch)", "MACs", 0, 0, left_out=("no answer",)),
        ),
        1.25,
    )  # fmt: skip
    text = plain(verification_table(found))
    rows = by_first(*plain_table(text))
    assert (rows["reach"]["verdict"], rows["box"]["verdict"]) == ("agrees", "DIFFERS")
    assert rows["macs (torch)"]["verdict"] == "not checked"
    assert numbers_in(rows["reach"]["agreed"]) == [12_345, 12_345]
    assert numbers_in(rows["box"]["agreed"]) == [8, 9]
    assert (rows["reach"]["layers"], rows["reach"]["as bounds"]) == ("4", "17")
    assert "wide: archlens says 9..31, the network 9..30" in text
    assert "does NOT agree, 1.25 s on cpu" in text
    data = verification_json(found)
    assert [(c["checked"], c["agreed"], c["passed"]) for c in data["checks"]] == [
        (12_345, 12_345, True), (9, 8, False), (0, 0, True),
    ]  # fmt: skip


def test_the_occlusion_table_sets_both_sizes_side_by_side() -> None:
    report = nets.uneven()
    rows = [occluded("down", (7, 7), 5.25, 0.75, 3, 1), occluded("wide", (23, 15), 18.4, 2.5, 4, 0)]
    _, body = plain_table(plain(occlusion_rows(report, rows, ())))
    assert body[0][:3] == ["down", "7", "5.2 ± 0.8"]
    assert says(body[0][3], 5.25 / 7)
    assert body[0][4] == "3 (1 silent)"
    assert body[1][:3] == ["wide", "23x15", "18.4 ± 2.5"]
    assert says(body[1][3], 18.4 / (23 * 15) ** 0.5)  # of the square of the same area
    data = occlusion_json(report, rows, ())
    assert [(row["size"], row["theoretical_size"]) for row in data["layers"]] == [
        (5.25, [7, 7]),
        (18.4, [23, 15]),
    ]


def occluded(
    name: str, theory: tuple[int, ...], size: float, spread: float, channels: int, silent: int
) -> OcclusionField:
    """A layer's empirical field."""
    return OcclusionField(
        layer=name, theoretical=theory, size=size, spread=spread,
        channels=tuple(ChannelField(i, size, 2) for i in range(channels)), silent=silent, overflown=0,
        map=np.ones((4, 4)) / 16, unit=(0, 0), centre=(0.0, 0.0), occluder=Occluder(), threshold=0.5, top=2,
        source="noise", notes=(),
    )  # fmt: skip
