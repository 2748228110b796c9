"""The words of a text, as the compiled scanners find them."""

import numpy as np
from numpy.typing import NDArray

from penjing.compiling.calling import ask
from penjing.compiling.functions import entry
from penjing.tokenizer.fast.classes import classes_for
from penjing.tokenizer.fast.memory import address
from penjing.tokenizer.fast.scanner import word_end

_ROOM = 1 << 16  # words that are found in one call


def word_ends(text: bytes, split: str) -> NDArray[np.int64]:
    """The byte offsets at which the words of a UTF-8 text end, as the rule's expression cuts it.

    `split` is a name of RULES. The last offset is the length of the text.
    """
    data = np.frombuffer(text, np.uint8)
    ends: list[NDArray[np.int64]] = []
    start = 0
    while start < len(data):
        room = np.empty(_ROOM, np.int64)
        found = _fill(data, start, classes_for(split), word_end(split), room)
        ends.append(room[:found])
        start = int(room[found - 1])
    return np.concatenate(ends) if ends else np.empty(0, np.int64)


@entry
def _fill(text, start, classes, scanner, ends):  # type: ignore[no-untyped-def]
    """Ends of the words from `start` on, as many as there is room for -> how many."""
    begin, classes_at = address(text), address(classes)
    i, end = begin + start, begin + len(text)
    found = 0
    while i < end and found < len(ends):
        i = ask(scanner, (i, end, classes_at))
        ends[found] = i - begin
        found += 1
    return found
