"""A hash table of byte strings that lie in one buffer, for compiled functions.

String i is bytes starts[i] to starts[i + 1] of the buffer. A slot holds the upper half of a
string's hash and, in its lower half, i + 1; 0 is an empty slot. The number of slots is a power of
two.
"""

import numpy as np

from penjing.compiling.functions import entry, inlined
from penjing.tokenizer.fast.memory import address, hash_of, load, number, same

_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


@inlined
def find(text, starts, slots, mask, word, length):
    """The number of the string of `length` bytes at `word`, or -1 -> (it, half its hash, its slot).

    All but `mask`, the number of slots less one, and `length` are addresses.
    """
    hashed = hash_of(word, length) >> _HALF
    place = np.int64(hashed) & mask
    slot = load(slots + 8 * place)
    while slot:
        if slot >> _HALF == hashed:
            found = np.int64(slot & _LOW) - 1
            start, end = number(starts + 8 * found), number(starts + 8 * found + 8)
            if end - start == length and same(text + start, word, length):
                return found, hashed, place
        place = (place + 1) & mask
        slot = load(slots + 8 * place)
    return np.int64(-1), hashed, place


@inlined
def slot_of(hashed, index):
    """What a slot holds for string number `index`."""
    return hashed << _HALF | np.uint64(index + 1)


@entry
def move_slots(slots, larger):
    """Put all strings of one table into another one, which is empty."""
    mask = len(larger) - 1
    for slot in slots:
        if slot:
            place = np.int64(slot >> _HALF) & mask
            while larger[place]:
                place = (place + 1) & mask
            larger[place] = slot


@entry
def fill_slots(text, starts, slots):
    """Put all strings of a buffer into an empty table. Of equal ones the first counts."""
    text_at, starts_at, slots_at = address(text), address(starts), address(slots)
    for i in range(len(starts) - 1):
        word, length = text_at + starts[i], starts[i + 1] - starts[i]
        if length > 0:
            found, hashed, place = find(text_at, starts_at, slots_at, len(slots) - 1, word, length)
            if found < 0:
                slots[place] = slot_of(hashed, i)
