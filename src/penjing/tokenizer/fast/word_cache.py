"""Words met before and their ids: most words of a text are a few hundred different ones.

A line of the processor's cache, 64 bytes, has room for two words of one hash; the one met longer
ago makes room for a new one. A word takes 32 bytes: 16 for its own, zeros behind them and its
length in the last; at most three ids of 32 bits; and how many they are. Words of more are not kept:
long ones are seldom met again. So a cache takes the same memory whatever the text.
"""

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import inlined
from penjing.tokenizer.fast.memory import (
    copy_16,
    load,
    load_part,
    quad,
    write,
    write_quad,
)

LONGEST = 15  # bytes of a word that is kept
_MOST_IDS = 3
_LINE, _WORD = 64, 32
_IDS, _COUNT = 16, 28
_LENGTH_SHIFT, _HALF = np.uint64(56), np.uint64(32)
_F0, _F1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd, with bits all over


def empty_cache(words: int) -> NDArray[np.uint8]:
    """A cache for so many words, a power of two. It begins where a line does."""
    memory = np.zeros(words * _WORD + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + words * _WORD]


@inlined
def last_line(cache_bytes):
    """The number of lines less one."""
    return cache_bytes // _LINE - 1


@inlined
def key_of(word, length):
    """The 16 bytes of a word of at most LONGEST, as two integers."""
    tagged = np.uint64(length) << _LENGTH_SHIFT
    if length <= 8:
        return load_part(word, length), tagged
    return load(word), load_part(word + 8, length - 8) | tagged


@inlined
def line_of(cache, mask, key):
    """Where the line of a word is; `mask` is the number of lines less one."""
    a, b = key
    mixed = a * _F0 ^ b * _F1
    mixed = (mixed ^ mixed >> _HALF) * _F0
    return cache + _LINE * (np.int64(mixed >> _HALF) & mask)


@inlined
def _holds(place, key):
    a, b = key
    return load(place) == a and load(place + 8) == b


@inlined
def recall(line, key, out):
    """Write the ids of a word that was met -> how many, or 0. 16 bytes of `out` are written to."""
    if not _holds(line, key):
        if not _holds(line + _WORD, key):
            return np.int64(0)
        for i in range(0, _WORD, 8):
            kept = load(line + i)
            write(line + i, load(line + _WORD + i))
            write(line + _WORD + i, kept)
    copy_16(line + _IDS, out)
    return quad(line + _COUNT)


@inlined
def remember(line, key, ids, count):
    """Keep a word and its ids, if they have room. 16 bytes of `ids` are read."""
    if count > _MOST_IDS:
        return
    copy_16(line, line + _WORD)
    copy_16(line + _IDS, line + _WORD + _IDS)
    a, b = key
    write(line, a)
    write(line + 8, b)
    copy_16(ids, line + _IDS)
    write_quad(line + _COUNT, count)
