"""Whole characters at once: where merging their bytes cannot turn out otherwise.

A Han character is three bytes and most often one token or two, and making these takes most merges
of a Chinese text. They may be taken for granted where nothing can interfere. Let f be the largest
rank of the merges that its bytes go through when they are alone. Until these are done, what touches
the bytes besides is a merge across the character's edge: of any token that ends there and a part of
the character that begins there, or the same at its end. If all such merges that the neighbours
allow have ranks above f, the lower ones come first, whatever else happens in the word. And if the
whole character is merged at ranks above f only, it makes no difference that it is there early.

What the neighbours allow is bounded from below by a table: the smallest rank of a merge across the
edge between two characters, given the last two bytes before it and the first one behind it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import entry, inlined
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.fast.memory import address, byte, quad, write_quad
from penjing.tokenizer.fast.pairs import NO_RANK, rank_of

_LEAD_BITS, _LEAD = 0xF0, 0xE0  # characters of three bytes begin with 0xE0 to 0xEF
_CODES = 1 << 16  # code points of at most three bytes
_COUNT_BITS, _RANK = 24, (1 << 24) - 1
_PART = {char: number for number, char in enumerate(BYTE_TO_CHAR[0x80:0xC0])}  # later bytes
_FIRST_LEAD, _LAST_LEAD = BYTE_TO_CHAR[0xE0], BYTE_TO_CHAR[0xEF]  # they stand for themselves


def edge_ranks(ranks: Mapping[tuple[str, str], int]) -> NDArray[np.uint32]:
    """The smallest rank of a merge that crosses each edge between two characters. (65536,)"""
    edges = np.full((64, 64, 16), NO_RANK, np.uint32)  # two last bytes, 6 bits each; a first byte
    for (left, right), rank in ranks.items():
        if not _FIRST_LEAD <= right[0] <= _LAST_LEAD or left[-1] not in _PART:
            continue
        begins_part = len(right) == 1 or (len(right) == 2 and right[1] in _PART)
        ends_part = len(left) == 1 or (len(left) == 2 and left[0] in _PART)
        if not (begins_part or ends_part) or (len(left) > 1 and left[-2] not in _PART):
            continue
        before = _PART[left[-2]] if len(left) > 1 else slice(None)
        touched = edges[before, _PART[left[-1]], ord(right[0]) & 0x0F]
        edges[before, _PART[left[-1]], ord(right[0]) & 0x0F] = np.minimum(touched, rank)
    return edges.ravel()


def made_characters(
    byte_ids: NDArray[np.uint32],
    slots: NDArray[np.uint64],
    results: NDArray[np.uint32],
    used_at: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    """What becomes of each character of three bytes, alone: f + 1 and, in the upper 8 bits, the
    number of tokens; their ids. (65536, 4)

    Three bytes, and f of -1, stand for characters that are merged further too early. `used_at` is
    the smallest rank of a merge of each id.
    """
    made = np.zeros((_CODES, 4), np.uint32)
    _make(byte_ids, slots, results, used_at, made)
    return made


@entry
def _make(byte_ids, slots, results, used_at, made):
    slots_at, mask = address(slots), len(slots) - 1
    for code in range(0x800, len(made)):
        a = np.int64(byte_ids[_LEAD | code >> 12])
        b = np.int64(byte_ids[0x80 | code >> 6 & 0x3F])
        c = np.int64(byte_ids[0x80 | code & 0x3F])
        made[code, 0], made[code, 1], made[code, 2], made[code, 3] = 3 << _COUNT_BITS, a, b, c
        front, back = rank_of(slots_at, mask, a, b), rank_of(slots_at, mask, b, c)
        first = min(front, back)
        if first == NO_RANK:
            continue
        both = np.int64(results[first])
        left, right = (both, c) if front < back else (a, both)
        second = rank_of(slots_at, mask, left, right)
        if second == NO_RANK:
            made[code, 0] = 2 << _COUNT_BITS | first + 1
            made[code, 1], made[code, 2] = left, right
        elif used_at[results[second]] > max(first, second):
            made[code, 0] = 1 << _COUNT_BITS | max(first, second) + 1
            made[code, 1] = results[second]


@inlined
def write_made(made, code, allowed, out):
    """Write the ids of a character, if no merge of a rank below `allowed` is in the way -> how many
    they are, or 0. 12 bytes of `out` are written to."""
    row = made + 16 * code
    above = quad(row)
    if above & _RANK > allowed:
        return np.int64(0)
    for i in range(3):
        write_quad(out + 4 * i, quad(row + 4 * i + 4))
    return above >> _COUNT_BITS


@inlined
def is_three_bytes(i):
    """Whether the character at i has three bytes."""
    return byte(i) & _LEAD_BITS == _LEAD


@inlined
def code_of_three(i):
    """The code point of three bytes."""
    return (byte(i) & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 | byte(i + 2) & 0x3F


@inlined
def edge_rank(edges, code, following):
    """The smallest rank of a merge across the edge between a character and the byte behind it."""
    return quad(edges + 4 * ((code & 0xFFF) << 4 | byte(following) & 0x0F))
