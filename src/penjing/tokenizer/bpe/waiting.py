"""Compiled: the pairs that wait to be merged, in a queue or beside it, and where they stand."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import part
from penjing.tokenizer.bpe.queue import COUNT, END, START, drop_first, move_places, take_frequent

Ints = NDArray[np.int64]
Ids = NDArray[np.int32]


class Waiting(NamedTuple):
    """Pairs that can be merged."""

    queue: Ints  # (n, 4)
    n: int
    rare: Ints  # (n_rare, 4)
    n_rare: int
    floor: int  # a pair that is rarer is not in the queue
    places: Ids
    n_places: int


@part
def packed(waiting, more):
    """The places that a waiting pair still refers to, with room for more; and how many."""
    alive = 0
    for at in range(waiting.n):
        alive += waiting.queue[at, END] - waiting.queue[at, START]
    for at in range(waiting.n_rare):
        alive += waiting.rare[at, END] - waiting.rare[at, START]
    into = np.empty((alive + more) * 5 // 4, np.int32)
    used = move_places(waiting.queue, waiting.n, waiting.places, into, np.int64(0))
    return into, move_places(waiting.rare, waiting.n_rare, waiting.places, into, used)


@part
def with_frequent(waiting):
    """The pairs that wait, the most frequent one of all in the queue."""
    queue, n, rare, n_rare, floor, places, n_places = waiting
    if n_rare and (n == 0 or queue[0, COUNT] < floor):
        queue, n, n_rare, floor = take_frequent(queue, n, rare, n_rare)
    return Waiting(queue, n, rare, n_rare, floor, places, n_places)


@part
def without_first(waiting):
    drop_first(waiting.queue, waiting.n)
    queue, n, rare, n_rare, floor, places, n_places = waiting
    return Waiting(queue, n - 1, rare, n_rare, floor, places, n_places)
