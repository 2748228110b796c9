"""The summary of a row of logits against NumPy, in float64."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.generate.sampling import draw
from penjing.kernels.features import available, isa
from penjing.kernels.summary import summarize

WAYS = available()
SIZES = (1, 5, 16, 17, 1023, 1024, 1025, 3000, 49_157)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", SIZES)
def test_the_largest_its_place_and_the_sum(n: int, way: str) -> None:
    logits = (np.random.default_rng(n).standard_normal(n) * 7).astype(np.float32)
    top, place, total = summarize(isa(way), logits)
    wide = logits.astype(np.float64)
    assert (top, place) == (float(logits.max()), int(logits.argmax()))
    exact = math.log(np.exp(wide - wide.max()).sum()) + wide.max()
    assert abs(total - exact) <= 1e-6 * max(1.0, abs(exact))


@given(st.integers(1, 3000), st.data())
def test_of_ties_the_first(n: int, data: st.DataObject) -> None:
    logits = np.zeros(n, np.float32)
    places = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=5))
    logits[places] = 3
    assert summarize(isa(WAYS[0]), logits)[1] == min(places)


def test_removed_tokens_weigh_nothing() -> None:
    logits = np.full(2000, -np.inf, np.float32)
    logits[1999] = -5
    assert summarize(isa(WAYS[0]), logits) == (-5.0, 1999, -5.0)


@pytest.mark.parametrize("place", [0, 17, 1024, 1999])
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_seen(wrong: float, place: int) -> None:
    logits = np.zeros(2000, np.float32)
    logits[place] = wrong
    assert math.isnan(summarize(isa(WAYS[0]), logits)[2])
    assert math.isnan(draw.summarize(logits).logsumexp)


def test_where_nothing_is_left_there_is_no_sum() -> None:
    nothing = np.full(100, -np.inf, np.float32)
    assert math.isnan(summarize(isa(WAYS[0]), nothing)[2])
    assert math.isnan(draw.summarize(nothing).logsumexp)


def test_numpy_says_the_same() -> None:
    logits = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    ours, theirs = summarize(isa(WAYS[0]), logits), draw.summarize(logits)
    assert ours[:2] == theirs[:2]
    assert ours[2] == pytest.approx(theirs.logsumexp, abs=1e-5)
