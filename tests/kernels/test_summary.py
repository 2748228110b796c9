"""The summary of a row of logits against NumPy, in float64."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from penjing.generate.sampling import draw
from penjing.kernels.scores import Summary
from penjing.kernels.stages import share
from penjing.kernels.summary import PART, combine_parts, parts_bytes, summarize_parts

SIZES = (1, 5, 16, 17, 127, 128, 129, 2047, 2048, 2049, 3000, 49_157)


@njit
def _summarize(logits: int, count: int, team: int, parts: int, out: np.ndarray) -> None:
    for me in range(team):
        begin, end = share(count, me, team, PART)
        summarize_parts(logits, count, begin, end, parts)
    combine_parts(logits, count, parts, out)


def summarize(logits: np.ndarray, team: int = 1) -> Summary:
    parts, out = np.zeros(parts_bytes(len(logits)), np.uint8), np.empty(3)
    _summarize(logits.ctypes.data, len(logits), team, parts.ctypes.data, out)
    top, place, logsumexp = out.tolist()
    return Summary(top, int(place), logsumexp)


@pytest.mark.parametrize("n", SIZES)
def test_the_largest_its_place_and_the_sum(n: int) -> None:
    logits = (np.random.default_rng(n).standard_normal(n) * 7).astype(np.float32)
    top, place, total = summarize(logits)
    wide = logits.astype(np.float64)
    assert (top, place) == (float(logits.max()), int(logits.argmax()))
    exact = math.log(np.exp(wide - wide.max()).sum()) + wide.max()
    assert abs(total - exact) <= 1e-6 * max(1.0, abs(exact))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("team", [2, 3, 16])
def test_any_number_of_threads_gives_the_same_bits(n: int, team: int) -> None:
    logits = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    assert summarize(logits, team) == summarize(logits)


@given(st.integers(1, 3000), st.data())
def test_of_ties_the_first(n: int, data: st.DataObject) -> None:
    logits = np.zeros(n, np.float32)
    places = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))
    logits[places] = 3
    assert summarize(logits).id == min(places)


def test_removed_tokens_weigh_nothing() -> None:
    logits = np.full(2000, -np.inf, np.float32)
    logits[1999] = -5
    assert summarize(logits) == (-5.0, 1999, -5.0)


def test_far_below_zero_nothing_is_lost() -> None:
    logits = np.full(1000, -1e30, np.float32)
    assert summarize(logits)[:2] == (float(np.float32(-1e30)), 0)


@pytest.mark.parametrize("place", [0, 17, 1024, 1999])
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_seen(wrong: float, place: int) -> None:
    logits = np.zeros(2000, np.float32)
    logits[place] = wrong
    assert math.isnan(summarize(logits).logsumexp)
    assert math.isnan(draw.summarize(logits).logsumexp)


def test_where_nothing_is_left_there_is_no_sum() -> None:
    nothing = np.full(100, -np.inf, np.float32)
    assert math.isnan(summarize(nothing).logsumexp)
    assert math.isnan(draw.summarize(nothing).logsumexp)


def test_numpy_says_the_same() -> None:
    logits = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    ours, theirs = summarize(logits), draw.summarize(logits)
    assert ours[:2] == theirs[:2]
    assert ours.logsumexp == pytest.approx(theirs.logsumexp, abs=1e-5)
