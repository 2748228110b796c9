"""Temperature and the filters against float64, transformers' warpers, and their own promises."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers.generation import logits_process as hf

from penjing.core.types import SamplingParams
from penjing.generate.sampling import filters as filters
from penjing.generate.sampling.sampler import STEPS, Sampler

INF = math.inf
floats = st.floats(-30, 30, width=32)
# Values on a coarse grid tie often; the others hardly ever.
logits_lists = st.lists(floats, min_size=1, max_size=200) | st.lists(
    st.integers(-3, 3).map(float), min_size=1, max_size=200
)
unique_lists = st.lists(floats, min_size=1, max_size=200, unique=True)


def row(values) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def kept(logits: np.ndarray) -> set[int]:
    return set(np.flatnonzero(logits > -INF).tolist())


def ranks(values) -> np.ndarray:
    """Ids, the likeliest first, of ties the lower first."""
    return np.lexsort((np.arange(len(values)), -np.array(values)))


def warped(warper: hf.LogitsProcessor, logits: np.ndarray) -> np.ndarray:
    return warper(torch.zeros(1, 0, dtype=torch.int64), torch.tensor(logits)[None])[0].numpy()


# Figures of the articles, put right.


@pytest.mark.parametrize(
    ("t", "expected"), [(1.0, [0.817, 0.018, 0.165]), (0.8, [0.874, 0.008, 0.118])]
)
def test_softmax_of_the_weather(t, expected):
    p = softmax(filters.temperature(row([2.3, -1.5, 0.7]), t))
    assert p.tolist() == pytest.approx(expected, abs=5e-4)


def test_temperature_divides():
    logits = row([10, 20, 30])
    assert filters.temperature(logits, 2).tolist() == [5, 10, 15]
    assert filters.temperature(logits, 0.5).tolist() == [20, 40, 60]


def test_a_tiny_temperature_neither_overflows_nor_keeps_what_is_far():
    assert softmax(filters.temperature(row([30, 29, 30]), 1e-300)).tolist() == [0.5, 0, 0.5]
    assert filters.temperature(row([-30, -31]), 0.005).tolist() == [0, pytest.approx(-200)]


def test_a_huge_temperature_keeps_what_was_removed_out():
    assert filters.temperature(row([1, -np.inf, 2]), 1e300).tolist() == pytest.approx(
        [0, -np.inf, 0], abs=1e-30
    )


# Each filter against float64.


@given(logits_lists, st.integers(1, 220))
def test_top_k_keeps_exactly_k_and_of_ties_the_lowest_ids(values, k):
    assert kept(filters.top_k(row(values), k)) == set(ranks(values)[:k].tolist())


@given(logits_lists, st.floats(0.01, 0.999))
def test_top_p_keeps_the_smallest_set_that_reaches_p(values, p):
    sums = np.cumsum(softmax(row(values))[ranks(values)])
    assume(np.abs(sums - p).min() > 1e-5)  # float32 may fall on either side
    n = int((sums < p).sum()) + 1
    assert kept(filters.top_p(row(values), p)) == set(ranks(values)[:n].tolist())


def test_top_p_of_a_flat_distribution():
    logits = np.zeros(5000, np.float32)  # half of it is 2500 tokens
    assert kept(filters.top_p(logits, 0.4999)) == set(range(2500))
    assert kept(filters.top_p(logits, 1 - 1e-12)) == set(range(5000))


@given(logits_lists, st.floats(0.001, 0.999))
def test_min_p_keeps_what_is_near_the_top(values, p):
    ratio = np.exp(np.array(values) - max(values))
    assume(np.abs(ratio / p - 1).min() > 1e-4)
    assert kept(filters.min_p(row(values), p)) == set(np.flatnonzero(ratio >= p).tolist())


@given(unique_lists, st.floats(0.01, 0.999))
def test_typical_p_keeps_what_surprises_as_much_as_the_average(values, p):
    probabilities = softmax(row(values))
    surprise = -np.log(probabilities)
    strangeness = np.abs(surprise - (probabilities * surprise).sum())
    order = np.argsort(strangeness)
    sums = np.cumsum(probabilities[order])
    assume(np.abs(sums - p).min() > 1e-4 and np.diff(strangeness[order], prepend=-1).min() > 1e-4)
    n = int((sums < p).sum()) + 1
    assert kept(filters.typical_p(row(values), p)) == set(order[:n].tolist())


def test_typical_p_of_ties_and_of_more_tokens_than_it_orders_at_first():
    flat = np.zeros(5000, np.float32)
    assert kept(filters.typical_p(flat, 0.4999)) == set(range(2500))
    assert kept(filters.typical_p(flat, 1 - 1e-12)) == set(range(5000))


def test_typical_p_may_drop_the_likeliest():
    # 0.3 and seventy times 0.01: most of what is said surprises by -log(0.01).
    logits = np.log(row([0.3] + [0.01] * 70))
    assert kept(filters.typical_p(logits, 0.5)) == set(range(1, 51))


def xtc_in_float64(values, threshold: float) -> set[int]:
    """llama.cpp's: of the tokens in order of probability, begin at the last above the threshold."""
    order = ranks(values)
    above = int((softmax(row(values)) >= threshold).sum())
    return set(order[max(0, above - 1) :].tolist())


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=40), st.floats(0.01, 0.5))
def test_xtc_keeps_the_least_likely_of_the_top_choices(values, threshold):
    assume(np.abs(softmax(row(values)) / threshold - 1).min() > 1e-4)
    assert kept(filters.xtc(row(values), threshold)) == xtc_in_float64(values, threshold)


