"""A compiled pass over documents: how many characters of each class, and what looks odd."""

import numpy as np

from penjing.compiling.functions import entry
from penjing.data.doctor.characters import FIRST_SCRIPT, FIRST_SPACED, NEWLINE, SPACE
from penjing.data.doctor.utf8 import decode


@entry
def count_characters(buffer, ends, class_of, misread, classes, longest, mojibake):
    """Fill `classes` (N, N_CLASSES), `longest` (N,) and `mojibake` (N,), all zeros before.

    `longest` is the longest run of bytes without white space or characters that are words by
    themselves; `mojibake` counts characters of which each byte in UTF-8 was read as one, as
    `misread` (characters.misread_table) tells.
    """
    at = 0
    for doc in range(len(ends)):
        run, wanted = 0, 0  # wanted: bytes of a misread character that are still to come
        while at < ends[doc]:
            code, length = decode(buffer, at)
            kind = np.int64(class_of[code])
            classes[doc, kind] += 1
            if kind in (SPACE, NEWLINE) or FIRST_SCRIPT <= kind < FIRST_SPACED:
                run = 0
            else:
                run += length
                longest[doc] = max(longest[doc], run)
            byte = int(misread[code]) if code < len(misread) else 0
            if byte >= 0xC0:
                wanted = 1 + (byte >= 0xE0) + (byte >= 0xF0)
            elif byte and wanted:
                wanted -= 1
                mojibake[doc] += wanted == 0
            else:
                wanted = 0
            at += length
