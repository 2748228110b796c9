"""Axes: all values within, round ticks, short labels."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.report.scale import fitted, number, tick_labels

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


@given(st.lists(FINITE, min_size=1), st.booleans())
def test_every_value_lies_within_the_pixels(values, log):
    scale = fitted(values, (50, 500), log=log, rounded=5)
    for value in filter(scale.shows, values):
        assert 50 - 1e-6 <= scale(value) <= 500 + 1e-6


@given(st.lists(FINITE, min_size=2), st.integers(2, 10))
def test_ticks_are_within_and_not_too_many(values, wanted):
    scale = fitted(values, (0, 100))
    ticks = scale.ticks(wanted)
    assert ticks == sorted(ticks) and 1 <= len(ticks) <= wanted + 1
    assert all(-1e-3 <= scale(t) <= 100 + 1e-3 for t in ticks)


@given(st.floats(1e-9, 1e9), st.floats(1.0, 1e12), st.integers(2, 10))
def test_logarithmic_ticks_are_within_and_not_too_many(low, factor, wanted):
    scale = fitted([low, low * factor], (0, 100), log=True)
    ticks = scale.ticks(wanted)
    assert ticks == sorted(ticks) and len(ticks) <= wanted + 3
    assert all(-1e-3 <= scale(t) <= 100 + 1e-3 for t in ticks)


def test_a_logarithm_gives_each_decade_the_same_room():
    scale = fitted([1, 1000], (0, 300), log=True)
    places = [scale(10.0**n) for n in range(4)]
    gaps = [b - a for a, b in pairwise(places)]
    assert gaps == pytest.approx([gaps[0]] * 3)
    assert scale.ticks(4) == [1, 10, 100, 1000]


def test_round_ends():
    scale = fitted([0.13, 4.7], (0, 100), rounded=5)
    assert (scale.low, scale.high) == (0, 5)
    assert scale.ticks(5) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("values", [[], [math.nan, math.inf], [3.0], [0.0, 0.0], [-2.0]])
def test_nothing_or_one_value_still_has_an_axis(values):
    for log in (False, True):
        scale = fitted(values, (0, 100), log=log, rounded=5)
        assert scale.low < scale.high and scale.ticks(5)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"), (0.25, "0.25"), (1.5, "1.5"), (-2, "−2"), (1234, "1,234"), (20_000, "20k"),
        (1_500_000, "1.5M"), (3e-5, "3×10⁻⁵"), (1e-4, "10⁻⁴"), (math.nan, "–"), (math.inf, "∞"),
        (3.14159, "3.14"), (2e12, "2T"),
    ],
)  # fmt: skip
def test_numbers_are_short(value, said):
    assert number(value) == said


def test_labels_of_one_axis_can_be_told_apart():
    assert tick_labels([1.9995, 2.0, 2.0005]) == ["1.9995", "2", "2.0005"]
    assert tick_labels([0, 10_000, 15_000]) == ["0", "10k", "15k"]