def test_xtc_by_hand():
    logits = np.log(row([0.1, 0.4, 0.3, 0.2]))
    assert kept(filters.xtc(logits, 0.15)) == {0, 3}  # 0.4 and 0.3 go, 0.2 stays
    assert kept(filters.xtc(logits, 0.35)) == {0, 1, 2, 3}  # one top choice alone is let be
    assert kept(filters.xtc(np.zeros(4, np.float32), 0.2)) == {3}  # of ties the one ranked last


# Each filter against transformers.


@given(logits_lists, st.floats(0.01, 5))
def test_temperature_as_transformers(values, t):
    ours = filters.temperature(row(values), t)
    np.testing.assert_array_equal(ours, warped(hf.TemperatureLogitsWarper(t), row(values)))


@given(unique_lists, st.integers(1, 220))
def test_top_k_as_transformers_where_nothing_ties(values, k):
    ours = filters.top_k(row(values), k)
    np.testing.assert_array_equal(ours, warped(hf.TopKLogitsWarper(k), row(values)))


@given(unique_lists, st.floats(0.01, 0.99))
def test_top_p_as_transformers_where_nothing_ties(values, p):
    probabilities = softmax(row(values))
    assume(len(set(row(probabilities).tolist())) == len(values))
    assume(np.abs(np.cumsum(np.sort(probabilities)[::-1]) - p).min() > 1e-5)
    ours = filters.top_p(row(values), p)
    np.testing.assert_array_equal(ours, warped(hf.TopPLogitsWarper(p), row(values)))


@given(logits_lists, st.floats(0.001, 0.999))
def test_min_p_as_transformers(values, p):
    assume(np.abs(np.exp(np.array(values) - max(values)) / p - 1).min() > 1e-4)
    ours = filters.min_p(row(values), p)
    np.testing.assert_array_equal(ours, warped(hf.MinPLogitsWarper(p), row(values)))


@given(unique_lists, st.floats(0.01, 0.99))
def test_typical_p_as_transformers_where_nothing_ties(values, p):
    probabilities = softmax(row(values))
    surprise = -np.log(probabilities)
    order = np.argsort(np.abs(surprise - (probabilities * surprise).sum()))
    strangeness = np.abs(surprise - (probabilities * surprise).sum())[order]
    assume(np.diff(strangeness, prepend=-1).min() > 1e-4)
    assume(np.abs(np.cumsum(probabilities[order]) - p).min() > 1e-4)
    ours = filters.typical_p(row(values), p)
    np.testing.assert_array_equal(ours, warped(hf.TypicalLogitsWarper(p), row(values)))


# What holds for every filter.

FILTERS = {
    "temperature": {"temperature": 0.7},
    "greedy": {"temperature": 0.0},
    "top_k": {"top_k": 3},
    "typical_p": {"typical_p": 0.6},
    "top_p": {"top_p": 0.6},
    "min_p": {"min_p": 0.3},
    "xtc": {"xtc_probability": 1.0, "xtc_threshold": 0.1},
    "mirostat_v1": {"mirostat": 1, "mirostat_tau": 1.0},
    "mirostat_v2": {"mirostat": 2, "mirostat_tau": 1.0},
}


def after(name: str, logits: np.ndarray) -> np.ndarray:
    """What is left by the one active step of these settings."""
    params = SamplingParams(**FILTERS[name])
    sampler = Sampler(params, len(logits))
    (step,) = sampler.steps.values()
    return step.apply(logits, params, sampler.state)


def test_every_filter_is_here():
    before = ("repetition_penalty", "penalties", "dry", "logit_bias", "structure")
    assert {name.removesuffix("_v1").removesuffix("_v2") for name in FILTERS} - {"greedy"} == {
        name for name in STEPS if name not in before
    }


@pytest.mark.parametrize("name", FILTERS)
@given(values=st.lists(floats | st.just(-INF), min_size=2, max_size=60))
@settings(max_examples=60)
def test_a_filter_leaves_some_and_brings_none_back(name, values):
    values[0] = 1.0
    logits = row(values)
    left = after(name, logits)
    assert kept(left) and kept(left) <= kept(logits)
    assert logits.tolist() == row(values).tolist()  # and does not touch its input
    if name != "temperature":
        assert all(left[id] == logits[id] for id in kept(left))


@pytest.mark.parametrize("name", FILTERS)
@given(values=st.lists(st.integers(-40, 40), min_size=1, max_size=60), shift=st.integers(-64, 64))
@settings(max_examples=60)
def test_a_constant_added_to_all_logits_changes_nothing(name, values, shift):
    logits = row(values) / 8  # such sums are exact in float32
    assert kept(after(name, logits + np.float32(shift))) == kept(after(name, logits))


# Of version 1 the k depends on the size of the vocabulary.
@pytest.mark.parametrize("name", [name for name in FILTERS if name != "mirostat_v1"])
def test_few_and_many_tokens_are_treated_alike(name):
    logits = np.random.default_rng(0).normal(size=40).astype(np.float32) * 3
    wide = np.full(20_000, -INF, np.float32)
    wide[::500] = logits  # the same tokens among many that are not possible
    assert {id // 500 for id in kept(after(name, wide))} == kept(after(name, logits))
