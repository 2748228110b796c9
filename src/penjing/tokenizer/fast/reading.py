r"""Reading UTF-8 by character classes: what the scanners of the split rules have in common.

The functions take addresses: `i` of a character in valid UTF-8, the text's `end`, and that of the
table of classes.
"""

import numpy as np

from penjing.compiling.functions import inlined, part
from penjing.tokenizer.fast.classes import NEWLINE, NUMBER, SPACE
from penjing.tokenizer.fast.memory import byte, pair

_CLASS_BITS, _CLASSES, _LAST = 16, 0xFFFF, 0x10FFFF
_QUOTE = ord("'")
_S, _T, _M, _D, _L, _R, _V, _E = map(ord, "stmdlrve")
_TO_LOWER = 0x20  # the bit by which small letters differ in ASCII
_LONG_S = (0xC5, 0xBF)  # ſ in UTF-8: the only other character that is an s but for its case


@inlined
def look(i, end, classes):
    """The character at i of valid UTF-8 -> (its classes, where the next one begins)."""
    first = byte(i)
    if first < 0x80:
        return pair(classes + 2 * first), i + 1
    found = _look_wide(i, end, classes)
    return found & _CLASSES, i + (found >> _CLASS_BITS)


@part
def _look_wide(i, end, classes):
    """The same of a character of several bytes -> its classes and, in the bits above, its size."""
    first = byte(i)
    if first < 0xE0 and i + 1 < end:
        code, size = (first & 0x1F) << 6 | byte(i + 1) & 0x3F, 2
    elif first < 0xF0 and i + 2 < end:
        code, size = (first & 0x0F) << 12 | (byte(i + 1) & 0x3F) << 6 | byte(i + 2) & 0x3F, 3
    elif first < 0xF5 and i + 3 < end:
        high = (first & 0x07) << 18 | (byte(i + 1) & 0x3F) << 12
        code = min(high | (byte(i + 2) & 0x3F) << 6 | byte(i + 3) & 0x3F, _LAST)
        size = 4
    else:
        return (end - i) << _CLASS_BITS
    return size << _CLASS_BITS | pair(classes + 2 * code)


@inlined
def run(i, end, classes, wanted):
    """The end of the characters from i on that are of a wanted class."""
    while i < end:
        kind, after = look(i, end, classes)
        if not kind & wanted:
            break
        i = after
    return i


@inlined
def run_without(i, end, classes, unwanted):
    """The end of the characters from i on that are of no unwanted class."""
    while i < end:
        kind, after = look(i, end, classes)
        if kind & unwanted:
            break
        i = after
    return i


@inlined
def some_digits(i, end, classes, most):
    while i < end and most > 0:
        kind, after = look(i, end, classes)
        if not kind & NUMBER:
            break
        i = after
        most -= 1
    return i


@inlined
def spaces(i, end, classes, with_lines, whole_end, taken):
    r"""The end of `\s*[\r\n]+|\s+(?!\S)|\s+` at a space; the first of them if `with_lines`.

    If `whole_end`, `\s+\z` comes before all of them. A text ends for this expression in front of a
    character of a class `taken` before.
    """
    line, last, kind = i, i, np.int64(0)  # the end of the last line, where the last space begins
    j = i
    while j < end:
        kind, after = look(j, end, classes)
        if not kind & SPACE:
            break
        if kind & NEWLINE:
            line = after
        last, j = j, after
    if with_lines and line > i and not (whole_end and j == end):
        return line
    return j if j == end or last == i or kind & taken else last


@inlined
def short_form(i, end, any_case):
    """The end of 's, 't, 're, 've, 'm, 'll or 'd at i, or i."""
    fold = _TO_LOWER if any_case else 0
    if byte(i) != _QUOTE or i + 1 >= end:
        return i
    first = byte(i + 1) | fold
    if first in (_S, _T, _M, _D):
        return i + 2
    if i + 2 < end:
        second = byte(i + 2) | fold
        if (first == _L and second == _L) or (first in (_R, _V) and second == _E):
            return i + 3
        if any_case and byte(i + 1) == _LONG_S[0] and byte(i + 2) == _LONG_S[1]:
            return i + 3
    return i
