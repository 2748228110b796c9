"""The baselines against scipy and against models that are those baselines."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from penjing.core.errors import DataError
from penjing.data.batches import Tokens
from penjing.evaluate.baselines import baselines

IDS = torch.tensor([9, 0, 0, 0, 1, 1, 5, 0])  # the first is no target
TOKENS = Tokens(IDS, n_bytes=20, n_documents=1)


def test_uniform_is_the_logarithm_of_the_vocabulary():
    uniform = baselines(TOKENS, vocab_size=64).uniform
    assert uniform.loss == pytest.approx(math.log(64))
    assert uniform.perplexity == pytest.approx(64)
    assert uniform.bits_per_byte == pytest.approx(7 * 6 / 20)  # 7 targets of 6 bits
    assert (uniform.n_tokens, uniform.n_bytes) == (7, 20)


def test_unigram_is_the_entropy_of_the_targets():
    unigram = baselines(TOKENS, vocab_size=64).unigram
    entropy = stats.entropy(np.bincount(IDS[1:].numpy()))
    assert unigram.loss == pytest.approx(entropy)
    assert unigram.bits_per_byte == pytest.approx(7 * entropy / math.log(2) / 20)


def test_one_token_again_and_again_costs_nothing():
    assert baselines(Tokens(torch.zeros(9, dtype=torch.int64), 9, 1), 4).unigram.loss == 0


def test_nothing_to_predict():
    with pytest.raises(DataError):
        baselines(Tokens(torch.tensor([1]), 1, 1), 4)
