"""The baselines against a plain dictionary of counts, and against their own definition."""

import math
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from penjing.core.errors import DataError
from penjing.data.batches import Tokens
from penjing.evaluate.baselines import baselines, ngram_probabilities


class WittenBell:
    """The formula of Witten and Bell with dictionaries, one probability at a time."""

    def __init__(self, ids: Sequence[int], vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for n in range(3):
            for i in range(n, len(ids)):
                self._followers[tuple(ids[i - n : i])][ids[i]] += 1

    def probability(self, token: int, context: tuple[int, ...]) -> float:
        shorter = self.probability(token, context[1:]) if context else 1 / self._vocab_size
        followers = self._followers.get(context)
        if not followers:
            return shorter
        c, t = followers.total(), len(followers)
        return (followers[token] + t * shorter) / (c + t)


def text(n: int, vocab_size: int, seed: int = 0) -> torch.Tensor:
    """Ids as uneven as those of a language."""
    draws = np.random.default_rng(seed).zipf(1.5, n)
    return torch.from_numpy(draws % vocab_size).long()


@pytest.mark.parametrize("vocab_size", [7, 300, 2**20])
def test_the_formula(vocab_size: int) -> None:
    training, ids = text(3000, vocab_size), text(400, vocab_size, seed=1)
    oracle = WittenBell(training.tolist(), vocab_size)
    row = ids.tolist()
    for n, ours in enumerate(ngram_probabilities(training.numpy(), ids.numpy(), vocab_size)):
        theirs = [
            oracle.probability(row[i], tuple(row[max(0, i - n) : i])) for i in range(1, len(row))
        ]
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("context", [[1, 2], [5, 1], [6, 6]])  # often, seldom, never seen
def test_probabilities_sum_to_one(context: list[int]) -> None:
    training = np.array([1, 2, 3, 1, 2, 4, 1, 2, 3, 5, 1, 0], dtype=np.int64)
    sums = np.zeros(3)
    for token in range(8):
        ids = np.array([*context, token], dtype=np.int64)
        sums += [p[-1] for p in ngram_probabilities(training, ids, 8)]
    np.testing.assert_allclose(sums, 1, rtol=1e-12)


def test_the_reports_are_of_all_targets() -> None:
    training, validation = text(500, 64), text(100, 64, seed=1)
    found = baselines(Tokens(training, 900, 1), Tokens(validation, 180, 1), 64)
    assert found.uniform.loss == pytest.approx(math.log(64))
    assert found.uniform.bits_per_byte == pytest.approx(99 * 6 / 180)  # 99 targets of 6 bits
    p = ngram_probabilities(training.numpy(), validation.numpy(), 64)[2]
    assert found.trigram.loss == pytest.approx(-np.log(p).mean())
    assert {(r.n_tokens, r.n_bytes) for r in vars(found).values()} == {(99, 180)}
    assert found.bits_per_byte()["trigram"] == found.trigram.bits_per_byte
    assert list(found.bits_per_byte()) == ["uniform", "unigram", "bigram", "trigram"]


def test_more_context_costs_less_where_there_is_order() -> None:
    """In a text that repeats 0 1 0 2, one token before says half, two say all."""
    ids = torch.tensor([0, 1, 0, 2] * 2000)
    found = baselines(Tokens(ids, 8000, 1), Tokens(ids[:401], 401, 1), 4)
    assert found.unigram.loss == pytest.approx(1.5 * math.log(2), abs=0.01)
    assert found.bigram.loss == pytest.approx(0.5 * math.log(2), abs=0.01)
    assert found.trigram.loss == pytest.approx(0, abs=0.01)


def test_tokens_that_training_never_showed_have_a_probability() -> None:
    validation = Tokens(torch.tensor([5, 6, 7, 8]), 4, 1)
    assert math.isfinite(
        baselines(Tokens(torch.tensor([0, 0, 0]), 3, 1), validation, 9).trigram.loss
    )
    alone = baselines(Tokens(torch.tensor([0]), 1, 1), validation, 9)
    assert alone.trigram.loss == alone.bigram.loss == alone.unigram.loss > alone.uniform.loss


def test_memory_does_not_grow_with_the_vocabulary() -> None:
    """Nor with its square or cube: a table of three ids would have 2^60 entries."""
    training, validation = text(20_000, 2**20), text(1000, 2**20, seed=1)
    tracemalloc.start()
    baselines(Tokens(training, 1, 1), Tokens(validation, 1, 1), 2**20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20  # less than one number for each token of the vocabulary


def test_nothing_to_predict() -> None:
    one = Tokens(torch.tensor([1]), 1, 1)
    with pytest.raises(DataError):
        baselines(one, one, 4)
