"""A hash table of the pairs of tokens that a merge joins, for compiled functions.

A slot holds the left id, the right id and the merge's rank + 1; 0 is an empty slot. The number of
slots is a power of two.
"""

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import entry, inlined
from penjing.tokenizer.fast.memory import load

NO_RANK = 0xFFFFFF  # of two tokens that no merge joins
ID_BITS, RANK_BITS = 21, 22
_LEFT, _RIGHT = np.uint64(ID_BITS + RANK_BITS), np.uint64(RANK_BITS)
_RANK_MASK = np.uint64((1 << RANK_BITS) - 1)
_MULTIPLIER, _SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)

Integers = NDArray[np.uint64]


def pair_slots(lefts: Integers, rights: Integers, ranks: Integers) -> Integers:
    """The table of these merges, at most half full."""
    slots = np.zeros(1 << max(8, (2 * len(ranks)).bit_length()), np.uint64)
    insert_pairs(lefts << _LEFT | rights << _RIGHT | ranks + np.uint64(1), slots)
    return slots


@inlined
def _place(key, mask):
    return np.int64(((key >> _RIGHT) * _MULTIPLIER) >> _SPREAD) & mask


@inlined
def rank_of(slots, mask, left, right):
    """The rank of the merge of two tokens, or NO_RANK. `slots` is an address."""
    key = np.uint64(left) << _LEFT | np.uint64(right) << _RIGHT
    place = _place(key, mask)
    slot = load(slots + 8 * place)
    while slot:
        if (slot ^ key) <= _RANK_MASK:
            return np.int64(slot & _RANK_MASK) - 1
        place = (place + 1) & mask
        slot = load(slots + 8 * place)
    return np.int64(NO_RANK)


@entry
def insert_pairs(keys, slots):
    """Put slots into an empty table."""
    mask = len(slots) - 1
    for key in keys:
        place = _place(key, mask)
        while slots[place]:
            place = (place + 1) & mask
        slots[place] = key
