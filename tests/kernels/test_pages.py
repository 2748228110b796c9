"""Memory for weights: from a cache line on, of zeros, never twice the same."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from penjing.kernels.pages import LINE, PAGE, REGION, Arena, aligned


def test_aligned_memory_begins_where_it_was_asked_to() -> None:
    for to in (LINE, PAGE):
        memory = aligned(1000, to)
        assert memory.ctypes.data % to == 0
        assert memory.nbytes == 1000
        assert not memory.any()


def test_pieces_do_not_overlap_whoever_takes_them() -> None:
    arena = Arena()
    sizes = [1, 63, 64, 65, 5000, REGION // 3, REGION // 2, REGION + 1, 7] * 3
    with ThreadPoolExecutor(4) as pool:
        pieces = list(pool.map(arena.take, sizes))
    spans = sorted((piece.ctypes.data, piece.nbytes) for piece in pieces)
    assert [piece.nbytes for piece in pieces] == sizes
    assert all(begin % LINE == 0 for begin, _ in spans)
    for (begin, size), (following, _) in pairwise(spans):
        assert begin + size <= following


def test_a_piece_outlives_its_arena() -> None:
    piece = Arena().take(1 << 20)
    piece[:] = 7
    assert int(piece.astype(np.int64).sum()) == 7 << 20
