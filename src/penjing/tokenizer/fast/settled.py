"""Text that Unicode's normal form C leaves as it is, as far as single characters can tell.

Models such as Qwen normalise to that form (UAX 15), and hardly a text is changed by it. A text of
characters that are whole, compose with none before them, and stand still (combining class 0) is in
that form already. What this Python's Unicode does not know yet may be anything.
"""

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.functions import entry
from penjing.tokenizer.fast.batches import Batch
from penjing.tokenizer.fast.memory import address
from penjing.tokenizer.fast.reading import run_without

_FIRST = 0x300  # all characters before it are settled in every version
# And so are these ideographs and syllables.
_SETTLED = ((0x3400, 0x4DB6), (0x4E00, 0x9FA6), (0xAC00, 0xD7A4), (0x20000, 0x2A6D7))
_ASSIGNED = (range(_FIRST, 0xD800), range(0xE000, 0x34000), range(0xE0000, 0xE1000))
_JAMO = slice(0x1100, 0x1200)  # they compose to syllables


def is_settled(batch: Batch) -> bool:
    """Whether normalising to form C is sure to change nothing."""
    return bool(_is_without(batch.data[: batch.ends[-1]], _unsettled()))


@cache
def _unsettled() -> NDArray[np.uint16]:
    """1 for each code point that may be changed, or change what stands before it."""
    unsettled = np.ones(0x110000, np.uint16)
    unsettled[:_FIRST] = 0
    seconds = set()
    for code in (code for area in _ASSIGNED for code in area):
        char = chr(code)
        if _is_known_settled(code):
            unsettled[code] = 0
            continue
        decomposed = unicodedata.decomposition(char).split()
        if len(decomposed) == 2 and not decomposed[0].startswith("<"):
            seconds.add(int(decomposed[1], 16))
        unsettled[code] = (
            unicodedata.category(char) == "Cn"
            or unicodedata.combining(char) > 0
            or unicodedata.normalize("NFC", char) != char
        )
    unsettled[list(seconds)] = 1
    unsettled[_JAMO] = 1
    return unsettled


def _is_known_settled(code: int) -> bool:
    return any(first <= code < end for first, end in _SETTLED)


@entry
def _is_without(text, unsettled):
    end = address(text) + len(text)
    return run_without(address(text), end, address(unsettled), 1) == end
