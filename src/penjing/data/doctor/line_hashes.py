"""A compiled pass over documents: a hash of each line that is long enough to be told by it."""

import numpy as np
from numba import uint64

from penjing.compiling.functions import entry
from penjing.data.doctor.characters import FIRST_SCRIPT, FIRST_SPACED, NEWLINE, SPACE
from penjing.data.doctor.utf8 import BASIS, PRIME, decode

LINE, LONGEST = 20, 2**12  # columns of a line; what is shorter or longer is left out
BLOCK = 2**14  # bytes of a long document that count as a place of their own


@entry
def hash_lines(buffer, ends, class_of, hashes, spans):
    """Fill `hashes` (L,) and `spans` (L, 3): begin, end, place; returns how many there are.

    White space around a line is no part of it. A place is a document, or a block of a long one.
    """
    n_lines, place, at = 0, 0, 0
    for doc in range(len(ends)):
        block_end = at + BLOCK
        value, kept, width, begin, end = BASIS, BASIS, 0, -1, at
        while at <= ends[doc]:  # one step beyond the end closes the last line
            if at < ends[doc]:
                code, length = decode(buffer, at)
                kind = np.int64(class_of[code])
            else:
                code, length, kind = np.int64(10), 1, np.int64(NEWLINE)
            if kind == NEWLINE:
                if LINE <= width <= LONGEST:
                    hashes[n_lines] = kept
                    spans[n_lines, 0], spans[n_lines, 1], spans[n_lines, 2] = begin, end, place
                    n_lines += 1
                value, kept, width, begin = BASIS, BASIS, 0, -1
                if at >= block_end:
                    place += 1
                    block_end = at + BLOCK
            elif kind != SPACE or begin >= 0:
                value = (value ^ uint64(code)) * PRIME
                if kind != SPACE:
                    begin = at if begin < 0 else begin
                    kept, end = value, at + length
                    width += 2 if FIRST_SCRIPT <= kind < FIRST_SPACED else 1
            at += length
        at = ends[doc]
        place += 1
    return n_lines
