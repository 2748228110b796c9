"""Figures as people read them."""

import math

import pytest

from penjing.report.units import amount, clock, percent, plural, si, size


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0"),
        (950, "950"),
        (31_234, "31.2k"),
        (4_190_000, "4.19M"),
        (2e9, "2G"),
        (1000, "1k"),
        (999, "999"),
        (999.6, "1k"),
        (999_600, "1M"),
        (999_499, "999k"),
        (2e12, "2T"),
        (7.8e15, "7.8P"),
        (math.nan, "?"),
    ],
)
def test_si(number, said):
    assert si(number) == said


def test_sizes_and_times_and_nouns():
    assert [size(n) for n in (0, 950, 31_234, 5_300_000)] == ["0 B", "950 B", "31.2 kB", "5.3 MB"]
    assert size(999_600) == "1 MB" and amount(8.9e13, "FLOP") == "89 TFLOP"
    assert [clock(s) for s in (0, 7.4, 750, 3750, -1, float("inf"), float("nan"))] == [
        "0:00", "0:07", "12:30", "1:02:30", "0:00", "--:--", "--:--",
    ]  # fmt: skip
    assert [plural(n, "step") for n in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]
    assert [percent(s) for s in (0.41, 0.036, 0.0996, 1, math.nan)] == [
        "41%", "3.6%", "10%", "100%", "?",
    ]  # fmt: skip
