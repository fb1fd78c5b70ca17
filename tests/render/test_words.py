"""Numbers, fields and boxes in words."""

import pytest

from archlens.report import FieldReport, Visible
from archlens.words import (
    axes,
    by,
    count,
    digits,
    duration,
    measured,
    memory,
    number,
    percent,
    phases,
    points,
    px,
    si,
    signed,
    times,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (999, "999"), (9408, "9.41 k"), (999_960, "1.00 M"), (188885763264, "188.9 G"),
        (2_500_000_000_000, "2.50 T"), (9.996e3, "10.0 k"),
    ],
)  # fmt: skip
def test_si(value, text):
    assert si(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (1023, "1023 B"), (16908544, "16.1 MiB"), (2**31, "2.00 GiB")]
)
def test_memory(value, text):
    assert memory(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1e-12, "0 %"),
        (0.00001, "<0.01 %"),
        (0.0023, "0.23 %"),
        (0.0123, "1.2 %"),
        (0.54, "54.0 %"),
        (0.9994, "99.9 %"),
        (0.99999, ">99.9 %"),
        (1.0, "100 %"),
        (3.58, "358 %"),
        (123.45, "12,345 %"),
    ],
)
def test_percent(share, text):
    assert percent(share) == text


def test_numbers_and_axes():
    assert (number(8), number(8.0), number(0.125), number(1 / 3)) == ("8", "8", "0.125", "0.333")
    assert (axes((7, 7)), axes((7, 11)), axes(()), axes(None)) == ("7", "7x11", "-", "-")
    assert by((3, 513, 513)) == "3x513x513"


def test_three_digits_and_errors():
    assert [digits(v) for v in (1319.535, 0.53691, 18.20, 13_195.35, 7)] == [
        "1320",
        "0.537",
        "18.2",
        "13,200",
        "7",
    ]
    assert measured(271.64, 3.21, px) == "272 ± 3.2"
    assert measured(0.1234, 0.0045, percent) == "12.3 % ± 0.45 %"
    assert measured(7.0, float("nan"), px) == "7"


def test_signs():
    assert [signed(percent(v)) for v in (0.012, -0.0023, 1e-5, -1e-5, 0)] == [
        "+1.2 %",
        "−0.23 %",
        "<0.01 %",
        ">−0.01 %",
        "0 %",
    ]


def test_phases():
    assert phases(((436, 468), (436, 468))) == "436|468"
    assert phases(((7,), (436, 468))) == "7 x 436|468"
    assert phases(((1, 2, 3, 4),)) == "1..4"


def field(kind, **more):
    return FieldReport(**{"kind": kind, "size": None, "sizes": None, "jump": None, "start": None, **more})


def test_kinds_of_fields():
    local = field("local", size=(495, 495), sizes=((495,), (495,)))
    assert local.words == "495"
    assert field("global", local=local).words == "global (local 495)"
    assert field("varies").words == "varies"
    assert field("unknown", reason="fft_fft2").words == "unknown: fft_fft2"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ((253, 253), (259, 259), "253..259"),
        ((0, 0), (300, 300), "[0..300"),
        ((17, 17), (512, 512), "17..512]"),
        ((0, 0), (512, 512), "whole image"),
        ((0, 10), (512, 20), "[0..512] x 10..20"),
    ],
)
def test_boxes(low, high, text):
    assert Visible((0, 0), low, high).words((513, 513)) == text


def test_lengths_times_and_durations():
    assert [px(v) for v in (404, 271.6, 36.24, 7.0)] == ["404", "272", "36.2", "7"]
    assert (times(3.4412), times(368.05)) == ("3.4", "368")
    assert [duration(s) for s in (1.234, 0.0123, 4.2e-5)] == ["1.23 s", "12.3 ms", "42.0 us"]
    assert (points(0.25 * 100), points(-3)) == ("+25.0 points", "−3.0 points")
    assert (count(1, "layer"), count(12_345, "layer")) == ("1 layer", "12,345 layers")
    assert (number(12_345), number(9_999)) == ("12,345", "9999")
