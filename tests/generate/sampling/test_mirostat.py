"""Mirostat against llama.cpp's formulas in float64, and against what it promises."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.types import SamplingParams
from penjing.generate.sampling.mirostat import mirostat_v2, zipf_k
from penjing.generate.sampling.sampler import Sampler


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return powers / powers.sum()


def zipf_k_in_float64(logits: np.ndarray, mu: float, m: int = 100) -> int:
    """`llama_sampler_mirostat_apply`, up to its k."""
    p = np.sort(softmax(logits))[::-1]
    sum_ti_bi = sum_ti_sq = 0.0
    for i in range(min(m - 1, len(p) - 1)):
        t_i = math.log((i + 2) / (i + 1))
        sum_ti_bi += t_i * math.log(p[i] / p[i + 1])
        sum_ti_sq += t_i * t_i
    s_hat = sum_ti_bi / sum_ti_sq
    epsilon_hat = s_hat - 1
    k = ((epsilon_hat * 2**mu) / (1 - len(p) ** -epsilon_hat)) ** (1 / s_hat)
    return min(len(p), max(int(k), 1))


rows = st.tuples(st.integers(0, 2**32), st.integers(2, 300), st.floats(0.3, 4)).map(
    lambda case: (np.random.default_rng(case[0]).normal(size=case[1]) * case[2]).astype(np.float32)
)


@given(rows, st.floats(0.1, 12))
def test_version_1_estimates_k_as_llama_cpp(logits, mu):
    assert abs(zipf_k(logits, mu) - zipf_k_in_float64(logits, mu)) <= 1  # rounded down


@pytest.mark.parametrize(
    ("logits", "k"),
    [
        ([0.0] * 50, 50),  # flat
        ([1.0, -math.inf, -math.inf], 1),  # one token
        ([-math.log(rank) for rank in range(1, 401)], None),  # s is 1, and its formula 0 / 0
    ],
)
def test_where_the_formula_has_no_value(logits, k):
    found = zipf_k(np.array(logits, np.float32), 5.0)
    assert found == k if k else 1 < found < 400


@given(rows, st.floats(0.01, 12))
def test_version_2_keeps_what_surprises_less_than_mu(logits, mu):
    bits = -np.log2(softmax(logits))
    if np.abs(bits - mu).min() < 1e-4:
        return
    expected = set(np.flatnonzero(bits <= mu).tolist()) or {int(logits.argmax())}
    left = mirostat_v2(logits, mu)
    assert set(np.flatnonzero(left > -math.inf).tolist()) == expected


@pytest.mark.parametrize("version", [1, 2])
def test_mu_follows_the_surprise_of_what_was_drawn(version):
    params = SamplingParams(
        mirostat=version, mirostat_tau=3.0, mirostat_eta=0.2, temperature=1.3, seed=5
    )
    sampler = Sampler(params, 200)
    rng = np.random.default_rng(1)
    mu = 6.0  # twice tau
    seen: dict[str, np.ndarray] = {}
    for _ in range(40):
        assert sampler.state.surprise.mu == pytest.approx(mu, abs=1e-4)
        logits = (rng.normal(size=200) * 3).astype(np.float32)
        id = sampler.choose(logits, lambda name, before, after: seen.update({name: after}))
        p = softmax(seen["mirostat"])
        mu -= 0.2 * (-math.log2(p[id]) - 3.0)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("tau", [2.0, 4.0])
def test_the_surprise_settles_at_tau(version, tau):
    ranks = np.arange(1, 2001)
    sampler = Sampler(SamplingParams(mirostat=version, mirostat_tau=tau, seed=1), 2000)
    rng = np.random.default_rng(0)
    bits = []
    for _ in range(900):
        logits = (-1.1 * np.log(ranks) + rng.normal(size=2000) * 0.3).astype(np.float32)
        before = sampler.state.surprise.mu
        sampler.choose(logits)
        bits.append(tau - (sampler.state.surprise.mu - before) / 0.1)
    assert np.mean(bits[200:]) == pytest.approx(tau, abs=0.1)


def test_greedy_has_nothing_to_hold():
    sampler = Sampler(SamplingParams(mirostat=2, temperature=0), 3)
    assert list(sampler.steps) == ["temperature"] and sampler.state.surprise is None


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("tau", "eta"), [(5.0, 1e308), (1e308, 1e308), (1e308, 0.1)])
def test_extreme_settings_leave_a_number(version, tau, eta):
    params = SamplingParams(mirostat=version, mirostat_tau=tau, mirostat_eta=eta, seed=1)
    sampler = Sampler(params, 300)
    rows = np.random.default_rng(0).normal(size=(40, 300)).astype(np.float32)
    for logits in rows:
        sampler.choose(logits)
        assert np.isfinite(sampler.state.surprise.mu)
