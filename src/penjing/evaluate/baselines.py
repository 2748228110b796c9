"""What a loss is worth: figures of predictors that know nothing, or which tokens come together.

A model whose loss is above `uniform` is broken; one near `unigram` has learned how common each
token is and no context yet; one below `trigram` predicts better than counts of three tokens do.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from penjing.data.batches import Tokens
from penjing.evaluate.loss import LossReport, check_tokens

COUNTED = 2**24  # training tokens that are counted at most: about 2 seconds and 600 MB
LARGEST_VOCABULARY = 2**21  # three ids then fit in one int64

Int64s: TypeAlias = NDArray[np.int64]
Float64s: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Baselines:
    """Four predictors to compare a loss with, on the same targets; each knows more than the last.

    The n-grams are counted on the training text: what such a predictor reaches on text that it
    never saw, as the model.
    """

    uniform: LossReport  # every token of the vocabulary equally likely: ln V
    unigram: LossReport  # each token by how often it came
    bigram: LossReport  # by how often it followed the token before
    trigram: LossReport  # by how often it followed the two tokens before

    def bits_per_byte(self) -> dict[str, float]:
        """By name, for a log."""
        return {name: report.bits_per_byte for name, report in vars(self).items()}


def baselines(training: Tokens, validation: Tokens, vocab_size: int) -> Baselines:
    """The baselines of `validation`, over the targets of `evaluate_loss`.

    Raises:
        DataError: fewer than two validation tokens.
    """
    check_tokens(validation)
    seen, ids = training.ids[:COUNTED].numpy(force=True), validation.ids[:].numpy(force=True)
    n_targets = len(ids) - 1
    totals = [n_targets * math.log(vocab_size)]
    totals += [-float(np.log(p).sum()) for p in ngram_probabilities(seen, ids, vocab_size)]
    return Baselines(*(LossReport.of(total, n_targets, validation.n_bytes) for total in totals))


def ngram_probabilities(training: Int64s, ids: Int64s, vocab_size: int) -> list[Float64s]:
    """The probability of each of `ids` (N,) but the first, given the 0, 1 or 2 ids before it.

    Three arrays (N - 1,), for unigram, bigram and trigram, interpolated as Witten and Bell 1991 do
    (their method C; Chen and Goodman 1999, section 2.4). With c the counts in `training`, and t(h)
    the number of different ids that followed the context h there,

        p(w | h) = (c(h w) + t(h) p(w | h')) / (c(h) + t(h)),    h' = h without its first id,

    from p(w) = 1 / vocab_size at the bottom. A context never seen says what the shorter one says.
    So each id has a probability, and those of one context sum to 1. The second id has but one
    before it: there the trigram is the bigram.

    It sorts the n-grams of both texts, so time and memory do not grow with the vocabulary.

    Raises:
        ValueError: the vocabulary has more than 2^21 tokens.
    """
    if vocab_size > LARGEST_VOCABULARY:
        raise ValueError(f"n-grams of {vocab_size} tokens do not fit in 64 bits.")
    unigram = _interpolate(training, ids[1:], np.full(len(ids) - 1, 1 / vocab_size), vocab_size)
    bigram = _interpolate(
        _codes(training, 2, vocab_size), _codes(ids, 2, vocab_size), unigram, vocab_size
    )
    trigram = bigram.copy()
    trigram[1:] = _interpolate(
        _codes(training, 3, vocab_size), _codes(ids, 3, vocab_size), bigram[1:], vocab_size
    )
    return [unigram, bigram, trigram]


def _codes(ids: Int64s, n: int, vocab_size: int) -> Int64s:
    """Each run of n ids as one number, in base `vocab_size`: (N,) -> (N - n + 1,)."""
    count = max(0, len(ids) - n + 1)
    code = np.zeros(count, dtype=np.int64)
    for i in range(n):
        code *= vocab_size
        code += ids[i : i + count]
    return code


def _interpolate(seen: Int64s, wanted: Int64s, lower: Float64s, vocab_size: int) -> Float64s:
    """p(w | h) of each wanted code h w, from the codes seen in training and from p(w | h')."""
    if not len(seen):
        return lower
    grams, counts = np.unique(seen, return_counts=True)
    contexts, firsts, followers = np.unique(
        grams // vocab_size, return_index=True, return_counts=True
    )
    totals = np.add.reduceat(counts, firsts)
    c_gram = _look_up(grams, counts, wanted)
    c, t = (_look_up(contexts, values, wanted // vocab_size) for values in (totals, followers))
    known = c > 0
    result = lower.copy()
    result[known] = (c_gram + t * lower)[known] / (c + t)[known]
    return result


def _look_up(keys: Int64s, values: Int64s, wanted: Int64s) -> Int64s:
    """The value beside each wanted key; 0 where there is no such key. The keys are sorted."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
