"""The pipeline of steps, the draw, seeds, and what is refused."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from penjing.core.errors import GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.sampling.draw import draw, reach
from penjing.generate.sampling.sampler import STEPS, Sampler

INF = math.inf
floats = st.floats(-30, 30, width=32)


def row(values) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


# The pipeline.


def test_the_order_of_the_steps():
    assert list(STEPS) == [
        "repetition_penalty",
        "penalties",
        "dry",
        "logit_bias",
        "structure",
        "temperature",
        "top_k",
        "typical_p",
        "top_p",
        "min_p",
        "xtc",
        "mirostat",
    ]


def test_only_active_steps_are_in_the_pipeline():
    assert list(Sampler(SamplingParams(), 9).steps) == []
    some = SamplingParams(min_p=0.1, temperature=0.7, presence_penalty=0.5, top_k=5)
    assert list(Sampler(some, 9).steps) == ["penalties", "temperature", "top_k", "min_p"]
    filters = {"min_p": 0.1, "top_k": 5, "top_p": 0.5, "typical_p": 0.5}
    greedy = SamplingParams(temperature=0, xtc_probability=1, mirostat=2, **filters)
    assert list(Sampler(greedy, 9).steps) == ["temperature"]


everything = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 1e-300, 1e-30, 0.1, 1.0, 50.0]),
    top_k=st.integers(0, 9),
    top_p=st.sampled_from([1e-12, 0.3, 0.999999999, 1.0]),
    min_p=st.sampled_from([0.0, 1e-9, 0.5, 0.999999]),
    typical_p=st.sampled_from([1e-12, 0.5, 0.999999999, 1.0]),
    repetition_penalty=st.sampled_from([0.1, 1.0, 10.0]),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    penalty_window=st.integers(0, 3),
    dry_multiplier=st.sampled_from([0.0, 0.8]),
    dry_sequence_breakers=st.just(()),
    xtc_probability=st.sampled_from([0.0, 0.5, 1.0]),
    mirostat=st.integers(0, 2),
    mirostat_tau=st.sampled_from([1e-3, 3.0, 100.0]),
    mirostat_eta=st.sampled_from([0.1, 10.0]),
    logit_bias=st.dictionaries(st.integers(0, 4), st.floats(-100, 100)),
    seed=st.integers(0, 2**64 - 1),
)


@given(st.lists(floats | st.just(-INF), min_size=5, max_size=80), everything)
@settings(max_examples=300)
def test_a_token_always_remains(values, params):
    values[0] = 0.0  # the model leaves at least one token possible
    sampler = Sampler(params, len(values), prompt=[0, 1])
    for _ in range(5):
        assert values[sampler.choose(row(values))] > -INF


@given(st.lists(floats, min_size=5, max_size=80), everything, st.integers(0, 6))
@settings(max_examples=100)
def test_a_fork_goes_on_alike_and_by_itself(values, params, n):
    sampler = Sampler(params, len(values), prompt=[0, 1, 0])
    for _ in range(n):
        sampler.choose(row(values))
    twin, other = sampler.fork(), sampler.fork()
    for _ in range(3):
        other.choose(row(values)[::-1])
    assert [sampler.choose(row(values)) for _ in range(6)] == [
        twin.choose(row(values)) for _ in range(6)
    ]


@pytest.mark.parametrize("bad", [math.nan, INF])
def test_logits_that_are_not_numbers(bad):
    sampler = Sampler(SamplingParams(top_k=2), 3)
    sampler.choose(row([1, 2, 3]))
    with pytest.raises(GenerationError, match=r"model's logits at step 1 hold (NaN|infinity)"):
        sampler.choose(row([1, bad, 3]))


def test_no_token_possible():
    with pytest.raises(GenerationError, match="-inf for every token"):
        Sampler(SamplingParams(), 2).choose(row([-INF, -INF]))
    banned = SamplingParams(logit_bias={0: -1e300, 1: -1e300})
    with pytest.raises(GenerationError, match="after logit_bias at step 0 are -inf"):
        Sampler(banned, 2).choose(row([1, 2]))


@pytest.mark.parametrize(
    "extreme",
    [
        SamplingParams(logit_bias={1: 1e300}, temperature=0.5, top_p=0.5),
        SamplingParams(repetition_penalty=1e-300, temperature=0.5),
        SamplingParams(presence_penalty=-1e300, top_k=2),
    ],
)
def test_settings_that_overflow(extreme, recwarn):
    sampler = Sampler(extreme, 3, prompt=[1])
    with pytest.raises(GenerationError, match=r"after \w+ at step \d hold (infinity|NaN)"):
        for _ in range(2):
            sampler.choose(row([1, 2, 3]))
    assert not recwarn


def test_watch_sees_each_active_step():
    sampler = Sampler(SamplingParams(temperature=2, top_k=1), 3)
    seen = []
    sampler.choose(row([2, 4, 6]), lambda *record: seen.append(record))
    assert [(name, before.tolist(), after.tolist()) for name, before, after in seen] == [
        ("temperature", [2, 4, 6], [1, 2, 3]),
        ("top_k", [1, 2, 3], [-INF, -INF, 3]),
    ]


@pytest.mark.parametrize("name", ["logit_bias", "logprob_ids"])
@pytest.mark.parametrize("id", [-1, 3])
def test_ids_outside_the_vocabulary(name, id):
    params = SamplingParams(**{name: {id: 1.0} if name == "logit_bias" else (0, id)})
    with pytest.raises(GenerationError, match=f"{name} names token {id}, .* ids are 0 to 2"):
        Sampler(params, 3)


def test_it_wakes_no_torch():
    code = "import sys, penjing.generate.sampling.sampler, penjing.generate.sampling.candidates\n"
    code += "assert 'torch' not in sys.modules and 'llguidance' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Greedy and chance.


def state_of(sampler: Sampler) -> object:
    return sampler.state.draws.bit_generator.state


def test_greedy_takes_the_lowest_id_of_ties_and_no_random_number():
    sampler = Sampler(SamplingParams(temperature=0, seed=7), 4)
    before = state_of(sampler)
    assert [sampler.choose(row([1, 5, 5, 2])) for _ in range(20)] == [1] * 20
    assert state_of(sampler) == before


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
    counts = np.bincount([sampler.choose(logits) for _ in range(n)], minlength=len(logits))
    p = softmax(logits.astype(np.float64) / params.temperature)
    order = np.argsort(-p)
    possible = np.ones(len(p), dtype=bool)
    if params.top_k:
        possible[order[params.top_k :]] = False
    possible[order[(np.cumsum(p[order]) < params.top_p).sum() + 1 :]] = False
    possible &= p >= params.min_p * p.max()
    assert counts[~possible].sum() == 0
    expected = p[possible] / p[possible].sum() * n
    assert stats.chisquare(counts[possible], expected).pvalue > 0.001


def test_draws_from_a_large_vocabulary_follow_the_distribution():
    logits = np.random.default_rng(0).normal(size=5000).astype(np.float32)  # several blocks
    rng = np.random.default_rng(1)
    n = 20_000
    counts = np.bincount([draw(logits, rng.random()) for _ in range(n)], minlength=5000)
    groups = np.arange(5000) // 50
    expected = np.bincount(groups, softmax(logits)) * n
    assert stats.chisquare(np.bincount(groups, counts), expected).pvalue > 0.001


@pytest.mark.parametrize("repeat", [1, 1000])
@pytest.mark.parametrize(("u", "id"), [(0, 1), (0.5, 3), (1 - 2**-53, 3)])
def test_a_token_of_probability_0_is_never_drawn(u, id, repeat):
    logits = row([-INF, 0, -300, 0, -300, -INF] + [-300] * repeat)
    assert draw(logits, u) == id


@given(
    st.lists(st.sampled_from([0.0, 0.1, 1.0, 7.0]), min_size=1, max_size=40),
    st.integers(1, 200),
    st.floats(0, 1, exclude_max=True),
)
def test_a_running_sum_in_blocks_is_a_running_sum(weights, repeat, share):
    weights = row([*weights, 1.0] * repeat)
    sums = weights.cumsum(dtype=np.float64)
    for side in ("left", "right"):
        target = share * sums[-1]
        if np.abs(sums - target).min() > 1e-9:
            assert reach(weights, target, side) == sums.searchsorted(target, side)
            assert reach(weights, share, side, share=True) == sums.searchsorted(target, side)


def test_a_seed_repeats_whatever_else_draws():
    logits = np.random.default_rng(0).normal(size=50).astype(np.float32)
    first = Sampler(SamplingParams(seed=11), 50)
    alone = [first.choose(logits) for _ in range(30)]
    again, other = Sampler(SamplingParams(seed=11), 50), Sampler(SamplingParams(seed=12), 50)
    mixed = []
    for _ in range(30):
        np.random.random(3)
        other.choose(logits)
        mixed.append(again.choose(logits))
    assert mixed == alone


def test_each_token_takes_one_number_whatever_the_settings():
    logits = np.random.default_rng(0).normal(size=50).astype(np.float32)
    params = [
        SamplingParams(seed=3),
        SamplingParams(seed=3, temperature=0.5, top_k=4, top_p=0.9, min_p=0.1),
        SamplingParams(seed=3, xtc_probability=0.5, typical_p=0.9),
        SamplingParams(seed=3, mirostat=2),
    ]
    samplers = [Sampler(p, 50) for p in params]
    for sampler in samplers:
        for _ in range(7):
            sampler.choose(logits)
    assert all(state_of(sampler) == state_of(samplers[0]) for sampler in samplers)


def test_xtc_strikes_as_often_as_it_should():
    logits = np.log(row([0.5, 0.3, 0.2]))
    sampler = Sampler(SamplingParams(seed=3, xtc_probability=0.25, xtc_threshold=0.15), 3)
    kept = []
    for _ in range(4000):
        sampler.choose(logits, lambda name, before, after: kept.append((after > -INF).sum()))
    assert set(kept) == {1, 3}
    assert kept.count(1) / len(kept) == pytest.approx(0.25, abs=0.02)


def test_without_a_seed_one_is_drawn_and_told():
    logits = np.zeros(50, np.float32)
    free = Sampler(SamplingParams(), 50)
    said = [free.choose(logits) for _ in range(30)]
    assert free.seed != Sampler(SamplingParams(), 50).seed
    told = Sampler(SamplingParams(seed=free.seed), 50)
    assert [told.choose(logits) for _ in range(30)] == said


@pytest.mark.parametrize("seed", [0, 1, -1, -(2**63), 2**64 - 1])
def test_any_seed_of_64_bits(seed):
    logits = np.zeros(1000, np.float32)
    one, two = (Sampler(SamplingParams(seed=seed), 1000) for _ in range(2))
    assert [one.choose(logits) for _ in range(5)] == [two.choose(logits) for _ in range(5)]
