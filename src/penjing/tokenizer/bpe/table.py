"""Compiled: how often each pair stands in the words, by open addressing.

A row is (pair, how often).
"""

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import inlined, part

Ints = NDArray[np.int64]

_KEY, TIMES = range(2)
_EMPTY = -1  # no pair


@part
def new_table(size: int) -> Ints:
    """A table of `size` rows, a power of two, which may be filled to a half."""
    table = np.empty((size, 2), np.int64)
    for row in range(size):
        table[row, _KEY], table[row, TIMES] = _EMPTY, 0
    return table


@inlined
def row_of(table: Ints, pair: int) -> np.int64:
    """The row of a pair, or the empty one where it would be."""
    mask = np.uint64(len(table) - 1)
    row = (np.uint64(pair) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & mask
    while table[row, _KEY] != pair and table[row, _KEY] != _EMPTY:
        row = (row + np.uint64(1)) & mask
    return np.int64(row)


@inlined
def add(table: Ints, row: int, pair: int, change: int) -> int:
    """Count the pair of a row so much more often. Returns 1 if it was not there before, else 0."""
    table[row, TIMES] += change
    if table[row, _KEY] == pair:
        return 0
    table[row, _KEY] = pair
    return 1


@part
def with_room(table: Ints, used: int, more: int) -> tuple[Ints, int]:
    """The table, or another, that has room for more pairs than the `used` ones.

    Returns it, and how many it holds: in another one those that stand nowhere are left out.
    """
    if 2 * (used + more) <= len(table):
        return table, used
    alive = 0
    for row in range(len(table)):
        alive += table[row, TIMES] != 0
    size = len(table)
    while 2 * (alive + more) > size * 3 // 4:
        size *= 2
    other = new_table(size)
    for row in range(len(table)):
        if table[row, TIMES] != 0:
            pair = table[row, _KEY]
            add(other, row_of(other, pair), pair, table[row, TIMES])
    return other, alive
