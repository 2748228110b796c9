"""The sampler's steps against NumPy in float64, transformers' processors, and chance itself."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers.generation import logits_process as hf

from penjing.core.errors import GenerationError
from penjing.core.types import SamplingParams
from penjing.generate import sampling
from penjing.generate.sampling import STEPS, History, Sampler, draw

INF = math.inf
floats = st.floats(-30, 30, width=32)
# Values on a coarse grid tie often; the others hardly ever.
logits_lists = st.lists(floats, min_size=1, max_size=200) | st.lists(
    st.integers(-3, 3).map(float), min_size=1, max_size=200
)


def tensor(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def numpy_softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def kept(logits: torch.Tensor) -> set[int]:
    return set((logits > -INF).nonzero().squeeze(1).tolist())


def transformed(processor: hf.LogitsProcessor, logits: torch.Tensor, ids=()) -> torch.Tensor:
    return processor(torch.tensor([list(ids)], dtype=torch.int64), logits.clone()[None])[0]


# Figures of the articles, put right.


@pytest.mark.parametrize(
    ("t", "expected"), [(1.0, [0.817, 0.018, 0.165]), (0.8, [0.874, 0.008, 0.118])]
)
def test_softmax_of_the_weather(t, expected):
    p = sampling.temperature(tensor([2.3, -1.5, 0.7]), t).softmax(0)
    assert p.tolist() == pytest.approx(expected, abs=5e-4)


def test_temperature_divides():
    logits = tensor([10, 20, 30])
    assert sampling.temperature(logits, 2).tolist() == [5, 10, 15]
    assert sampling.temperature(logits, 0.5).tolist() == [20, 40, 60]


# Each step against NumPy.


@given(logits_lists, st.integers(1, 220))
def test_top_k_keeps_exactly_k_and_of_ties_the_lowest_ids(values, k):
    order = np.lexsort((np.arange(len(values)), -np.array(values)))
    assert kept(sampling.top_k(tensor(values), k)) == set(order[:k].tolist())


@given(logits_lists, st.floats(0.01, 0.999))
def test_top_p_keeps_the_smallest_set_that_reaches_p(values, p):
    probabilities = numpy_softmax(np.array(values, dtype=np.float32))
    order = np.lexsort((np.arange(len(values)), -np.array(values)))
    sums = np.cumsum(probabilities[order])
    assume(np.abs(sums - p).min() > 1e-5)  # float32 may fall on either side
    n = int((sums < p).sum()) + 1
    assert kept(sampling.top_p(tensor(values), p)) == set(order[:n].tolist())


def test_top_p_looks_beyond_its_first_guess():
    logits = torch.zeros(5000)  # flat: half of it is 2500 tokens
    assert kept(sampling.top_p(logits, 0.4999)) == set(range(2500))
    assert kept(sampling.top_p(logits, 1 - 1e-12)) == set(range(5000))


@given(logits_lists, st.floats(0.001, 0.999))
def test_min_p_keeps_what_is_near_the_top(values, p):
    probabilities = numpy_softmax(np.array(values, dtype=np.float32))
    ratio = probabilities / probabilities.max()
    assume(np.abs(ratio / p - 1).min() > 1e-4)
    assert kept(sampling.min_p(tensor(values), p)) == set(np.flatnonzero(ratio >= p).tolist())


@given(
    st.lists(st.tuples(floats, st.integers(0, 5)), min_size=1, max_size=50),
    st.floats(-2, 2),
    st.floats(-2, 2),
)
def test_penalties_follow_the_formula_of_openai(rows, presence, frequency):
    logits, counts = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    ours = sampling.penalties(tensor(logits), tensor(counts), presence, frequency)
    expected = logits - counts * frequency - (counts > 0) * presence
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_logit_bias_adds_and_does_not_touch_the_input():
    logits = tensor([1, 2, 3])
    assert sampling.logit_bias(logits, {0: 2.5, 2: -100}).tolist() == [3.5, 2, -97]
    assert logits.tolist() == [1, 2, 3]


@pytest.mark.parametrize("id", [-1, 3])
def test_logit_bias_outside_the_vocabulary(id):
    with pytest.raises(GenerationError, match=f"token {id}, but the vocabulary's ids are 0 to 2"):
        sampling.logit_bias(tensor([1, 2, 3]), {id: 1.0})
    with pytest.raises(GenerationError, match=f"token {id}"):
        Sampler(SamplingParams(logit_bias={id: 1.0}), 3)


# Each step against transformers.


@given(logits_lists, st.floats(0.01, 5))
def test_temperature_as_transformers(values, t):
    logits = tensor(values)
    assert torch.equal(
        sampling.temperature(logits, t), transformed(hf.TemperatureLogitsWarper(t), logits)
    )


@given(st.lists(floats, min_size=1, max_size=200, unique=True), st.integers(1, 220))
def test_top_k_as_transformers_where_nothing_ties(values, k):
    logits = tensor(values)
    assert torch.equal(sampling.top_k(logits, k), transformed(hf.TopKLogitsWarper(k), logits))


@given(st.lists(floats, min_size=1, max_size=200, unique=True), st.floats(0.01, 0.99))
def test_top_p_as_transformers_where_nothing_ties(values, p):
    logits = tensor(values)
    assume(len(set(logits.softmax(0).tolist())) == len(values))
    sums = np.cumsum(np.sort(numpy_softmax(logits.numpy()))[::-1])
    assume(np.abs(sums - p).min() > 1e-5)
    assert torch.equal(sampling.top_p(logits, p), transformed(hf.TopPLogitsWarper(p), logits))


@given(logits_lists, st.floats(0.001, 0.999))
def test_min_p_as_transformers(values, p):
    ratio = np.exp(np.array(values) - max(values))
    assume(np.abs(ratio / p - 1).min() > 1e-4)
    logits = tensor(values)
    assert torch.equal(sampling.min_p(logits, p), transformed(hf.MinPLogitsWarper(p), logits))


@given(st.lists(floats, min_size=1, max_size=50), st.data(), st.floats(0.5, 2))
def test_repetition_penalty_as_transformers(values, data, penalty):
    ids = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=30))
    prompt, output = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    past = History(len(values), prompt)
    for id in output:
        past.add(id)
    logits = tensor(values)
    ours = sampling.repetition_penalty(logits, past.seen, penalty)
    theirs = (
        transformed(hf.RepetitionPenaltyLogitsProcessor(penalty), logits, ids) if ids else logits
    )
    assert torch.allclose(ours, theirs, rtol=1e-6)


# The pipeline.


def test_the_order_of_the_steps():
    assert list(STEPS) == [
        "repetition_penalty",
        "penalties",
        "logit_bias",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
    ]


def test_only_active_steps_are_in_the_pipeline():
    assert list(Sampler(SamplingParams(), 9).steps) == []
    some = SamplingParams(min_p=0.1, temperature=0.7, presence_penalty=0.5, top_k=5)
    assert list(Sampler(some, 9).steps) == ["penalties", "temperature", "top_k", "min_p"]
    greedy = SamplingParams(min_p=0.1, temperature=0, top_k=5, top_p=0.5)
    assert list(Sampler(greedy, 9).steps) == ["temperature"]


everything = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 1e-300, 1e-30, 0.1, 1.0, 50.0]),
    top_k=st.integers(0, 9),
    top_p=st.sampled_from([1e-12, 0.3, 0.999999999, 1.0]),
    min_p=st.sampled_from([0.0, 1e-9, 0.5, 0.999999]),
    repetition_penalty=st.sampled_from([0.1, 1.0, 10.0]),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    logit_bias=st.dictionaries(st.integers(0, 4), st.floats(-100, 100)),
    seed=st.integers(0, 2**64 - 1),
)


@given(st.lists(floats | st.just(-INF), min_size=5, max_size=80), everything)
@settings(max_examples=300)
def test_a_token_always_remains(values, params):
    values[0] = 0.0  # the model leaves at least one token possible
    sampler = Sampler(params, len(values), prompt=[0, 1])
    for _ in range(3):
        assert values[sampler.choose(tensor(values))] > -INF


@pytest.mark.parametrize("bad", [math.nan, INF])
def test_logits_that_are_not_numbers(bad):
    sampler = Sampler(SamplingParams(top_k=2), 3)
    sampler.choose(tensor([1, 2, 3]))
    with pytest.raises(GenerationError, match=r"model's logits at step 1 hold (NaN|infinity)"):
        sampler.choose(tensor([1, bad, 3]))


def test_no_token_possible():
    with pytest.raises(GenerationError, match="-inf for every token"):
        Sampler(SamplingParams(), 2).choose(tensor([-INF, -INF]))
    banned = SamplingParams(logit_bias={0: -1e300, 1: -1e300})
    with pytest.raises(GenerationError, match="after logit_bias at step 0 are -inf"):
        Sampler(banned, 2).choose(tensor([1, 2]))


def test_settings_that_overflow():
    extreme = SamplingParams(logit_bias={1: 1e300}, temperature=0.5, top_p=0.5)
    with pytest.raises(GenerationError, match="after logit_bias at step 0 hold infinity"):
        Sampler(extreme, 3).choose(tensor([1, 2, 3]))


def test_watch_sees_each_active_step():
    sampler = Sampler(SamplingParams(temperature=2, top_k=1), 3)
    seen = []
    sampler.choose(tensor([2, 4, 6]), lambda *row: seen.append(row))
    assert [(name, before.tolist(), after.tolist()) for name, before, after in seen] == [
        ("temperature", [2, 4, 6], [1, 2, 3]),
        ("top_k", [1, 2, 3], [-INF, -INF, 3]),
    ]


# Greedy and chance.


def test_greedy_takes_the_lowest_id_of_ties_and_no_random_number():
    sampler = Sampler(SamplingParams(temperature=0, seed=7), 4)
    state = sampler.generator.get_state()
    assert [sampler.choose(tensor([1, 5, 5, 2])) for _ in range(20)] == [1] * 20
    assert torch.equal(sampler.generator.get_state(), state)


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(seed=1),
        SamplingParams(seed=2, temperature=0.5),
        SamplingParams(seed=3, temperature=2.5, top_k=7),
        SamplingParams(seed=4, top_p=0.8),
        SamplingParams(seed=5, temperature=1.5, min_p=0.2),
    ],
)
def test_draws_follow_the_distribution(params):
    logits = np.random.default_rng(0).normal(size=12).astype(np.float32)
    sampler = Sampler(params, len(logits))
    n = 6_000
    counts = np.bincount(
        [sampler.choose(torch.from_numpy(logits)) for _ in range(n)], minlength=len(logits)
    )
    scaled = logits.astype(np.float64) / params.temperature
    p = numpy_softmax(scaled)
    order = np.argsort(-p)
    possible = np.ones(len(p), dtype=bool)
    if params.top_k:
        possible[order[params.top_k :]] = False
    possible[order[(np.cumsum(p[order]) < params.top_p).sum() + 1 :]] = False
    possible &= p >= params.min_p * p.max()
    assert counts[~possible].sum() == 0
    expected = p[possible] / p[possible].sum() * n
    assert stats.chisquare(counts[possible], expected).pvalue > 0.001


@pytest.mark.parametrize(("u", "id"), [(0, 1), (0.5, 3), (1 - 2**-53, 3)])
def test_a_token_of_probability_0_is_never_drawn(monkeypatch, u, id):
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor(u, dtype=torch.float64))
    assert draw(tensor([-INF, 0, -300, 0, -300, -INF]), torch.Generator()) == id


def test_a_seed_repeats_whatever_else_draws():
    logits = torch.randn(50, generator=torch.Generator().manual_seed(0))
    first = Sampler(SamplingParams(seed=11), 50)
    alone = [first.choose(logits) for _ in range(30)]
    again, other = Sampler(SamplingParams(seed=11), 50), Sampler(SamplingParams(seed=12), 50)
    mixed = []
    for _ in range(30):
        torch.rand(3)
        other.choose(logits)
        mixed.append(again.choose(logits))
    assert mixed == alone


def test_without_a_seed_one_is_drawn_and_told():
    logits = torch.zeros(50)
    free = Sampler(SamplingParams(), 50)
    said = [free.choose(logits) for _ in range(30)]
    assert free.seed != Sampler(SamplingParams(), 50).seed
    told = Sampler(SamplingParams(seed=free.seed), 50)
    assert [told.choose(logits) for _ in range(30)] == said


def test_a_seed_of_more_than_64_bits():
    with pytest.raises(GenerationError, match="64-bit"):
        Sampler(SamplingParams(seed=2**64), 5)
