"""Compiled: the bytes of each token, so that one that comes about twice is the same token."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import inlined, part

N_LETTERS = 256  # ids of the letters themselves
_NONE = -1


class Tokens(NamedTuple):
    """The letters of each token, all in a row, and the tokens by a hash of their letters."""

    letters: NDArray[np.uint8]
    ends: NDArray[np.int64]  # of the token `id`, whose letters begin where those of id - 1 end
    by_hash: NDArray[np.int32]  # open addressing


@inlined
def _begin(tokens: Tokens, id: int) -> int:
    return tokens.ends[id - 1] if id else 0


@part
def new_tokens(size: int) -> Tokens:
    """The letters themselves, and room for up to `size` tokens."""
    slots = 1024
    while slots < 2 * size:
        slots *= 2
    letters = np.arange(max(N_LETTERS, 8 * size)).astype(np.uint8)
    return Tokens(letters, np.arange(1, size + 1), np.full(slots, _NONE, np.int32))


@part
def with_letters(tokens: Tokens, n: int, left: int, right: int) -> Tokens:
    """The `n` tokens, with room for the letters of one more, made of two."""
    begin = tokens.ends[n - 1]
    more = tokens.ends[left] - _begin(tokens, left) + tokens.ends[right] - _begin(tokens, right)
    if begin + more <= len(tokens.letters):
        return tokens
    letters = np.empty(2 * len(tokens.letters) + more, np.uint8)
    for at in range(begin):
        letters[at] = tokens.letters[at]
    return Tokens(letters, tokens.ends, tokens.by_hash)


@part
def join(tokens: Tokens, n: int, left: int, right: int) -> int:
    """The id of the token that two make: `n` if it is a new one, which has its letters then."""
    begin = end = tokens.ends[n - 1]
    mixed = np.uint64(0xCBF29CE484222325)  # FNV-1a
    for part_of in (left, right):
        for at in range(_begin(tokens, part_of), tokens.ends[part_of]):
            tokens.letters[end] = tokens.letters[at]
            mixed = (mixed ^ np.uint64(tokens.letters[at])) * np.uint64(0x100000001B3)
            end += 1
    mask = np.uint64(len(tokens.by_hash) - 1)
    slot = (mixed ^ mixed >> np.uint64(32)) & mask
    while tokens.by_hash[slot] != _NONE:
        known: int = tokens.by_hash[slot]
        if _same(tokens, known, begin, end):
            return known
        slot = (slot + np.uint64(1)) & mask
    tokens.by_hash[slot] = n
    tokens.ends[n] = end
    return n


@inlined
def _same(tokens: Tokens, id: int, begin: int, end: int) -> bool:
    start = _begin(tokens, id)
    if tokens.ends[id] - start != end - begin:
        return False
    for at in range(end - begin):
        if tokens.letters[start + at] != tokens.letters[begin + at]:
            return False
    return True
