"""Compiled: pairs in the order in which they are to be merged, a binary heap in an array.

A row is (how often, pair, where its places begin, where they end).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import inlined, part

Ints = NDArray[np.int64]
Row = tuple[int, int, int, int]

COUNT, PAIR, START, END = range(4)


@inlined
def _row(queue: Ints, at: int) -> Row:
    return queue[at, COUNT], queue[at, PAIR], queue[at, START], queue[at, END]


@inlined
def _put(queue: Ints, at: int, row: Row) -> None:
    queue[at, COUNT], queue[at, PAIR], queue[at, START], queue[at, END] = row


@inlined
def _earlier(one: Row, other: Row) -> bool:
    """More frequent, or as frequent and of lower ids."""
    if one[COUNT] != other[COUNT]:
        return one[COUNT] > other[COUNT]
    return one[PAIR] < other[PAIR]


@part
def longer(array: Any, n: int) -> Any:
    """The array, or a copy that has room for `n` rows."""
    if n <= len(array):
        return array
    size = max(n, len(array) + len(array) // 2)
    copy = np.empty((size, *array.shape[1:]), array.dtype)
    for at in np.ndindex(array.shape):  # a copy of a slice takes Numba seconds to compile
        copy[at] = array[at]
    return copy


@part
def push(queue: Ints, n: int, row: Row) -> None:
    """Put a row into a queue of `n`, which has room for it."""
    at = n
    while at > 0 and _earlier(row, _row(queue, (at - 1) // 2)):
        _put(queue, at, _row(queue, (at - 1) // 2))
        at = (at - 1) // 2
    _put(queue, at, row)


@part
def replace_first(queue: Ints, n: int, row: Row) -> None:
    """Put a row into a queue of `n` instead of the first one."""
    at = 0
    while 2 * at + 1 < n:
        child = 2 * at + 1
        if child + 1 < n and _earlier(_row(queue, child + 1), _row(queue, child)):
            child += 1
        if _earlier(row, _row(queue, child)):
            break
        _put(queue, at, _row(queue, child))
        at = child
    _put(queue, at, row)


@inlined
def drop_first(queue: Ints, n: int) -> None:
    """Take the first row out of a queue of `n`: there are n - 1 then."""
    replace_first(queue, n - 1, _row(queue, n - 1))


@inlined
def append(rows: Ints, n: int, row: Row) -> None:
    """Put a row behind `n` that are in no order."""
    _put(rows, n, row)


@part
def take_frequent(queue: Ints, n: int, rare: Ints, n_rare: int) -> tuple[Ints, int, int, int]:
    """Move the more frequent rows of those in no order to a queue of `n`.

    Returns the queue, its length, how many rare ones stay, and how frequent at least is a row that
    shall be in the queue. A heap of what will not be asked for soon would cost more than it saves.
    """
    best = queue[0, COUNT] if n else 0
    for at in range(n_rare):
        best = max(best, rare[at, COUNT])
    floor = max(1, best // 2)
    left = 0
    for at in range(n_rare):
        row = _row(rare, at)
        if row[COUNT] >= floor:
            queue = longer(queue, n + 1)
            push(queue, n, row)
            n += 1
        else:
            _put(rare, left, row)
            left += 1
    return queue, n, left, floor


@part
def move_places(rows: Ints, n: int, places: Any, into: Any, used: int) -> int:
    """Copy the places of `n` rows behind those in `into`. Returns how many are used then."""
    for at in range(n):
        start, end = rows[at, START], rows[at, END]
        rows[at, START], rows[at, END] = used, used + end - start
        for place in range(start, end):
            into[used] = places[place]
            used += 1
    return used
