"""Byte-pair encoding, as it is explained: the most frequent pair becomes a token, again and again.

    h a p p y    u n h a p p y     four pairs stand in both words; "a p" is the first of them
    h ap p y     u n h ap p y      now "h ap" is, ...
    hap p y      u n hap p y
    hap py       u n hap py
    happy        u n happy

Nothing but Python, and quick enough for some 100 KB of words; `compiled` does the same on arrays.
Sources: Gage, 1994; Sennrich et al., 2016. The order of equals, and what happens to a token that
comes about twice, are those of the `tokenizers` library, so that the merges are the same as there.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

Pair = tuple[int, int]


class Step(NamedTuple):
    """One merge as it was found."""

    left: int
    right: int
    result: int
    times: int  # how often the pair stood in the words, just before it was merged


def learn(words: Mapping[tuple[int, ...], int], tokens: list[bytes], size: int) -> list[Step]:
    """Merge until there are `size` tokens, or no pair is left.

    Of pairs as frequent as each other the one with the lower ids is first. A pair can come about
    again after it was merged, where another merge makes one of its tokens anew; it is then merged
    again, and both steps are told.

    Args:
        words: each distinct word as ids, and how often it occurs; no merge goes beyond a word.
        tokens: the bytes of each token there is, by its id. New ones are appended.
        size: how many tokens there shall be.
    """
    ids = {token: id for id, token in enumerate(tokens)}
    cuts = [list(word) for word in words]
    weights = list(words.values())
    counts: Counter[Pair] = Counter()
    found: defaultdict[Pair, dict[int, None]] = defaultdict(dict)  # pair -> the words with it
    for index, cut in enumerate(cuts):
        for pair in pairwise(cut):
            counts[pair] += weights[index]
            found[pair][index] = None

    queue = [(-counts[pair], pair, 0, where) for pair, where in found.items()]
    heapq.heapify(queue)
    steps: list[Step] = []
    while queue and len(tokens) < size:
        told, pair, step, where = heapq.heappop(queue)
        count = counts[pair]
        if count < 1:
            continue
        if count != -told:  # other merges have taken some of its places
            heapq.heappush(queue, (-count, pair, step, where))
            continue
        left, right = pair
        token = tokens[left] + tokens[right]
        if token not in ids:
            ids[token] = len(tokens)
            tokens.append(token)
        steps.append(Step(left, right, ids[token], count))

        found.clear()
        for index in where:
            for changed, by in merge(cuts[index], pair, ids[token]):
                counts[changed] += by * weights[index]
                if by > 0:
                    found[changed][index] = None
        for changed, where in found.items():
            if counts[changed] > 0:
                heapq.heappush(queue, (-counts[changed], changed, len(steps), where))
    return steps


def merge(cut: list[int], pair: Pair, result: int) -> list[tuple[Pair, int]]:
    """Make each `pair` in a word one token, from left to right, in place: "aaa" holds one "aa".

    Returns which pairs of neighbours there are fewer (-1) or more (1) of. The merged pair itself
    is gone, and not among them.
    """
    left, right = pair
    changes: list[tuple[Pair, int]] = []
    at = 0
    while at + 1 < len(cut):
        if cut[at] == left and cut[at + 1] == right:
            if at > 0:
                changes += [((cut[at - 1], left), -1), ((cut[at - 1], result), 1)]
            if at + 2 < len(cut):
                changes += [((right, cut[at + 2]), -1), ((result, cut[at + 2]), 1)]
            cut[at : at + 2] = [result]
        at += 1
    return changes
