"""Every piece that a Unigram vocabulary may begin with: what occurs at least twice in the words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST_PIECE = 16  # characters

Ints = NDArray[np.int64]
Places = NDArray[np.int32]  # of characters; there is one for each string of each length
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Seeds:
    """Pieces by number, the characters first (a character's number is its own), and all places
    where one ends: those of the i-th character of the words are `ends[first[i]:first[i + 1]]`.
    """

    texts: list[str]
    worth: Floats  # (n_pieces,): frequency times length
    starts: Ints  # (n_pieces,): the character of the words at which a piece stands first
    first: Ints  # (n_characters + 1,)
    lengths: NDArray[np.uint8]  # (n_ends,): characters of the piece that ends there
    pieces: NDArray[np.int32]  # (n_ends,): its number


def find_seeds(
    characters: NDArray[np.int32], ends: Ints, weights: Ints, alphabet: Sequence[str], most: int
) -> Seeds:
    """All characters, and those strings that occur at least twice within words.

    Of more than `most` strings those are kept that cover most text (frequency times length).
    A string can only be frequent if it is so without its last character: so the strings of each
    length come from those one shorter (Agrawal & Srikant, 1994).

    Args:
        characters: (n_characters,): all words in a row, by numbers of the alphabet.
        ends: (n_words,): where each word ends.
        weights: (n_words,): how often it occurs.
    """
    lengths = np.diff(ends, prepend=0)
    weight = np.repeat(weights, lengths)  # of each character
    places, ids = np.arange(len(characters), dtype=np.int32), characters
    left = np.repeat(ends.astype(np.int32), lengths) - places  # characters to the word's end
    levels = [_Level(1, places, ids, _total(ids, weight, len(alphabet)))]
    for length in range(2, LONGEST_PIECE + 1):
        fits = left[places] >= length
        places, ids = places[fits], ids[fits]
        longer = ids.astype(np.int64) * len(alphabet) + characters[places + length - 1]
        ids = np.unique(longer, return_inverse=True)[1].astype(np.int32)
        count = _total(ids, weight[places], 0)
        often = count >= 2
        if not often.any():
            break
        keep, number = often[ids], np.cumsum(often, dtype=np.int32) - 1
        places, ids = places[keep], number[ids[keep]]
        levels.append(_Level(length, places, ids, count[often] * length))
    return _seeds(levels, _chosen(levels, most), alphabet)


@dataclass(frozen=True)
class _Level:
    """All strings of one length."""

    length: int
    places: Places  # where one begins, in order
    ids: Places  # the number of the one that begins there
    worth: Floats  # of each string: frequency times length

    def starts(self) -> Ints:
        """The first place of each string."""
        first = np.zeros(len(self.worth), np.int64)
        first[self.ids[::-1]] = self.places[::-1]
        return first


def _total(ids: Places, weight: Ints, at_least: int) -> Floats:
    """The sum of the weights of each number, for that many numbers or more."""
    return np.bincount(ids, weights=weight, minlength=at_least).astype(np.float64)


def _chosen(levels: list[_Level], most: int) -> list[NDArray[np.bool_]]:
    """For each string of each level, whether it stays: the characters do, and the worthiest."""
    ends = np.cumsum([len(level.worth) for level in levels])
    worth = np.concatenate([level.worth for level in levels])
    chosen = np.ones(len(worth), dtype=bool)
    chosen[ends[0] + np.argsort(-worth[ends[0] :], kind="stable")[most:]] = False
    return np.split(chosen, ends[:-1])


def _seeds(levels: list[_Level], chosen: list[NDArray[np.bool_]], alphabet: Sequence[str]) -> Seeds:
    """The chosen strings, and their places in the order of their ends."""
    whole = levels[0].ids  # the alphabet's number of each character
    texts: list[str] = []
    starts, ends, lengths, pieces = [], [], [], []
    for level, stays in zip(levels, chosen, strict=True):
        numbers = np.where(stays, np.cumsum(stays) - 1 + len(texts), -1).astype(np.int32)
        number = numbers[level.ids]
        known = number >= 0
        pieces.append(number[known])
        ends.append(level.places[known] + level.length - 1)
        lengths.append(np.full(len(ends[-1]), level.length, np.uint8))
        starts.append(level.starts()[stays])
        if level.length == 1:
            texts += alphabet  # those too that the words have not
            continue
        for start in starts[-1].tolist():
            spelled = whole[start : start + level.length].tolist()
            texts.append("".join(map(alphabet.__getitem__, spelled)))
    every = np.concatenate(ends)
    order, n_ends = np.argsort(every, kind="stable"), np.bincount(every, minlength=len(whole))
    return Seeds(
        texts=texts,
        worth=np.concatenate([level.worth[s] for level, s in zip(levels, chosen, strict=True)]),
        starts=np.concatenate(starts),
        first=np.concatenate([np.zeros(1, np.int64), np.cumsum(n_ends)]),
        lengths=np.concatenate(lengths)[order],
        pieces=np.concatenate(pieces)[order],
    )
