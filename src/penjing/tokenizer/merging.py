"""Byte-pair merges learned from words that are cut already: where an older vocabulary stopped.

All words lie in one array of token ids, each word closed by a gap, with links to the token before
and after. A merge touches only the places of its pair, found by lists that are kept for each pair
(the usual algorithm, Sennrich et al. 2016, as arrays of NumPy).
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAP = -1  # between words, and where a token was merged into the one before it

Ints = NDArray[np.int64]
Pair = int  # left << 32 | right: a number is cheaper to keep a million of than a tuple


@dataclass(frozen=True)
class Merge:
    """Two tokens that become one wherever they stand side by side in a word."""

    left: int
    right: int
    result: int


class Merger:
    """Counts of all pairs of neighbours, kept up to date from merge to merge.

    `words` holds each distinct word as token ids, and how often it occurs.
    """

    def __init__(self, words: Mapping[tuple[int, ...], int]) -> None:
        flat: list[int] = [GAP]
        for word in words:
            flat += word
            flat.append(GAP)
        lengths = np.array([len(word) + 1 for word in words], dtype=np.int64)
        counts = np.array(list(words.values()), dtype=np.int64)
        self._ids = np.array(flat, dtype=np.int64)
        self._weight = np.concatenate([np.zeros(1, np.int64), np.repeat(counts, lengths)])
        places = np.arange(len(flat), dtype=np.int64)
        self._after, self._before = places + 1, places - 1
        self._marked = np.zeros(len(flat), dtype=bool)
        self._count: dict[Pair, int] = {}
        self._places: dict[Pair, list[Ints]] = {}
        self._heap: list[tuple[int, Pair]] = []
        self._forbidden: set[Pair] = set()
        # The old tokens' pairs only become fewer, so what occurs once can be forgotten at once.
        self._add(places[:-1], at_least=2)

    def best(self) -> tuple[int, int, int] | None:
        """The most frequent pair, left and right, and its count; of equals that of lowest ids."""
        while self._heap:
            told, pair = self._heap[0]
            count = self._count.get(pair, 0)
            if count == -told:
                return pair >> 32, pair & 0xFFFFFFFF, count
            heapq.heappop(self._heap)  # it has become rarer since it was told
            if count:
                heapq.heappush(self._heap, (-count, pair))
        return None

    def forbid(self, left: int, right: int) -> None:
        """Never offer this pair again."""
        self._forbidden.add(left << 32 | right)
        self._forget(left << 32 | right)

    def merge(self, merge: Merge) -> None:
        """Make each (left, right) one token, from left to right in each word."""
        at = self._meeting(merge.left, merge.right)
        second = self._after[at]
        following = self._after[second]
        self._subtract(np.concatenate([self._without(self._before[at], second), at, second]))
        self._ids[at] = merge.result
        self._ids[second] = GAP
        self._after[at] = following
        self._before[following] = at
        self._add(np.concatenate([self._without(self._before[at], at), at]))

    def _meeting(self, left: int, right: int) -> Ints:
        """Where the pair stands now, each token in one pair only: "aaa" holds one "aa"."""
        places: Ints = np.concatenate(self._places[left << 32 | right])
        places = places[(self._ids[places] == left) & (self._ids[self._after[places]] == right)]
        if left != right:
            return places
        places.sort()
        joined = np.zeros(len(places), dtype=bool)  # to the place before it in the list
        joined[1:] = self._after[places[:-1]] == places[1:]
        order = np.arange(len(places))
        run_start = np.maximum.accumulate(np.where(joined, 0, order))
        first: Ints = places[(order - run_start) % 2 == 0]
        return first

    def _without(self, places: Ints, others: Ints) -> Ints:
        self._marked[others] = True
        rest: Ints = places[~self._marked[places]]
        self._marked[others] = False
        return rest

    def _pairs_at(self, places: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """The pairs that begin at `places`.

        Returns those places, sorted by pair; and for each pair its number, where its places begin
        among them, and how often it occurs.
        """
        left, right = self._ids[places], self._ids[self._after[places]]
        real = np.flatnonzero((left != GAP) & (right != GAP))
        pairs = left[real] << 32 | right[real]
        order = np.argsort(pairs)
        pairs, places = pairs[order], places[real[order]]
        starts = np.flatnonzero(np.diff(pairs, prepend=-1))
        counts = np.add.reduceat(self._weight[places], starts) if len(starts) else starts
        return places, pairs[starts], starts, counts

    def _add(self, touched: Ints, at_least: int = 1) -> None:
        places, pairs, starts, counts = self._pairs_at(touched)
        ends = np.append(starts[1:], len(places))
        kept = np.flatnonzero(counts >= at_least)
        rows = (column[kept].tolist() for column in (pairs, counts, starts, ends))
        for pair, count, start, end in zip(*rows, strict=True):
            if pair not in self._forbidden:
                self._count[pair] = count = self._count.get(pair, 0) + count
                self._places.setdefault(pair, []).append(places[start:end])
                heapq.heappush(self._heap, (-count, pair))

    def _subtract(self, touched: Ints) -> None:
        _, pairs, _, counts = self._pairs_at(touched)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            left = self._count.get(pair, 0) - count
            if left > 0:
                self._count[pair] = left
            else:
                self._forget(pair)

    def _forget(self, pair: Pair) -> None:
        self._count.pop(pair, None)
        self._places.pop(pair, None)


def learn_merges(
    words: Mapping[tuple[int, ...], int], vocab: Mapping[str, int], first: int, n: int
) -> tuple[list[Merge], list[str]]:
    """Up to `n` new tokens, and the merges that make them, both in the order learned.

    A pair that occurs once is no saving, so the text may give fewer. A pair whose text is an old
    token's (cut in another way) is left as it is: else old merges could follow on it, and more
    would change than words in which a new token stands. Two merges may give one new token.

    Args:
        words: each distinct word as old ids, and how often it occurs.
        vocab: the old tokens and their ids.
        first: the id of the first new token; the others follow.
        n: how many new tokens.
    """
    merger = Merger(words)
    ids = dict(vocab)
    texts = {id: text for text, id in vocab.items()}
    new: list[str] = []
    merges: list[Merge] = []
    while (found := merger.best()) is not None and found[2] > 1:
        left, right, _ = found
        text = texts[left] + texts[right]
        if text in vocab:
            merger.forbid(left, right)
            continue
        if text not in ids:
            if len(new) == n:
                break
            ids[text] = first + len(new)
            texts[ids[text]] = text
            new.append(text)
        merges.append(Merge(left, right, ids[text]))
        merger.merge(merges[-1])
    return merges, new
