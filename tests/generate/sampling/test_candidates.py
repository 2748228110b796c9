"""Log-probabilities against SciPy in float64; records of steps; texts that tell tokens apart."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from penjing.generate.sampling.candidates import Distribution, filter_record, likeliest
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

INF = math.inf
values = st.lists(
    st.floats(-30, 30, width=32) | st.sampled_from([-INF, 1.0, 2.0]), min_size=1, max_size=90
).map(lambda drawn: np.array([0.5, *drawn], np.float32))


@given(values)
def test_logprobs_as_scipy(logits):
    ours = [Distribution(logits).logprob(id) for id in range(len(logits))]
    np.testing.assert_allclose(ours, log_softmax(logits.astype(np.float64)), atol=2e-6)


@given(values, st.integers(0, 100))
def test_the_likeliest_best_first_and_of_ties_the_lower_ids(logits, n):
    possible = int((logits > -INF).sum())
    order = np.lexsort((np.arange(len(logits)), -logits))[:possible]
    assert likeliest(logits, n) == order[:n].tolist()


@given(values)
def test_the_likeliest_has_exactly_the_logprob_of_the_greedy_choice(logits):
    model = Distribution(logits)
    (best,) = model.likeliest(1, str)
    assert best.id == logits.argmax() and best.logprob == model.logprob(int(logits.argmax()))


def test_named_in_their_order_and_padding_is_no_candidate():
    logits = np.array([1, 0, 2, 9], np.float32)
    model = Distribution(logits, 3)
    expected = log_softmax(logits.astype(np.float64))
    assert model.named((2, 0, 2)) == pytest.approx(expected[[2, 0, 2]])
    assert [c.id for c in model.likeliest(9, str)] == [2, 0, 1]
    assert model.named(()) == ()


def test_a_record_says_what_a_step_removed():
    before = np.log(np.array([0.1, 0.6, 0.3, 0.0], np.float32), where=[1, 1, 1, 0], out=None)
    before[3] = -INF
    after = before.copy()
    after[0] = -INF
    record = filter_record("top_k", before, after, lambda id: f"<{id}>")
    assert record.step == "top_k" and record.kept == 2
    (removed,) = record.removed  # the token that was gone before is not among them
    assert (removed.id, removed.text) == (0, "<0>")
    assert removed.logprob == pytest.approx(math.log(0.1), abs=1e-6)
    assert [c.id for c in record.top] == [1, 2]
    assert record.top[0].logprob == pytest.approx(math.log(0.6 / 0.9), abs=1e-6)


def test_pieces_of_characters_have_texts_of_their_own():
    text = ["床前明月光，疑是地上霜。举头望明月，低头思故乡。"] * 20
    for config in (TokenizerConfig(kind="byte"), TokenizerConfig(vocab_size=290)):
        tokenizer = train_tokenizer(text, config)
        logits = np.zeros(tokenizer.vocab_size, np.float32)
        shown = Distribution(logits).likeliest(len(logits), tokenizer.token_text)
        assert len({candidate.text for candidate in shown}) == tokenizer.vocab_size
        assert shown[0xE4].text == r"\xE4"
