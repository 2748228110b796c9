"""Unigram's vocabulary from too many pieces: estimate, leave out what is missed least, again.

Estimating is expectation-maximisation: with the likelihood of all ways to cut each word, count how
often each piece is expected; its share is its new probability. Source: Kudo, 2018, 3.2.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from penjing.tokenizer.kinds.likelihood import expected_counts, losses
from penjing.tokenizer.kinds.seeds import Ints, Seeds

_ROUNDS = 2  # of estimating before pieces are left out
_KEPT = 0.75  # of the pieces, each time
_RAREST = 0.1  # a piece that is expected less often counts as that often

Floats = NDArray[np.float64]


def prune(
    seeds: Seeds,
    ends: Ints,
    weights: Ints,
    size: int,
    on_pieces: Callable[[int], None] = lambda n: None,
) -> tuple[Ints, Floats]:
    """The `size` pieces that make the words likeliest, all characters among them.

    Args:
        ends: (n_words,): where each word ends.
        weights: (n_words,): how often it occurs.
        size: at most as many as there are seeds.
        on_pieces: is told how many pieces are left, before each estimation.

    Returns:
        the numbers of the pieces, (size,), and the natural logarithms of their probabilities.
    """
    sizes = np.array(list(map(len, seeds.texts)), np.int64)
    longest = int(np.diff(ends, prepend=0).max())
    first, lengths, pieces, starts = seeds.first, seeds.lengths, seeds.pieces, seeds.starts
    alive = np.arange(len(seeds.texts))
    counts = seeds.worth.clip(_RAREST)
    scores = _logarithms(counts)
    while True:
        on_pieces(len(alive))
        for _ in range(_ROUNDS):
            arguments = (first, lengths, pieces, ends, weights, scores, longest)
            counts = expected_counts(*arguments)[0].clip(_RAREST)
            scores = _logarithms(counts)
        if len(alive) == size:
            return alive, scores
        loss = losses(first, lengths, pieces, starts, sizes, counts, scores)
        keep = np.zeros(len(alive), dtype=bool)
        n = max(size, int(len(alive) * _KEPT))
        keep[np.argsort(-loss, kind="stable")[:n]] = True
        first, lengths, pieces = _without(keep, first, lengths, pieces)
        alive, starts, sizes = alive[keep], starts[keep], sizes[keep]
        scores = _logarithms(counts[keep])


def _without(
    keep: NDArray[np.bool_], first: Ints, lengths: NDArray[np.uint8], pieces: NDArray[np.int32]
) -> tuple[Ints, NDArray[np.uint8], NDArray[np.int32]]:
    """The places of the kept pieces only, with their new numbers."""
    stay = keep[pieces]
    before = np.zeros(len(stay) + 1, np.int64)
    np.cumsum(stay, out=before[1:])
    number = (np.cumsum(keep) - 1).astype(np.int32)
    return before[first], lengths[stay], number[pieces[stay]]


def _logarithms(counts: Floats) -> Floats:
    result: Floats = np.log(counts) - np.log(counts.sum())
    return result
