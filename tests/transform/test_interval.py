"""Intervals, against SciPy and against drawing many texts."""

import math

import pytest
import scipy.stats
import torch

from penjing.transform.interval import Interval, mean_per_token, student


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 8, 15, 31, 100, 1000])
def test_students_t(degrees: int) -> None:
    assert student(degrees) == pytest.approx(scipy.stats.t.ppf(0.975, degrees), abs=1e-3)


def test_windows_of_one_length_as_scipy_has_it() -> None:
    totals = torch.tensor([3.0, 5.0, 4.0, 9.0, 2.0]) * 10
    got = mean_per_token(totals, torch.full((5,), 10))
    low, high = scipy.stats.t.interval(
        0.95, 4, loc=4.6, scale=scipy.stats.sem([3.0, 5.0, 4.0, 9.0, 2.0])
    )
    assert got.value == pytest.approx(4.6)
    assert (got.low, got.high) == pytest.approx((low, high), rel=1e-3)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    """Also where windows differ in length."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.tensor([50.0] * 15 + [20.0])
    hits = 0
    for _ in range(400):
        noise = torch.randn(16, generator=generator) * counts.sqrt()
        got = mean_per_token(2.5 * counts + noise, counts)
        hits += got.low <= 2.5 <= got.high
    assert 0.92 < hits / 400 < 0.98


def test_one_window_has_no_interval() -> None:
    got = mean_per_token(torch.tensor([10.0]), torch.tensor([5.0]))
    assert got.value == 2 and math.isnan(got.low) and math.isnan(got.high)


def test_a_perplexity_from_a_loss() -> None:
    assert Interval(0.0, -math.inf, 1000.0).exp() == Interval(1.0, 0.0, math.exp(700))
