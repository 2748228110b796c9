"""A compiled pass over documents: how many characters of each class, and what looks odd."""

import numpy as np

from penjing.data.doctor.characters import FIRST_SCRIPT, FIRST_SPACED, NEWLINE, SPACE
from penjing.data.doctor.utf8 import decode
from penjing.tokenizer.fast.compiling import entry


@entry
def count_characters(buffer, ends, class_of, classes, longest, mojibake):
    """Fill `classes` (N, N_CLASSES), `longest` (N,) and `mojibake` (N,), all zeros before.

    `longest` is the longest run of bytes without white space or characters that are words by
    themselves; `mojibake` counts pairs of characters that are the bytes of one in UTF-8.
    """
    at = 0
    for doc in range(len(ends)):
        run, previous = 0, 0
        while at < ends[doc]:
            code, length = decode(buffer, at)
            kind = np.int64(class_of[code])
            classes[doc, kind] += 1
            if kind in (SPACE, NEWLINE) or FIRST_SCRIPT <= kind < FIRST_SPACED:
                run = 0
            else:
                run += length
                longest[doc] = max(longest[doc], run)
            if 0x80 <= code < 0xC0 and 0xC2 <= previous < 0xF5:
                mojibake[doc] += 1
            previous = code
            at += length
