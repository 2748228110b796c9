"""Byte-pair encoding of one word: the pair of lowest rank is merged, the leftmost of equals, until
no merge joins two neighbours (Sennrich et al. 2016), with the very order of `tokenizers`.

A word of ordinary length lies in a few vectors: rank and place in one integer for each pair, so
that their minimum says what comes next. A longer one has its pairs in a heap.
"""

import numpy as np

from penjing.compiling.functions import inlined, part
from penjing.tokenizer.fast.characters import (
    code_of_three,
    edge_rank,
    is_three_bytes,
    write_made,
)
from penjing.tokenizer.fast.memory import (
    address,
    byte,
    load,
    number,
    quad,
    smallest,
    write,
    write_quad,
)
from penjing.tokenizer.fast.pairs import NO_RANK, rank_of

SHORT = 256  # bytes of the longest word that is searched in vectors
_LANES = 16
_PLACE_BITS, _PLACE_MASK = 8, 0xFF
_NOTHING = NO_RANK << _PLACE_BITS | _PLACE_MASK
# Where a short word's parts lie in its scratch memory: four columns of 32 bits.
_COLUMN = 4 * (SHORT + _LANES)
_IDS, _NEXT, _BEFORE = _COLUMN, 2 * _COLUMN, 3 * _COLUMN
SCRATCH_BYTES = 4 * _COLUMN

_HEAP_PLACE_BITS = np.uint64(40)
_HEAP_PLACE_MASK = np.uint64((1 << 40) - 1)


@inlined
def _units(word, length, tables, ids):
    """What merging begins with: bytes, and tokens that characters are sure to become -> how many.

    `allowed` is the smallest rank of a merge across the edge where the next character begins.
    """
    byte_ids, made, edges = number(tables), number(tables + 32), number(tables + 40)
    i, end, found, allowed = word, word + length, 0, np.int64(NO_RANK)
    while i < end:
        size, before = 1, allowed
        allowed = np.int64(0)  # nothing is sure beside characters of other widths
        if is_three_bytes(i):
            size, code = 3, code_of_three(i)
            if i + 3 == end:
                allowed = np.int64(NO_RANK)
            elif is_three_bytes(i + 3):
                allowed = edge_rank(edges, code, i + 3)
            count = write_made(made, code, min(before, allowed), ids + 4 * found)
            if count > 0:
                found += count
                i += 3
                continue
        for j in range(i, i + size):
            write_quad(ids + 4 * found, quad(byte_ids + 4 * byte(j)))
            found += 1
        i += size
    return found


@part
def merge_short(word, length, tables, keys, out):
    """The ids of a word of at most SHORT bytes, 32 bits each -> how many.

    All but `length` are addresses: tables of a MergeTable, `keys` of the scratch memory.
    """
    slots, mask, results = number(tables + 8), number(tables + 16), number(tables + 24)
    ids, following, before = keys + _IDS, keys + _NEXT, keys + _BEFORE
    length = _units(word, length, tables, ids)
    for i in range(length):
        write_quad(following + 4 * i, i + 1)
        write_quad(before + 4 * i, i - 1)
    for i in range(length - 1):
        rank = rank_of(slots, mask, quad(ids + 4 * i), quad(ids + 4 * i + 4))
        write_quad(keys + 4 * i, rank << _PLACE_BITS | i)
    padded = (length + _LANES - 1) & -_LANES
    for i in range(length - 1, padded):
        write_quad(keys + 4 * i, _NOTHING)
    while True:
        best = smallest(keys)
        for i in range(_LANES, padded, _LANES):
            best = min(best, smallest(keys + 4 * i))
        if best >> _PLACE_BITS == NO_RANK:
            break
        at = best & _PLACE_MASK
        id = quad(results + 4 * (best >> _PLACE_BITS))
        gone = quad(following + 4 * at)
        after = quad(following + 4 * gone)
        write_quad(ids + 4 * at, id)
        write_quad(following + 4 * at, after)
        write_quad(keys + 4 * gone, _NOTHING)
        key = _NOTHING
        if after < length:
            write_quad(before + 4 * after, at)
            key = rank_of(slots, mask, id, quad(ids + 4 * after)) << _PLACE_BITS | at
        write_quad(keys + 4 * at, key)
        if at > 0:
            left = quad(before + 4 * at)
            key = rank_of(slots, mask, quad(ids + 4 * left), id) << _PLACE_BITS | left
            write_quad(keys + 4 * left, key)
    found = at = 0
    while at < length:
        write_quad(out + 4 * found, quad(ids + 4 * at))
        at = quad(following + 4 * at)
        found += 1
    return found


@inlined
def _sink(heap, place, size):
    """Let the entry at `place` sink below all that are smaller."""
    entry = load(heap + 8 * place)
    child = 2 * place + 1
    while child < size:
        if child + 1 < size and load(heap + 8 * child + 8) < load(heap + 8 * child):
            child += 1
        smaller = load(heap + 8 * child)
        if entry <= smaller:
            break
        write(heap + 8 * place, smaller)
        place, child = child, 2 * child + 1
    write(heap + 8 * place, entry)


@inlined
def _push(heap, size, rank, place):
    """Put a pair that has a rank into the heap -> its size."""
    if rank == NO_RANK:
        return size
    entry = np.uint64(rank) << _HEAP_PLACE_BITS | np.uint64(place)
    at = size
    while at > 0:
        larger = load(heap + 8 * ((at - 1) // 2))
        if larger <= entry:
            break
        write(heap + 8 * at, larger)
        at = (at - 1) // 2
    write(heap + 8 * at, entry)
    return size + 1


@part
def merge_long(word, length, tables, out):
    """The same for a word of any length, in 24 to 32 bytes of memory for each byte.

    An entry of the heap is out of date when its place has another rank by now.
    """
    byte_ids, slots, mask = number(tables), number(tables + 8), number(tables + 16)
    results = number(tables + 24)
    ids, ranks = np.empty(length, np.uint32), np.empty(length, np.uint32)
    following, before = np.empty(length, np.int32), np.empty(length, np.int32)
    heap, size = np.empty(2 * length, np.uint64), 0  # each merge takes one out, puts two in
    heap_at = address(heap)
    for i in range(length):
        ids[i] = quad(byte_ids + 4 * byte(word + i))
        following[i], before[i], ranks[i] = i + 1, i - 1, NO_RANK
    for i in range(length - 1):
        rank = rank_of(slots, mask, np.int64(ids[i]), np.int64(ids[i + 1]))
        ranks[i] = rank
        size = _push(heap_at, size, rank, i)
    while size > 0:
        best = heap[0]
        size -= 1
        heap[0] = heap[size]
        _sink(heap_at, 0, size)
        at, rank = np.int64(best & _HEAP_PLACE_MASK), np.int64(best >> _HEAP_PLACE_BITS)
        if np.int64(ranks[at]) != rank:
            continue
        gone = following[at]
        after, left = following[gone], before[at]
        ids[at], following[at] = quad(results + 4 * rank), after
        ranks[at] = ranks[gone] = NO_RANK
        if after < length:
            before[after] = at
            rank = rank_of(slots, mask, np.int64(ids[at]), np.int64(ids[after]))
            ranks[at] = rank
            size = _push(heap_at, size, rank, at)
        if left >= 0:
            rank = rank_of(slots, mask, np.int64(ids[left]), np.int64(ids[at]))
            ranks[left] = rank
            size = _push(heap_at, size, rank, left)
    found, at = 0, np.int64(0)
    while at < length:
        write_quad(out + 4 * found, ids[at])
        at = np.int64(following[at])
        found += 1
    return found
